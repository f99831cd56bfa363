"""Nested values under flat names, as a table has them."""

from collections.abc import Mapping
from typing import Any


def flat_names(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under joined names; `value` adds nothing to the name of what it belongs to."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        full = prefix if name == "value" else f"{prefix}_{name}" if prefix else name
        flat |= flat_names(value, full) if isinstance(value, dict) else {full: value}
    return flat
