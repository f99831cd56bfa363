"""Samples only until the best segments are certain: an explainer that grows its map, and a rule that looks at it.

The samples are those of the whole number, scored in their order; so a run that is not stopped has exactly the map of
one without the rule, and a stopped one is wrong only where the samples it saved would have changed its best segments.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from xai.base import Fill, Score
from xai.ranking import segment_scores
from xai.sampling_error import SampledMap
from xai.stability import same_at_end


@runtime_checkable
class GrowingExplainer(Protocol):
    """An explainer whose map can be looked at before all its samples are scored.

    One that derives from it is called as every explainer, and states its sampling error.
    """

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The map of all samples, (H, W)."""
        return self.sampled(score, image, segments, fill, generator).saliency

    def sampled(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> SampledMap:
        """The same with its sampling error."""
        return next(iter(self.growing(score, image, segments, fill, generator, ())))[1]

    @abstractmethod
    def growing(
        self,
        score: Score,
        image: Tensor,
        segments: np.ndarray,
        fill: Fill,
        generator: np.random.Generator,
        looks: Sequence[float],
    ) -> Iterator[tuple[float, SampledMap]]:
        """The share of the samples that are scored, and the map of these with its sampling error; last, of all.

        Asks the detector only for what the next map needs. `looks` are shares in (0, 1), wanted about there; the other
        arguments as for `xai.base.Explainer`.
        """
        ...


@dataclass(frozen=True)
class Stopping:
    """When an explanation has enough samples.

    It is looked at after 1/2^looks of its samples, then after twice as many each time. It stops where the samples to
    come would leave the same best segments with a probability of 1 - (1 - probability) / looks: so the looks together
    err in at most 1 - probability of the explanations, however their errors fall (Bonferroni).

    Attributes:
        probability: in (0, 1) of the same best segments as all samples give; 1 to take all samples.
        depths: of how many best segments the sets are to stay the same, all of them; each at least 1.
        looks: how often it is looked at, at least 1.
    """

    probability: float = 1.0
    depths: tuple[int, ...] = (3,)
    looks: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability must be above 0 and at most 1, got {self.probability}")
        if not self.depths or min(self.depths) < 1 or self.looks < 1:
            raise ValueError(f"depths and looks must be at least 1, got {self.depths} and {self.looks}")

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the samples, after which it is looked at."""
        return tuple(2.0**-look for look in range(self.looks, 0, -1))

    @property
    def at_each_look(self) -> float:
        """The probability that a look must find."""
        return 1 - (1 - self.probability) / self.looks

    def certain(self, importance: np.ndarray, made: SampledMap, share: float) -> bool:
        """Whether all samples would leave the best of the segments' `importance` (K,); `share` of them are scored."""
        return same_at_end(importance, made.covariance, share, self.depths) >= self.at_each_look


@dataclass(frozen=True)
class UntilStable:
    """An explainer that stops by a rule.

    Attributes:
        explainer: whose samples are taken.
        rule: when they are enough.
    """

    explainer: GrowingExplainer
    rule: Stopping

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The map of the samples that were taken, (H, W)."""
        return self.sampled(score, image, segments, fill, generator).saliency

    def sampled(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> SampledMap:
        """The same with its sampling error."""
        for share, made in self.explainer.growing(score, image, segments, fill, generator, self.rule.shares):
            if share == 1 or self.rule.certain(segment_scores(made.saliency, segments), made, share):
                return made
        raise RuntimeError(f"{self.explainer}: its maps ended before all samples were scored")
