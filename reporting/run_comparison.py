"""Two runs side by side: what changed in their configurations, and which scores differ beyond chance."""

import math
from dataclasses import astuple

from analysis.score_differences import ScoreDifference, score_differences
from analysis.statistics import ALPHA
from common.console import console, count, paragraph, say, table
from reporting import words
from runs.configuration import changes
from runs.stored_run import StoredRun

NAMES = {"drop": "drop", "flipped_to_real": "flip rate"}


def show_run_comparison(first: StoredRun, second: StoredRun, seed: int = 0) -> None:
    """Prints the differences of two runs' configurations, and their scores side by side."""
    differing = changes(first.configuration, second.configuration)
    say(f"{first.name} (first) and {second.name} (second)")
    if not differing:
        paragraph("Their configurations are the same.")
    for key, was, now in differing:
        say(f"  {key}: {was} -> {now}")
    for run in (first, second):
        if said := _unfinished(run):
            paragraph(said)
    differences = score_differences(first.rows, second.rows, seed)
    if not differences:
        paragraph("They share no frame that both call fake under the same attack, so no score can be compared.")
        return
    for attack in dict.fromkeys(difference.attack for difference in differences):
        _show_attack(attack, [difference for difference in differences if difference.attack == attack])
    paragraph(
        f"[ ]: 95 % interval, with videos as the sample; * p < {ALPHA} in a permutation test over videos, corrected "
        f"for {count(len(differences), 'comparison')} (Holm)."
    )
    for run in (first, second):
        if said := words.adversarial_fill(run.rows, run.frames):
            paragraph(f"{run.name}: {said}")
    significant = [difference for difference in differences if difference.is_significant]
    listing = [f"{line.method}'s {NAMES[line.measure]} under {line.attack}" for line in significant]
    paragraph(f"Moved beyond chance: {', '.join(listing)}." if listing else "No score is shown to have moved.")
    console.print()


def _unfinished(run: StoredRun) -> str:
    """How many of a run's frames are not there, in a sentence; "" for none."""
    frames, finished = run.configuration.get("frames"), len(run.rows)
    wanted = frames.get("count") if isinstance(frames, dict) else None
    if not isinstance(wanted, int) or finished >= wanted:
        return ""
    return (
        f"{run.name}: {finished} of its {count(wanted, 'frame')} are finished, and what follows is of these; the run's "
        "own command scores the others, or says why they fail."
    )


def _show_attack(attack: str, differences: list[ScoreDifference]) -> None:
    by_method: dict[str, dict[str, ScoreDifference]] = {}
    for difference in differences:
        by_method.setdefault(difference.method, {})[difference.measure] = difference
    table(
        f"\nAttack {attack}: drop and flip rate (%), mean of the depths",
        ["method", "frames", "drop 1st", "2nd", "difference", "flips 1st", "2nd", "difference"],
        [_line(measures["drop"], measures["flipped_to_real"]) for measures in by_method.values()],
    )


def _line(drop: ScoreDifference, flips: ScoreDifference) -> list[str]:
    return [
        drop.method,
        str(drop.difference.frames),
        f"{drop.first:z.2f}",
        f"{drop.second:z.2f}",
        _difference(drop, 1, "{:+z.2f}"),
        f"{100 * flips.first:.0f}",
        f"{100 * flips.second:.0f}",
        _difference(flips, 100, "{:+z.0f}"),
    ]


def _difference(difference: ScoreDifference, scale: float, pattern: str) -> str:
    value, low, high = (pattern.format(scale * number) for number in astuple(difference.difference)[:3])
    interval = "" if math.isnan(difference.difference.low) else f" [{low} {high}]"
    return f"{value}{interval} {'*' if difference.is_significant else ' '}"
