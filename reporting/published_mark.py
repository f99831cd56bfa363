"""The mark of a run with differences from the published evaluation: in its tables, its report and its pictures."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from runs.as_published import DIFFERENCES, AsPublished


def published_mark(configuration: Mapping[str, Any]) -> str:
    """ "As published: lime-row, rise-keep"; "" for a run without a difference. `configuration` is that of the run."""
    return AsPublished(tuple(configuration.get("as_published") or ())).mark


def marked(table: pd.DataFrame, configuration: Mapping[str, Any]) -> pd.DataFrame:
    """The table with the column "as_published", the names of the differences; as it is for a run without one."""
    names = configuration.get("as_published") or ()
    return table.assign(as_published=" ".join(names)) if names else table


def published_note(configuration: Mapping[str, Any]) -> str:
    """What such a run is, in whole sentences, each difference in words; "" for a run without one."""
    names = [name for name in DIFFERENCES if name in (configuration.get("as_published") or ())]
    if not names:
        return ""
    listing = "; ".join(f"{name} ({DIFFERENCES[name]})" for name in names)
    return (
        f"This run brings back {len(names)} of the {len(DIFFERENCES)} known differences from the published evaluation, "
        f"which are defects: {listing}. Its numbers show what they do, not which explanation can be trusted."
    )
