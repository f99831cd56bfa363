"""Options that are fields of dataclasses: as typer shows them, and what a command gets of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from common.commands import with_options


@dataclass(frozen=True)
class Where:
    """Where from."""

    source: Annotated[Path, typer.Option("--source", help="A file.")]
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of draws.")] = 3


@dataclass(frozen=True)
class What(Where):
    """What, and where from."""

    names: Annotated[Sequence[str], typer.Option("--name", "--called", help="Repeatable.")] = ("All",)
    sizes: Annotated[Sequence[int], typer.Option("--size", help="Repeatable.")] = ()
    check: Annotated[bool, typer.Option("--check/--no-check", help="Whether.")] = True


def run(command: object, *words: str) -> tuple[int, str]:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)  # type: ignore[type-var]
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def test_a_command_gets_the_dataclass_of_its_options() -> None:
    seen: list[tuple[What, str]] = []

    @with_options()
    def command(options: What, other: Annotated[str, typer.Option("--other")] = "x") -> None:
        seen.append((options, other))

    assert run(command, "--source", "a", "--name", "b", "--called", "c", "--size", "4", "--no-check")[0] == 0
    assert run(command, "--source", "a", "--seed", "5", "--other", "y")[0] == 0
    assert seen == [(What(Path("a"), 3, ("b", "c"), (4,), False), "x"), (What(Path("a"), 5), "y")]


def test_what_is_fixed_is_not_offered() -> None:
    seen: list[What] = []

    @with_options(options={"seed": 9, "names": (), "sizes": (1, 2)})
    def command(options: What) -> None:
        seen.append(options)

    assert run(command, "--source", "a")[0] == 0
    assert seen == [What(Path("a"), 9, (), (1, 2))]
    for option in ("--seed", "--name", "--size"):
        status, printed = run(command, "--source", "a", option, "1")
        assert status == 2
        assert f"No such option: {option}" in printed


def test_help_names_every_option_and_a_required_one_is_asked_for() -> None:
    @with_options()
    def command(options: What) -> None:
        """Does something."""

    _, printed = run(command, "--help")
    for words in ("Does something.", "--source", "--name, --called", "--no-check", "[default: 3; x>=0]"):
        assert words in printed
    status, printed = run(command)
    assert status == 2
    assert "Missing option '--source'" in printed


def test_values_are_checked_as_typer_does() -> None:
    @with_options()
    def command(options: What) -> None:
        """Nothing."""

    assert run(command, "--source", "a", "--seed", "-1")[0] == 2
    assert run(command, "--source", "a", "--size", "four")[0] == 2


def test_two_options_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="two options are called 'source'"):

        @with_options()
        def command(one: Where, other: What) -> None:
            """Nothing."""


def test_a_dataclass_may_be_called_as_one_of_its_fields() -> None:
    seen: list[Where] = []

    @with_options()
    def command(source: Where) -> None:
        seen.append(source)

    assert run(command, "--source", "a")[0] == 0
    assert seen == [Where(Path("a"))]
