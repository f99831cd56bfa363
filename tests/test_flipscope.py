"""`flipscope COMMAND`: hands on to every command, from any folder, and the package holds all that it needs."""

import fnmatch
import importlib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import flipscope
from common import console

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_INSTALLED = {"benchmarks", "docs", "examples", "findings", "tests", "results", "build"}


def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """The exit status of `flipscope` with these words, and what it prints."""
    monkeypatch.setattr(sys, "argv", ["flipscope", *words])
    monkeypatch.setattr(sys, "path", [*sys.path])
    code: Any = 0
    try:
        flipscope.main()
    except SystemExit as end:
        code = end.code
    printed = capfd.readouterr()
    return int(code or 0), printed.out, printed.err


def test_help_has_a_line_for_each_command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ((), ("--help",), ("-h",)):
        code, out, err = run(capfd, monkeypatch, *words)
        assert (code, err) == (0, "")
        for name, (_, does) in flipscope.COMMANDS.items():
            assert [line for line in out.splitlines() if line.split() == [name, *does.split()]], name


def test_an_unknown_command_is_one_line_and_status_2(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capfd, monkeypatch, "evalute", "--limit", "3")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown command 'evalute' (did you mean evaluate?); known: evaluate, ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", flipscope.COMMANDS)
def test_every_command_is_there_and_called_by_its_name(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capfd, monkeypatch, name, "--help")
    assert code == 0
    assert out.startswith(f"Usage: flipscope {name} ")
    code, _, err = run(capfd, monkeypatch, name, "--no-such-option")
    assert code == 2
    assert err.startswith("error: No such option: --no-such-option")


def test_arguments_are_handed_on_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, list[str], str]] = []
    monkeypatch.setattr(console, "run", lambda app, words, name: seen.append((app, words, name)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for words in (
        ["examine", "--", "-a b.png"],
        ["evaluate", "compare", "a", "b", "--seed", "1"],
        ["evaluate", "--ray"],
    ):
        monkeypatch.setattr(sys, "argv", ["flipscope", *words])
        flipscope.main()
        assert sys.path[-1] == str(Path.cwd())  # for a user's own package.module:Name
    examine, evaluate = (importlib.import_module(name).app for name in ("examine", "evaluate"))
    assert seen == [
        (examine, ["--", "-a b.png"], "flipscope examine"),
        (evaluate, ["compare", "a", "b", "--seed", "1"], "flipscope evaluate"),
        (evaluate, ["--ray", "local"], "flipscope evaluate"),
    ]


def installed(path: str) -> bool:
    """Whether pyproject.toml puts a file of the checkout into the package."""
    settings = PROJECT["tool"]["setuptools"]
    folder, _, name = path.rpartition("/")
    if not folder:
        return name.removesuffix(".py") in settings["py-modules"]
    package = folder.replace("/", ".")
    if name.endswith(".py"):
        return any(fnmatch.fnmatch(package, pattern) for pattern in settings["packages"]["find"]["include"])
    return any(
        package == owner or package.startswith(f"{owner}.")
        for owner, patterns in settings["package-data"].items()
        for pattern in patterns
        if fnmatch.fnmatch(path.removeprefix(owner.replace(".", "/") + "/"), pattern)
    )


def test_nothing_that_a_command_needs_is_left_out_of_the_package() -> None:
    files = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() and not _hidden(path)]
    needed = [str(path) for path in files if path.parts[0] not in NOT_INSTALLED and _belongs(path)]
    assert len(needed) > 300
    assert [path for path in needed if not installed(path)] == []
    assert "flipscope:main" in PROJECT["project"]["scripts"]["flipscope"]


def _hidden(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info") for part in parts)


def _belongs(path: Path) -> bool:
    """Whether a file is code, or lies in a folder of code."""
    return path.suffix == ".py" or (len(path.parts) > 1 and (ROOT / path.parts[0] / "__init__.py").is_file())


def test_a_wheel_works_from_another_folder(tmp_path: Path) -> None:
    """Built from a copy of the checkout and unpacked: it finds its own files, and none of the checkout's."""
    pytest.importorskip("setuptools", minversion="77")
    source, folder, elsewhere = tmp_path / "source", tmp_path / "installed", tmp_path / "elsewhere"
    for path in ROOT.rglob("*"):
        own = path.relative_to(ROOT)
        if path.is_file() and not _hidden(path) and own.parts[0] not in NOT_INSTALLED:
            (source / own).parent.mkdir(parents=True, exist_ok=True)
            (source / own).symlink_to(path)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (points,) = folder.glob("*.dist-info/entry_points.txt")
    assert "flipscope = flipscope:main" in points.read_text()
    elsewhere.mkdir()
    program = f"""
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path.insert(0, {str(folder)!r})
import flipscope
flipscope.main()
"""
    words = [
        "visualize",
        "--method",
        "captum:Saliency",
        "--adversarial-mask",
        "No",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    command = [sys.executable, "-I", "-c", program, *words, "--out", "face.png"]
    done = subprocess.run(command, cwd=elsewhere, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Picture: face.png" in done.stdout
    assert [path.name for path in elsewhere.iterdir()] == ["face.png"]
