"""A frame's explanations, the segments they rank, and the regions that methods point at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from common.console import warn
from data.frames import Frame
from data.masks import at_size
from detectors import Detector
from detectors.checks.gradient_check import fault_for_maps, misleads_maps
from scoring.attempts import Attempts
from scoring.costs import CostTracker
from xai.explanation import AdversarialImage, Explanation, FrameExplanations
from xai.explanation_settings import with_share_of_queries
from xai.methods import ADVERSARIAL, Method
from xai.ranking import positive_segments
from xai.regions import RankedRegion, Ranking, regions_at
from xai.segments import Segments, fewest_expected

SHOWN = 3


@dataclass(frozen=True, eq=False)
class Explained:
    """One frame whose fake verdict was explained.

    Attributes:
        image: (3, H, W) float32 in [0, 1], at the detector's size.
        frames: what made the explanations, to make more on the same segments and fills.
        explanations: by the name of the method, without methods that failed.
        rankings: one for each of these that does not leave the frame out (`xai.methods.Method.fewest_positive`).
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
    frames: FrameExplanations,
    frame: Frame,
    methods: Sequence[Method],
    depths: tuple[str, ...],
    tracker: CostTracker,
    attempts: Attempts,
) -> Explained | None:
    """Explains a frame by every method; None where none of them could, or the frame could not be divided.

    A frame that falls into far fewer segments than asked for is warned of: its regions are larger than others'. Methods
    that follow the detector's gradient fail where finite differences deny it.

    Args:
        frames: makes the explanations.
        frame: what they are of; its mask is taken along.
        methods: what explains it.
        depths: of the methods' regions (`xai.regions.Depth`).
        tracker: is charged the segments, the adversarial image and each method.
        attempts: notes what fails; a method that cannot explain the frame has no part in what is returned.
    """
    segments = adversarial = None
    with attempts.at("segments"), tracker.stage("segments"):
        segments = frames.segments
    if segments is None:
        return None
    _warn_of_few(segments, frames.settings.segments, frame.key)
    if any(method.fill == ADVERSARIAL for method in methods):
        with attempts.at(ADVERSARIAL), tracker.stage(ADVERSARIAL):
            adversarial = frames.adversarial
    following = [method.name for method in methods if frames.settings.follows_gradient(method)]
    fault = fault_for_maps(frames.detector, frames.image) if following else None
    explanations: dict[str, Explanation] = {}
    ranked: list[Ranking] = []
    for method in methods:
        uses = method.fill == ADVERSARIAL
        if uses and adversarial is None:
            continue  # what it hides pixels with has failed
        with attempts.at(method.name):
            if method.name in following and fault is not None:
                raise misleads_maps(frames.detector, fault)
            frames.warm_up(method)
            with tracker.stage(method.name, including=ADVERSARIAL if uses else None):
                explanation = frames.explain(method)
                ranking = _ranking(method, explanation)
                explanations[method.name] = explanation
                if _keeps(method, explanation):
                    ranked.append(ranking)
    if methods and not explanations:
        return None
    ranked_regions = [ranked_region for ranking in ranked for ranked_region in regions_at(ranking, segments, depths)]
    mask = at_size(frame.mask, segments.shape)
    return Explained(frames.image, frames, explanations, ranked, ranked_regions, mask, adversarial)


def _warn_of_few(segments: np.ndarray, settings: Segments, key: str) -> None:
    count = int(segments.max()) + 1
    if count < fewest_expected(settings.name):
        warn(
            f"{key} falls into {count} segments, where {settings.count} were asked for, so that its regions are larger "
            f"than other frames': where it is noisy, {settings.smoother} smooths it first"
        )


def explain_randomised(
    explained: Explained,
    randomised_detector: Detector,
    methods: Sequence[Method],
    baseline: str,
    attempts: Attempts,
    share: float = 1.0,
) -> list[Ranking]:
    """Every method's ranking when it explains a detector with random weights, on the same segments and fills.

    There is none of a map that is kept for the frame: it would be the same map.

    Args:
        explained: the frame, explained.
        randomised_detector: of the same classes and input size as the frame's own.
        methods: what explains it.
        baseline: the name under which the rankings go.
        attempts: notes what fails; a method that cannot explain the detector has no ranking.
        share: of the methods' queries that it is asked.
    """
    settings = with_share_of_queries(explained.frames.settings, share)
    frames = explained.frames.again(explained.image, randomised_detector, settings)
    rankings = []
    for method in methods:
        if method.name in explained.explanations and not settings.is_kept(method):
            with attempts.at(f"{baseline} of {method.name}"):
                rankings.append(_ranking(method, frames.explain(method), baseline))
    return rankings


def _keeps(method: Method, explanation: Explanation) -> bool:
    """Whether a method's explanation is ranked, or the frame left out of its rows."""
    return positive_segments(explanation.saliency, explanation.segments) >= method.fewest_positive


def _ranking(method: Method, explanation: Explanation, baseline: str = "") -> Ranking:
    return Ranking(
        explanation.ranking,
        baseline or method.name,
        of=method.name if baseline else "",
        fill=method.fill,
        weak=explanation.weak,
        completeness_error=explanation.completeness.error if explanation.completeness else None,
        stability=None if baseline or explanation.covariance is None else explanation.region_stability,
        segments=None if method.segments is None else explanation.segments,
    )
