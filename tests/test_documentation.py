"""What the pages say can be done: commands and settings parse, links and paths lead somewhere, the README is short."""

import importlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.exceptions import Exit, TyperException

import attacks
import xai
from attacks.budgets import read_budget
from attacks.malafide.in_run import RunSettings
from attacks.registry import ATTACKS
from common import console
from common.errors import InputError
from common.settings import override
from flipscope import COMMANDS as SPELLINGS
from runs.run_folder import Shard
from runs.workers.ray_cluster import LOCAL
from scoring.metrics.registry import METRICS, build_metric
from scoring.protocol import Protocol, chosen_baselines
from xai.segments import parse_segments

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = (
    "analysis|attacks|attribution_model|benchmarks|common|data|detectors|docs|examination|reporting|robustness|runs|scoring"
    "|xai"
)
PROGRAMS = ("evaluate", "visualize", "efficiency", "examine")
PACKAGES = ("attacks", "attribution_model", "data", "detectors", "robustness")
OWN = "my_module:"  # what a reader is to write
PLACEHOLDER = "..."
CONFIG = "--config"


@dataclass(frozen=True)
class Page:
    """A page in two parts: its code blocks, and all else."""

    path: Path
    blocks: tuple[str, ...]
    prose: str

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def spans(self) -> list[str]:
        """Its inline code."""
        return [" ".join(span.replace("\\|", "|").split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", self.prose)]

    @property
    def commands(self) -> list[str]:
        """Its command lines: of the blocks, and those that stand in a sentence."""
        lines = [line for block in self.blocks for line in block.replace("\\\n", " ").splitlines()]
        parts = [part.strip() for line in lines for part in line.split(" && ")]
        mentioned = [
            f"{span} {PLACEHOLDER}" if span.startswith(("python", "flipscope ")) else span for span in self.spans
        ]
        return [part for part in [*parts, *mentioned] if re.match(r"([A-Z_]+=\S+ )?(python|make|flipscope) ", part)]


@cache
def read(path: Path) -> Page:
    """A page; blocks are fenced, or indented by four spaces after an empty line."""
    blocks: list[list[str]] = []
    prose: list[str] = []
    fenced = indented = False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
            blocks += [[]] if fenced else []
            continue
        starts = line.startswith("    ") and not fenced and not indented and (not prose or not prose[-1].strip())
        indented = not fenced and (starts or (indented and (line.startswith("    ") or not line.strip())))
        blocks += [[]] if starts else []
        if fenced or indented:
            blocks[-1].append(line if fenced else line[4:])
        else:
            prose.append(line)
    return Page(path, tuple("\n".join(block) for block in blocks), "\n".join(prose))


def python_blocks(path: Path) -> list[str]:
    """The fenced blocks of Python of a page."""
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


EVERY = [read(path) for path in PAGES if path.exists()]
COMMANDS = sorted({(page.name, command) for page in EVERY for command in page.commands})
SETTINGS = sorted(
    {(page.name, text) for page in EVERY for text in re.findall(r"--set\s+([^\s`]+)", page.path.read_text("utf-8"))}
)


@cache
def command_of(module: str) -> Any:
    """The command line of a module or package, as typer builds it."""
    package = (ROOT / module.replace(".", "/")).is_dir()
    return typer.main.get_command(importlib.import_module(f"{module}.__main__" if package else module).app)


def every_command() -> Iterator[Any]:
    """Every command of the project, and every command below one."""
    benchmarks = [path for path in (ROOT / "benchmarks").glob("*.py") if "app = application(" in path.read_text()]
    waiting = [command_of(name) for name in (*PROGRAMS, *PACKAGES, *(f"benchmarks.{path.stem}" for path in benchmarks))]
    while waiting:
        command = waiting.pop()
        yield command
        waiting += getattr(command, "commands", {}).values()


def check_command(text: str) -> None:
    """Raises, saying what is wrong, where a command line would not begin its work."""
    words = [word for word in shlex.split(text, comments=True) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    program, *rest = words
    if program == "make":
        check_target(rest)
    elif program == "flipscope":
        assert rest[0] in (*SPELLINGS, "COMMAND", "--help"), f"flipscope has no command {rest[0]}"
        if rest[0] in SPELLINGS:
            module = SPELLINGS[rest[0]][0].removesuffix(".__main__")
            arguments = console.with_default(rest[1:], "--ray", LOCAL)
            parse(command_of(module), arguments, complete=PLACEHOLDER not in rest)
            if module in PROGRAMS:
                check_values(arguments)
    elif rest[0] == "-c":
        compile(rest[1], "-c", "exec")
    elif rest[:2] == ["-m", "pytest"]:
        missing = [word for word in rest[2:] if "/" in word and not (ROOT / word).exists()]
        assert not missing, f"there is no {missing[0]}"
    elif rest[0] == "-m":
        parse(command_of(rest[1]), rest[2:], complete=PLACEHOLDER not in rest)
    elif rest[0].removesuffix(".py") in PROGRAMS:
        arguments = console.with_default(rest[1:], "--ray", LOCAL)
        parse(command_of(rest[0].removesuffix(".py")), arguments, complete=PLACEHOLDER not in rest)
        check_values(arguments)
    else:
        assert (ROOT / rest[0]).is_file(), f"there is no {rest[0]}"


def check_target(words: Sequence[str]) -> None:
    """Raises AssertionError for what the Makefile does not make."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        assert "=" in word or re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE), f"nothing makes {word}"


def parse(command: Any, arguments: Sequence[str], complete: bool) -> None:
    """Parses arguments as the command does, without doing anything. Raises TyperException where it refuses them."""
    given = [word for word in arguments if word != PLACEHOLDER]
    commands: Mapping[str, Any] = getattr(command, "commands", {})
    if CONFIG in given:  # a reader's own file
        assert any(CONFIG in option.opts for option in command.params), f"{command.name} has no {CONFIG}"
        at = given.index(CONFIG)
        given = [*given[:at], *given[at + 2 :]]
    if commands and given and not given[0].startswith("-"):
        assert given[0] in commands, f"no command {given[0]!r}; there are {', '.join(commands)}"
        parse(commands[given[0]], given[1:], complete)
        return
    try:
        command.make_context(command.name, given)
    except Exit:  # --help
        pass
    except TyperException as error:
        if complete or type(error).__name__ != "MissingParameter":  # raised after all that is given was read
            raise


def check_method(name: str) -> None:
    if name != "All" and not name.startswith(OWN):
        xai.parse_method(name)


def check_attack(name: str) -> None:
    if name != "malafide" and not name.startswith((OWN, "malafide:")):
        attacks.build_attack(name)


def check_metric(name: str) -> None:
    if name != "All" and not name.startswith(OWN):
        build_metric(name)


def component(name: str) -> Any:
    """What has the settings that `--set NAME.FIELD=VALUE` changes."""
    if name == "protocol":
        return Protocol()
    if name == "malafide":
        return RunSettings()
    if name in METRICS:
        return build_metric(name)
    if name in ATTACKS or name.startswith("torchattacks:"):
        return attacks.build_attack(name)
    methods = [xai.parse_method(name)] if ":" in name else []
    known = xai.build_settings("published", methods=methods).components()
    if name not in known:
        raise InputError(f"nothing is called {name!r}; known: {', '.join(known)}")
    return known[name]


def check_setting(text: str) -> None:
    """Raises InputError for a setting of `--set` that nothing has, or a value that it cannot take."""
    name, field, value = xai.parse_override(text)
    if not name.startswith(OWN):
        override(component(name), {field: value}, name)


VALUES: Mapping[str, Callable[[str], Any]] = {
    "--method": check_method,
    "--attack": check_attack,
    "--metric": check_metric,
    "--baseline": lambda name: chosen_baselines([name], "published"),
    "--preset": xai.build_settings,
    "--budget": read_budget,
    "--segments": parse_segments,
    "--shard": Shard.parse,
    "--set": check_setting,
}
"""What takes the value of an option where typer knows it as a text only."""


def check_values(arguments: Sequence[str]) -> None:
    """Raises InputError for the value of an option of `evaluate.py` that is read after parsing."""
    for option, value in pairwise(arguments):
        if option in VALUES:
            VALUES[option](value)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", read(path).prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command[:70]}" for page, command in COMMANDS])
def test_every_command_line_parses(page: str, command: str) -> None:
    check_command(command)


@pytest.mark.parametrize(("page", "setting"), SETTINGS, ids=[f"{page}: {setting}" for page, setting in SETTINGS])
def test_every_setting_is_of_something_that_has_it(page: str, setting: str) -> None:
    if not setting.startswith("COMPONENT."):
        check_setting(shlex.split(setting)[0])


def test_there_are_commands_on_the_pages_that_give_them() -> None:
    with_commands = {page for page, _ in COMMANDS}
    assert {"README.md", "CONTRIBUTING.md", "docs/evaluation.md", "docs/results.md", "docs/scale.md"} <= with_commands
    assert len(COMMANDS) > 60
    assert len(SETTINGS) > 6


@pytest.mark.parametrize(
    "command",
    [
        "python evaluate.py --no-such-option 3",
        "python evaluate.py --limit many",
        "python evaluate.py --method LIMA",
        "python evaluate.py --baseline randon",
        "python evaluate.py --metric no-such",
        "python evaluate.py --attack no-such",
        "python evaluate.py --set depths='[1,2,3]'",
        "python evaluate.py --set protocol.depth=1",
        "python evaluate.py --set LIME.samples=many",
        "python evaluate.py --set LIMA.samples=500",
        "python -m detectors no-such",
        "python -m detectors train --model caddm",  # --frames and --out are missing
        "python -m attacks malafide train ... --size big",
        "python -m benchmarks.scale --no-such 3",
        "python -m pytest tests/no_such.py",
        "flipscope no-such",
        "flipscope evaluate --limit many",
        "flipscope detectors train --model caddm",
        "make no-such",
    ],
)
def test_a_wrong_command_line_is_refused(command: str) -> None:
    with pytest.raises((TyperException, InputError, AssertionError)):
        check_command(command)


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.name)
def test_every_option_in_a_sentence_exists(page: Page) -> None:
    known = {
        name for each in every_command() for option in each.params for name in (*option.opts, *option.secondary_opts)
    }
    named = {
        word for span in page.spans if span.startswith("--") for word in re.findall(r"(?<!\S)--[a-z][a-z-]*", span)
    }
    assert named <= known | {"--help"}, named - known


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.prose):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.path.parent / path).resolve() if path else page.path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.name)
def test_every_path_of_the_code_exists(page: Page) -> None:
    named = set(
        re.findall(rf"(?<![\w/.-])(?:tests/)?(?:{FOLDERS})/[\w./-]*[\w/]", page.path.read_text(encoding="utf-8"))
    )
    named = {path for path in named if not re.search(r"NAME|KIND", path)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_test_that_is_named_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {span for page in EVERY for span in page.spans if re.fullmatch(r"test_\w+", span)}
    assert len(named) > 5
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_every_statistic_that_is_named_exists() -> None:
    table = re.findall(
        r"\|([^|]+)\|$", read(ROOT / "docs" / "statistics.md").prose.partition("| function |")[2], re.MULTILINE
    )
    named = {name for cell in table for name in re.findall(r"`([a-z_]+)`", cell)}
    modules = [path for folder in ("analysis", "reporting") for path in (ROOT / folder).rglob("*.py")]
    defined = {name for path in modules for name in re.findall(r"^def (\w+)", path.read_text("utf-8"), re.MULTILINE)}
    assert len(named) > 10
    assert named - defined == set()


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.name)
def test_lines_are_short(page: Page) -> None:
    lines = page.path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []  # a table's row has no choice


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.name)
def test_no_line_of_a_paragraph_looks_like_a_list_of_its_own(page: Page) -> None:
    """As a sentence that is wrapped before its last number, or before a minus."""
    mark, fenced = re.compile(r" {0,3}(\d+[.)]|[-+*]) "), False
    for before, line in pairwise(page.path.read_text(encoding="utf-8").splitlines()):
        fenced ^= before.lstrip().startswith("```")
        inside = bool(before.strip()) and not before.startswith(("#", "|", "    ")) and not mark.match(before)
        assert fenced or not (inside and mark.match(line) and not before.startswith("  ")), line


def test_the_configuration_on_its_page_is_read(tmp_path: Path) -> None:
    (content,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "run.yaml").write_text(content)
    context = command_of("evaluate").make_context("evaluate", [CONFIG, str(tmp_path / "run.yaml")])
    found = {name: context.params[name] for name in ("frames", "methods", "attacks", "overrides", "limit")}
    settings = ["LIME.samples=500", "nes.epsilon=8/255"]
    assert list(found.values()) == [Path("index.csv"), ["LIME", "SHAP_adv"], ["nes", "pgd"], settings, 40]
    for text in settings:
        check_setting(text)


def test_the_readme_is_short() -> None:
    assert 500 <= len(read(ROOT / "README.md").prose.split()) <= 900


def test_the_readme_links_every_page() -> None:
    readme = read(ROOT / "README.md").prose
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "index.md"]
    assert [name for name in pages if f"(docs/{name})" not in readme] == []


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = python_blocks(ROOT / "README.md")
    assert len([line for line in block.splitlines() if line]) <= 10
    exec(compile(block, "README.md", "exec"), {})
    assert re.fullmatch(r"FaceSwap (flips|stands) with \d+% of the frame changed\n", capsys.readouterr().out)


def test_what_readers_are_to_write_themselves_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's detector, explainer, attack and metric, as a reader's own module."""
    module = ModuleType("my_module")
    for block in python_blocks(ROOT / "docs" / "bring-your-own.md"):
        exec(compile(block, "bring-your-own.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "my_module", module)
    assert xai.parse_method("my_module:edges_adv").fill == "adversarial"
    assert attacks.build_attack("my_module:Darker").rounds == 4
    assert [value.name for value in build_metric("my_module:Spread").about.values] == ["spread"]
    assert module.Mine.class_names[module.Mine.real] == "Real"
