"""Which frames an attack can flip at all, and how few of a ranking's regions it needs."""

import numpy as np

from analysis.score_subsets import COUNTS, Rows, at_main_budget, attacks, main_segmentation, under
from runs.conditions import detected
from runs.score_table import ScoreTable, as_score_table
from scoring.baselines.table import WHOLE


def unattackable(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By attack, the detected frames whose verdict stands whatever is attacked, at the main budget.

    The whole frame must be among what was attacked, and nothing else may flip it either: an attack of few steps can do
    less on a whole frame than on a small region, where its estimate of a gradient is better.
    """
    fakes = detected(as_score_table(rows))
    keys = fakes.frames["key"]
    return {attack: tuple(keys[unflipped].tolist()) for attack, unflipped in _never_flipped(fakes).items()}


def attackable(rows: Rows) -> ScoreTable:
    """The detected frames without those that are unattackable, of scores under one attack.

    Raises:
        ValueError: the scores are of several attacks.
    """
    fakes = detected(as_score_table(rows))
    never_flipped = _never_flipped(fakes)
    if len(attacks(fakes)) > 1:
        raise ValueError(f"frames are attackable under one attack or not; got {', '.join(attacks(fakes))}")
    return fakes.with_frames(~next(iter(never_flipped.values()))) if never_flipped else fakes


def first_flip(rows: Rows, attack: str) -> dict[tuple[str, str], str]:
    """By frame and ranking: the smallest depth ("1" to "3") at which the attack flipped the verdict, or ""."""
    chosen = at_main_budget(main_segmentation(under(rows, attack)))
    columns = chosen.columns[chosen.columns["depth"].isin(COUNTS)]
    columns = columns[(columns["of"] == "") & (columns["draw"] == 0) & (columns["seed"] == columns["seed"].min())]
    flipped: dict[tuple[str, str], str] = {}
    for index, column in columns.sort_values("depth").iterrows():
        for key, flips in zip(chosen.frames["key"], chosen.read("flipped_to_real", int(index)), strict=True):
            pair = (str(key), str(column["method"]))
            if not np.isnan(flips) and not flipped.setdefault(pair, "") and flips:
                flipped[pair] = str(column["depth"])
    return flipped


def _never_flipped(fakes: ScoreTable) -> dict[str, np.ndarray]:
    """By attack that was tried on the whole frame, which of the detected frames nothing flips, (n,) bool."""
    tried = at_main_budget(fakes)
    whole = tried.columns.loc[tried.columns["method"] == WHOLE, "attack"].unique()
    return {str(attack): ~under(tried, attack).any("flipped_to_real") for attack in whole}
