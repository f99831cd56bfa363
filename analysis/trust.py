"""Which explanations are to be trusted: those that do more than chance and than uninformed baselines, whoever attacks.

An explanation is trusted only where its regions lower the verdict's probability more than random regions of the same
area and more than each baseline that knows nothing of the detector does, under every attack of the run, which must be
two different ones at least; so at least one of them did not make its fill. All of these tests must reject, so the
largest of their p-values is one of trust (an intersection-union test: Berger, Technometrics 24, 1982), and needs no
correction for how many they are; over the explanations it is corrected by Holm's method.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.headline import Condition, Headline
from analysis.statistics import ALPHA, holm, videos_needed
from runs.frame_table import kind_of_attack
from scoring.baselines.table import RANDOM_AREA, UNINFORMED
from xai.methods import ADVERSARIAL

KINDS_NEEDED = 2
"""How many different attacks an explanation must stand before it is trusted."""
OPPONENTS = (RANDOM_AREA, *UNINFORMED)
"""What an explanation must do more than."""
FILL_ATTACKS: Mapping[str, str] = {ADVERSARIAL: "nes"}
"""The attack that made each fill."""


@dataclass(frozen=True)
class Trust:
    """What a run shows of one explanation.

    Attributes:
        method: its name.
        p: of the test for trust, corrected over the explanations; NaN where one of its comparisons was not made, and
            without a score under the main attack.
        not_shown: the comparisons (attack, opponent) in which it is not shown to do more, corrected likewise.
        untested: the attacks under which it lacks a comparison that others have, as where it failed.
    """

    method: str
    p: float = math.nan
    not_shown: tuple[tuple[str, str], ...] = ()
    untested: tuple[str, ...] = ()

    @property
    def is_trusted(self) -> bool:
        """Whether everything that trust takes is shown."""
        return self.p < ALPHA


@dataclass(frozen=True)
class Answer:
    """The answer of a run.

    Attributes:
        headlines: of all frames, one for each attack, the main one first.
        trust: by method.
        missing_opponents: of OPPONENTS, those that the run did not attack; none where there are fewer than two videos,
            of which nothing is compared.
        needed: how many videos the tests take at least before anything can be trusted.
    """

    headlines: tuple[Headline, ...]
    trust: Mapping[str, Trust]
    missing_opponents: tuple[str, ...] = ()
    needed: int = 0

    @property
    def main(self) -> Headline:
        """The headline of the main attack."""
        return self.headlines[0]

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks' names, in order."""
        return tuple(headline.condition.attack for headline in self.headlines)

    @property
    def has_enough_attacks(self) -> bool:
        """Whether there are as many different attacks as trust takes."""
        return len({kind_of_attack(attack) for attack in self.attacks}) >= KINDS_NEEDED

    @property
    def has_enough_videos(self) -> bool:
        """Whether there are as many videos as the tests take."""
        return self.main.videos >= self.needed

    @property
    def trusted(self) -> tuple[str, ...]:
        """The explanations to trust, the one with the highest score first."""
        return tuple(line.method for line in self.main.ranked if self.trust[line.method].is_trusted)


def answer(headlines: Sequence[Headline]) -> Answer:
    """Judges the explanations by the headlines of a run (`analysis.headline.rank_methods`).

    Raises ValueError where no headline is of all frames.
    """
    overall = tuple(headline for headline in headlines if headline.condition == Condition(headline.condition.attack))
    if not overall:
        raise ValueError("an answer needs a headline of all frames, under some attack")
    methods = [line.method for line in overall[0].lines]
    made = {opponent for headline in overall for line in headline.lines for opponent in line.against}
    missing = tuple(opponent for opponent in OPPONENTS if opponent not in made and overall[0].videos > 1)
    needed = max(overall[0].needed, videos_needed(len(methods)) if set(UNINFORMED) & made else 0)
    found = Answer(overall, {}, missing, needed)
    testable = found.has_enough_attacks and not missing
    scored = {line.method for line in overall[0].lines if not math.isnan(line.score.value)}
    p = np.array([_largest_p(overall, m) if testable and m in scored else math.nan for m in methods])
    trust = {
        method: Trust(method, float(corrected), _not_shown(overall, method), _untested(overall, method, made))
        for method, corrected in zip(methods, holm(p), strict=True)
    }
    return replace(found, trust=trust)


def _largest_p(headlines: Sequence[Headline], method: str) -> float:
    """The largest p-value of a method's comparisons, 1 where it does less in one of them; NaN where one is missing."""
    p_values = []
    for headline in headlines:
        line = headline.of(method)
        for opponent in OPPONENTS:
            compared = line.against.get(opponent) if line else None
            if compared is None or math.isnan(compared.p):
                return math.nan
            p_values.append(compared.p if compared.difference.value > 0 else 1.0)
    return max(p_values)


def _not_shown(headlines: Sequence[Headline], method: str) -> tuple[tuple[str, str], ...]:
    """The comparisons that were made and in which a method is not shown to do more."""
    return tuple(
        (headline.condition.attack, opponent)
        for headline in headlines
        for line in [headline.of(method)]
        for opponent in OPPONENTS
        if line is not None
        and opponent in line.against
        and not (line.against[opponent].is_significant and line.against[opponent].difference.value > 0)
    )


def _untested(headlines: Sequence[Headline], method: str, made: Collection[str]) -> tuple[str, ...]:
    """The attacks under which a method lacks one of the comparisons that the run makes."""
    lacking = []
    for headline in headlines:
        line = headline.of(method)
        compared = [line.against.get(opponent) if line else None for opponent in OPPONENTS if opponent in made]
        if any(comparison is None or math.isnan(comparison.p) for comparison in compared):
            lacking.append(headline.condition.attack)
    return tuple(lacking)
