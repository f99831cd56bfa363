"""The code of users' own detectors, explainers, attacks and metrics: which files hold it, and their SHA-256.

A run is bound to it, so that what was scored before an edit and after it is never mixed. Looked at are the modules of
the names on the command line (`package.module:Name`), those of the classes, their bases and the parts of the detector,
and what these import, wherever in the file, that is neither installed nor this project's. What they load under a name
that is not in their text, or read beside, is not.
"""

import ast
import importlib.machinery
import pkgutil
import sys
import sysconfig
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from common.errors import InputError
from common.files import sha256

_PROJECT = frozenset(
    (
        "analysis", "attacks", "attribution_model", "benchmarks", "common", "data", "detectors", "efficiency",
        "evaluate", "examination", "examine", "flipscope", "reporting", "robustness", "runs", "scoring", "visualize",
        "xai",
    )
)  # fmt: skip
_FAMILIES = frozenset({"captum", "cam", "saliency", "timm", "torchattacks", "malafide"})
"""What stands before the colon of names that are no user's own."""

_INSTALLED = tuple(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib"))


def own_code(
    names: Iterable[str], parts: Collection[object], begun: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The SHA-256 of every file of users' own code, by the module's name, in the order of names.

    Python reads a module once, when it is imported: what its file holds later, or bytecode of another text, is not what
    runs.

    Args:
        names: as on the command line; those that name a module that is imported count, also one that is installed.
        parts: instances or functions that a run uses; of the modules of their classes and bases those count that are
            neither installed nor this project's, whose versions a configuration has already.
        begun: what this gave before anything was imported.

    Raises:
        InputError: a file is another than it was `begun` with, or Python runs earlier bytecode of it.
    """
    pairs = [name.partition(":") for name in names]
    asked = {module for module, _, attribute in pairs if attribute and module not in _FAMILIES and _file(module)}
    classes = {base for part in parts for base in type(part).__mro__}
    used = {kind.__module__ for kind in classes} | {str(getattr(part, "__module__", "")) for part in parts}
    files = {module: _file(module) for module in asked | {module for module in used if _is_own(module)}}
    found = {module: file for module, file in files.items() if file is not None}
    waiting = list(found)
    for module in waiting:
        for imported in _imports(module, found[module]):
            if imported not in found and _is_own(imported) and (file := _file(imported)) is not None:
                found[imported] = file
                waiting.append(imported)
    hashes = {module: sha256(file) for module, file in sorted(found.items())}
    for module, digest in hashes.items():
        if begun.get(module, digest) != digest:
            raise InputError(f"{found[module]} changed while the run was prepared from it: give the same command again")
        if _is_stale(module, found[module]):
            cached = sys.modules[module].__cached__
            raise InputError(
                f"{found[module]} is not what Python runs: {cached} is of another text of the same time and size; "
                "remove that"
            )
    return hashes


def _imports(module: str, file: Path) -> set[str]:
    """What a module's text imports, in functions too; of `from a import b` both a and a.b, which may be a module."""
    if file.suffix != ".py":
        return set()
    package = module if file.stem == "__init__" else module.rpartition(".")[0]
    names = set[str]()
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):  # of one that is not imported yet: whoever imports it is told
        return set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            names.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
    return {".".join(name.split(".")[:end]) for name in names if name for end in range(1, name.count(".") + 2)}


def _is_stale(module: str, file: Path) -> bool:
    """Whether a module's bytecode is of another text, which Python tells by the file's time and size alone."""
    loader = getattr(sys.modules.get(module), "__loader__", None)
    if type(loader) is not importlib.machinery.SourceFileLoader:
        return False
    try:
        return loader.get_code(module) != loader.source_to_code(file.read_bytes(), str(file))
    except SyntaxError:  # of an edit since it was imported
        return False


def _is_own(module: str) -> bool:
    file = _file(module)
    if file is None or module.partition(".")[0] in _PROJECT:
        return False
    return not any(file.resolve().is_relative_to(folder) for folder in _INSTALLED)


def _file(module: str) -> Path | None:
    """Where a module is read from, imported or not yet; None for one without a file, as in a notebook."""
    path = getattr(sys.modules.get(module), "__file__", None) or _to_be_read(module)
    return Path(path) if path and Path(path).is_file() else None


def _to_be_read(module: str) -> str | None:
    """Where a module that is not imported would be read from; nothing is run, which finding a package's parts may."""
    package = module.rpartition(".")[0]
    folders = _folders(package) if package else None
    if module in sys.modules or (package and folders is None):
        return None
    finders = (pkgutil.get_importer(folder) for folder in (sys.path if folders is None else folders))
    specs = (finder.find_spec(module) for finder in finders if finder is not None)
    return next((spec.origin for spec in specs if spec is not None and spec.origin is not None), None)


def _folders(package: str) -> list[str] | None:
    """Where the parts of a package are, imported or not yet; None for what is no package."""
    if package in sys.modules:
        return getattr(sys.modules[package], "__path__", None)
    above, _, name = package.rpartition(".")
    paths = (Path(folder) / name for folder in (_folders(above) or () if above else sys.path))
    return [str(path) for path in paths if path.is_dir()] or None
