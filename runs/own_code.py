"""The code of users' own detectors, explainers, attacks and metrics: which files hold it, and their SHA-256.

A run is bound to it, so that what was scored before an edit and after it is never mixed. Looked at are the modules of
the names on the command line (`package.module:Name`), and those of the classes, their bases and the parts of the
detector. What these import beside is not.
"""

import sys
import sysconfig
from collections.abc import Collection, Iterable
from pathlib import Path

from common.files import sha256

_PROJECT = frozenset(
    (
        "analysis", "attacks", "attribution_model", "benchmarks", "common", "data", "detectors", "reporting",
        "robustness", "runs", "scoring", "xai",
    )
)  # fmt: skip
_FAMILIES = frozenset({"captum", "cam", "saliency", "timm", "torchattacks", "malafide"})
"""What stands before the colon of names that are no user's own."""

_INSTALLED = tuple(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib"))


def own_code(names: Iterable[str], parts: Collection[object]) -> dict[str, str]:
    """The SHA-256 of every file of users' own code, by the module's name, in the order of names.

    Args:
        names: as on the command line; those that name a module that is imported count, also one that is installed.
        parts: instances or functions that a run uses; of the modules of their classes and bases those count that are
            neither installed nor this project's, whose versions a configuration has already.
    """
    pairs = [name.partition(":") for name in names]
    asked = {module for module, _, attribute in pairs if attribute and module not in _FAMILIES and _file(module)}
    classes = {base for part in parts for base in type(part).__mro__}
    used = {kind.__module__ for kind in classes} | {str(getattr(part, "__module__", "")) for part in parts}
    files = {module: _file(module) for module in asked | {module for module in used if _is_own(module)}}
    return {module: sha256(file) for module, file in sorted(files.items()) if file is not None}


def _is_own(module: str) -> bool:
    file = _file(module)
    if file is None or module.partition(".")[0] in _PROJECT:
        return False
    return not any(file.resolve().is_relative_to(folder) for folder in _INSTALLED)


def _file(module: str) -> Path | None:
    """Where a module that is imported was read from; None for one without a file, as in a notebook."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return Path(path) if path and Path(path).is_file() else None
