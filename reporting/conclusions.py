"""The conclusions of a run in sentences: which methods can be trusted, and what was left out of which number."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.attackable_frames import flipped_by_region_only, unattackable, unflipped, unmoved, whole_attacks
from analysis.headline import Headline
from analysis.score_subsets import Rows
from analysis.statistics import ALPHA, videos_needed
from analysis.summary import MethodSummary, Summary
from analysis.tiers import MethodTiers, flip_rate_tiers
from analysis.trust import answer
from common.console import count
from data.frames import REAL
from reporting import answer_words, words
from runs.conditions import MEAN
from runs.frame_table import ATTACKS_NEEDED
from runs.partial_frames import MissingPart, partial_frames
from runs.score_table import as_score_table
from scoring.baselines.table import BASELINES, ORACLE, RANDOM, RANDOM_AREA


def conclude(headlines: Sequence[Headline], summary: Summary) -> list[str]:
    """The sentences that answer which explanations can be trusted, over all attacks; none without any score.

    Args:
        headlines: the scores (`analysis.method_ranking.rank_methods`).
        summary: the statistics of each method and baseline, of the same rows.
    """
    if not any(not math.isnan(line.score.value) for headline in headlines for line in headline.lines):
        return []
    found = answer(headlines)
    mean = summary.of(found.main.condition.attack, MEAN)
    return [answer_words.sentence(found), *answer_words.reasons(found), *_by_mask(mean)]


def conclude_by_flips(rows: Rows, summary: Summary, attack: str, seed: int) -> list[str]:
    """The sentences about an attack where no score can be given: which methods flip more verdicts than random regions.

    Args:
        rows: the scores of every frame.
        summary: the statistics of each method and baseline, of the same rows.
        attack: the attack that the sentences are about.
        seed: of the tests between methods.
    """
    mean = summary.of(attack, MEAN)
    first, tests = max(mean.values(), key=lambda line: line.frames), len(mean.keys() - set(BASELINES))
    if not first.frames:
        return ["The detector called no frame fake, so there was nothing to explain and to flip."]
    if RANDOM not in mean and RANDOM_AREA in mean:
        score = "" if ORACLE in mean else f", or --baseline {ORACLE} for a score"
        return [f"Of {RANDOM_AREA} there is no test by flips; add --baseline {RANDOM}{score}."]
    if RANDOM not in mean:
        return ["Without random regions nothing tells a good explanation from luck; add --baseline random."]
    if not tests:
        return ["Only baselines were scored; name methods to compare with them."]
    if first.videos < 2:
        return [_one_video(rows, first.frames)]
    columns = as_score_table(rows).columns
    draws = columns.loc[columns["method"] == RANDOM, "draw"].nunique()
    tiers = flip_rate_tiers(rows, summary, attack, seed)
    lines = [*_few(first.videos, tests, draws), *_no_flip(mean, attack), _praise(tiers, mean)]
    for names, what in (
        (tiers.level, "Not distinguishable from the best"),
        (tiers.behind, "Behind, but better than random regions"),
        (tiers.same if tiers.best or tiers.worse or tiers.undecided else (), "Not distinguishable from random regions"),
        (
            tiers.undecided,
            "Undecided: with other draws they would mostly point at other regions; more samples are needed",
        ),
        (tiers.worse, "Worse than random regions"),
    ):
        if names:
            lines.append(f"{what}: {words.join(names)}.")
    return [*lines, _by_drop(mean), *_by_mask(mean)]


def _one_video(rows: Rows, fakes: int) -> str:
    """Why there are no statistics: all frames are from one video, or those are that the detector calls fake."""
    frames = as_score_table(rows).frames
    videos = frames["video"].nunique()
    if videos < 2:
        return "All frames are from one video: no interval and no test can be given. Score frames of more videos."
    called = f"only {fakes} is called fake" if fakes == 1 else f"the {fakes} that are called fake are all from one"
    return (
        f"Of {count(len(frames), 'frame')} from {videos} videos {called}: no interval and no test can be given. Score "
        f"frames of more videos."
    )


def _few(videos: int, tests: int, draws: int) -> list[str]:
    """A warning where no test of so many methods against so many random draws can reach the level."""
    needed = videos_needed(tests, draws)
    if videos >= needed:
        return []
    return [
        f"With {videos} videos no test of {count(tests, 'method')} can reach p < {ALPHA}: "
        f"score frames of at least {needed} videos."
    ]


def counts(
    rows: Rows,
    summary: Summary,
    failures: Mapping[str, str],
    lines_of_frames: Rows | None = None,
    missing: Sequence[MissingPart] = (),
) -> list[str]:
    """How many frames there were, what was left out of what, and what flips no verdict.

    Args:
        rows: the scores of every frame.
        summary: the statistics of each method and baseline, of the same rows.
        failures: frames that could not be scored, with the reason.
        lines_of_frames: what is known of each frame (`runs.frame_table`); None for nothing.
        missing: what of the frames failed while the rest of each was scored.
    """
    known = pd.DataFrame() if lines_of_frames is None else lines_of_frames
    frames = as_score_table(rows).frames
    total = len(frames) + len(failures)
    lines = [f"Scored {len(frames)} of {count(total, 'frame')}, from {count(frames['video'].nunique(), 'video')}."]
    if failures:
        lines.append(f"Failed: {len(failures)}; failures.csv says why, and the same command tries them again.")
    lines += filter(None, [partial_frames(missing), words.few_segments(known)])
    real = int((frames["predicted"] == REAL).sum())
    if real:
        lines.append(
            f"Called Real by the detector without any attack: {real}; they count in accuracies, not in flips and drops."
        )
    lines += filter(None, [words.one_verdict(rows)])
    lines += _stubborn(rows, known)
    lines += filter(None, [words.turned_by_transforms(rows, known), words.adversarial_fill(rows, known)])
    unknown = frames.loc[frames["correct"].isna(), "family"].astype(object).fillna("unlabelled")
    if len(unknown) == len(frames):
        lines.append("No frame has a class that the detector knows, so accuracies stay empty.")
    elif len(unknown):
        families = ", ".join(sorted(set(unknown)))
        lines.append(f"Without a class that the detector knows: {len(unknown)} ({families}); left out of accuracies.")
    weak_rankings = {
        method: line.weak
        for method, line in summary.of(summary.attacks[0], MEAN).items()
        if line.weak and method not in BASELINES
    }
    if weak_rankings:
        listing = ", ".join(f"{method} {number}" for method, number in weak_rankings.items())
        lines.append(
            f"Weak rankings (fewer than three regions speak for the verdict, or the best are tied; counted as any "
            f"other): {listing}."
        )
    return lines + [said for said in [words.map_sums(rows)] if said]


def _stubborn(rows: Rows, frames: Rows) -> list[str]:
    """Which frames nothing flips, which an attack does not flip, and where the whole frame is no ceiling."""
    lines, never = [], unattackable(frames)
    if never:
        lines.append(
            f"Unattackable: {count(len(never), 'frame')} that nothing in this run flips, though at least "
            f"{ATTACKS_NEEDED} different attacks tried the whole of each; they count in every rate and mean."
        )
    alone = whole_attacks(frames) < ATTACKS_NEEDED
    for attack, keys in unflipped(rows).items():
        others = sorted(set(keys) - set(never))
        if others:
            hint = "; a second --attack would tell whether anything flips them" if alone else ""
            lines.append(f"Not flipped by {attack} anywhere, not even as a whole: {count(len(others), 'frame')}{hint}.")
    for attack, keys in unmoved(rows).items():
        lines.append(
            f"Left as they are by {attack} in every region: {count(len(keys), 'frame')} ({words.some(keys)}); nothing "
            "that it tried raised the probability of Real there, as where a gradient is zero or a probability is "
            "clamped, so that no flip says nothing about the regions. They count as not flipped."
        )
    for attack, keys in flipped_by_region_only(rows).items():
        if keys:
            lines.append(
                f"Flipped by {attack} in some region but not as a whole: {count(len(keys), 'frame')} "
                f"({words.some(keys)}); there the whole frame is no ceiling."
            )
    return lines


def _no_flip(mean: Mapping[str, MethodSummary], attack: str) -> list[str]:
    """Why no explanation has a score where nothing flips; nothing where something does."""
    if any(line.flip_rate.value > 0 for line in mean.values()):
        return []
    return [
        f"Nothing that was attacked flips a verdict under {attack}, so what share an explanation has of what the best "
        "possible regions do is unknown."
    ]


def _praise(tiers: MethodTiers, mean: Mapping[str, MethodSummary]) -> str:
    chance = 100 * mean[RANDOM].flip_rate.value
    if not tiers.best:
        return (
            f"No method is shown to be better than random regions, which flip {chance:.0f} % of verdicts "
            f"(mean of the depths)."
        )
    rate, their = 100 * mean[tiers.best[0]].flip_rate.value, "its" if len(tiers.best) == 1 else "their"
    return (
        f"Most flips here: {words.join(tiers.best)}. Attacking {their} regions flips {rate:.0f} % of verdicts "
        f"(mean of the depths), random regions {chance:.0f} %. Trust takes the headline score, which this lacks."
    )


def _by_drop(mean: Mapping[str, MethodSummary]) -> str:
    """The same question asked of the drop, which says more where few verdicts flip; its tests are corrected apart."""
    lines = [
        line
        for line in mean.values()
        if line.drop_vs_random.is_significant and line.drop_vs_random.difference.value > 0
    ]
    best = [f"{line.method} ({line.drop.value:z.2f})" for line in sorted(lines, key=lambda line: -line.drop.value)]
    chance = f"random regions ({mean[RANDOM].drop.value:z.2f})"
    if not best:
        return f"By the verdict's probability: no method is shown to lower it more than {chance}."
    return f"By the verdict's probability: {words.join(best)} lower{'s' * (len(best) == 1)} it more than {chance}."


def _by_mask(mean: Mapping[str, MethodSummary]) -> list[str]:
    """How much of what the methods point at was truly manipulated; nothing where that is not known."""
    known = {
        method: line.mask_precision.value for method, line in mean.items() if not math.isnan(line.mask_precision.value)
    }
    if RANDOM not in known:
        return []
    best = sorted((method for method in known if method not in BASELINES), key=lambda method: -known[method])
    shares = ", ".join(f"{method} {100 * known[method]:.0f} %" for method in best)
    return [f"Of the regions, truly manipulated were: {shares}; of random regions {100 * known[RANDOM]:.0f} %."]
