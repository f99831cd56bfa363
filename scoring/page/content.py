"""What the report shows: the values of a finished run, and the statistics that it is given ready-made."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from scoring.sheet import GRADED, MEASURED, SPENT, Sheet, of_table
from scoring.statistics import Estimate

RANDOM, RANDOM_AREA, ORACLE, WHOLE = "random", "random-area", "oracle", "whole"
ARMS: Mapping[str, str] = {
    ORACLE: "the best that can be found by attacking every segment alone",
    "mask": "the segments that were truly manipulated",
    "face-centre": "the segments nearest to the middle of the face",
    "edges": "the segments with the strongest edges",
    "random-model": "the explanation of a detector with random weights",
    RANDOM_AREA: "connected random regions as large as the explanation's",
    RANDOM: "random segments",
    "bottom-k": "the segments that the explanation ranks last",
    WHOLE: "the whole frame: the most that an attack can reach",
}
"""Rankings that are no explanation and tell how good one must be, in words, the strongest first."""

UNKNOWN = Estimate()
COUNTS = ("1", "2", "3")
AREAS = ("2%", "5%", "10%", "20%")


Interval = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
"""From a value for each frame, (n,), and the video of each, (n,), to the 95 % interval of their mean."""


@dataclass(frozen=True)
class Condition:
    """Under what a headline was found: an attack, a manipulation ("" for all) and a segmentation ("" for the run's)."""

    attack: str
    family: str = ""
    segmentation: str = ""


@dataclass(frozen=True)
class HeadlineLine:
    """What one explanation is worth.

    Attributes:
        method: its name.
        score: (method - random-area) / (oracle - random-area) of the mean drop, averaged over the depths 1 to 3; 0 is
            no better than random regions of the same size, 1 as good as the best regions that can be found.
        flips: the same of the share of verdicts flipped.
        drop: the mean fall of p(target).
        flip_rate: the share of verdicts flipped to Real.
        frames: detected frames that these are means of.
        videos: that those are from.
        undefined: parts (frames, families, ...) without a score as random regions did as well as the oracle.
        certain: whether the score differs from 0 beyond chance, corrected for the methods compared.
        better_than: the methods with a lower score beyond chance, corrected likewise.
    """

    method: str
    score: Estimate
    flips: Estimate = UNKNOWN
    drop: Estimate = UNKNOWN
    flip_rate: Estimate = UNKNOWN
    frames: int = 0
    videos: int = 0
    undefined: int = 0
    certain: bool = False
    better_than: tuple[str, ...] = ()


@dataclass(frozen=True)
class Headline:
    """What the explanations are worth under one condition."""

    condition: Condition
    lines: tuple[HeadlineLine, ...]

    @property
    def ranked(self) -> tuple[HeadlineLine, ...]:
        """The lines, best first, those without a score last."""
        return tuple(sorted(self.lines, key=lambda line: (math.isnan(line.score.value), -line.score.value)))

    def of(self, method: str) -> HeadlineLine | None:
        """The line of a method, or None."""
        return next((line for line in self.lines if line.method == method), None)


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished run, as sheets, or as tidy tables in memory.

    Attributes:
        rows: the scores of each frame by ranking, attack, budget and depth.
        graded: the graded scores (what it takes to flip); empty where they were not measured.
        metrics: the standard metrics; empty likewise.
        costs: forwards, calls and seconds by frame and stage.
        configuration: what config.json holds.
        failures: frames that could not be scored, with the reason.
    """

    rows: pd.DataFrame | Sheet
    graded: pd.DataFrame | Sheet = field(default_factory=pd.DataFrame)
    metrics: pd.DataFrame | Sheet = field(default_factory=pd.DataFrame)
    costs: pd.DataFrame | Sheet = field(default_factory=pd.DataFrame)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def sheets(self) -> "Sheets":
        """The same with every table as a sheet."""
        return Sheets(
            of_table(self.rows),
            of_table(self.graded, GRADED),
            of_table(self.metrics, MEASURED),
            of_table(self.costs, SPENT),
            self.configuration,
            self.failures,
        )


@dataclass(frozen=True, eq=False)
class Sheets:
    """A finished run, as sheets; attributes as of Finished."""

    rows: Sheet
    graded: Sheet
    metrics: Sheet
    costs: Sheet
    configuration: Mapping[str, Any]
    failures: Mapping[str, str]


class Listed:
    """Names of frames of which the page shows the first 200; the tables have all."""

    MOST = 200

    def __init__(self, every: Sequence[Any]) -> None:
        self._shown, self._count = every[: self.MOST], len(every)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._shown)

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self._count - len(self._shown)


@dataclass(frozen=True)
class Curve:
    """One line of a chart: `y` over `x`, with its interval where one is known, a mean of `count` frames."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class CostPoint:
    """What an explanation costs a frame, and what it is worth."""

    method: str
    seconds: float
    forwards: float
    score: Estimate


@dataclass(frozen=True)
class Cell:
    """A number in a table; the `best` of its kind, or where a fill meets the `same` attack that made it."""

    value: float = math.nan
    count: int = 0
    best: bool = False
    same: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of numbers: `cells[row][column]`."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]

    @property
    def lines(self) -> Sequence[tuple[str, tuple[Cell, ...]]]:
        """Each row's name with its cells."""
        return list(zip(self.rows, self.cells, strict=True))
