"""Several frames of one film taken together, and one picture, likewise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, t

from analysis.statistics.permutation import holm
from common.seeds import generator
from examination.evidence import LEVEL, rank_p
from examination.frame import ExaminedFrame
from examination.stability import COPIES

BETWEEN = 0.95
"""Of the intervals over frames."""
_DIGITS = 5  # of log-odds: what differs by less is tied


@dataclass(frozen=True)
class MeanOverlap:
    """Overlaps of one method under one kind of variation, over the frames that have it.

    Attributes:
        share: their mean.
        low, high: where one picture is examined, the interval of its re-runs; of several frames, Student's interval of
            the mean, in [0, 1]; None where there is none, as of several frames only one of which has the variation.
        chance_high: the mean of what 95 % of random regions do not exceed.
        frames: how many have it.
    """

    share: float
    low: float | None
    high: float | None
    chance_high: float
    frames: int

    @property
    def found_again(self) -> bool:
        """Whether more is found again than in 95 % of random regions."""
        return self.share > self.chance_high


@dataclass(frozen=True, eq=False)
class MethodResult:
    """What is known of one method on all frames together.

    Attributes:
        p: that its regions move the verdict as random ones do; NaN where nothing could be attacked.
        p_corrected: by Holm over the methods.
        share: the mean share of the best region's move; NaN likewise.
        move: the mean move, in log-odds.
        overlaps: by variation.
        frames: how many its evidence is of.
        complete: whether it could be explained again under every variation of each of these.
    """

    p: float
    p_corrected: float
    share: float
    move: float
    overlaps: Mapping[str, MeanOverlap]
    frames: int
    complete: bool

    @property
    def decides(self) -> bool:
        """Whether its regions are shown to move the verdict more than random ones."""
        return self.p_corrected <= LEVEL and self.move > 0

    @property
    def differs(self) -> bool:
        """Whether under some variation it points at no more of the same regions than random ones do."""
        return not all(overlap.found_again for overlap in self.overlaps.values())

    @property
    def stable(self) -> bool:
        """Whether it points at the same regions again under every variation, none of which failed."""
        return self.complete and not self.differs

    @property
    def believed(self) -> bool:
        """Whether both hold."""
        return self.decides and self.stable


def together(frames: Sequence[ExaminedFrame], seed: int) -> dict[str, MethodResult]:
    """The methods' results on all frames together, in the order of the methods.

    On every frame a method's move is ranked among those of the random regions, and the ranks are summed over the
    frames. They are compared with the sums of random regions that keep their rank on every frame, the best, the second,
    and so on: the frames of a film look alike, and a map that marks one place for no reason has the luck of that place
    on all of them. Where a method's region is as a random one that does so, the p-value is exact, whatever differs in
    level between the frames; where its ranks vary from frame to frame, it is rather too large.

    Args:
        frames: of one face, at least one; those that are called Real have no evidence and do not count in it.
        seed: of the lots for ties.
    """
    names = list(dict.fromkeys(name for frame in frames for name in frame.regions))
    p = {name: _p([frame for frame in frames if _has(frame, name)], name, seed) for name in names}
    corrected = dict(zip(names, holm(np.array([p[name] for name in names])), strict=True))
    results = {}
    for name in names:
        evidence = [
            frame.evidence.methods[name] for frame in frames if frame.evidence is not None and _has(frame, name)
        ]
        known = [each.share for each in evidence if np.isfinite(each.share)]
        results[name] = MethodResult(
            p=p[name],
            p_corrected=float(corrected[name]),
            share=float(np.mean(known)) if known else float("nan"),
            move=float(np.mean([each.move for each in evidence])) if evidence else float("nan"),
            overlaps=_overlaps(frames, name),
            frames=len(evidence),
            complete=all(_complete(frame, name) for frame in frames if _has(frame, name)),
        )
    return results


def _has(frame: ExaminedFrame, name: str) -> bool:
    return frame.evidence is not None and name in frame.evidence.methods


def _complete(frame: ExaminedFrame, name: str) -> bool:
    """Whether a method could be explained again under every variation of a frame."""
    return {*COPIES, *(near.name for near in frame.shot.neighbours)} <= set(frame.stability.get(name, {}))


def _p(frames: Sequence[ExaminedFrame], name: str, seed: int) -> float:
    """The p-value of a method on frames together, ties against it; NaN without frames."""
    if not frames:
        return float("nan")
    found = [frame.evidence for frame in frames if frame.evidence is not None]
    if len(found) == 1:
        return found[0].methods[name].p
    ranks = [_ranks(np.array([each.methods[name].move, *each.random_moves])) for each in found]
    own, others = sum(each[0] for each in ranks), np.sum([np.sort(each[1:]) for each in ranks], axis=0)
    return rank_p(-float(own), -others, generator(seed, "together", name))[0]  # a small rank is a large move


def _ranks(moves: np.ndarray) -> np.ndarray:
    """The ranks of moves, 1 the largest; tied ones share the mean of theirs."""
    return np.asarray(rankdata(-moves.round(_DIGITS)))


def _overlaps(frames: Sequence[ExaminedFrame], name: str) -> dict[str, MeanOverlap]:
    """The mean overlaps of a method by variation."""
    found: dict[str, MeanOverlap] = {}
    attacked = sum(frame.evidence is not None for frame in frames)
    kinds = dict.fromkeys(kind for frame in frames for kind in frame.stability.get(name, {}))
    for kind in kinds:
        each = [frame.stability[name][kind] for frame in frames if kind in frame.stability.get(name, {})]
        shares = np.array([overlap.share for overlap in each])
        if attacked == 1:
            low, high = each[0].low, each[0].high
        else:
            low, high = _interval(shares)
        chance = float(np.mean([overlap.chance_high for overlap in each]))
        found[kind] = MeanOverlap(float(shares.mean()), low, high, chance, len(each))
    return found


def _interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Student's interval of the mean, in [0, 1]; None with fewer than two values."""
    if len(values) < 2:
        return None, None
    half = t.ppf((1 + BETWEEN) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return max(0.0, float(values.mean() - half)), min(1.0, float(values.mean() + half))
