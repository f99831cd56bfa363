"""`--config` and `--save-config`: every option of the commands that have them goes to a file and comes back."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.exceptions import TyperException

import evaluate
import examine
from attacks import registry as attacks
from attacks.malafide.command import malafide_app
from common.config_file import NAMES_CODE, save_config, write_config
from common.errors import InputError
from tests.survival.inputs import tried
from xai import methods

EVALUATE: Any = typer.main.get_command(evaluate.app)
EXAMINE: Any = typer.main.get_command(examine.app)
COMMANDS = {"evaluate": EVALUATE, "replicate": EVALUATE.commands["replicate"], "examine": EXAMINE}
NASTY = ["010", "8:30", "no", "null", "~", "1e3", "1_0", "a: b", "#c", "@x", "- x", " x ", "é", "a\nb", "'", "\udc80"]


def options(command: Any) -> list[Any]:
    return [option for option in command.params if option.opts[0].startswith("--")]


def kept(command: Any) -> list[Any]:
    return [option for option in options(command) if option.opts[0] not in ("--config", "--save-config")]


def parsed(command: Any, *words: object) -> typer.Context:
    """What a command makes of its arguments, before it does anything."""
    file = ["film.mp4"] if command is EXAMINE else []
    return command.make_context("it", [*file, *map(str, words)])  # type: ignore[no-any-return]


def samples(command: Any, option: Any) -> Iterator[tuple[str, ...]]:
    """Arguments that give an option a value of its type; of a text, several that YAML takes for something else."""
    name = option.opts[0]
    if option.is_flag:
        yield from ((each,) for each in (name, *option.secondary_opts))
        return
    nasty = [text for text in NASTY if ":" not in text or name.removeprefix("--") not in NAMES_CODE]
    texts = [text for text in nasty if _is_taken(command, name, text)] or ["3", "0.25"]
    texts = [text for text in texts if _is_taken(command, name, text)]
    yield from ((name, text) for text in texts)
    if option.multiple:
        yield tuple(word for text in texts for word in (name, text))


def _is_taken(command: Any, name: str, text: str) -> bool:
    with contextlib.suppress(TyperException, InputError):
        parsed(command, name, text)
        return True
    return False


@pytest.mark.parametrize(
    ("command", "option"),
    [(name, option.opts[0]) for name, command in COMMANDS.items() for option in kept(command)],
)
def test_every_option_of_every_type_comes_back(command: str, option: str, tmp_path: Path) -> None:
    of = COMMANDS[command]
    (chosen,) = [each for each in options(of) if each.opts[0] == option]
    path, tries = tmp_path / "run.yaml", list(samples(of, chosen))
    assert tries
    for words in tries:
        before = parsed(of, *words)
        save_config(before, path)
        after = parsed(of, "--config", path)
        assert {**after.params, "config": None} == before.params, words


def test_what_is_written_is_the_options_and_nothing_else(tmp_path: Path) -> None:
    """Each option that has a value, by its first long name, and neither --config nor --save-config."""
    path = tmp_path / "sub" / "run.yaml"
    save_config(parsed(EVALUATE, "--arm", "random", "--set", "RISE.samples=5", "--save-config", path), path)
    keys = [line.partition(":")[0] for line in path.read_text().splitlines() if not line.startswith(("#", "-"))]
    assert keys == ["seed", "device", "baseline", "seeds", "precision", "set", "shard", "results"]


def test_the_command_line_wins_and_lists_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("method: [LIME, SHAP]\nlimit: 4\nseed: 7\nset: RISE.samples=5\n")
    found = parsed(EVALUATE, "--method", "RISE", "--config", path, "--limit", "2").params
    assert (found["methods"], found["limit"], found["seed"], found["overrides"]) == (["RISE"], 2, 7, ["RISE.samples=5"])


@pytest.mark.parametrize(
    ("command", "content", "words"),
    [
        ("evaluate", "methods: LIME", "unknown key 'methods' (did you mean method?); known: arm, as-published"),
        ("evaluate", "whole: yes", "unknown key 'whole'"),  # of examine
        ("examine", "frames: 3\nbaseline: random", "unknown key 'baseline'"),  # of evaluate
        ("evaluate", "config: x", "unknown key 'config'"),
        ("evaluate", "limit: many", "limit cannot be 'many': "),
        ("evaluate", "limit: 0", "limit cannot be '0': "),
        ("evaluate", "limit: 8:30", "limit cannot be '8:30': "),
        ("evaluate", "limit: [1, 2]", "limit takes one value, got 1, 2"),
        ("evaluate", "method: {a: b}", "method takes one value, got a structure"),
        ("evaluate", "batch-size: 8\nbatch_size: 9", "batch_size is given twice"),
        ("evaluate", "baseline: random\narm: oracle", "arm is given twice"),
        ("evaluate", "seed: 1\nseed: 2", "an option is given twice"),
        ("evaluate", "- 3", "expected options by name"),
        ("evaluate", "a: [3", "not YAML"),
        ("examine", "whole: maybe", "whole cannot be 'maybe': "),
        ("examine", "time: [1, x]", "time cannot be '1, x': "),
        ("examine", None, "the configuration cannot be read"),
    ],
)
def test_what_cannot_be_used_names_the_file_and_the_key(
    command: str, content: str | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        parsed(COMMANDS[command], "--config", path)
    assert str(caught.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize(
    ("command", "option", "field"),
    [
        ("evaluate", "method", "methods"), ("evaluate", "attack", "attacks"), ("evaluate", "metric", "metrics"),
        ("evaluate", "detector", "detectors"), ("replicate", "detector", "detector"), ("examine", "method", "method"),
        ("examine", "face-detector", "detector_of_faces"),
    ],
)  # fmt: skip
def test_code_in_a_file_is_refused_unless_the_command_line_has_another(
    command: str, option: str, field: str, tmp_path: Path
) -> None:
    """A run with own code is saved whole, and goes on by the same file where the command line names the code."""
    path, of = tmp_path / "run.yaml", COMMANDS[command]
    before = parsed(of, f"--{option}", "os:system", "--seed", 4)
    save_config(before, path)
    with pytest.raises(InputError, match=rf"{option} names code to run \(os:system\); give --{option} on the"):
        parsed(of, "--config", path)
    assert {**parsed(of, "--config", path, f"--{option}", "os:system").params, "config": None} == before.params
    assert parsed(of, "--config", path, f"--{option}", "demo").params[field] in ("demo", ["demo"])


def test_every_option_that_names_code_is_known() -> None:
    """An option whose help offers own code may not be given by a file; the families are those of the registries."""
    commands = [*COMMANDS.values(), *typer.main.get_command(malafide_app).commands.values()]  # type: ignore[attr-defined]
    told = {
        option.opts[0].removeprefix("--")
        for command in commands
        for option in options(command)
        if any(words in (getattr(option, "help", "") or "") for words in ("package.module:Name", "your own"))
    }
    assert told == NAMES_CODE.keys() - {"attack", "metric"}  # which say so on a page
    assert set(NAMES_CODE["method"]) == set(methods.FAMILIES)
    assert set(NAMES_CODE["attack"]) == set(attacks.FAMILIES)
    (detector,) = [option for option in options(EXAMINE) if option.opts[0] == "--detector"]
    assert set(NAMES_CODE["detector"]) == set(re.findall(r"\b(\w+):[A-Z]+", detector.help)) - {"module"}


def test_a_file_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long for a configuration"):
        write_config(tmp_path / "run.yaml", {"set": ["RISE.samples=500"] * 1000})
    assert list(tmp_path.iterdir()) == []


typed = st.text(st.characters(exclude_characters="\0"), max_size=30)  # no command line holds a null character


@tried(60)
@given(st.lists(typed, min_size=1, max_size=4), st.integers(1, 2**40), st.floats(allow_nan=False), typed)
def test_any_value_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], limit: int, probability: float, folder: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    words = [word for text in texts for word in ("--set", text)]
    before = parsed(EVALUATE, *words, "--limit", limit, f"--until-stable={probability}", f"--images={folder}")
    save_config(before, path)
    assert {**parsed(EVALUATE, "--config", path).params, "config": None} == before.params
