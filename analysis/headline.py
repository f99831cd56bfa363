"""The answer of a run: how far each explanation is from random regions to the oracle, and which methods beat which."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analysis.statistics import Estimate, PairedComparison
from analysis.surviving_flips import SurvivingFlips

UNKNOWN = Estimate()
NO_FLIP = "nothing that was attacked flips a verdict"
"""Why there is no score where the best that any region does leaves every verdict as it was."""


@dataclass(frozen=True)
class Condition:
    """Under what a headline was found: an attack, a manipulation ("" for all) and a segmentation ("" for the run's)."""

    attack: str
    family: str = ""
    segmentation: str = ""


@dataclass(frozen=True)
class HeadlineLine:
    """What one explanation, or one uninformed baseline, is worth.

    The interval of `score` is corrected for as many tests as the headline has lines of its kind, and leaves 0 out
    exactly where `is_significant`; the others are 95 % intervals.

    Attributes:
        method: its name.
        score: (method - random-area) / (oracle - random-area) of the drop; 0 is no better than random regions of the
            same size, 1 as good as the best that any region does.
        fill: what hid pixels while explaining; "" for a baseline.
        flips: the same of the flip rate.
        drop: the mean fall of p(target) over all frames called fake, attackable or not, and the depths 1 to 3.
        flip_rate: the share of verdicts flipped to Real, a mean over the same.
        frames: detected frames that these are means of.
        videos: that those are from.
        undefined: parts (frames, families, ...) without a score as random regions did as well as the oracle.
        unscored: why there is no score (`analysis.statistics.ratio`, or NO_FLIP); empty where there is one.
        is_significant: whether the score differs from 0 beyond chance, corrected for the methods compared; False
            without a score.
        against: its drops less those of random regions of its area (`RANDOM_AREA`) and, under the main condition of an
            attack, of each uninformed baseline; each corrected over the methods.
        better_than: the methods with a lower score beyond chance, corrected likewise.
        survives: how many of its flips outlive each transform that the run asks for, by the transform's name.
        stability: the mean probability that a re-run of the explanation has the same region, over frames and depths;
            NaN where not known.
    """

    method: str
    score: Estimate
    fill: str = ""
    flips: Estimate = UNKNOWN
    drop: Estimate = UNKNOWN
    flip_rate: Estimate = UNKNOWN
    frames: int = 0
    videos: int = 0
    undefined: int = 0
    unscored: str = ""
    is_significant: bool = False
    against: Mapping[str, PairedComparison] = field(default_factory=dict)
    better_than: tuple[str, ...] = ()
    survives: dict[str, SurvivingFlips] = field(default_factory=dict)
    stability: float = math.nan


@dataclass(frozen=True)
class Headline:
    """What the explanations are worth under one condition.

    Attributes:
        condition: which.
        lines: of the explanations.
        baselines: of the baselines that know nothing of the detector, by the same formula.
        videos: from how many the frames are that the detector calls fake.
        needed: how many the test against random regions takes, corrected for the methods.
        frames_above_oracle: frames where an explanation's drop, mean of the depths, is larger than the oracle's. The
            oracle takes a flip before a larger drop, and an attack ends at the flip, wherever it lands.
        most_above_oracle: by how much at most, in probability.
    """

    condition: Condition
    lines: tuple[HeadlineLine, ...]
    baselines: tuple[HeadlineLine, ...] = ()
    videos: int = 0
    needed: int = 0
    frames_above_oracle: int = 0
    most_above_oracle: float = 0.0

    @property
    def ranked(self) -> tuple[HeadlineLine, ...]:
        """The lines of the explanations, best first, those without a score last."""
        return _ranked(self.lines)

    @property
    def ranked_with_baselines(self) -> tuple[HeadlineLine, ...]:
        """The same with the lines of the uninformed baselines among them."""
        return _ranked([*self.lines, *self.baselines])

    @property
    def is_tested(self) -> bool:
        """Whether there are as many videos as the test against random regions needs; else nothing has an interval."""
        return self.videos >= self.needed

    def of(self, method: str) -> HeadlineLine | None:
        """The line of a method or an uninformed baseline, or None."""
        return next((line for line in (*self.lines, *self.baselines) if line.method == method), None)


def _ranked(lines: Iterable[HeadlineLine]) -> tuple[HeadlineLine, ...]:
    return tuple(sorted(lines, key=lambda line: (math.isnan(line.score.value), -line.score.value)))
