"""Commands whose options are dataclasses: each option is declared once, as a documented field."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from common.errors import InputError

Result = TypeVar("Result")


def with_options(**fixed: Mapping[str, Any]) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Lets typer see a command's dataclass parameters as one option for each of their fields.

    A field is declared as typer declares a parameter: `name: Annotated[TYPE, typer.Option(...)] = default`. An option
    of type Sequence[str] may be given several times; where it is not given, the field keeps its default. A field
    without a default must be given. A parameter that is no dataclass stays as it is.

    Args:
        fixed: for a parameter of the command, by its name, the fields that are not offered and the values that they
            have instead.

    Raises:
        TypeError: two options have one name.
    """

    def decorate(command: Callable[..., Result]) -> Callable[..., Result]:
        hints = get_type_hints(command, include_extras=True)
        signature = inspect.signature(command)
        kinds = {name: hints[name] for name in signature.parameters if is_dataclass(hints[name])}
        parameters: list[inspect.Parameter] = []
        for name, parameter in signature.parameters.items():
            if name in kinds:
                parameters += [option for option in _options(kinds[name]) if option.name not in fixed.get(name, {})]
            else:
                parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
        names = [parameter.name for parameter in parameters]
        if len(set(names)) < len(names):
            raise TypeError(f"{command.__name__}: two options are called {max(names, key=names.count)!r}")

        @wraps(command)
        def flat(**given: Any) -> Result:
            own = {name: _instance(kind, {**given, **fixed.get(name, {})}) for name, kind in kinds.items()}
            return command(
                **{name: value for name, value in given.items() if name in hints and name not in kinds}, **own
            )

        flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return flat

    return decorate


def refuse_given(context: typer.Context) -> None:
    """Raises InputError where options of a command stand before a further one: that one has its own, and knows none."""
    given = (option for option in context.command.params if option.name and _is_given(context, option.name))
    if (option := next(given, None)) is not None:
        command = context.invoked_subcommand
        raise InputError(f"{option.opts[0]} stands before {command}, which would not see it: give it after {command}")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def changed_options(options: Any, names: Sequence[str]) -> list[str]:
    """Those of a dataclass's options that are not at their defaults, as the command line calls them ("--steps").

    Args:
        options: the dataclass, its fields declared as `with_options` reads them.
        names: of the fields in question.
    """
    hints = get_type_hints(type(options), include_extras=True)
    changed = (
        field for field in fields(options) if field.name in names and getattr(options, field.name) != field.default
    )
    return [_on_command_line(hints[field.name], field.name) for field in changed]


def _on_command_line(annotation: Any, name: str) -> str:
    declared = [option for part in get_args(annotation)[1:] for option in getattr(part, "param_decls", None) or ()]
    return str(declared[0]).partition("/")[0] if declared else f"--{name.replace('_', '-')}"


def _options(kind: type) -> list[inspect.Parameter]:
    """A dataclass's fields as typer's parameters."""
    hints, parameters = get_type_hints(kind, include_extras=True), []
    for field in fields(kind):
        annotation = hints[field.name]
        default: Any = inspect.Parameter.empty if field.default is MISSING else field.default
        if _repeatable(annotation):
            item = get_args(get_args(annotation)[0])[0]
            annotation, default = Annotated[list[item] | None, *get_args(annotation)[1:]], None  # type: ignore[valid-type]
        parameters.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    return parameters


def _instance(kind: type, values: Mapping[str, Any]) -> Any:
    """The dataclass of what was given; a repeatable option that was not given keeps the field's default."""
    hints = get_type_hints(kind, include_extras=True)
    own: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in values:
            continue
        value = values[field.name]
        if _repeatable(hints[field.name]):
            if not value:
                own |= {field.name: value} if value == () else {}
                continue
            value = tuple(value)
        own[field.name] = value
    return kind(**own)


def _repeatable(annotation: Any) -> bool:
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_origin(inner) is Sequence
