"""On what share of the frames the adversarial image, which fills are made of, is adversarial."""

from dataclasses import dataclass

import numpy as np

from analysis.score_subsets import Rows
from runs.frame_table import FRAMES
from runs.score_table import as_score_table


@dataclass(frozen=True)
class AdversarialShare:
    """How many adversarial images flip the verdict.

    Attributes:
        flipped: images that the detector calls Real.
        images: all that were made, one for each frame and trial.
        frames: of which they are.
    """

    flipped: int
    images: int
    frames: int


def adversarial_share(frames: Rows) -> AdversarialShare:
    """Counts the adversarial images of a run's frames, given as the lines of `runs.frame_table`."""
    lines = as_score_table(frames, FRAMES)
    index, (flipped,) = lines.rows("adversarial_flipped")
    return AdversarialShare(int(flipped.sum()), len(flipped), len(np.unique(index)))
