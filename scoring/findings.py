"""What a run allows to say: which methods stand out, and what was left out of which number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.console import count
from data.frames import REAL
from scoring.page import words
from scoring.page.content import Headline
from scoring.page.derive import unattackable
from scoring.protocol import ARMS, RANDOM_AREA
from scoring.sheet import Sheet, of_table
from scoring.statistics import smallest_p
from scoring.summary import ALPHA, CONTROL, MEAN, Line, Summary, compare


@dataclass(frozen=True)
class Finding:
    """Who stands out under one attack, by the flip rate averaged over the three depths.

    Attributes:
        best: the method, or methods with equal rates, at the top of those above random regions beyond chance.
        tied: other methods above random regions that cannot be told apart from the best.
        behind: the remaining methods above random regions.
        same: methods that cannot be told apart from random regions.
        worse: methods below random regions beyond chance.
    """

    best: tuple[str, ...]
    tied: tuple[str, ...]
    behind: tuple[str, ...]
    same: tuple[str, ...]
    worse: tuple[str, ...]


def find(rows: pd.DataFrame | Sheet, summary: Summary, attack: str, seed: int) -> Finding:
    """Sorts the methods of one attack by what the tests allow to say."""
    lines = summary.of(attack, MEAN)
    versus = {method: line.flip_rate_vs_random for method, line in lines.items()}
    methods = summary.methods(attack)
    certain = [method for method in methods if versus[method].certain]
    better = [method for method in certain if versus[method].difference.value > 0]
    best = tuple(method for method in better if lines[method].flip_rate.value == lines[better[0]].flip_rate.value)
    p = compare(rows, attack, best[0], better[len(best) :], seed) if better else {}
    return Finding(
        best=best,
        tied=tuple(method for method in p if not p[method] < ALPHA),
        behind=tuple(method for method in p if p[method] < ALPHA),
        same=tuple(method for method in methods if method not in certain),
        worse=tuple(method for method in certain if method not in better),
    )


def conclude(
    rows: pd.DataFrame | Sheet, summary: Summary, attack: str, seed: int, headline: Headline | None = None
) -> list[str]:
    """The sentences that answer which explanations can be trusted: by the headline score, or without one by flips."""
    mean = summary.of(attack, MEAN)
    first, tests = next(iter(mean.values())), len(mean.keys() - set(ARMS))
    if not first.frames:
        return ["The detector called no frame fake, so there was nothing to explain and to flip."]
    if CONTROL not in mean:
        return ["Without random regions nothing tells a good explanation from luck; add --arm random."]
    if not tests:
        return ["Only references were scored; name methods to compare with them."]
    if first.videos < 2:
        return ["All frames are from one video: no interval and no test can be given. Score frames of more videos."]
    columns = of_table(rows).columns
    draws = columns.loc[columns["method"] == (RANDOM_AREA if headline else CONTROL), "draw"].nunique()
    if headline and any(not math.isnan(line.score.value) for line in headline.lines):
        return [words.answer(headline), *words.reasons(headline), *_by_mask(mean), *_few(first.videos, tests, draws)]
    finding = find(rows, summary, attack, seed)
    lines = [_praise(finding, mean)]
    for names, what in (
        (finding.tied, "Not distinguishable from the best"),
        (finding.behind, "Behind, but better than random regions"),
        (finding.same if finding.best or finding.worse else (), "Not distinguishable from random regions"),
        (finding.worse, "Worse than random regions"),
    ):
        if names:
            lines.append(f"{what}: {_list(names)}.")
    lines.append(_by_drop(mean))
    return [*lines, *_by_mask(mean), *_few(first.videos, tests, draws)]


def _few(videos: int, tests: int, draws: int) -> list[str]:
    """A warning where no test of so many methods against so many random draws can reach the level."""
    if smallest_p(videos, draws) * tests < ALPHA:
        return []
    needed = next(more for more in range(videos, 100) if smallest_p(more, draws) * tests < ALPHA)
    return [
        f"With {videos} videos no test of {count(tests, 'method')} can reach p < {ALPHA}: "
        f"score frames of at least {needed} videos."
    ]


def counts(rows: pd.DataFrame | Sheet, summary: Summary, failures: Mapping[str, str]) -> list[str]:
    """How many frames there were, and what was left out of what."""
    frames = of_table(rows).frames
    total = len(frames) + len(failures)
    lines = [f"Scored {len(frames)} of {count(total, 'frame')}, from {count(frames['video'].nunique(), 'video')}."]
    if failures:
        lines.append(f"Failed: {len(failures)}; failures.csv says why, and the same command tries them again.")
    real = int((frames["predicted"] == REAL).sum())
    if real:
        lines.append(
            f"Called Real by the detector without any attack: {real}; they count in accuracies, not in flips and drops."
        )
    for attack, keys in unattackable(rows).items():
        if keys:
            lines.append(
                f"Unattackable: {count(len(keys), 'frame')} that {attack} flips nowhere, not even as a whole; the "
                f"report's curves leave them out, scores and rates do not."
            )
    unknown = frames.loc[frames["correct"].isna(), "family"].astype(object).fillna("unlabelled")
    if len(unknown) == len(frames):
        lines.append("No frame has a class that the detector knows, so accuracies stay empty.")
    elif len(unknown):
        families = ", ".join(sorted(set(unknown)))
        lines.append(f"Without a class that the detector knows: {len(unknown)} ({families}); left out of accuracies.")
    weak = {
        method: line.weak
        for method, line in summary.of(summary.attacks[0], MEAN).items()
        if line.weak and method not in ARMS
    }
    if weak:
        found = ", ".join(f"{method} {number}" for method, number in weak.items())
        lines.append(f"Weak rankings (fewer than three regions speak for the verdict; counted as any other): {found}.")
    return lines


def _praise(finding: Finding, mean: Mapping[str, Line]) -> str:
    chance = 100 * mean[CONTROL].flip_rate.value
    if not finding.best:
        return (
            f"No method is shown to be better than random regions, which flip {chance:.0f} % of verdicts "
            f"(mean of the three depths)."
        )
    rate, their = 100 * mean[finding.best[0]].flip_rate.value, "its" if len(finding.best) == 1 else "their"
    return (
        f"Most trustworthy here: {_list(finding.best)}. Attacking {their} regions flips {rate:.0f} % of verdicts "
        f"(mean of the three depths), random regions {chance:.0f} %."
    )


def _by_drop(mean: Mapping[str, Line]) -> str:
    """The same question asked of the drop, which tells more where few verdicts flip; corrected for by itself."""
    lines = [line for line in mean.values() if line.drop_vs_random.certain and line.drop_vs_random.difference.value > 0]
    best = [f"{line.method} ({line.drop.value:.2f})" for line in sorted(lines, key=lambda line: -line.drop.value)]
    chance = f"random regions ({mean[CONTROL].drop.value:.2f})"
    if not best:
        return f"By the verdict's probability: no method is shown to lower it more than {chance}."
    return f"By the verdict's probability: {_list(best)} lower{'s' * (len(best) == 1)} it more than {chance}."


def _by_mask(mean: Mapping[str, Line]) -> list[str]:
    """How much of what the methods point at was truly manipulated; nothing where that is not known."""
    known = {method: line.inside.value for method, line in mean.items() if not math.isnan(line.inside.value)}
    if CONTROL not in known:
        return []
    best = sorted((method for method in known if method not in ARMS), key=lambda method: -known[method])
    shares = ", ".join(f"{method} {100 * known[method]:.0f} %" for method in best)
    return [f"Of the regions, truly manipulated were: {shares}; of random regions {100 * known[CONTROL]:.0f} %."]


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
