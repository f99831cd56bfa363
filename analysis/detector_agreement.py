"""Several detectors on the same frames: do their explanations rank alike, and do they point at the manipulation?"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from itertools import combinations, repeat

import pandas as pd

from analysis.statistics import OF_SHARES, PairedComparison, paired_comparisons, rank_agreements, sign_flip_p, with_holm
from analysis.summary import Summary
from common.seeds import generator
from runs.conditions import MEAN, depth_groups, detected, main_condition
from runs.score_table import ScoreTable
from scoring.baselines.table import BASELINES

MEASURES = ("flip_rate", "drop")


@dataclass(frozen=True)
class Agreement:
    """How alike two detectors rank the methods under one attack.

    Attributes:
        attack: its name.
        measure: what methods are ranked by: flip_rate or drop, the mean of the three depths.
        first, second: the detectors' names.
        methods: how many were ranked, the baselines apart.
        tau: Kendall's tau-b: 1 for the same order, -1 for the reverse; NaN where one detector ranks all alike.
    """

    attack: str
    measure: str
    first: str
    second: str
    methods: int
    tau: float


@dataclass(frozen=True, kw_only=True)
class LocalisationDifference(PairedComparison):
    """How much better one detector's explanations point at the manipulation than the first detector's.

    The difference is the other's mask precision less the first's, on the frames that both called fake and whose
    manipulated pixels are known.

    Attributes:
        detector: the other one.
        method: whose regions.
        first: the mean share of the regions, over the depths that are averaged, that was truly manipulated, for the
            first detector.
        other: the same for the other one.
    """

    detector: str
    method: str
    first: float
    other: float


def overview(summaries: Mapping[str, Summary]) -> pd.DataFrame:
    """One row for each detector, attack and method: rates, drops and mask precision (mean of the depths)."""
    return pd.DataFrame(
        [
            {
                "detector": detector,
                "attack": attack,
                "method": method,
                "frames": line.frames,
                "videos": line.videos,
                **{
                    f"{name}{end}": value
                    for name in ("flip_rate", "drop", "mask_precision")
                    for end, value in zip(("", "_low", "_high"), astuple(getattr(line, name)), strict=False)
                },
            }
            for detector, summary in summaries.items()
            for attack in summary.attacks
            for method, line in summary.of(attack, MEAN).items()
        ]
    )


def agreements(summaries: Mapping[str, Summary]) -> list[Agreement]:
    """Kendall's tau between every two detectors' rankings of the methods (Kendall 1945), by attack and measure."""
    results = []
    for first, second in combinations(summaries, 2):
        for attack in summaries[first].attacks:
            lines, others = (summaries[detector].of(attack, MEAN) for detector in (first, second))
            methods = [method for method in lines if method not in BASELINES and method in others]
            for measure in MEASURES:
                scores = {
                    detector: {method: getattr(own[method], measure).value for method in methods}
                    for detector, own in ((first, lines), (second, others))
                }
                (alike,) = rank_agreements(scores)
                results.append(Agreement(attack, measure, first, second, alike.methods, alike.tau))
    return results


def localisation_differences(scores: Mapping[str, ScoreTable], seed: int) -> list[LocalisationDifference]:
    """Compares the mask precision of every other detector's explanations with the first's.

    p-values are corrected over all methods and detectors. `scores` are by detector, the first one first.
    """
    (_, base), *others = scores.items()
    first = _mask_precision(base)
    return with_holm(
        [
            difference
            for detector, other in others
            for difference in _differences(detector, first, _mask_precision(other), seed)
        ],
        repeat(OF_SHARES),
    )


def localisation_table(differences: list[LocalisationDifference]) -> pd.DataFrame:
    """The differences as a table; an estimate's columns are NAME, NAME_low and NAME_high."""
    return pd.DataFrame(
        [
            {
                "detector": comparison.detector,
                "method": comparison.method,
                "frames": comparison.difference.frames,
                "videos": comparison.difference.videos,
                "first": comparison.first,
                "other": comparison.other,
                "p_holm": comparison.p_holm,
                "difference": comparison.difference.value,
                "difference_low": comparison.difference.low,
                "difference_high": comparison.difference.high,
            }
            for comparison in differences
        ]
    )


def _differences(detector: str, first: pd.DataFrame, other: pd.DataFrame, seed: int) -> list[LocalisationDifference]:
    """Uncorrected; a method's frames are those where both have a region in a known mask."""
    joined = first.merge(other, left_index=True, right_index=True, suffixes=("_first", "_other"))
    joined = joined.dropna().reset_index()
    differences = []
    for method, rows in joined.groupby("method", sort=False):
        change = (rows["precision_other"] - rows["precision_first"]).to_numpy()
        videos = rows["video"].to_numpy()
        p = sign_flip_p(change, videos, generator(seed, "aim permutation", str(method)))
        draws = generator(seed, "aim", str(method))
        (compared,) = paired_comparisons(change[:, None], [p], videos, draws, (-1.0, 1.0))
        differences.append(
            LocalisationDifference(
                detector=detector,
                method=str(method),
                first=float(rows["precision_first"].mean()),
                other=float(rows["precision_other"].mean()),
                **vars(compared),
            )
        )
    return differences


def _mask_precision(scores: ScoreTable) -> pd.DataFrame:
    """The mean mask precision of each frame's regions, by method, as the summary has it.

    Of the depths that are averaged, on the run's own segments; the attack plays no part in it.
    """
    fakes = detected(scores)
    columns = main_condition(fakes.columns[~fakes.columns["method"].isin(BASELINES)])
    columns = columns[columns["depth"].isin(depth_groups(columns)[MEAN])] if len(columns) else columns
    frames = fakes.frames[["key", "video"]].astype(object)
    parts = [
        frames.assign(method=method, precision=part.mean("mask_precision"))
        for method, part in fakes.with_columns(columns).by("method").items()
    ]
    return pd.concat([frames.iloc[:0].assign(method="", precision=0.0), *parts]).set_index(["key", "video", "method"])
