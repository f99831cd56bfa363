"""`--config FILE.yaml`: options from a file, which the command line overrides; `--save-config` writes such a file."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from typer.exceptions import TyperException

from common.errors import InputError
from common.files import atomic_write, require_plain

HELP = "Options from a YAML file, by their names (size: [3, 9]); those on the command line win."
LONGEST = 10_000  # characters of a file
NAMES_CODE: Mapping[str, tuple[str, ...]] = {
    "detector": ("timm", "hf", "onnx"),
    "face-detector": ("yunet",),
    "method": ("captum", "cam", "vit", "saliency"),
    "attack": ("malafide", "torchattacks"),
    "metric": (),
}
"""Options that may name a user's own code, and what else may stand before a colon there."""

_NULL = "tag:yaml.org,2002:null"
_NOT_KEPT = ("config", "save-config", "help")
_HEADER = "# Options for --config; paths are as they were typed, from the folder that the command was run in.\n"


def apply_config(context: typer.Context, path: Path | None) -> Path | None:
    """Makes a file's values the defaults of a command's options; a callback of an eager option.

    Values are taken as they are written, as on the command line. Raises InputError, which names the file and the key,
    for an option that the command does not have, for a value that the option does not take, and for a file that is not
    a mapping of names to values. A value that names code is refused unless the command line has another: what is run is
    said there only.
    """
    return _apply(context, path, [context.command])


def apply_shared_config(context: typer.Context, path: Path | None) -> Path | None:
    """As `apply_config`; one file serves all commands of a group: an option that only another has is passed over."""
    return _apply(context, path, [context.command, *_siblings(context)])


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.yaml", help=HELP, callback=apply_config, is_eager=True),
]
SharedConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.yaml", help=HELP, callback=apply_shared_config, is_eager=True),
]
SaveConfigOption = Annotated[
    Path | None,
    typer.Option("--save-config", metavar="FILE.yaml", help="Write all options to a YAML file that --config takes."),
]


def save_config(context: typer.Context, path: Path | None) -> None:
    """Writes the options that a command was given, or has by default, as YAML that `--config` takes; None writes none.

    Neither --config nor --save-config is among them. Raises InputError where the file would be too long to be read
    again, OSError where it cannot be written.
    """
    if path is not None:
        own = {_long_name(option): context.params[str(option.name)] for option in _options([context.command]).values()}
        write_config(path, own)


def write_config(path: Path, values: Mapping[str, Any]) -> None:
    """Writes resolved options, by their names, as YAML that `--config` takes again; those without a value are left out.

    Raises InputError where the file would be too long to be read again, OSError where it cannot be written.
    """
    known = {_name(name): _written(value) for name, value in values.items() if value is not None}
    known = {name: value for name, value in known.items() if value != []}
    text = _HEADER + yaml.safe_dump(known, sort_keys=False, allow_unicode=True)
    if len(text) > LONGEST:
        raise InputError(f"{path}: too long for a configuration, at most {LONGEST:,} characters are read again")
    with atomic_write(path) as file:
        file.write(text)


def _apply(context: typer.Context, path: Path | None, known_to: Sequence[Any]) -> Path | None:
    if path is None or context.resilient_parsing:
        return path
    own, every = _options([context.command]), _options(known_to)
    defaults: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = _name(key)
        if name not in every:
            near = difflib.get_close_matches(name, every, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise InputError(f"{path}: unknown key {key!r}{hint}; known: {', '.join(sorted(every))}")
        option = own.get(name)
        if option is None or value is None:
            continue
        if option.name in defaults:
            raise InputError(f"{path}: {key} is given twice, by two of the option's names")
        defaults[option.name] = _checked(context, path, key, option, value)
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _checked(
    context: typer.Context, path: Path, key: str, option: Any, value: str | list[str]
) -> str | list[str] | Callable[[], NoReturn]:
    """A value, or values, as the option takes them; for one that names code, what refuses it where it is used."""
    many = bool(getattr(option, "multiple", False))
    if isinstance(value, list) and not many:
        raise InputError(f"{path}: {key} takes one value, got {', '.join(value) or 'none'}")
    texts = [value] if isinstance(value, str) else value
    if any(_is_code(_long_name(option), text) for text in texts):
        return _refusal(
            f"{path}: {key} names code to run ({', '.join(texts)}); give --{_name(key)} on the command line"
        )
    given = texts if many else value
    try:
        option.process_value(context, given)
    except TyperException as error:
        raise InputError(f"{path}: {key} cannot be {', '.join(texts)!r}: {getattr(error, 'message', error)}") from error
    return given


def _refusal(message: str) -> Callable[[], NoReturn]:
    """A default that is looked up only where the command line has no value of its own."""

    def refuse() -> NoReturn:
        raise InputError(message)

    return refuse


def _read(path: Path) -> dict[str, str | list[str] | None]:
    """The texts of a YAML file's options. Nothing is made of them, so no tag and no anchor in it can do anything."""
    try:
        require_plain(path)
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
    """The options of some commands by every long name that the command line has for them."""
    options: dict[str, Any] = {}
    for command in commands:
        for option in command.params:
            options |= {_name(name.removeprefix("--")): option for name in option.opts if name.startswith("--")}
    return {name: option for name, option in options.items() if name not in _NOT_KEPT}


def _long_name(option: Any) -> str:
    """An option's own name on the command line, of several the first."""
    return next(_name(name.removeprefix("--")) for name in option.opts if name.startswith("--"))


def _is_code(option: str, text: str) -> bool:
    """Whether an option's value names a user's own code, package.module:Name."""
    before, colon, _ = text.partition(":")
    return option in NAMES_CODE and bool(colon) and before not in NAMES_CODE[option]


def _name(key: str) -> str:
    return key.replace("_", "-")


def _written(value: Any) -> Any:
    """A value as YAML has it: plain types as they are, anything else by its text, as it is typed."""
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    plain = type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))
    return value if plain else str(value)
