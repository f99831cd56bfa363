"""The evidence behind the answer, as tables and pictures: pairs, ranks, agreement, variance, survival, areas."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.seeds import generator
from scoring.csv_files import save_csv
from scoring.protocol import ARMS, WHOLE
from scoring.rank_figure import save_ranks
from scoring.regions import Depth
from scoring.sheet import GRADED, Sheet, of_table
from scoring.standings import DROP, FLIPS, Values, values
from scoring.statistics import (
    Estimate,
    areas,
    compare_drops,
    compare_flips,
    estimates,
    friedman,
    rank_agreements,
    variance_components,
    with_holm,
)
from scoring.statistics.videos import known
from scoring.summary import conditions, detected, main_condition
from scoring.survival import Survival, restricted_mean, survival
from scoring.survival_figure import Scale, save_survival
from scoring.tables import flat_names

BUDGET, QUERIES, FRACTION = "budget", "queries", "fraction"
TITLES = {
    BUDGET: "How small a budget flips the verdict, attacking the best three segments?",
    QUERIES: "How many queries does NES need, attacking the best three segments?",
    FRACTION: "How many of the segments flip the verdict, added best first?",
}


Rows = pd.DataFrame | Sheet
Compared = list[tuple[str, Values, Values]]
Curves = list[tuple[str, str, Survival, Estimate, float]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Tables by name, each written as NAME.csv; `files` are what was written, pictures included."""

    tables: Mapping[str, pd.DataFrame]
    files: tuple[Path, ...]


def write(folder: Path, rows: Rows, grades: Rows, seed: int) -> Evidence:
    """Makes all evidence that the scores and grades allow and writes it into `folder`; without a fake verdict nothing.

    Both are sheets or tidy tables.
    """
    found = detected(of_table(rows))
    if not len(found):
        return Evidence({}, ())
    compared, curves = _by_attack(found), _curves(grades, seed)
    made = {
        "pairs": _pairs(compared, seed),
        "ranks": _ranks(compared),
        "agreement": agreement(found),
        "variance": variance(found, seed),
        "survival": _survivals(curves),
        "areas": curve_areas(found, seed),
    }
    tables = {name: table for name, table in made.items() if len(table)}
    files = []
    for name, table in tables.items():
        files.append(folder / f"{name}.csv")
        save_csv(files[-1], table)
    return Evidence(tables, (*files, *_pictures(folder, compared, curves)))


def pairs(rows: Rows, seed: int) -> pd.DataFrame:
    """Every two methods under each attack: drops (mean of the depths) and flips (the deepest), corrected by attack.

    Flips are those of the first seed, as McNemar's counts need one outcome a frame.
    """
    return _pairs(_by_attack(of_table(rows)), seed)


def _pairs(compared: Compared, seed: int) -> pd.DataFrame:
    lines: list[dict[str, Any]] = []
    for attack, drops, flips in compared:
        couples = list(combinations(range(len(drops.methods)), 2))
        draws = generator(seed, "pairs", attack)
        by_drop = [compare_drops(drops.own[:, i], drops.own[:, j], drops.videos, draws) for i, j in couples]
        by_flip = [compare_flips(flips.own[:, i], flips.own[:, j], flips.videos, draws) for i, j in couples]
        for (i, j), drop, flip in zip(couples, with_holm(by_drop), with_holm(by_flip), strict=True):
            lines.append(
                {
                    "attack": attack,
                    "first": drops.methods[i],
                    "second": drops.methods[j],
                    **flat_names(asdict(drop), "drop"),
                    **flat_names(asdict(flip), "flips"),
                }
            )
    return pd.DataFrame(lines)


def ranks(rows: Rows) -> pd.DataFrame:
    """Friedman's mean ranks of the methods by their drops under each attack, with videos as blocks."""
    return _ranks(_by_attack(of_table(rows)))


def _ranks(compared: Compared) -> pd.DataFrame:
    lines = []
    for attack, drops, _ in compared:
        found = friedman(drops.own, drops.methods, drops.videos)
        for method, rank in zip(found.methods, found.ranks, strict=True):
            counted = {"frames": found.frames, "videos": found.videos}
            told = {"statistic": found.statistic, "p": found.p, "critical_difference": found.critical}
            lines.append({"attack": attack, "method": method, "rank": rank, **counted, **told})
    return pd.DataFrame(lines)


def agreement(rows: Rows) -> pd.DataFrame:
    """Kendall's tau between the orders of the methods under every two attacks, budgets, segmentations, and seeds."""
    sheet = of_table(rows)
    sheet = sheet.with_columns(~sheet.columns["method"].isin(ARMS))

    def drops(part: pd.DataFrame) -> dict[str, float]:
        return {method: own.overall(DROP)[0] for method, own in sheet.with_columns(part).by("method").items()}

    columns = sheet.columns
    names = conditions(columns)
    settings = {str(name): drops(columns[names == name]) for name in names.unique()}
    main = main_condition(columns)
    main = main[main["attack"] == main["attack"].iloc[0]] if len(main) else main
    by_seed = {f"seed {seed}": drops(main[main["seed"] == seed]) for seed in main["seed"].unique().tolist()}
    found = rank_agreements(settings) + (rank_agreements(by_seed) if len(by_seed) > 1 else [])
    return pd.DataFrame([asdict(each) for each in found])


def variance(rows: Rows, seed: int) -> pd.DataFrame:
    """How much of each method's drop is due to seeds, to videos and to frames; nothing with one seed."""
    sheet = of_table(rows)
    main = main_condition(sheet.columns)
    main = main[(main["attack"] == main["attack"].iloc[0]) & ~main["method"].isin(ARMS)]
    if main["seed"].nunique() < 2:
        return pd.DataFrame()
    lines = []
    for method, part in sheet.with_columns(main).by("method").items():
        by_seed = part.table(DROP, "seed").to_numpy().T
        found = variance_components(by_seed, sheet.videos, generator(seed, "variance", method))
        lines.append({"method": method, **flat_names(asdict(found))})
    return pd.DataFrame(lines)


def survivals(grades: Rows, seed: int) -> pd.DataFrame:
    """What a flip takes on average, where more than was tried counts as the most that was tried (restricted means)."""
    return _survivals(_curves(grades, seed))


def _survivals(curves: Curves) -> pd.DataFrame:
    lines = []
    for measure, method, found, mean, limit in curves:
        lines.append(
            {
                "measure": measure,
                "method": method,
                "restricted_mean": mean.value,
                "low": mean.low,
                "high": mean.high,
                "limit": limit,
                "graded": found.frames,
                "videos": found.videos,
                "censored": found.censored,
            }
        )
    return pd.DataFrame(lines)


def curve_areas(rows: Rows, seed: int) -> pd.DataFrame:
    """The mean height of each method's drop and flip curves, over the attacked area and over the budget."""
    sheet = of_table(rows)
    columns, lines = sheet.columns, []
    main = main_condition(columns)
    shares = {d: Depth.parse(d).share for d in main["depth"].unique() if d.endswith("%")}
    for attack in columns["attack"].unique():
        part = main[(main["attack"] == attack) & main["depth"].isin(shares)]
        lines += _areas(sheet.with_columns(part), "area", part["depth"].map(shares), str(attack), seed)
        part = columns[(columns["attack"] == attack) & (columns["segmentation"] == columns["segmentation"].iloc[0])]
        part = part[part["depth"].str.isdecimal()]
        lines += _areas(sheet.with_columns(part), "budget", part["epsilon"], str(attack), seed)
    return pd.DataFrame(lines)


def _areas(sheet: Sheet, over: str, grid: pd.Series, attack: str, seed: int) -> list[dict[str, Any]]:
    if grid.nunique() < 2:
        return []
    found = []
    for method, part in sheet.by("method").items():
        places = grid[part.columns.index]
        steps = np.sort(places.unique()).astype(float)
        for measure, bounds in ((DROP, (-1.0, 1.0)), (FLIPS, (0.0, 1.0))):
            wide = np.stack([part.with_columns(places == step).mean(measure) for step in steps], axis=1)
            videos, (wide,) = known(sheet.videos, wide)
            if len(steps) < 2 or not len(wide):
                continue
            (mean,) = estimates(areas(wide, steps)[:, None], videos, generator(seed, "areas", over), bounds)
            found.append({"attack": attack, "over": over, "method": method, "measure": measure, **asdict(mean)})
    return found


def _by_attack(sheet: Sheet) -> Compared:
    """Of each attack the drops (mean of depths and seeds), and the flips (deepest number of segments, first seed)."""
    main = main_condition(sheet.columns)
    found = []
    for attack in main["attack"].unique():
        part = main[main["attack"] == attack]
        counted = sorted({d for d in part["depth"] if d.isdecimal()}, key=int) or sorted(set(part["depth"]) - {"all"})
        deepest = part[(part["depth"] == counted[-1]) & (part["seed"] == part["seed"].iloc[0])]
        drops, flips = values(sheet.with_columns(part), DROP), values(sheet.with_columns(deepest), FLIPS)
        found.append((str(attack), drops, flips))
    return found


def _curves(grades: Rows, seed: int) -> Curves:
    """For each measure and method: its curve, its restricted mean, and the limit of that."""
    found = []
    for measure, part in of_table(grades, GRADED).by("measure").items():
        limit = max(float(np.nanmax(values, initial=-np.inf)) for values in part.each("value"))
        for method, own in part.by("method").items():
            frames, (needed, reached) = own.rows("value", "reached")
            given = (needed, reached > 0, own.videos[frames])
            curve = survival(*given, generator(seed, "survival", measure))
            mean = restricted_mean(*given, limit, generator(seed, "restricted mean", measure))
            found.append((measure, method, curve, mean, limit))
    return found


def _pictures(folder: Path, compared: Compared, every: Curves) -> list[Path]:
    """The critical-difference picture of the first attack, and survival curves by measure."""
    files = []
    attack, drops, _ = compared[0]
    found = friedman(drops.own, drops.methods, drops.videos)
    if not np.isnan(found.critical):
        files += save_ranks(folder / "ranks.png", found, f"Mean ranks of the methods by drop, attack {attack}")
    for measure in dict.fromkeys(each[0] for each in every):
        of_measure = [each for each in every if each[0] == measure]
        label, factor, digits = _AXES[measure]
        scale = Scale(label, of_measure[0][4], factor, digits)
        curves = {method: (curve, mean) for _, method, curve, mean, _ in of_measure}
        files += save_survival(folder / f"survival_{measure}.png", curves, scale, TITLES[measure], set(ARMS) | {WHOLE})
    return files


_AXES: Mapping[str, tuple[str, float, int]] = {
    BUDGET: ("L-infinity budget (1/255)", 255.0, 1),
    QUERIES: ("images passed to the detector", 1.0, 0),
    FRACTION: ("share of the segments (%)", 100.0, 0),
}
