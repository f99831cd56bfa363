"""From a frame's explanations to the case that metrics judge."""

import numpy as np
from torch import Tensor

from common.errors import InputError
from common.seeds import generator
from data.masks import stretched
from detectors.base import Detector
from scoring.metrics.base import Case
from xai.explanation import Explanation, FrameExplanations
from xai.methods import Method

BACKGROUND = "mean"
"""What a removed pixel shows by default, a fill of `xai.explanation_settings`, whatever a method's own fill is."""


def case_of(
    frame: FrameExplanations,
    method: Method,
    explanation: Explanation,
    mask: np.ndarray | None = None,
    background: str = BACKGROUND,
) -> Case:
    """The case of one method's explanation of a frame.

    Draws depend on the run's seed and the frame's key, not on the method. Other images and detectors are explained on
    the same segments and with the same draws (see `FrameExplanations.again`); a map kept for the frame cannot be made
    for others, so then nothing is explained again.

    Args:
        frame: the frame at the detector's size, with its segments and fills.
        method: whose explanation it is.
        explanation: its saliency, (H, W).
        mask: (H', W') bool at any size, the manipulated pixels, or None where they are not known.
        background: what a removed pixel shows, a fill of the frame's settings.

    Raises:
        InputError: the fill is unknown.
    """
    fills = frame.settings.fills
    if background not in fills:
        raise InputError(f"unknown background {background!r}; known: {', '.join(fills)}")

    def explain(image: Tensor, detector: Detector) -> np.ndarray:
        return frame.again(image, detector).explain(method).saliency

    kept = frame.settings.is_kept(method)

    def draws(purpose: str) -> np.random.Generator:
        return generator(frame.seed, frame.key, "metric", purpose)

    return Case(
        score=frame.score,
        image=frame.image,
        saliency=explanation.saliency,
        segments=frame.segments,
        mask=None if mask is None else stretched(mask, frame.segments.shape),
        background=fills[background](frame.image, frame.segments, frame.detector.mean),
        explain=None if kept else explain,
        draws=draws,
    )
