"""One line for each scored frame and trial: its verdict, its adversarial image, what flips it, and its seconds.

A frame is *attackable* where anything in the run flips its verdict: an attack on some region or on the whole frame, at
any budget, a flip threshold that was reached, or the adversarial image. It is *unattackable* where nothing does,
although at least two different attacks tried the whole frame; where fewer did, it is not known which.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from attacks.torchattacks_bridge import UNAIMED
from data.frames import REAL
from runs.parquet_records import TEXT
from runs.score_table import COUNT, FLAG, ColumnSchema
from runs.transform_columns import REAL_AFTER, frame_columns
from scoring.attempts import from_text
from scoring.baselines.table import BASELINES, WHOLE
from scoring.records import tidy
from xai.methods import ADVERSARIAL

ATTACKS_NEEDED = 2
"""How many different attacks must have failed on the whole frame before it is called unattackable."""

_TRIAL = ["key", "seed", "segmentation"]
_DESCRIBED = ["key", "video", "family", "label", "seed", "segmentation", "predicted", "correct", "target", "before"]
_MEASURED = [
    "probabilities", "segments", "adversarial_flipped", "adversarial_steps", "adversarial_forwards",
    "adversarial_queries", "unscored",
]  # fmt: skip
_FLAGS = ("adversarial_flipped", "flipped_by_region", "flipped_as_whole", "attackable")
_COUNTS = ("segments", "adversarial_steps", "adversarial_forwards", "adversarial_queries", "whole_attacks")

FRAMES = ColumnSchema(
    ("key", "video", "family", "predicted"),
    ("seed", "segmentation"),
    dict.fromkeys(_FLAGS, FLAG) | dict.fromkeys(_COUNTS, COUNT),
    REAL_AFTER,
)
"""How such lines become a score table."""


def frame_lines(
    verdicts: pd.DataFrame, rows: pd.DataFrame, flip_thresholds: pd.DataFrame, costs: pd.DataFrame
) -> pd.DataFrame:
    """The lines of some frames, from all their records; what is not known is missing.

    Args:
        verdicts: of the frames (`scoring.records.FrameVerdict`); none in runs of earlier versions.
        rows: their scores (`scoring.records.Row`).
        flip_thresholds: how much it takes to flip them (`scoring.records.FlipThreshold`).
        costs: of their stages, in order (`scoring.costs.FrameCost`).
    """
    lines = _texts(tidy(rows.drop_duplicates(_TRIAL)[_DESCRIBED]))
    lines = lines.merge(_texts(tidy(verdicts[[*_TRIAL, *_MEASURED]])), on=_TRIAL, how="left")
    lines["adversarial_flipped"] = lines["adversarial_flipped"].astype("boolean")
    fake = lines["predicted"] != REAL
    tried = [_tried(rows, "flipped_to_real"), _tried(flip_thresholds, "reached")]
    wholes = [part[part["method"] == WHOLE] for part in tried]
    lines["flipped_by_region"] = _flipped(lines, [part[part["method"] != WHOLE] for part in tried]).mask(~fake)
    lines["flipped_as_whole"] = _flipped(lines, wholes).mask(~fake)
    lines["whole_attacks"] = _whole_attacks(lines, wholes).mask(~fake)
    flips = lines[["flipped_by_region", "flipped_as_whole", "adversarial_flipped"]].fillna(False).any(axis=1)
    flips = flips.astype("boolean").groupby(lines["key"]).transform("any")
    doubtful = lines["whole_attacks"].fillna(0) < ATTACKS_NEEDED
    lines["attackable"] = flips.astype("boolean").mask(~fake | ~flips.astype(bool) & doubtful.astype(bool))
    lines["unscored"] = _texts(lines[["unscored"]])["unscored"].map(_stages, na_action="ignore")
    return lines.assign(seconds=lines["key"].map(_seconds(rows, costs)).astype(float))


def _tried(records: pd.DataFrame, flag: str) -> pd.DataFrame:
    """What was tried in each trial, by which attack, and whether it `flips`: each once."""
    chosen = records[[*_TRIAL, "method", "attack", flag]].drop_duplicates()
    return _texts(chosen).rename(columns={flag: "flips"}).astype({"flips": bool})


def _flipped(lines: pd.DataFrame, tried: Sequence[pd.DataFrame]) -> pd.Series:
    """Whether something that was tried in a line's trial flips; missing where nothing was."""
    flags = pd.concat(tried).groupby(_TRIAL)["flips"].any()
    return pd.Series(
        flags.reindex(pd.MultiIndex.from_frame(lines[_TRIAL])).array, index=lines.index, dtype="object"
    ).astype("boolean")


def _whole_attacks(lines: pd.DataFrame, wholes: Sequence[pd.DataFrame]) -> pd.Series:
    """How many different attacks tried the whole of each line's frame, in any trial."""
    adversarial = lines.loc[lines["adversarial_flipped"].notna(), ["key"]].assign(attack="nes")
    attacks = pd.concat([*(part[["key", "attack"]] for part in wholes), adversarial])
    attacks = attacks[~attacks["attack"].isin([f"torchattacks:{name}" for name in UNAIMED])]  # they were not trying
    numbers = attacks["attack"].map(kind_of_attack).groupby(attacks["key"].to_numpy()).nunique()
    return lines["key"].map(numbers).fillna(0).astype("Int64")


def kind_of_attack(name: str) -> str:
    """What an attack is, for telling different attacks apart: torchattacks' PGD is a PGD, two filters are one kind.

    The budget that a flip threshold's attack is named with ("pgd 4/255") says nothing.
    """
    name = name.partition(" ")[0]
    family, _, member = name.lower().partition(":")
    return member if family == "torchattacks" else family if family == "malafide" else name.lower()


def _seconds(rows: pd.DataFrame, costs: pd.DataFrame) -> pd.Series:
    """The seconds of each frame, by key; the adversarial image, which is charged to each of its methods, once."""
    costs = _texts(costs)
    its_methods = set(rows.loc[rows["fill"] == ADVERSARIAL, "method"].unique()) - set(BASELINES)
    made = costs["seconds"].where(costs["stage"] == ADVERSARIAL).groupby(costs["key"]).ffill().fillna(0.0)
    own = costs["seconds"] - made.where(costs["stage"].isin(its_methods), 0.0)
    return own.groupby(costs["key"]).sum()


def _stages(unscored: str) -> str:
    """The stages of a trial that failed, parted by semicolons."""
    return "; ".join(dict.fromkeys(failure.stage for failure in from_text(unscored)))


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with plain texts in place of categories, which differ from table to table."""
    named = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(named, object))


def shown(lines: pd.DataFrame, classes: Sequence[str], transforms: Sequence[str] = ()) -> pd.DataFrame:
    """The lines as `frames.csv` has them: a column for the probability of each class, in place of the text.

    Args:
        lines: of `frame_lines`, with a column for each of the transforms (`runs.transform_columns`).
        classes: of the detector, in the order of its logits.
        transforms: the names of those that the run asks for.
    """
    split = lines["probabilities"].str.split(" ", expand=True)
    wanted = class_columns(classes)
    probabilities = pd.DataFrame(
        {name: split[index].astype(float) for index, name in enumerate(wanted) if index in split}, index=lines.index
    ).reindex(columns=wanted)
    rest = [*_MEASURED[1:], *_FLAGS[1:3], "whole_attacks", "attackable", *frame_columns(transforms), "seconds"]
    return pd.concat([lines[_DESCRIBED], probabilities, lines[rest]], axis=1)


def class_columns(classes: Sequence[str]) -> list[str]:
    """The columns of probabilities, one for each class."""
    names = [f"p({name})" for name in classes]
    return names if len(set(names)) == len(names) else [f"p({index})" for index in range(len(classes))]


def columns(classes: Sequence[str], transforms: Sequence[str] = ()) -> pa.Schema:
    """The columns of `frames.parquet`, in the order of `shown`."""
    texts = {"key", "video", "family", "segmentation", "predicted", "target", "unscored"}
    kinds: dict[str, Any] = dict.fromkeys((*_COUNTS, "label", "seed", "correct"), pa.int64())
    kinds |= dict.fromkeys((*_FLAGS, *frame_columns(transforms)), pa.bool_()) | dict.fromkeys(texts, TEXT)
    names = [*_DESCRIBED, *class_columns(classes), *_MEASURED[1:], *_FLAGS[1:3], "whole_attacks", "attackable"]
    names += [*frame_columns(transforms), "seconds"]
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in names])


def class_names(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """The detector's classes, as a run's configuration names them."""
    detector = configuration.get("detector")
    return tuple(map(str, detector.get("class_names") or ())) if isinstance(detector, Mapping) else ()
