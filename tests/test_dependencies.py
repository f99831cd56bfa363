"""pyproject.toml, constraints.txt and environment.yml name the same versions."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([A-Za-z0-9_.+]+)$")


def pins(requirements: list[str]) -> dict[str, str]:
    """Normalised name -> version; every requirement must be an exact pin."""
    found = {}
    for requirement in requirements:
        match = PIN.match(requirement.partition(";")[0])
        assert match, f"{requirement!r} is not an exact pin"
        found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return found


def declared() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return pins(project["dependencies"] + project["optional-dependencies"]["dev"])


def constrained() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


def test_constraints_pin_every_declared_dependency_alike() -> None:
    assert declared().items() <= constrained().items()


def test_conda_environment_installs_the_declared_dependencies() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip[0] == "--constraint constraints.txt"
    assert pins(pip[1:]) == declared()


def test_conda_environment_has_a_python_that_the_project_supports() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert "python=3.11" in environment["dependencies"]


def test_no_download_address_is_named() -> None:
    for name in ("pyproject.toml", "constraints.txt", "environment.yml"):
        assert not re.search(r"https?://|@ file|--index-url", (ROOT / name).read_text()), name
