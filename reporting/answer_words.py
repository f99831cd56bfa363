"""The answer in words, the same in the terminal, the report and the tables: whom to trust, and if not, what is missing.

For people who weigh evidence and not machine learning.
"""

import math
from collections.abc import Iterable

from analysis.headline import NO_FLIP, Headline
from analysis.statistics import ALPHA, Estimate
from analysis.statistics.ratio import COINCIDE, FEW_VIDEOS, NO_FRAME, NO_ROOM
from analysis.tiers import UNSTABLE, MethodTiers, headline_tiers
from analysis.trust import Answer
from common.console import count
from reporting.words import decimals, join, percent
from scoring.baselines.table import ORACLE, RANDOM_AREA, UNINFORMED

MANY = 3  # names that an answer does not list
BASELINE = "baseline: knows nothing of the detector"
DEFINITIONS = (
    "drop: how far the probability of the verdict falls; flipped: the share of verdicts that become Real. Both are "
    "means over all frames called fake (n of them, attackable or not) and over the depths."
)
"""What drop, flip rate and n are, wherever they stand."""

RE_RUN = (
    "same on a re-run: how probably the explanation, run again with other draws, would have the same regions attacked; "
    f"a mean over frames and depths; below {percent(UNSTABLE)} a method not shown to beat random is undecided."
)
"""What stands in the column of that name."""

_WITHOUT_SCORE = {
    COINCIDE: "as random regions did as well as the best possible ones",
    NO_ROOM: "as the best possible regions are not shown to do more than random ones",
    NO_FRAME: f"as no frame has random regions of its area and the best possible ones (--baseline {RANDOM_AREA} "
    f"--baseline {ORACLE})",
    FEW_VIDEOS: "as all frames are from one video",
    NO_FLIP: f"as {NO_FLIP}: what share it has of what the best possible regions do is unknown",
}


def sentence(answer: Answer) -> str:
    """The answer in one sentence."""
    main, trusted = answer.main, answer.trusted
    if all(math.isnan(line.score.value) for line in main.lines):
        return "These frames cannot tell which explanation to trust."
    if len(trusted) == 1:
        return f"{trusted[0]} is the explanation to trust here."
    tiers = headline_tiers(main, trusted)
    if trusted:
        shared = [*tiers.best, *tiers.level]
        if len(shared) == 1:
            return f"{shared[0]} is the explanation to trust most here; {len(trusted) - 1} more can be trusted."
        if len(shared) <= MANY:
            return f"{join(shared)} are the explanations to trust here."
        return f"{shared[0]} scores highest of those to trust; {len(shared) - 1} others cannot be told apart from it."
    if tiers.undecided and len(tiers.undecided) + len(tiers.unknown) == len(main.lines):
        return "Undecided: with other draws the explanations would mostly point at other regions; take more samples."
    if not answer.has_enough_videos:
        return f"{_videos(answer)} are too few to say which explanation to trust: at least {answer.needed} are needed."
    if not answer.has_enough_attacks:
        return "No explanation can be trusted on the word of one attack."
    if answer.missing_opponents:
        return f"No explanation can be trusted that was not compared with {join(answer.missing_opponents)}."
    return (
        f"No explanation is shown to do more than random regions and than what knows nothing of the detector "
        f"({join(UNINFORMED)}), under {join(answer.attacks)}."
    )


def reasons(answer: Answer) -> list[str]:
    """The sentences below it: what is missing, what the best reaches, and what is said of the others."""
    main, tiers = answer.main, headline_tiers(answer.main, answer.trusted)
    groups = [
        ((*tiers.best[1:], *tiers.level), "to trust as well; not shown to be worse than the highest of these"),
        (tiers.behind, "to trust, but surpassed"),
        *_not_trusted(answer, tiers.better),
        (tiers.same, "not shown to do more than random regions of the same area, so not to be relied on"),
        (tiers.undecided, "undecided, as other draws would mostly point at other regions: more samples are needed"),
        (tiers.worse, "less than random regions do: pointing elsewhere would tell more"),
        *_without_score(main, tiers.unknown),
    ]
    said = [f"{join(group)}: {words}." for group, words in groups if group]
    return [*_missing(answer), *_highest(main), *said, *_above_the_oracle(main)]


def short(answer: Answer, tiers: MethodTiers, method: str) -> str:
    """What can be said of a method, in a few words."""
    return {
        "best": "trust; highest score" if tiers.level else "trust most",
        "level": "trust; not told apart from the highest",
        "behind": "trust, but surpassed",
        "better": _but(answer, method),
        "same": "not shown to beat random",
        "undecided": "undecided: more samples needed",
        "worse": "misleads; worse than random",
        "unknown": "no score can be given",
    }[tiers.tier(method)]


def correction(headline: Headline) -> str:
    """How intervals and tests of a headline are corrected; or that there are none."""
    methods = count(len(headline.lines), "method")
    if not headline.is_tested:
        return (
            f"no intervals, as no test of {methods} is possible with {count(headline.videos, 'video')}: "
            f"it takes {headline.needed}"
        )
    together = f"holding for all {methods} at once" if len(headline.lines) > 1 else "for one method"
    return f"intervals of scores are 95 % intervals {together} (Bonferroni), tests corrected alike (Holm)"


def untested(headlines: Iterable[Headline]) -> str:
    """Which manipulations or segmentations have no interval as too few videos are of them; "" for none."""
    found = [each for each in headlines if not each.is_tested]
    if not found:
        return ""
    names = dict.fromkeys(  # once, not under every attack
        f"{each.condition.family or each.condition.segmentation or 'all'} ({count(each.videos, 'video')})"
        for each in found
    )
    return f"Without an interval, as a test takes {found[0].needed} videos: {join(list(names))}."


def _without_score(main: Headline, methods: Iterable[str]) -> list[tuple[tuple[str, ...], str]]:
    """The methods without a score by why they have none."""
    by_reason: dict[str, list[str]] = {}
    for method in methods:
        line = main.of(method)
        by_reason.setdefault(line.unscored if line else "", []).append(method)
    return [
        (tuple(names), ", ".join(part for part in ("without a score", _WITHOUT_SCORE.get(reason, reason)) if part))
        for reason, names in by_reason.items()
    ]


def _missing(answer: Answer) -> list[str]:
    """What a run lacks before anything can be trusted."""
    lacking = []
    if not answer.has_enough_videos:
        against = "what knows nothing of the detector" if answer.main.is_tested else "random regions"
        lacking.append(
            f"With {_videos(answer)} no test of {count(len(answer.main.lines), 'method')} can reach p < {ALPHA} "
            f"against {against}: score frames of at least {answer.needed} videos that the detector calls fake."
        )
    if not answer.has_enough_attacks:
        lacking.append(
            f"Trust takes two different attacks, as one may favour what it made or found itself: this run has "
            f"{join(answer.attacks)} alone; add another --attack."
        )
    if answer.missing_opponents:
        asked = " ".join(f"--baseline {name}" for name in answer.missing_opponents)
        lacking.append(f"Trust takes the comparison with {join(answer.missing_opponents)}: add {asked}.")
    return lacking


def _highest(main: Headline) -> list[str]:
    """What the explanation with the highest score reaches, and the best baseline that knows nothing."""
    best = main.ranked[0] if main.lines else None
    if best is None or math.isnan(best.score.value):
        return []
    said = (
        f"Changing only the regions that {best.method} ranks highest does {percent(best.score.value)} of what the best "
        f"possible regions do to the verdict under {main.condition.attack}{_between(best.score, len(main.lines))}; "
        f"random regions of the same size do 0 %"
    )
    uninformed = [line for line in main.ranked_with_baselines if line in main.baselines]
    if uninformed and not math.isnan(uninformed[0].score.value):
        said += f", {uninformed[0].method}, which knows nothing of the detector, {percent(uninformed[0].score.value)}"
    return [f"{said}."]


def _not_trusted(answer: Answer, methods: Iterable[str]) -> list[tuple[tuple[str, ...], str]]:
    """Of those that do more than random regions, what else is not shown; methods that lack the same are together."""
    groups: dict[str, list[str]] = {}
    for method in methods:
        groups.setdefault(_lack(answer, method), []).append(method)
    return [(tuple(group), said) for said, group in groups.items()]


def _lack(answer: Answer, method: str) -> str:
    """What is not shown of a method that does more than random regions under the main attack."""
    by_opponent: dict[str, list[str]] = {}
    for attack, opponent in answer.trust[method].not_shown:
        by_opponent.setdefault(_name(opponent), []).append(attack)
    listing = join([f"{opponent} (under {join(attacks)})" for opponent, attacks in by_opponent.items()] or [""])
    more = f"more than random regions under {answer.main.condition.attack}"
    if by_opponent:
        return f"{more}, but not shown to do more than {listing}"
    if untested := answer.trust[method].untested:
        return f"{more}, but not tested against everything under {join(untested)}"
    if answer.has_enough_attacks and not answer.missing_opponents:
        return f"{more}, and more than everything else by itself, but not with all methods' tests together"
    return f"{more}, and than everything else that the run compares"


def _but(answer: Answer, method: str) -> str:
    """The same in a few words."""
    opponents = list(dict.fromkeys(_name(opponent) for _, opponent in answer.trust[method].not_shown))
    if opponents:
        return (
            f"beats random; not shown to beat {join(opponents)}"
            if _name(RANDOM_AREA) not in opponents
            else (f"beats random under {answer.main.condition.attack} only")
        )
    if untested := answer.trust[method].untested:
        return f"beats random; not tested under {join(untested)}"
    if not answer.has_enough_attacks:
        return "beats random, under one attack"
    return "beats random; other comparisons missing" if answer.missing_opponents else "beats random; not shown jointly"


def _above_the_oracle(main: Headline) -> list[str]:
    """By how much drops exceed the ceiling; nothing where none does."""
    if not main.frames_above_oracle:
        return []
    return [
        f"On {count(main.frames_above_oracle, 'frame')} an explanation's drop is above the oracle's, by "
        f"{decimals(main.most_above_oracle)} at most: an attack ends at the first flip, wherever that lands, and the "
        f"oracle takes a flip before a larger drop."
    ]


def _videos(answer: Answer) -> str:
    return f"{count(answer.main.videos, 'video')}"


def _name(opponent: str) -> str:
    return "random regions" if opponent == RANDOM_AREA else opponent


def _between(score: Estimate, methods: int) -> str:
    if math.isnan(score.low):
        return ""
    corrected = f", corrected for {count(methods, 'method')}" if methods > 1 else ""
    return f" (95 % interval{corrected}: {percent(score.low)} to {percent(score.high)})"
