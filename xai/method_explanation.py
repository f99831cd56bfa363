"""One method's explanation of a verdict: its map, what follows from it, and how a notebook shows it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xai.completeness import Completeness
from xai.map_picture import TOP, WORDS, explanation_html, map_picture
from xai.ranking import is_weak, rank, segment_scores
from xai.sampling_error import Covariance
from xai.stability import BEST, same_best, same_rank


@dataclass(frozen=True, eq=False)
class Explanation:
    """One method's explanation of why a detector gives a class to a frame.

    Attributes:
        saliency: (H, W) float32 at the detector's input size, higher is more important; float64 where float32 could
            not keep the order of its values.
        segments: (H, W) int32 labels 0..K-1, the same for every method that has none of its own.
        target: the explained class.
        forwards: images passed to the detector for it, forward and backward, the adversarial image's included where its
            fill uses it.
        seconds: wall time, likewise.
        completeness: what the map adds up to, beside what its method promises; None where it promises nothing.
        covariance: of the segments' importance over re-runs with other draws, (K, K); all zero where nothing is drawn,
            None where it is not known.
        method: its name; "" where it is not known.
        class_name: of the explained class; likewise.
        picture: (H, W, 3) uint8, what was explained; None likewise.
    """

    saliency: np.ndarray
    segments: np.ndarray
    target: int
    forwards: int
    seconds: float
    completeness: Completeness | None = None
    covariance: Covariance = None
    method: str = ""
    class_name: str = ""
    picture: np.ndarray | None = None

    @cached_property
    def importance(self) -> np.ndarray:
        """The segments' mean saliency, (K,) float64."""
        return segment_scores(self.saliency, self.segments)

    @property
    def standard_error(self) -> np.ndarray:
        """Of the importance over re-runs, (K,): 0 where nothing is drawn, NaN where it is not known."""
        if self.covariance is None:
            return np.full(len(self.importance), np.nan)
        return np.sqrt(np.diag(self.covariance))

    @cached_property
    def stability(self) -> np.ndarray:
        """The probability that a re-run has the same best segment, best two, best three, (3,).

        0 where nothing is known; see `xai.stability.same_best`.
        """
        every = self.region_stability[:BEST]
        return np.pad(every, (0, BEST - len(every)), mode="edge")

    @cached_property
    def region_stability(self) -> np.ndarray:
        """The same for each number of the best segments from 1 to K, (K,)."""
        return same_best(self.importance, self.covariance)

    @cached_property
    def rank_stability(self) -> np.ndarray:
        """The probability that a re-run gives each of the best three segments its rank, best first, (min(3, K),)."""
        return same_rank(self.importance, self.covariance)

    @property
    def ranking(self) -> np.ndarray:
        """The segments' labels, best first, (K,)."""
        return rank(self.saliency, self.segments)

    @property
    def weak(self) -> bool:
        """Whether the ranking says little (see `xai.ranking.is_weak`)."""
        return is_weak(self.saliency, self.segments)

    def _repr_html_(self) -> str:
        """What a notebook shows: the map over the picture with its best regions outlined, and what made it."""
        pixels = map_picture(self.saliency, self.segments, self.ranking, self.picture)
        return explanation_html(pixels, self.method, self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        best = zip(self.ranking[:TOP].tolist(), WORDS, strict=False)
        weak = "; weak: its best three are tied, or fewer than three speak for the class" if self.weak else ""
        lines = [
            ("method", self.method or "not known"),
            ("explains", self.class_name or f"class {self.target}"),
            ("best segments", ", ".join(f"{label} ({colour})" for label, colour in best) + weak),
            ("same best 1, 2, 3 on a re-run", self._same_again()),
            ("forwards", f"{self.forwards:,} in {self.seconds:.1f} s"),
        ]
        return lines + ([("the map", str(self.completeness))] if self.completeness else [])

    def _same_again(self) -> str:
        if self.covariance is None:
            return "not known"
        return ", ".join(f"{100 * chance:.0f} %" for chance in self.stability)
