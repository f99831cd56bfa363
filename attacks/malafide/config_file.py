"""`--config FILE.yaml`: options from a file; those given on the command line win."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from common.errors import InputError
from common.files import atomic_write

HELP = "Options from a YAML file, by their names (size: [3, 9]); those on the command line win."
LONGEST = 10_000  # characters of a file
NAMES_CODE = {"detector": "timm", "face-detector": "yunet"}
"""Options that may name a user's own code, and what else may stand before a colon there."""

_NULL = "tag:yaml.org,2002:null"


def apply_config(context: typer.Context, path: Path | None) -> Path | None:
    """Makes a file's values the defaults of a command's options; a callback of an eager option.

    One file can serve all commands of a group: an option that only another of them has is passed over. Values are
    taken as they are written, as on the command line. Raises InputError for a key that none has, for a file that is not
    a mapping of names to values, and for one that names code: what is run is said on the command line only.
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
        texts = [value] if isinstance(value, str) else value
        if isinstance(value, list) and not many:
            raise InputError(f"{path}: {key} takes one value, got {', '.join(value) or 'none'}")
        if any(_is_code(_name(key), text) for text in texts):
            raise InputError(f"{path}: {key} names code to run ({value}); give --{_name(key)} on the command line")
        defaults[option.name] = texts if many else value
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.yaml", help=HELP, callback=apply_config, is_eager=True),
]


def write_config(path: Path, values: dict[str, Any]) -> None:
    """Writes resolved options as YAML that `--config` takes again; those that are None or name code are left out."""
    known = {
        _name(name): _written(value)
        for name, value in values.items()
        if value is not None and not _is_code(_name(name), str(value))
    }
    with atomic_write(path) as file:
        file.write(yaml.safe_dump(known, sort_keys=False, allow_unicode=True))


def _read(path: Path) -> dict[str, str | list[str] | None]:
    """The texts of a YAML file's options. Nothing is made of them, so no tag and no anchor in it can do anything."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the configuration cannot be read ({error})") from error
    if len(text) > LONGEST:
        raise InputError(f"{path}: too long for a configuration, at most {LONGEST:,} characters are read")
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(f"{path}: not YAML ({error})") from error
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode) or not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
        raise InputError(f"{path}: expected options by name, such as 'size: [3, 9]'")
    values = {key.value: _texts(f"{path}: {key.value}", value) for key, value in node.value}
    if len(values) < len(node.value):
        raise InputError(f"{path}: an option is given twice; its options are {', '.join(values)}")
    return values


def _texts(option: str, node: yaml.Node) -> str | list[str] | None:
    """What stands for one option: a text, several, or nothing."""
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _NULL else node.value
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [item.value for item in node.value]
    raise InputError(f"{option} takes one value, got a structure; write a value, or a list such as [3, 9]")


def _siblings(context: typer.Context) -> Sequence[Any]:
    """The commands of the group that this one is in."""
    group = context.parent.command if context.parent is not None else None
    return list(getattr(group, "commands", {}).values())


def _options(commands: Sequence[Any]) -> dict[str, Any]:
    """The options of some commands by the long name that the command line has for them."""
    options: dict[str, Any] = {}
    for command in commands:
        for option in command.params:
            options |= {_name(name.removeprefix("--")): option for name in option.opts if name.startswith("--")}
    return {name: option for name, option in options.items() if name not in ("config", "help")}


def _is_code(option: str, text: str) -> bool:
    """Whether an option's value names a user's own code, package.module:Name."""
    before, colon, _ = text.partition(":")
    return option in NAMES_CODE and bool(colon) and before != NAMES_CODE[option]


def _name(key: str) -> str:
    return key.replace("_", "-")


def _written(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)
