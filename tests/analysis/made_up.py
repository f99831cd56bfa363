"""Rows with chosen outcomes, for tests of what is made of rows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from data.frames import CLASS_NAMES
from runs import npy_records
from scoring import records
from scoring.records import FrameVerdict, Row
from tests.scoring.test_records import ROW


def make(
    flips: Callable[[str, int, int], bool],
    methods: tuple[str, ...] = ("LIME", "RISE", "random"),
    videos: int = 6,
    frames: int = 2,
    attacks: tuple[str, ...] = ("nes",),
) -> list[Row]:
    """Rows of frames whose verdict flips where `flips(method, video, k)` says; family by video, drop 0.1 k or 0.8."""
    made = []
    for video in range(videos):
        family = CLASS_NAMES[1 + video % 4]
        for number in range(frames):
            for attack in attacks:
                for method in methods:
                    for k in (1, 2, 3):
                        flipped = flips(method, video, k)
                        made.append(
                            replace(
                                ROW,
                                key=f"{family}/{video:03d}/{number}.png",
                                video=f"{family}/{video:03d}",
                                family=family,
                                label=CLASS_NAMES.index(family),
                                predicted=family,
                                target=family,
                                method=method,
                                attack=attack,
                                depth=str(k),
                                k=k,
                                area=0.02 * k,
                                before=0.9,
                                after=0.1 if flipped else 0.9 - 0.1 * k,
                                drop=0.8 if flipped else 0.1 * k,
                                predicted_after="Real" if flipped else family,
                                correct_after=int(not flipped),
                                flipped_to_real=flipped,
                            )
                        )
    return made


def verdict(row: Row, flipped: int = 1) -> FrameVerdict:
    """What is kept of a row's frame and trial, its adversarial image made where the detector calls it fake."""
    names = (
        "key", "video", "family", "label", "seed", "segmentation", "predicted", "correct", "target", "before",
    )  # fmt: skip
    real = row.predicted == "Real"
    taken = (-1, -1, -1, -1) if real else (flipped, 12, 40, 973)
    fields = ("adversarial_flipped", "adversarial_steps", "adversarial_forwards", "adversarial_queries")
    return FrameVerdict(
        **{name: getattr(row, name) for name in names},
        probabilities=" ".join(f"{0.9 if name == row.predicted else 0.025:g}" for name in CLASS_NAMES),
        segments=-1 if real else 49,
        **dict(zip(fields, taken, strict=True)),
    )


def unseen(row: Row) -> Row:
    """The row of a frame that the detector calls Real without any attack."""
    return replace(
        row,
        predicted="Real",
        correct=0,
        predicted_after="Real",
        correct_after=0,
        flipped_to_real=False,
        drop=0.0,
        after=row.before,
        area=0.0,
        steps=0,
        linf=0.0,
    )


def unclassed(row: Row) -> Row:
    """The row of a frame of a family that the detector does not know."""
    return replace(row, family="FaceShifter", label=-1, correct=-1, correct_after=-1)


def table(made: list[Row]) -> pd.DataFrame:
    """The tidy table of such rows."""
    return records.tidy(pd.DataFrame(npy_records.to_array(records.Row, made)))


def at_random(seed: int, chance: dict[str, float]) -> Callable[[str, int, int], bool]:
    """Outcomes drawn with a method's own probability."""
    draws = np.random.default_rng(seed)
    return lambda method, video, k: bool(draws.random() < chance[method])
