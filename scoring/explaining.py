"""A frame's explanations, the segments they rank, and the regions that methods point at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from data.frames import Frame
from detectors import Detector
from scoring.arms import rankings
from scoring.costs import Ledger
from scoring.regions import Choice, Ranking, choose
from xai.explanation import Explanation, FrameExplanations
from xai.methods import ADVERSARIAL, Method
from xai.ranking import top_region

SHOWN = 3


@dataclass(frozen=True, eq=False)
class Explained:
    """One frame whose fake verdict was explained.

    Attributes:
        image: (3, H, W) float32 in [0, 1], at the detector's size.
        frames: what made the explanations, to make more on the same segments and fills.
        explanations: by the name of the method.
        rankings: one for each method.
        choices: the methods' regions, by method and depth.
        mask: (H, W) bool, the manipulated pixels at the detector's size, or None where unknown.
    """

    image: Tensor
    frames: FrameExplanations
    explanations: dict[str, Explanation]
    rankings: list[Ranking]
    choices: list[Choice]
    mask: np.ndarray | None

    @property
    def segments(self) -> np.ndarray:
        """(H, W) labels 0..K-1."""
        return self.frames.segments

    @property
    def shown(self) -> dict[str, np.ndarray]:
        """The best three segments of each method, (H, W) bool; whatever depths are attacked."""
        return {each.method: top_region(self.segments, each.order, SHOWN) for each in self.rankings}


def explain(
    frames: FrameExplanations, frame: Frame, methods: Sequence[Method], depths: tuple[str, ...], ledger: Ledger
) -> Explained:
    """Explains a frame by every method; raises InputError where one cannot."""
    with ledger.stage("segments"):
        segments = frames.segments
    if any(method.fill == ADVERSARIAL for method in methods):
        with ledger.stage(ADVERSARIAL):
            frames.adversarial  # noqa: B018 - made here, so that its cost is its own stage
    explanations = {}
    for method in methods:
        with ledger.stage(method.name, including=ADVERSARIAL if method.fill == ADVERSARIAL else None):
            explanations[method.name] = frames.explain(method)
    ranked = [_ranking(method, explanations[method.name]) for method in methods]
    choices = [choice for each in ranked for choice in choose(each, segments, depths)]
    mask = rankings.at_size(frame.mask, segments.shape)
    return Explained(frames.image, frames, explanations, ranked, choices, mask)


def explain_untaught(explained: Explained, untaught: Detector, methods: Sequence[Method], arm: str) -> list[Ranking]:
    """Every method's ranking when it explains a detector with random weights, on the same segments and fills."""
    frames = explained.frames.again(explained.image, untaught)
    return [_ranking(method, frames.explain(method), arm) for method in methods]


def _ranking(method: Method, explanation: Explanation, arm: str = "") -> Ranking:
    return Ranking(
        explanation.ranking,
        arm or method.name,
        of=method.name if arm else "",
        fill=method.fill,
        weak=explanation.weak,
    )
