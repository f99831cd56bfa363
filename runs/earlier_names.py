"""Names in the files of earlier versions, and what they are called now: such runs are read, reported and compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import InputError
from scoring.records import UNKNOWN

COLUMNS: Mapping[str, str] = {"inside": "mask_precision"}
"""Columns of rows by the name that commit 380fa60 wrote."""

ADDED: Mapping[str, int | str] = {
    "queries": UNKNOWN,
    "completeness_error": UNKNOWN,
    "stability": UNKNOWN,
    "unscored": "",
}
"""Columns that runs of earlier versions do not have, and what stands in them."""

PROTOCOL: Mapping[str, str] = {"arms": "baselines", "grades": "flip_thresholds", "grade_steps": "threshold_steps"}
"""Settings of the protocol, in config.json and for `--set protocol.NAME=VALUE`, likewise."""


def renamed_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The columns of a file under their present names."""
    return tuple(COLUMNS.get(name, name) for name in names)


def renamed_settings(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json holds, with the protocol's settings under their present names."""
    protocol = configuration.get("protocol")
    if not isinstance(protocol, Mapping):
        return dict(configuration)
    return {**configuration, "protocol": renamed_protocol(protocol)}


def renamed_protocol(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the protocol under their present names.

    Raises:
        InputError: one setting stands under both of its names.
    """
    for earlier, present in PROTOCOL.items():
        if earlier in settings and present in settings:
            raise InputError(f"protocol.{earlier} is the earlier name of protocol.{present}: give only one of them")
    return {PROTOCOL.get(name, name): value for name, value in settings.items()}
