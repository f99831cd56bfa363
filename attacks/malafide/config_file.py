"""`--config FILE.yaml`: options from a file; those given on the command line win."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from common.errors import InputError
from common.files import atomic_write

HELP = "Options from a YAML file, by their names (size: [3, 9]); those on the command line win."


def apply_config(context: typer.Context, path: Path | None) -> Path | None:
    """Makes a file's values the defaults of a command's options; a callback of an eager option.

    One file can serve all commands of a group: an option that only another of them has is passed over. Raises
    InputError for a key that none has, and for a file that is not a mapping of names to values.
    """
    if path is None or context.resilient_parsing:
        return path
    values = _read(path)
    own = _options([context.command])
    everyone = _options([context.command, *_siblings(context)])
    unknown = [key for key in values if _name(key) not in everyone]
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(sorted(everyone))}")
    defaults = {}
    for key, value in values.items():
        option = own.get(_name(key))
        if option is None or value is None:
            continue
        many = getattr(option, "multiple", False)
        if isinstance(value, dict) or (isinstance(value, list) and not many):
            raise InputError(f"{path}: {key} takes one value, got {value!r}")
        defaults[option.name] = [str(each) for each in _listed(value)] if many else _plain(value)
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.yaml", help=HELP, callback=apply_config, is_eager=True),
]


def write_config(path: Path, values: dict[str, Any]) -> None:
    """Writes resolved options as YAML that `--config` takes again; those that are None are left out."""
    known = {name.replace("_", "-"): _written(value) for name, value in values.items() if value is not None}
    with atomic_write(path) as file:
        file.write(yaml.safe_dump(known, sort_keys=False, allow_unicode=True))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the configuration cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({error})") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"{path}: expected options by name, such as 'size: [3, 9]'")
    return values


def _siblings(context: typer.Context) -> Sequence[Any]:
    """The commands of the group that this one is in."""
    group = context.parent.command if context.parent is not None else None
    return list(getattr(group, "commands", {}).values())


def _options(commands: Sequence[Any]) -> dict[str, Any]:
    """The options of some commands by the long name that the command line has for them."""
    found: dict[str, Any] = {}
    for command in commands:
        for option in command.params:
            found |= {_name(name.removeprefix("--")): option for name in option.opts if name.startswith("--")}
    return {name: option for name, option in found.items() if name not in ("config", "help")}


def _name(key: str) -> str:
    return key.replace("_", "-")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """As it would stand on the command line, so that an option's own type reads and checks it."""
    return value if isinstance(value, bool) else str(value)


def _written(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_written(each) for each in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)
