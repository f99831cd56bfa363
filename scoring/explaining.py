"""A frame's explanations, the segments they rank, and the regions that methods point at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from data.frames import Frame
from data.masks import at_size
from detectors import Detector
from scoring.costs import CostTracker
from xai.explanation import AdversarialImage, Explanation, FrameExplanations
from xai.explanation_settings import with_share_of_queries
from xai.methods import ADVERSARIAL, Method
from xai.ranking import positive_segments
from xai.regions import RankedRegion, Ranking, regions_at

SHOWN = 3


@dataclass(frozen=True, eq=False)
class Explained:
    """One frame whose fake verdict was explained.

    Attributes:
        image: (3, H, W) float32 in [0, 1], at the detector's size.
        frames: what made the explanations, to make more on the same segments and fills.
        explanations: by the name of the method.
        rankings: one for each method that does not leave the frame out (`xai.methods.Method.fewest_positive`).
        ranked_regions: the methods' regions, by method and depth.
        mask: (H, W) bool, the manipulated pixels at the detector's size, or None where unknown.
        adversarial: the frame attacked as a whole, or None where no method's fill uses it.
    """

    image: Tensor
    frames: FrameExplanations
    explanations: dict[str, Explanation]
    rankings: list[Ranking]
    ranked_regions: list[RankedRegion]
    mask: np.ndarray | None
    adversarial: AdversarialImage | None = None

    @property
    def segments(self) -> np.ndarray:
        """(H, W) labels 0..K-1."""
        return self.frames.segments

    @property
    def shown(self) -> dict[str, np.ndarray]:
        """The best three segments of each method, (H, W) bool; whatever depths are attacked."""
        return {
            ranking.method: regions_at(ranking, self.segments, (str(SHOWN),))[0].region for ranking in self.rankings
        }


def explain_frame(
    frames: FrameExplanations, frame: Frame, methods: Sequence[Method], depths: tuple[str, ...], tracker: CostTracker
) -> Explained:
    """Explains a frame by every method.

    Args:
        frames: makes the explanations.
        frame: what they are of; its mask is taken along.
        methods: what explains it.
        depths: of the methods' regions (`xai.regions.Depth`).
        tracker: is charged the segments, the adversarial image and each method.

    Raises:
        InputError: a method cannot explain the frame.
    """
    with tracker.stage("segments"):
        segments = frames.segments
    adversarial = None
    if any(method.fill == ADVERSARIAL for method in methods):
        with tracker.stage(ADVERSARIAL):
            adversarial = frames.adversarial
    explanations = {}
    for method in methods:
        with tracker.stage(method.name, including=ADVERSARIAL if method.fill == ADVERSARIAL else None):
            explanations[method.name] = frames.explain(method)
    ranked = [_ranking(method, explanations[method.name]) for method in methods if _keeps(method, explanations)]
    ranked_regions = [ranked_region for ranking in ranked for ranked_region in regions_at(ranking, segments, depths)]
    mask = at_size(frame.mask, segments.shape)
    return Explained(frames.image, frames, explanations, ranked, ranked_regions, mask, adversarial)


def explain_randomised(
    explained: Explained, randomised_detector: Detector, methods: Sequence[Method], baseline: str, share: float = 1.0
) -> list[Ranking]:
    """Every method's ranking when it explains a detector with random weights, on the same segments and fills.

    Args:
        explained: the frame, explained.
        randomised_detector: of the same classes and input size as the frame's own.
        methods: what explains it.
        baseline: the name under which the rankings go.
        share: of the methods' queries that it is asked.

    Raises:
        InputError: a method cannot explain the detector.
    """
    settings = with_share_of_queries(explained.frames.settings, share)
    frames = explained.frames.again(explained.image, randomised_detector, settings)
    return [_ranking(method, frames.explain(method), baseline) for method in methods]


def _keeps(method: Method, explanations: Mapping[str, Explanation]) -> bool:
    """Whether a method's explanation is ranked, or the frame left out of its rows."""
    explanation = explanations[method.name]
    return positive_segments(explanation.saliency, explanation.segments) >= method.fewest_positive


def _ranking(method: Method, explanation: Explanation, baseline: str = "") -> Ranking:
    return Ranking(
        explanation.ranking,
        baseline or method.name,
        of=method.name if baseline else "",
        fill=method.fill,
        weak=explanation.weak,
        segments=None if method.segments is None else explanation.segments,
    )
