"""A rate says what it was counted on, and so does what is left of it."""

import numpy as np

from robustness.estimates import rate, rates
from robustness.robustness_summary import AttackSummary


def test_a_rate_has_the_frames_and_videos_that_it_is_of() -> None:
    found = rate([True, False, True], ["a", "a", "b"], 0)
    assert (found.frames, found.videos) == (3, 2)
    defended = AttackSummary("pgd", 0.1, "all", 3, 2, found, 0.0).defended
    assert (defended.frames, defended.videos) == (3, 2)
    (none,) = rates(np.zeros((0, 1)), [], 0)
    assert (none.frames, none.videos) == (0, 0)
