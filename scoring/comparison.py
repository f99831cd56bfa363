"""Several detectors in one run: do their explanations rank alike, and do they point at the manipulation?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from common.console import table
from common.errors import InputError
from common.seeds import generator
from detectors.registry import short_name
from scoring.csv_files import save_csv
from scoring.products import Results
from scoring.protocol import ARMS
from scoring.report import paragraph
from scoring.sheet import Sheet
from scoring.statistics import Estimate, holm, intervals, rank_agreements, sign_flip_p
from scoring.summary import ALPHA, MEAN, detected

MEASURES = ("flip_rate", "drop")


@dataclass(frozen=True)
class Agreement:
    """How alike two detectors rank the methods under one attack.

    Attributes:
        attack: its name.
        measure: what methods are ranked by: flip_rate or drop, the mean of the three depths.
        first, second: the detectors.
        methods: how many were ranked, the references apart.
        tau: Kendall's tau-b: 1 for the same order, -1 for the reverse; NaN where one detector ranks all alike.
    """

    attack: str
    measure: str
    first: str
    second: str
    methods: int
    tau: float


@dataclass(frozen=True)
class Aim:
    """How much better one detector's explanations point at the manipulation than the first detector's.

    Attributes:
        detector: the other one.
        method: whose regions.
        frames: which both detectors called fake, and whose manipulated pixels are known.
        videos: that these are from.
        first: the mean share of the regions (top 1, 1-2 and 1-3) that was truly manipulated, for the first detector.
        other: the same for the other one.
        difference: other less first, with its 95 % interval.
        p_holm: of a permutation test over videos that there is none, corrected for all methods and detectors.
    """

    detector: str
    method: str
    frames: int
    videos: int
    first: float
    other: float
    difference: Estimate
    p_holm: float


def short_names(detectors: Sequence[str]) -> list[str]:
    """A name for each detector that differs from the others and can be a folder's.

    A file that shares its name with another has its folder before it. Raises InputError where
    one is given twice.
    """
    if len(set(detectors)) < len(detectors):
        raise InputError("the same --detector is given twice")
    for name in (short_name, _with_folder):
        names = [name(detector) for detector in detectors]
        if len(set(names)) == len(names):
            return names
    return [f"{number}-{short_name(detector)}" for number, detector in enumerate(detectors, 1)]


def overview(results: Mapping[str, Results]) -> pd.DataFrame:
    """One row for each detector, attack and method: rates, drops and shares inside the mask (mean of the depths)."""
    lines = [
        {
            "detector": detector,
            "attack": attack,
            "method": method,
            "frames": line.frames,
            "videos": line.videos,
            **{
                f"{name}{end}": value
                for name in ("flip_rate", "drop", "inside")
                for end, value in zip(("", "_low", "_high"), astuple(getattr(line, name)), strict=False)
            },
        }
        for detector, each in results.items()
        for attack in each.summary.attacks
        for method, line in each.summary.of(attack, MEAN).items()
    ]
    return pd.DataFrame(lines)


def agreements(results: Mapping[str, Results]) -> list[Agreement]:
    """Kendall's tau between every two detectors' rankings of the methods (Kendall 1945), by attack and measure."""
    found = []
    for first, second in combinations(results, 2):
        one, other = results[first].summary, results[second].summary
        for attack in one.attacks:
            lines, others = one.of(attack, MEAN), other.of(attack, MEAN)
            methods = [method for method in lines if method not in ARMS and method in others]
            for measure in MEASURES:
                scores = {
                    name: {m: getattr(each[m], measure).value for m in methods}
                    for name, each in ((first, lines), (second, others))
                }
                (alike,) = rank_agreements(scores)
                found.append(Agreement(attack, measure, first, second, alike.methods, alike.tau))
    return found


def aims(results: Mapping[str, Results], seed: int) -> list[Aim]:
    """The first detector's explanations against every other's, on the frames that both call fake."""
    (_, base), *others = results.items()
    found = [aim for name, each in others for aim in _aims_of(name, _inside(base.rows), _inside(each.rows), seed)]
    corrected = holm(np.array([aim.p_holm for aim in found]))
    return [Aim(**{**vars(aim), "p_holm": float(p)}) for aim, p in zip(found, corrected, strict=True)]


def write(folder: Path, name: str, results: Mapping[str, Results], seed: int) -> list[Path]:
    """Writes detectors_NAME.csv, agreement_NAME.csv and aim_NAME.csv into the run's folder; returns the files."""
    tables = {
        "detectors": overview(results),
        "agreement": pd.DataFrame([asdict(each) for each in agreements(results)]),
        "aim": pd.DataFrame([_flat(each) for each in aims(results, seed)]),
    }
    paths = []
    for kind, content in tables.items():
        if len(content):
            paths.append(folder / f"{kind}_{name}.csv")
            save_csv(paths[-1], content)
    return paths


def show(results: Mapping[str, Results], seed: int) -> None:
    """Prints a table of methods by detectors for each attack, and what changes from the first to the others."""
    found = overview(results)
    for attack, of_attack in found.groupby("attack", sort=False):
        methods = list(dict.fromkeys(of_attack["method"]))
        cells = {(row.detector, row.method): row for row in of_attack.itertuples()}
        table(
            f"\nAttack {attack}, by detector: flipped (%) / drop / of the regions truly manipulated (%)",
            ["method", *results],
            [[method, *(_cell(cells.get((detector, method))) for detector in results)] for method in methods],
        )
    for line in sentences(results, seed):
        paragraph(line)


def sentences(results: Mapping[str, Results], seed: int) -> list[str]:
    """What may be said of several detectors."""
    said = [_agree(each) for each in agreements(results)]
    known = aims(results, seed)
    first = next(iter(results))
    for detector in dict.fromkeys(aim.detector for aim in known):
        certain = [aim for aim in known if aim.detector == detector and aim.p_holm < ALPHA]
        listed = ", ".join(f"{aim.method} ({100 * aim.difference.value:+.0f} points)" for aim in certain)
        said.append(
            f"The explanations of {detector} point at the manipulated pixels differently from {first}'s: {listed}."
            if certain
            else f"No method is shown to point at the manipulated pixels better or worse for {detector} than {first}."
        )
    if not known and len(results) > 1:
        said.append("No frame that two detectors call fake has a mask: whether they point at it cannot be said.")
    return said


def _agree(each: Agreement) -> str:
    ranked = f"{each.methods} methods by {each.measure.replace('_', ' ')} under {each.attack}"
    if math.isnan(each.tau):
        return (
            f"Of {each.first} and {each.second}, one does not tell {ranked} apart: their rankings cannot be compared."
        )
    return f"{each.first} and {each.second} rank {ranked} with Kendall's tau {each.tau:+.2f}."


def _aims_of(detector: str, first: pd.DataFrame, other: pd.DataFrame, seed: int) -> list[Aim]:
    """Uncorrected; a method's frames are those where both have a region in a known mask."""
    joined = first.merge(other, left_index=True, right_index=True, suffixes=("_first", "_other"))
    joined = joined.dropna().reset_index()
    found = []
    for method, rows in joined.groupby("method", sort=False):
        difference = (rows["inside_other"] - rows["inside_first"]).to_numpy()
        videos = rows["video"].to_numpy()
        limits = intervals(difference[:, None], videos, generator(seed, "aim", str(method)), (-1.0, 1.0))[0]
        p = sign_flip_p(difference, videos, generator(seed, "aim permutation", str(method)))
        estimate = Estimate(float(difference.mean()), float(limits[0]), float(limits[1]))
        means = (float(rows["inside_first"].mean()), float(rows["inside_other"].mean()))
        found.append(Aim(detector, str(method), len(rows), len(set(videos)), *means, estimate, p))
    return found


def _inside(scores: Sheet) -> pd.DataFrame:
    """The mean share inside the mask of each frame's regions, by method; the attack plays no part in it."""
    found = detected(scores)
    columns = found.columns[~found.columns["method"].isin(ARMS)]
    columns = columns[columns["attack"] == columns["attack"].iloc[0]] if len(columns) else columns
    frames = found.frames[["key", "video"]].astype(object)
    parts = [
        frames.assign(method=method, inside=part.mean("inside"))
        for method, part in found.with_columns(columns).by("method").items()
    ]
    return pd.concat([frames.iloc[:0].assign(method="", inside=0.0), *parts]).set_index(["key", "video", "method"])


def _cell(row: object) -> str:
    if row is None or math.isnan(row.flip_rate):  # type: ignore[attr-defined]
        return "-"
    inside = "-" if math.isnan(row.inside) else f"{100 * row.inside:.0f}"  # type: ignore[attr-defined]
    return f"{100 * row.flip_rate:.0f} / {row.drop:.2f} / {inside}"  # type: ignore[attr-defined]


def _flat(aim: Aim) -> dict[str, object]:
    values = {name: value for name, value in vars(aim).items() if name != "difference"}
    found = aim.difference
    difference = {"difference": found.value, "difference_low": found.low, "difference_high": found.high}
    return {**values, **difference}


def _with_folder(detector: str) -> str:
    folder = Path(detector).parent.name
    return f"{folder}-{Path(detector).stem}" if folder else short_name(detector)
