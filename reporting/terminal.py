"""A run in the terminal: what is about to be scored, the tables and their conclusions, and where the files are."""

import math
from pathlib import Path

import numpy as np

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import ALPHA
from analysis.summary import Summary
from analysis.surviving_flips import SurvivingFlips
from common.console import count, paragraph, say, table, warn
from data.source import warn_of_doubt
from reporting import answer_words, words
from reporting.conclusions import conclude, conclude_by_flips, counts
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
    """Prints the answer, a table for each attack, how many frames were left out of what, and the files."""
    if results.drift:
        paragraph(results.drift)
    if results.names:
        paragraph(results.names)
    for sentence in (said := conclude(results.headlines, results.summary)):
        paragraph(sentence)
    for attack in results.summary.attacks:
        headline = next((entry for entry in results.headlines if entry.condition == Condition(attack)), None)
        _show_table(results.summary, attack, headline)
        _show_survival(results.summary, attack)
        if headline is None or not said:
            by_flips = conclude_by_flips(results.rows, results.summary, attack, seed)
            for sentence in by_flips:
                if sentence not in said:
                    paragraph(sentence)
            said += by_flips
        say("")
    if results.mark:
        paragraph(f"{results.mark}. What these are was said at the start; docs/methods.md has the list.")
    for sentence in counts(results.rows, results.summary, results.failures, results.frames, results.missing):
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
    """One attack's table, the highest score first, what has none last."""
    shown, mean = [summary.of(attack, depth) for depth in summary.shown], summary.of(attack, MEAN)
    lines = {line.method: line for line in headline.ranked_with_baselines} if headline else {}
    methods = sorted(summary.ranked(attack), key=lambda m: (m not in lines and m in BASELINES, _place(m, list(lines))))
    frames, videos = summary.sample(attack)
    table(
        f"\nAttack {attack} on the best 1, 1-2, ... regions, n = {count(frames, 'frame')} from "
        f"{count(videos, 'video')}: score, and verdicts flipped to Real (%)",
        ["method", "score", *summary.shown, "flipped", "drop", "acc.", "same on a re-run"],
        [
            [
                method,
                _score(lines.get(method)),
                *(_number(100 * by_method[method].flip_rate.value, "{:z.0f}") for by_method in shown),
                _number(100 * mean[method].flip_rate.value, "{:z.0f}"),
                _number(mean[method].drop.value, "{:z.2f}"),
                _number(100 * mean[method].accuracy.value, "{:z.0f}"),
                "" if method in BASELINES else words.stability(mean[method].stability),
            ]
            for method in methods
        ],
    )
    if headline:
        paragraph(
            f"score: the drop, from random regions of the same area (0) to the oracle (100); "
            f"{answer_words.correction(headline)}; * differs from 0, p < {ALPHA}."
        )
    paragraph(
        f"{answer_words.DEFINITIONS} acc.: correct verdicts left (%), a mean over the same regions. "
        f"{answer_words.RE_RUN}"
    )
    if said := words.other_frames([(m, mean[m].frames, mean[m].accuracy_frames) for m in methods]):
        paragraph(said)
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
                _number(100 * mean[method].flip_rate.value, "{:z.0f}"),
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
    ends = "" if math.isnan(line.score.low) else f" [{100 * line.score.low:z.0f} {100 * line.score.high:z.0f}]"
    return f"{100 * line.score.value:z.0f}{ends}{'*' if line.is_significant else ' '}"


def _surviving(flips: SurvivingFlips) -> str:
    return f"{flips.survived}/{flips.flips}" if flips.flips else "-"


def _number(value: float, pattern: str) -> str:
    return "-" if math.isnan(value) else pattern.format(value)
