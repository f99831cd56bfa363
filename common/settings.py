"""Settings are the fields of frozen dataclasses; presets, the command line and files give them by name."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from common.errors import InputError

T = TypeVar("T")


def override(settings: T, values: Mapping[str, Any], owner: str) -> T:
    """A copy of a dataclass instance with `values` in place of its fields' own.

    Strings (from a command line) are read as the field's type: int, float (also a fraction such as 16/255),
    bool (yes/no, true/false, 1/0), str, or a comma-separated tuple of those. `owner` names the settings in
    messages ("LIME"). Raises InputError for an unknown field or a value of another type.
    """
    if not dataclasses.is_dataclass(settings) or isinstance(settings, type):
        raise TypeError(f"{owner}: expected a dataclass instance, got {settings!r}")
    types = typing.get_type_hints(type(settings))
    names = [field.name for field in dataclasses.fields(settings) if field.init]
    changes = {}
    for name, value in values.items():
        if name not in names:
            raise InputError(f"{owner} has no setting {name!r}; it has: {', '.join(names) or 'none'}")
        changes[name] = _read(value, types[name], f"{owner}.{name}") if isinstance(value, str) else value
    try:
        return dataclasses.replace(settings, **changes)
    except InputError:
        raise
    except ValueError as error:  # a settings class refuses the value itself
        raise InputError(f"{owner}: {error}") from error


def from_json(kind: type[T], values: Any, owner: str) -> T:
    """A dataclass of the fields that a JSON object gives, each of its type; lists are taken as tuples.

    A number with a fraction may be written without one. `owner` names the object in messages. Raises InputError for
    what is no object, an unknown field, a missing one without a default, and a value of another type.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{owner}: expected values by name, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = {field.name: hints[field.name] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{owner}: unknown {name!r}; known: {', '.join(known)}")
        if not _is_of(value, known[name]):
            raise InputError(f"{owner}: its {name} cannot be {value!r}")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except (TypeError, ValueError) as error:  # a field is missing, or the class refuses the values
        raise InputError(f"{owner}: {error}") from error


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value from JSON is of a field's type."""
    kinds = typing.get_args(kind)
    if typing.get_origin(kind) is types.UnionType:
        return any(_is_of(value, member) for member in kinds)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            return False
        if kinds[-1] is Ellipsis:
            return all(_is_of(item, kinds[0]) for item in value)
        return len(value) == len(kinds) and all(map(_is_of, value, kinds))
    if kind is float:
        return (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < 2**53)
    return type(value) is kind or (kind is type(None) and value is None)


def _read(text: str, kind: Any, name: str) -> Any:
    try:
        if kind is bool:
            return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.lower()]
        if kind is int:
            return int(text)
        if kind is float:
            return _number(text)
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            return tuple(_read(part.strip(), item, name) for part in text.split(","))
        if kind is str:
            return text
    except InputError:
        raise
    except (ValueError, KeyError, ZeroDivisionError) as error:
        raise InputError(f"{name}={text!r} is not of type {getattr(kind, '__name__', kind)}") from error
    raise InputError(f"{name} cannot be set from the command line")


def _number(text: str) -> float:
    over, _, under = text.partition("/")
    value = float(over) / float(under) if under else float(over)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
