"""A run in the terminal: what is about to be scored, the tables and their conclusions, and where the files are."""

import math
from pathlib import Path

import numpy as np

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import ALPHA
from analysis.summary import MethodSummary, Summary
from analysis.surviving_flips import SurvivingFlips
from common.console import count, paragraph, say, table, warn
from data.source import warn_of_doubt
from reporting.conclusions import conclude, counts
from reporting.products import RunResults
from reporting.published_mark import published_note
from runs.conditions import MEAN
from runs.selection import Selection
from runs.setup import RunSetup
from scoring.baselines.table import BASELINES


def introduce_run(setup: RunSetup, folder: Path) -> None:
    """Prints what is about to be scored, with what, and where it goes."""
    configuration, selection = setup.configuration, setup.selection
    detector, frames = configuration.detector, configuration.frames
    if setup.on_demo:
        paragraph(
            "Demo: faces and forgeries drawn by this program. The numbers are real, but say nothing about other "
            "frames or detectors; bring yours with --frames and --detector."
        )
    paragraph(
        f"Detector {detector.name} ({count(len(detector.class_names), 'class', 'classes')}, {detector.input_size} "
        f"pixels) on {configuration.device}; {count(frames.count, 'frame')}; preset {configuration.preset}; "
        f"seed {configuration.seed}."
    )
    paragraph(f"Methods: {', '.join(configuration.methods)}. Attacks: {', '.join(configuration.attacks)}.")
    if note := published_note({"as_published": configuration.as_published}):
        paragraph(note)
    if selection.real:
        paragraph(f"Left out: {count(selection.real, 'real frame')}, as there is no fake verdict to explain.")
    warn_of_doubt(selection.entries)
    paragraph(f"Results go to {folder}; stop at any time, the same command goes on from there.")


def show_results(results: RunResults, seed: int, folder: Path) -> None:
    """Prints a table and its conclusions for each attack, how many frames were left out of what, and the files."""
    for attack in results.summary.attacks:
        headline = next((entry for entry in results.headlines if entry.condition == Condition(attack)), None)
        _show_table(results.summary, attack, headline)
        _show_survival(results.summary, attack)
        for sentence in conclude(results.rows, results.summary, attack, seed, headline):
            paragraph(sentence)
        say("")
    if results.mark:
        paragraph(f"{results.mark}. What these are was said at the start; docs/methods.md has the list.")
    for sentence in counts(results.rows, results.summary, results.failures, results.frames):
        paragraph(sentence)
    paragraph(f"Files in {folder}: {', '.join(path.name for path in results.files)}")


def show_black_masks(results: RunResults, selection: Selection) -> None:
    """Says which fakes have a mask without a manipulated pixel, as those of black masks are no part of localisation."""
    masked = {entry.key for entry in selection.entries if entry.mask and entry.fake}
    if not masked:
        return
    scores = results.rows
    unknown = (scores.mean("area") > 0) & np.isnan(scores.mean("mask_precision"))
    black = [key for key in scores.frames.loc[unknown, "key"].astype(str) if key in masked]
    if black:
        warn(
            f"{count(len(black), 'fake frame')} of {len(masked)} with a mask, such as {black[0]}, has no manipulated "
            "pixel in it at the detector's size: where it was changed is not known, so it is left out of "
            "mask_precision and the localisation metrics"
        )


def show_missing(missing: int, total: int) -> None:
    """Prints that a part of a run is finished, and how to get the tables."""
    paragraph(
        f"This part is finished; {missing} of the run's {count(total, 'frame')} are not (other parts, or failures). "
        f"When every part has finished, run the same command without --shard to make the tables."
    )


def _show_table(summary: Summary, attack: str, headline: Headline | None) -> None:
    """One attack's table, the best method first, the baselines last."""
    shown, mean = [summary.of(attack, depth) for depth in summary.shown], summary.of(attack, MEAN)
    lines = {line.method: line for line in headline.ranked} if headline else {}
    methods = sorted(summary.ranked(attack), key=lambda m: (m in BASELINES, _place(m, list(lines))))
    table(
        f"\nAttack {attack} on the best 1, 1-2, ... regions: score, and verdicts flipped to Real (%)",
        ["method", "score", *summary.shown, "gain", "drop", "acc."],
        [
            [
                method,
                _score(lines.get(method)),
                *(_number(100 * by_method[method].flip_rate.value, "{:.0f}") for by_method in shown),
                _difference(mean[method]),
                _number(shown[-1][method].drop.value, "{:.2f}"),
                _number(100 * shown[-1][method].accuracy.value, "{:.0f}"),
            ]
            for method in methods
        ],
    )
    tests = count(len(summary.methods(attack)), "method")
    paragraph(
        f"score: how far the verdict's probability falls, from random regions of the same area (0) to the oracle "
        f"(100), mean of the depths, with its 95 % interval over videos. gain: the mean of the flip rates less that "
        f"of random regions. * p < {ALPHA} in a permutation test over videos, corrected for {tests} (Holm). drop: how "
        f"far the verdict's probability fell; acc.: correct verdicts left (%); both after the deepest attack."
    )
    say("")


def _show_survival(summary: Summary, attack: str) -> None:
    """How many of an attack's flips outlive each transform, by method; nothing where none was asked for."""
    mean = summary.of(attack, MEAN)
    asked = next((tuple(line.survives) for line in mean.values()), ())
    if not asked:
        return
    table(
        f"Flips by {attack} that outlive a transform of the picture, of how many",
        ["method", "flipped (%)", *asked],
        [
            [
                method,
                _number(100 * mean[method].flip_rate.value, "{:.0f}"),
                *(_surviving(mean[method].survives[transform]) for transform in asked),
            ]
            for method in summary.ranked(attack)
        ],
    )
    paragraph(
        "flipped: mean of the depths. Each attacked picture that flips is rounded to 8 bits, goes through the "
        "transform and is shown again; the flip outlives it where the verdict is Real still."
    )
    say("")


def _place(method: str, ranked: list[str]) -> int:
    return ranked.index(method) if method in ranked else len(ranked)


def _score(line: HeadlineLine | None) -> str:
    if line is None or math.isnan(line.score.value):
        return "-" if line else ""
    ends = "" if math.isnan(line.score.low) else f" [{100 * line.score.low:.0f} {100 * line.score.high:.0f}]"
    return f"{100 * line.score.value:.0f}{ends}{'*' if line.is_significant else ' '}"


def _surviving(flips: SurvivingFlips) -> str:
    return f"{flips.survived}/{flips.flips}" if flips.flips else "-"


def _difference(line: MethodSummary) -> str:
    comparison = line.flip_rate_vs_random
    return (
        f"{100 * comparison.difference.value + 0.0:+.0f} {'*' if comparison.is_significant else ' '}"
        if comparison.p == comparison.p
        else ""
    )


def _number(value: float, pattern: str) -> str:
    return "-" if math.isnan(value) else pattern.format(value)
