"""What a user reads: what a run is about to do, its table, what that says, and where the files are."""

import math
import textwrap
from pathlib import Path

from common.console import console, say, table
from scoring.findings import conclude, count, counts
from scoring.products import Results
from scoring.setup import Setup
from scoring.statistics import Estimate
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
        _show_table(results.summary, attack)
        for sentence in conclude(results.rows, results.summary, attack, seed):
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


def _show_table(summary: Summary, attack: str) -> None:
    """One attack's table, the best method first, the references last."""
    shown, mean = [summary.of(attack, top) for top in summary.shown], summary.of(attack, MEAN)
    methods = summary.ranked(attack)
    table(
        f"\nAttack {attack}: fake verdicts flipped to Real (%), attacking top regions only",
        ["method", *(top if "%" in top else f"top {top}" for top in summary.shown), "gain", "drop", "acc."],
        [
            [
                method,
                *(_rate(lines[method].flip_rate) for lines in shown),
                _difference(mean[method]),
                _number(shown[-1][method].drop.value, "{:.2f}"),
                _number(100 * shown[-1][method].accuracy.value, "{:.0f}"),
            ]
            for method in methods
        ],
    )
    tests = count(len(summary.methods(attack)), "method")
    paragraph(
        f"[ ]: 95 % interval, with videos as the sample. gain: the mean of the rates less that of random regions; "
        f"* p < {ALPHA} in a permutation test over videos, corrected for {tests} (Holm). drop: how far the verdict's "
        f"probability fell; acc.: correct verdicts left (%); both after the deepest attack."
    )
    say("")


def _rate(rate: Estimate) -> str:
    if math.isnan(rate.value):
        return "-"
    interval = "" if math.isnan(rate.low) else f" [{100 * rate.low:.0f}-{100 * rate.high:.0f}]"
    return f"{100 * rate.value:.0f}{interval}"


def _difference(line: Line) -> str:
    versus = line.flip_rate_vs_random
    return (
        f"{100 * versus.difference.value + 0.0:+.0f} {'*' if versus.certain else ' '}" if versus.p == versus.p else ""
    )


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)
