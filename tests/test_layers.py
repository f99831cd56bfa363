"""The layers contract in pyproject.toml holds, and breaks where an import runs upwards or sideways."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES = SETTINGS["root_packages"]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages' code and the contract."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.safetensors", "*.pyc"))
    return tmp_path


def test_the_layers_hold_and_an_import_against_them_is_found(copy: Path) -> None:
    assert lint_imports(copy).returncode == 0
    for module, imported in (
        ("scoring/frame.py", "runs.selection"),
        ("robustness/deep_image_prior.py", "reporting.words"),
    ):
        path = copy / module
        before = path.read_text()
        path.write_text(f"{before}\nimport {imported}\n")
        found = lint_imports(copy)
        assert found.returncode == 1
        assert imported in found.stdout
        path.write_text(before)


def test_every_package_has_its_layer() -> None:
    (contract,) = SETTINGS["contracts"]
    layers = [package.strip() for layer in contract["layers"] for package in layer.split("|")]
    assert sorted(layers) == sorted(PACKAGES)
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert folders == set(PACKAGES)


def test_no_folder_holds_more_than_a_quarter_of_the_code() -> None:
    lines = {
        package: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / package).rglob("*.py"))
        for package in PACKAGES
    }
    assert max(lines.values()) <= sum(lines.values()) / 4, lines
