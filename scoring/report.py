"""What a user reads: what a run is about to do, its table, what that says, and where the files are."""

import math
import textwrap
from pathlib import Path

from common.console import console, say, table
from scoring.findings import conclude, count, counts
from scoring.page.content import Condition, Headline, HeadlineLine
from scoring.products import Results
from scoring.protocol import ARMS
from scoring.setup import Setup
from scoring.summary import ALPHA, MEAN, Line, Summary


def introduce(setup: Setup, folder: Path) -> None:
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
    if selection.real:
        paragraph(f"Left out: {count(selection.real, 'real frame')}, as there is no fake verdict to explain.")
    paragraph(f"Results go to {folder}; stop at any time, the same command goes on from there.")


def show(results: Results, seed: int, folder: Path) -> None:
    """Prints a table for each attack with what it says, how many frames were left out of what, and the files."""
    for attack in results.summary.attacks:
        headline = next((each for each in results.headlines if each.condition == Condition(attack)), None)
        _show_table(results.summary, attack, headline)
        for sentence in conclude(results.rows, results.summary, attack, seed, headline):
            paragraph(sentence)
        say("")
    for sentence in counts(results.rows, results.summary, results.failures):
        paragraph(sentence)
    paragraph(f"Files in {folder}: {', '.join(path.name for path in results.files)}")


def show_missing(missing: int, total: int) -> None:
    """Prints that a part of a run is finished, and how to get the tables."""
    paragraph(
        f"This part is finished; {missing} of the run's {count(total, 'frame')} are not (other parts, or failures). "
        f"When every part has finished, run the same command without --shard to make the tables."
    )


def paragraph(text: str) -> None:
    """Prints a text wrapped between words."""
    for line in textwrap.wrap(text, min(console.width, 100), break_long_words=False, break_on_hyphens=False):
        say(line)


def _show_table(summary: Summary, attack: str, headline: Headline | None) -> None:
    """One attack's table, the best method first, the references last."""
    shown, mean = [summary.of(attack, top) for top in summary.shown], summary.of(attack, MEAN)
    lines = {line.method: line for line in headline.ranked} if headline else {}
    methods = sorted(summary.ranked(attack), key=lambda m: (m in ARMS, _place(m, list(lines))))
    table(
        f"\nAttack {attack} on the best 1, 1-2, ... regions: score, and verdicts flipped to Real (%)",
        ["method", "score", *summary.shown, "gain", "drop", "acc."],
        [
            [
                method,
                _score(lines.get(method)),
                *(_number(100 * each[method].flip_rate.value, "{:.0f}") for each in shown),
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


def _place(method: str, ranked: list[str]) -> int:
    return ranked.index(method) if method in ranked else len(ranked)


def _score(line: HeadlineLine | None) -> str:
    if line is None or math.isnan(line.score.value):
        return "-" if line else ""
    ends = "" if math.isnan(line.score.low) else f" [{100 * line.score.low:.0f} {100 * line.score.high:.0f}]"
    return f"{100 * line.score.value:.0f}{ends}{'*' if line.certain else ' '}"


def _difference(line: Line) -> str:
    versus = line.flip_rate_vs_random
    return (
        f"{100 * versus.difference.value + 0.0:+.0f} {'*' if versus.certain else ' '}" if versus.p == versus.p else ""
    )


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)
