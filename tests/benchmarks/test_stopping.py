"""What the efficient preset saves, in short: a small network, one frame."""

import numpy as np
import pytest

import xai
from benchmarks.common import Clock
from benchmarks.stopping import (
    EFFICIENT,
    PUBLISHED,
    REDRAWN,
    UNSTOPPED,
    WAYS,
    Explained,
    agreement,
    explained,
    frame_explanations,
)
from data.frames import Frame
from tests.xai.helpers import SmallNetwork, photo


def test_a_stopped_explanation_passes_at_most_all_samples() -> None:
    image = (255 * photo(32, 0).permute(1, 2, 0).numpy()).astype(np.uint8)
    frame = Frame(key="0", image=image, label=None, family=None, video="", mask=None)
    model = SmallNetwork()
    shared = frame_explanations(model, frame, WAYS[PUBLISHED], 64)
    one = explained(model, frame, "LIME", shared, 64, Clock.PROCESSOR)
    samples = xai.build_settings("published").explainers["LIME"].samples
    assert one.forwards[PUBLISHED] == one.forwards[REDRAWN] == one.forwards[UNSTOPPED] == samples
    assert 0 < one.forwards[EFFICIENT] <= samples
    assert all(len(best) == 3 for best in one.best.values())
    assert min(one.seconds.values()) > 0


def test_agreement_counts_frames_with_the_same_set() -> None:
    sets = [({0, 1, 2}, {2, 1, 0}), ({0, 1, 2}, {0, 1, 3}), ({4, 5, 6}, {4, 5, 6}), ({1, 2, 3}, {1, 2, 3})]
    found = [Explained({"a": frozenset(a), "b": frozenset(b)}, {}, {}) for a, b in sets]
    assert agreement(found, "a", "b") == pytest.approx(0.75)
