"""Which frames can be flipped at all, by what, and how few of a ranking's regions it needs."""

from collections.abc import Callable

import numpy as np

from analysis.score_subsets import Rows, at_main_budget, averaged, main_segmentation, under, unique_names
from runs.conditions import detected
from runs.frame_table import FRAMES
from runs.score_table import as_score_table
from scoring.baselines.table import WHOLE
from xai.segments import fewest_expected


def unattackable(frames: Rows) -> tuple[str, ...]:
    """The frames that nothing in a run flips, although at least two different attacks tried the whole of each.

    `frames` are the lines of the run's frames (`runs.frame_table`, where it is said what counts).
    """
    lines = as_score_table(frames, FRAMES)
    stands = np.zeros(len(lines), dtype=bool)
    for attackable_flags in lines.each("attackable"):
        stands |= attackable_flags == 0
    return tuple(lines.frames["key"][stands].tolist())


def frames_with_few_segments(frames: Rows) -> int:
    """How many frames fell into far fewer segments than asked for, in any trial (`xai.segments.fewest_expected`)."""
    lines = as_score_table(frames, FRAMES)
    few = np.zeros(len(lines), dtype=bool)
    known = "segments" in lines.store.measures
    for segmentation, part in lines.by("segmentation").items() if known else ():
        for counts in part.each("segments"):
            few |= counts < fewest_expected(segmentation)
    return int(few.sum())


def whole_attacks(frames: Rows) -> int:
    """How many different attacks tried whole frames: the fewest of a frame that the detector called fake."""
    numbers = [values for values in as_score_table(frames, FRAMES).each("whole_attacks") if not np.isnan(values).all()]
    return min((int(np.nanmin(values)) for values in numbers), default=0)


def unflipped(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By attack that was tried on the whole frame, the detected frames that it flips nowhere at its main budget.

    Another attack, or this one with more steps, may flip them: that alone does not make them unattackable.
    """
    return _keys(rows, lambda region, whole: ~region & ~whole)


def flipped_by_region_only(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By attack, the detected frames that it flips by some region, but not as a whole, at its main budget.

    There the whole frame is no ceiling of what the attack can do, though every region lies in it.
    """
    return _keys(rows, lambda region, whole: region & ~whole)


def unmoved(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By attack, the detected frames in no region of which it changes a probability at its main budget.

    Nothing that it tried there raised the probability of Real, as where a gradient is zero or a probability is clamped.
    Attacks without such frames are left out.
    """
    tried = at_main_budget(detected(as_score_table(rows)))
    keys, found = tried.frames["key"], {}
    for attack in unique_names(tried.columns["attack"]):
        own = tried.with_columns(tried.columns["attack"] == attack)
        tried_on, moved = np.zeros(len(own), dtype=bool), np.zeros(len(own), dtype=bool)
        for drops in own.each("drop"):
            tried_on |= ~np.isnan(drops)
            moved |= np.nan_to_num(drops) != 0
        if (left := tried_on & ~moved).any():
            found[attack] = tuple(keys[left].tolist())
    return found


def first_flip(rows: Rows, attack: str) -> dict[tuple[str, str], str]:
    """By frame and ranking: the smallest of the averaged depths at which the attack flipped the verdict, or ""."""
    chosen = at_main_budget(main_segmentation(under(rows, attack)))
    order = averaged(chosen)
    columns = chosen.columns[chosen.columns["depth"].isin(order)]
    columns = columns[(columns["of"] == "") & (columns["draw"] == 0) & (columns["seed"] == columns["seed"].min())]
    flipped: dict[tuple[str, str], str] = {}
    for index, column in columns.sort_values("depth", key=lambda depths: depths.map(order.index)).iterrows():
        for key, flips in zip(chosen.frames["key"], chosen.read("flipped_to_real", int(index)), strict=True):
            pair = (str(key), str(column["method"]))
            if not np.isnan(flips) and not flipped.setdefault(pair, "") and flips:
                flipped[pair] = str(column["depth"])
    return flipped


def _keys(rows: Rows, wanted: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, tuple[str, ...]]:
    """By attack, the keys of the detected frames that are wanted, of those on whose whole it was tried.

    `wanted` takes whether some region flips each frame, and whether the whole of it does, (n,) bool.
    """
    tried = at_main_budget(detected(as_score_table(rows)))
    keys, is_whole = tried.frames["key"], tried.columns["method"] == WHOLE
    chosen = {}
    for attack in unique_names(tried.columns.loc[is_whole, "attack"]):
        own = tried.columns["attack"] == attack
        there = ~np.isnan(tried.with_columns(own & is_whole).mean("flipped_to_real"))
        region, whole = (tried.with_columns(own & part).any("flipped_to_real") for part in (~is_whole, is_whole))
        chosen[attack] = tuple(keys[there & wanted(region, whole)].tolist())
    return chosen
