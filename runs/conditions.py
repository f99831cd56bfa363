"""Which columns of a score table stand for what: the main condition, the depths that are averaged, detected frames."""

import pandas as pd

from attacks.budgets import fraction
from data.frames import REAL
from runs.score_table import ScoreTable
from xai.regions import ALL, Depth

MEAN = "mean"


def detected(scores: ScoreTable) -> ScoreTable:
    """The frames that the detector called fake: only there is a verdict to explain and to flip."""
    return scores.with_frames((scores.frames["predicted"] != REAL).to_numpy())


def depth_groups(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The depths that a line of the summary averages, by the line's name; of rows, or of a score table's columns.

    "1-3" are the best three segments, "5%" the best up to that share; "mean" averages all numbers of segments (or,
    where there are none, all shares), and is what methods are ranked by.
    """
    depths = {str(depth): Depth.parse(str(depth)) for depth in rows["depth"].unique() if depth != ALL}
    counts = sorted((depth.count, text) for text, depth in depths.items() if depth.count)
    shares = sorted((depth.share, text) for text, depth in depths.items() if not depth.count)
    groups = {("1" if count == 1 else f"1-{count}"): (text,) for count, text in counts}
    groups |= {text: (text,) for _, text in shares}
    return {**groups, MEAN: tuple(text for _, text in counts or shares)}


def main_condition(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, or columns, of each attack's main budget on the main segments: those that come first."""
    return main_budget(rows[rows["segmentation"] == rows["segmentation"].iloc[0]] if len(rows) else rows)


def main_budget(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, or columns, of each attack's main budget: the one that comes first."""
    return rows[rows["epsilon"] == rows.groupby("attack", observed=True)["epsilon"].transform("first")]


def conditions(rows: pd.DataFrame) -> pd.Series:
    """What each row's or column's attack is called: with its budget and segments where they are not the main ones.

    "nes", "nes 4/255", "nes, slic-100".
    """
    main = rows.groupby("attack", observed=True)["epsilon"].transform("first")
    budget = (" " + rows["epsilon"].map(fraction)).where(rows["epsilon"] != main, "")
    segments = (", " + rows["segmentation"]).where(rows["segmentation"] != rows["segmentation"].iloc[0], "")
    return rows["attack"] + budget + segments
