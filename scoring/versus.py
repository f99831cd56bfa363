"""Two runs side by side: what changed in their configurations, and which scores moved beyond chance."""

import math
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd

from common.console import console, count, say, table
from common.seeds import generator
from scoring.config import changes
from scoring.protocol import WHOLE
from scoring.report import paragraph
from scoring.sheet import Sheet
from scoring.statistics import Estimate, holm, intervals, sign_flip_p
from scoring.stored import Stored
from scoring.summary import ALPHA, MEAN, conditions, detected, tops

MEASURES = {"drop": (-2.0, 2.0), "flipped_to_real": (-1.0, 1.0)}
"""What is compared, with the bounds of a difference."""
NAMES = {"drop": "drop", "flipped_to_real": "flip rate"}


@dataclass(frozen=True)
class Move:
    """How one score of one method differs between two runs.

    Attributes:
        attack: its name, with the budget and the segments where they are not the main ones.
        method: an explanation method or a reference arm.
        measure: of MEASURES.
        frames: that both runs called fake.
        videos: that these are from.
        first, second: the means over them, of all numbers of segments.
        difference: second less first, with its 95 % interval.
        p_holm: of a permutation test over videos that there is none, corrected over all moves.
    """

    attack: str
    method: str
    measure: str
    frames: int
    videos: int
    first: float
    second: float
    difference: Estimate
    p_holm: float

    @property
    def certain(self) -> bool:
        """Whether the score moved beyond chance."""
        return self.p_holm < ALPHA


def moves(first: Stored, second: Stored, seed: int = 0) -> list[Move]:
    """Every score that both runs have, on the frames that both called fake; none where they share no frame."""
    one, other = _scores(first.rows), _scores(second.rows)
    shared = one.merge(other, on=["attack", "method", "key"], suffixes=("_first", "_second"))
    found = []
    for (attack, method), rows in shared.groupby(["attack", "method"], sort=False):
        videos = rows["video_first"].to_numpy()
        for measure, bounds in MEASURES.items():
            before, after = (rows[f"{measure}_{end}"].to_numpy(dtype=float) for end in ("first", "second"))
            limits = intervals((after - before)[:, None], videos, generator(seed, "versus", measure), bounds)[0]
            estimate = Estimate(float((after - before).mean()), float(limits[0]), float(limits[1]))
            p = sign_flip_p(after - before, videos, generator(seed, "versus permutation", measure))
            counted = (len(rows), len(set(videos)))
            means = (float(before.mean()), float(after.mean()))
            found.append(Move(str(attack), str(method), measure, *counted, *means, estimate, p))
    corrected = holm(np.array([move.p_holm for move in found]))
    return [Move(**{**vars(move), "p_holm": float(p)}) for move, p in zip(found, corrected, strict=True)]


def show(first: Stored, second: Stored, seed: int = 0) -> None:
    """Prints what two runs' configurations differ in, and their scores side by side."""
    differing = changes(first.configuration, second.configuration)
    say(f"{first.name} (first) and {second.name} (second)")
    if not differing:
        paragraph("Their configurations are the same.")
    for key, was, now in differing:
        say(f"  {key}: {was} -> {now}")
    found = moves(first, second, seed)
    if not found:
        paragraph("They share no frame that both call fake under the same attack, so no score can be compared.")
        return
    for attack in dict.fromkeys(move.attack for move in found):
        of_attack = [move for move in found if move.attack == attack]
        table(
            f"\nAttack {attack}: drop and flip rate (%), mean of the depths",
            ["method", "frames", "drop 1st", "2nd", "difference", "flips 1st", "2nd", "difference"],
            [_line([move for move in of_attack if move.method == name]) for name in dict.fromkeys(_methods(of_attack))],
        )
    moved = [move for move in found if move.certain]
    paragraph(
        f"[ ]: 95 % interval, with videos as the sample; * p < {ALPHA} in a permutation test over videos, corrected "
        f"for {count(len(found), 'comparison')} (Holm)."
    )
    listed = [f"{move.method}'s {NAMES[move.measure]} under {move.attack}" for move in moved]
    paragraph(f"Moved beyond chance: {', '.join(listed)}." if listed else "No score is shown to have moved.")
    console.print()


def _methods(found: list[Move]) -> list[str]:
    return [move.method for move in found]


def _line(found: list[Move]) -> list[str]:
    by_measure = {move.measure: move for move in found}
    drop, flips = by_measure["drop"], by_measure["flipped_to_real"]
    return [
        drop.method,
        str(drop.frames),
        f"{drop.first:.2f}",
        f"{drop.second:.2f}",
        _difference(drop, 1, "{:+.2f}"),
        f"{100 * flips.first:.0f}",
        f"{100 * flips.second:.0f}",
        _difference(flips, 100, "{:+.0f}"),
    ]


def _difference(move: Move, scale: float, form: str) -> str:
    value, low, high = (form.format(scale * each + 0.0) for each in astuple(move.difference)[:3])
    interval = "" if math.isnan(move.difference.low) else f" [{low} {high}]"
    return f"{value}{interval} {'*' if move.certain else ' '}"


def _scores(scores: Sheet) -> pd.DataFrame:
    """The mean drop and flip rate of each frame, by attack and method."""
    found = detected(scores)
    attacks, columns = conditions(found.columns), found.columns
    chosen = columns["depth"].isin(tops(columns)[MEAN]) | columns["method"].eq(WHOLE)
    frames = found.frames[["key", "video"]].astype(object)
    parts = [
        frames.assign(attack=attack, method=method, **{measure: part.mean(measure) for measure in MEASURES})
        for attack in attacks.unique()
        for method, part in found.with_columns(chosen & (attacks == attack)).by("method").items()
    ]
    empty = frames.iloc[:0].assign(attack="", method="", **dict.fromkeys(MEASURES, 0.0))
    return pd.concat([empty, *parts], ignore_index=True).dropna(subset=list(MEASURES))
