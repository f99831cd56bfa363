"""The evidence behind the answer, as tables: pairs, ranks, agreement, variance, survival, areas."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, repeat
from typing import Any

import numpy as np
import pandas as pd

from analysis.condition_values import DROP, FLIPS, Values, values
from analysis.names import flat_names
from analysis.score_subsets import Rows, main_segmentation
from analysis.statistics import (
    OF_DROPS,
    OF_SHARES,
    Estimate,
    PairedComparison,
    Ranks,
    areas,
    compare_drops,
    compare_flips,
    estimates,
    friedman,
    rank_agreements,
    variance_components,
    with_holm,
)
from analysis.statistics.videos import known
from analysis.survival import Survival, restricted_mean, survival
from common.seeds import generator
from runs.conditions import conditions, detected, main_condition
from runs.score_table import FLIP_THRESHOLDS, ScoreTable, as_score_table
from scoring.baselines.table import BASELINES
from xai.regions import Depth

BUDGET, QUERIES, FRACTION = "budget", "queries", "fraction"

DROP_COLUMNS = ("frames", "videos", "difference", "p", "p_holm", "cohen_d", "superiority")
FLIP_COLUMNS = (
    "frames", "videos", "both", "only_first", "only_second", "neither", "difference", "odds_ratio", "p", "p_holm",
    "p_mcnemar",
)  # fmt: skip
"""The columns of a pair in pairs.csv, in order."""

Compared = list[tuple[str, Values, Values]]
Curves = list[tuple[str, str, Survival, Estimate, float]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """The tables and curves behind the answer.

    Attributes:
        tables: by name; a table that the run allows nothing to be said in is not there.
        ranks: Friedman's, of the first attack, with its name; None without a fake verdict.
        curves: survival curves by measure and method, with restricted means and the limit of these.
    """

    tables: Mapping[str, pd.DataFrame]
    ranks: tuple[str, Ranks] | None
    curves: Curves


def evidence(rows: Rows, flip_thresholds: Rows, seed: int) -> Evidence:
    """Makes all evidence that a run's scores and flip thresholds allow; none without a frame that is called fake."""
    fakes = detected(as_score_table(rows))
    if not len(fakes):
        return Evidence({}, None, [])
    compared, curves = _by_attack(fakes), survival_curves(flip_thresholds, seed)
    tables = {
        "pairs": _pairs(compared, seed),
        "ranks": _ranks(compared),
        "agreement": agreement(fakes),
        "variance": variance(fakes, seed),
        "survival": survival_table(curves),
        "areas": curve_areas(fakes, seed),
    }
    attack, drops, _ = compared[0]
    ranks = friedman(drops.own, drops.methods, drops.videos)
    return Evidence({name: table for name, table in tables.items() if len(table)}, (attack, ranks), curves)


def pairs(rows: Rows, seed: int) -> pd.DataFrame:
    """Compares every two methods under each attack: drops (mean of the depths) and flips (the deepest).

    p-values are corrected over the pairs of an attack. Flips are those of the first seed, as McNemar's counts need one
    outcome a frame.
    """
    return _pairs(_by_attack(as_score_table(rows)), seed)


def _pairs(compared: Compared, seed: int) -> pd.DataFrame:
    lines: list[dict[str, Any]] = []
    for attack, drops, flips in compared:
        couples = list(combinations(range(len(drops.methods)), 2))
        draws = generator(seed, "pairs", attack)
        by_drop = [compare_drops(drops.own[:, i], drops.own[:, j], drops.videos, draws) for i, j in couples]
        by_flip = [compare_flips(flips.own[:, i], flips.own[:, j], flips.videos, draws) for i, j in couples]
        corrected = with_holm(by_drop, repeat(OF_DROPS)), with_holm(by_flip, repeat(OF_SHARES))
        for (i, j), drop, flip in zip(couples, *corrected, strict=True):
            lines.append(
                {
                    "attack": attack,
                    "first": drops.methods[i],
                    "second": drops.methods[j],
                    **flat_names(_ordered(drop, DROP_COLUMNS), "drop"),
                    **flat_names(_ordered(flip, FLIP_COLUMNS), "flips"),
                }
            )
    return pd.DataFrame(lines)


def _ordered(pair: PairedComparison, columns: tuple[str, ...]) -> dict[str, Any]:
    values = asdict(pair)
    return {column: values[column] for column in columns}


def ranks(rows: Rows) -> pd.DataFrame:
    """Friedman's mean ranks of the methods by their drops under each attack, with videos as blocks."""
    return _ranks(_by_attack(as_score_table(rows)))


def _ranks(compared: Compared) -> pd.DataFrame:
    lines = []
    for attack, drops, _ in compared:
        test = friedman(drops.own, drops.methods, drops.videos)
        for method, rank in zip(test.methods, test.ranks, strict=True):
            counted = {"frames": test.frames, "videos": test.videos}
            tested = {"statistic": test.statistic, "p": test.p, "critical_difference": test.critical}
            lines.append({"attack": attack, "method": method, "rank": rank, **counted, **tested})
    return pd.DataFrame(lines)


def agreement(rows: Rows) -> pd.DataFrame:
    """Kendall's tau between the orders of the methods under every two attacks, budgets, segmentations, and seeds."""
    scores = as_score_table(rows)
    scores = scores.with_columns(~scores.columns["method"].isin(BASELINES))

    def drops(part: pd.DataFrame) -> dict[str, float]:
        return {method: own.overall(DROP)[0] for method, own in scores.with_columns(part).by("method").items()}

    columns = scores.columns
    names = conditions(columns)
    settings = {str(name): drops(columns[names == name]) for name in names.unique()}
    main = main_condition(columns)
    main = main[main["attack"] == main["attack"].iloc[0]] if len(main) else main
    by_seed = {f"seed {seed}": drops(main[main["seed"] == seed]) for seed in main["seed"].unique().tolist()}
    agreements = rank_agreements(settings) + (rank_agreements(by_seed) if len(by_seed) > 1 else [])
    return pd.DataFrame([asdict(pair) for pair in agreements])


def variance(rows: Rows, seed: int) -> pd.DataFrame:
    """How much of each method's drop is due to seeds, to videos and to frames.

    Nothing with one seed, and no line for a method without two videos or without a video of two frames.
    """
    scores = as_score_table(rows)
    main = main_condition(scores.columns)
    main = main[(main["attack"] == main["attack"].iloc[0]) & ~main["method"].isin(BASELINES)]
    if main["seed"].nunique() < 2:
        return pd.DataFrame()
    lines = []
    for method, part in scores.with_columns(main).by("method").items():
        by_seed = part.table(DROP, "seed").to_numpy().T
        _, frames = np.unique(scores.videos[~np.isnan(by_seed).any(axis=0)], return_counts=True)
        if len(frames) < 2 or frames.max() < 2:
            continue
        components = variance_components(by_seed, scores.videos, generator(seed, "variance", method))
        lines.append({"method": method, **flat_names(asdict(components))})
    return pd.DataFrame(lines)


def survival_table(curves: Curves) -> pd.DataFrame:
    """What a flip takes on average, by measure and method.

    Means are restricted: more than was tried counts as the most that was tried.
    """
    lines = []
    for measure, method, curve, mean, limit in curves:
        lines.append(
            {
                "measure": measure,
                "method": method,
                "restricted_mean": mean.value,
                "low": mean.low,
                "high": mean.high,
                "limit": limit,
                "graded": curve.searches,
                "videos": curve.videos,
                "censored": curve.censored,
            }
        )
    return pd.DataFrame(lines)


def curve_areas(rows: Rows, seed: int) -> pd.DataFrame:
    """The mean height of each method's drop and flip curves, over the attacked area and over the budget."""
    scores = as_score_table(rows)
    columns, lines = scores.columns, []
    main = main_condition(columns)
    shares = {d: Depth.parse(d).share for d in main["depth"].unique() if d.endswith("%")}
    for attack in columns["attack"].unique():
        part = main[(main["attack"] == attack) & main["depth"].isin(shares)]
        lines += _areas(scores.with_columns(part), "area", part["depth"].map(shares), str(attack), seed)
        part = columns[(columns["attack"] == attack) & (columns["segmentation"] == columns["segmentation"].iloc[0])]
        part = part[part["depth"].str.isdecimal()]
        lines += _areas(scores.with_columns(part), "budget", part["epsilon"], str(attack), seed)
    return pd.DataFrame(lines)


def _areas(scores: ScoreTable, over: str, grid: pd.Series, attack: str, seed: int) -> list[dict[str, Any]]:
    if grid.nunique() < 2:
        return []
    lines = []
    for method, part in scores.by("method").items():
        points = grid[part.columns.index]
        steps = np.sort(points.unique()).astype(float)
        for measure, bounds in ((DROP, (-1.0, 1.0)), (FLIPS, (0.0, 1.0))):
            wide = np.stack([part.with_columns(points == step).mean(measure) for step in steps], axis=1)
            videos, (wide,) = known(scores.videos, wide)
            if len(steps) < 2 or not len(wide):
                continue
            (mean,) = estimates(areas(wide, steps)[:, None], videos, generator(seed, "areas", over), bounds)
            lines.append({"attack": attack, "over": over, "method": method, "measure": measure, **asdict(mean)})
    return lines


def _by_attack(scores: ScoreTable) -> Compared:
    """Of each attack the drops (mean of depths and seeds), and the flips (deepest number of segments, first seed)."""
    main = main_condition(scores.columns)
    compared = []
    for attack in main["attack"].unique():
        part = main[main["attack"] == attack]
        counted = sorted({d for d in part["depth"] if d.isdecimal()}, key=int) or sorted(set(part["depth"]) - {"all"})
        deepest = part[(part["depth"] == counted[-1]) & (part["seed"] == part["seed"].iloc[0])]
        drops, flips = values(scores.with_columns(part), DROP), values(scores.with_columns(deepest), FLIPS)
        compared.append((str(attack), drops, flips))
    return compared


def survival_curves(flip_thresholds: Rows, seed: int) -> Curves:
    """Of each measure and method, on the run's own segments, the survival curve, the restricted mean, and its limit."""
    curves = []
    thresholds = main_segmentation(as_score_table(flip_thresholds, FLIP_THRESHOLDS))
    for measure, part in thresholds.by("measure").items():
        limit = max(float(np.nanmax(values, initial=-np.inf)) for values in part.each("value"))
        for method, own in part.by("method").items():
            frames, (needed, reached) = own.rows("value", "reached")
            given = (needed, reached > 0, own.videos[frames])
            curve = survival(*given, generator(seed, "survival", measure), frames)
            mean = restricted_mean(*given, limit, generator(seed, "restricted mean", measure), frames)
            curves.append((measure, method, curve, mean, limit))
    return curves
