"""The evidence behind the answer, as tables and pictures: pairs, ranks, agreement, variance, survival, areas."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.files import atomic_write
from common.seeds import generator
from scoring.protocol import ARMS, WHOLE
from scoring.rank_figure import save_ranks
from scoring.regions import Depth
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


@dataclass(frozen=True, eq=False)
class Evidence:
    """Tables by name, each written as NAME.csv; `files` are what was written, pictures included."""

    tables: Mapping[str, pd.DataFrame]
    files: tuple[Path, ...]


def write(folder: Path, rows: pd.DataFrame, grades: pd.DataFrame, seed: int) -> Evidence:
    """Makes all evidence that the rows and grades allow and writes it into `folder`; without a fake verdict nothing."""
    found = detected(rows)
    if found.empty:
        return Evidence({}, ())
    made = {
        "pairs": pairs(found, seed),
        "ranks": ranks(found),
        "agreement": agreement(found),
        "variance": variance(found, seed),
        "survival": survivals(grades, seed),
        "areas": curve_areas(found, seed),
    }
    tables = {name: table for name, table in made.items() if len(table)}
    files = []
    for name, table in tables.items():
        files.append(folder / f"{name}.csv")
        with atomic_write(files[-1]) as file:
            table.to_csv(file, index=False, lineterminator="\n")
    return Evidence(tables, (*files, *_pictures(folder, found, grades, seed)))


def pairs(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Every two methods under each attack: drops (mean of the depths) and flips (the deepest), corrected by attack.

    Flips are those of the first seed, as McNemar's counts need one outcome a frame.
    """
    lines: list[dict[str, Any]] = []
    for attack, drops, flips in _by_attack(rows):
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


def ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Friedman's mean ranks of the methods by their drops under each attack, with videos as blocks."""
    lines = []
    for attack, drops, _ in _by_attack(rows):
        found = friedman(drops.own, drops.methods, drops.videos)
        for method, rank in zip(found.methods, found.ranks, strict=True):
            counted = {"frames": found.frames, "videos": found.videos}
            told = {"statistic": found.statistic, "p": found.p, "critical_difference": found.critical}
            lines.append({"attack": attack, "method": method, "rank": rank, **counted, **told})
    return pd.DataFrame(lines)


def agreement(rows: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau between the orders of the methods under every two attacks, budgets, segmentations, and seeds."""
    settings: dict[str, dict[Any, float]] = {}
    rows = rows[~rows["method"].isin(ARMS)]
    for name, part in rows.groupby(conditions(rows), sort=False):
        settings[str(name)] = part.groupby("method", sort=False)["drop"].mean().to_dict()
    seeds = main_condition(rows)
    by_seed = {
        f"seed {seed}": part.groupby("method", sort=False)["drop"].mean().to_dict()
        for seed, part in seeds[seeds["attack"] == seeds["attack"].iloc[0]].groupby("seed")
    }
    found = rank_agreements(settings) + (rank_agreements(by_seed) if len(by_seed) > 1 else [])
    return pd.DataFrame([asdict(each) for each in found])


def variance(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """How much of each method's drop is due to seeds, to videos and to frames; nothing with one seed."""
    rows = main_condition(rows)
    rows = rows[(rows["attack"] == rows["attack"].iloc[0]) & ~rows["method"].isin(ARMS)]
    if rows["seed"].nunique() < 2:
        return pd.DataFrame()
    lines = []
    for method, part in rows.groupby("method", sort=False):
        wide = part.pivot_table(index="seed", columns=["key", "video"], values="drop", aggfunc="mean").dropna(axis=1)
        videos = wide.columns.get_level_values("video").to_numpy()
        found = variance_components(wide.to_numpy(), videos, generator(seed, "variance", str(method)))
        lines.append({"method": method, **flat_names(asdict(found))})
    return pd.DataFrame(lines)


def survivals(grades: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What a flip takes on average, where more than was tried counts as the most that was tried (restricted means)."""
    lines = []
    for measure, method, found, mean, limit in _curves(grades, seed):
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


def curve_areas(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The mean height of each method's drop and flip curves, over the attacked area and over the budget."""
    lines = []
    main = main_condition(rows)
    shares = {d: Depth.parse(d).share for d in main["depth"].unique() if d.endswith("%")}
    for attack in rows["attack"].unique():
        part = main[(main["attack"] == attack) & main["depth"].isin(shares)]
        lines += _areas(part, "area", part["depth"].map(shares), str(attack), seed)
        part = rows[(rows["attack"] == attack) & (rows["segmentation"] == rows["segmentation"].iloc[0])]
        part = part[part["depth"].str.isdecimal()]
        lines += _areas(part, "budget", part["epsilon"], str(attack), seed)
    return pd.DataFrame(lines)


def _areas(rows: pd.DataFrame, over: str, grid: pd.Series, attack: str, seed: int) -> list[dict[str, Any]]:
    if grid.nunique() < 2:
        return []
    rows = rows.assign(grid=grid, flipped_to_real=rows["flipped_to_real"].astype(float))
    found = []
    for method, part in rows.groupby("method", sort=False):
        for measure, bounds in ((DROP, (-1.0, 1.0)), (FLIPS, (0.0, 1.0))):
            wide = part.pivot_table(index=["key", "video"], columns="grid", values=measure, aggfunc="mean").dropna()
            if wide.shape[1] < 2 or wide.empty:
                continue
            heights = areas(wide.to_numpy(), wide.columns.to_numpy(dtype=float))
            videos = wide.index.get_level_values("video").to_numpy()
            (mean,) = estimates(heights[:, None], videos, generator(seed, "areas", over), bounds)
            found.append({"attack": attack, "over": over, "method": method, "measure": measure, **asdict(mean)})
    return found


def _by_attack(rows: pd.DataFrame) -> list[tuple[str, Values, Values]]:
    """Of each attack the drops (mean of depths and seeds), and the flips (deepest number of segments, first seed)."""
    main = main_condition(rows)
    found = []
    for attack in main["attack"].unique():
        part = main[main["attack"] == attack]
        counted = sorted({d for d in part["depth"] if d.isdecimal()}, key=int) or sorted(set(part["depth"]) - {"all"})
        deepest = part[(part["depth"] == counted[-1]) & (part["seed"] == part["seed"].iloc[0])]
        found.append((str(attack), values(part, DROP), values(deepest, FLIPS)))
    return found


def _curves(grades: pd.DataFrame, seed: int) -> list[tuple[str, str, Survival, Estimate, float]]:
    """For each measure and method: its curve, its restricted mean, and the limit of that."""
    found = []
    for measure, part in grades.groupby("measure", sort=False):
        limit = float(part["value"].max())
        for method, own in part.groupby("method", sort=False):
            videos = own["video"].to_numpy()
            given = (own["value"].to_numpy(dtype=float), own["reached"].to_numpy(dtype=bool), videos)
            curve = survival(*given, generator(seed, "survival", str(measure)))
            mean = restricted_mean(*given, limit, generator(seed, "restricted mean", str(measure)))
            found.append((str(measure), str(method), curve, mean, limit))
    return found


def _pictures(folder: Path, rows: pd.DataFrame, grades: pd.DataFrame, seed: int) -> list[Path]:
    """The critical-difference picture of the first attack, and survival curves by measure."""
    files = []
    attack, drops, _ = _by_attack(rows)[0]
    found = friedman(drops.own, drops.methods, drops.videos)
    if not np.isnan(found.critical):
        files += save_ranks(folder / "ranks.png", found, f"Mean ranks of the methods by drop, attack {attack}")
    every = _curves(grades, seed)
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
