"""Columns of a run that asks what flips outlive: one of rows and one of frames for each transform of pictures.

`survives_jpeg75` of a row says whether the detector still calls the attacked picture Real after that transform, where
the attack flipped the verdict; `real_after_jpeg75` of a frame whether the transform alone makes it say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from typing import Any

import numpy as np
import pandas as pd

from common.errors import InputError
from data.frames import REAL
from scoring.records import SURVIVES, UNKNOWN, Row

REAL_AFTER = "real_after_"
_ROW = ["key", "seed", "segmentation", "method", "of", "draw", "fill", "attack", "epsilon", "depth"]
_TRIAL = ["key", "seed", "segmentation"]


def transforms_of(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the transforms that a run asks for, as its configuration has them."""
    return tuple(map(str, configuration.get("survives") or ()))


def row_columns(transforms: Sequence[str]) -> tuple[str, ...]:
    """The columns of rows."""
    return tuple(f"{SURVIVES}{name}" for name in transforms)


def frame_columns(transforms: Sequence[str]) -> tuple[str, ...]:
    """The columns of frames."""
    return tuple(f"{REAL_AFTER}{name}" for name in transforms)


def row_kind(transforms: Sequence[str]) -> type:
    """The rows of such a run as a kind of record: those of any run with 1, 0 or -1 (no flip) for each transform."""
    return make_dataclass("Row", [(name, int) for name in row_columns(transforms)], bases=(Row,), frozen=True)


def with_survival(rows: pd.DataFrame, verdicts: pd.DataFrame, transforms: Sequence[str]) -> pd.DataFrame:
    """The rows with a column for each transform: 1 where the flip outlives it, 0 where not, -1 where there is no flip.

    Args:
        rows: of whole frames (`scoring.records.Row`).
        verdicts: of the same frames (`scoring.records.TransformedVerdict`).
        transforms: their names.

    Raises:
        InputError: a flip has no verdict, or there is one of what did not flip.
    """
    if not transforms:
        return rows
    flips = rows["flipped_to_real"].astype(bool)
    real_after = _matched(rows, flips, verdicts[verdicts["method"] != ""], _ROW)
    return rows.assign(**{
        f"{SURVIVES}{name}": np.where(flips, real, UNKNOWN) for name, real in _by_transform(real_after, transforms)
    })  # fmt: skip


def with_transformed(lines: pd.DataFrame, verdicts: pd.DataFrame, transforms: Sequence[str]) -> pd.DataFrame:
    """The lines of frames (`runs.frame_table`) with a column for each transform; missing where the verdict was Real.

    Args:
        lines: of whole frames.
        verdicts: of the same frames (`scoring.records.TransformedVerdict`).
        transforms: their names.

    Raises:
        InputError: a frame called fake has no verdict, or there is one of another.
    """
    if not transforms:
        return lines
    fake = lines["predicted"] != REAL
    real_after = _matched(lines, fake, verdicts[verdicts["method"] == ""], _TRIAL)
    return lines.assign(**{
        f"{REAL_AFTER}{name}": pd.Series(real, lines.index).astype("boolean").mask(~fake)
        for name, real in _by_transform(real_after, transforms)
    })  # fmt: skip


def _matched(table: pd.DataFrame, asked: pd.Series, verdicts: pd.DataFrame, names: list[str]) -> pd.Series:
    """The transforms after which each line's picture is called Real, parted by spaces; missing where none is `asked`.

    Raises InputError where the verdicts are not one for each line that is asked.
    """
    index = pd.MultiIndex.from_frame(verdicts[names].astype(object))
    texts = pd.Series(verdicts["real_after"].astype(object).to_numpy(), index=index, dtype=object)
    lines = pd.MultiIndex.from_frame(table[names].astype(object))
    wrong = {*lines[asked].difference(index), *index.difference(lines[asked]), *index[index.duplicated()]}
    if wrong:
        raise InputError(
            f"the flips of {min(wrong)[0]} and what they outlive do not belong together; remove its file in frames/, "
            f"and the same command scores it again"
        )
    return texts.reindex(lines).set_axis(table.index)


def _by_transform(real_after: pd.Series, transforms: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """By transform, (n,) bool, whether it is among the names in each text."""
    among = [set() if isinstance(text, float) else set(text.split(" ")) for text in real_after]
    return [(name, np.array([name in names for names in among], dtype=bool)) for name in transforms]
