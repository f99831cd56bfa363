"""What a run and its files are called."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from common.errors import InputError
from common.files import safe_name
from runs.run_options import EvaluationOptions
from scoring.protocol import EVERY
from xai.methods import title

LONGEST_NAME = 160
"""Characters of the methods' names in the names of a run's files, which have their kind and ending beside."""


def run_name(given: str | None, options: EvaluationOptions) -> str:
    """The name of the run's folder: as given, or by default after the frames and methods.

    Raises InputError for a name that is not a plain folder's.
    """
    if given is not None:
        return folder_name(given)
    name = files_name(options.every_method)
    base = "demo" if options.frames is None else "evaluation"
    return base if name == EVERY else f"{base}-{name}"


def folder_name(given: str) -> str:
    """The name of a run's folder. Raises InputError for one that is not a plain folder's."""
    if given in ("", ".", "..") or Path(given).name != given:
        raise InputError(f"--run {given!r} is not the name of a folder; --results says where the folders are")
    return given


def files_name(names: Sequence[str]) -> str:
    """What the files of a run are named after: "All", or the titles of the methods joined by "+"."""
    return EVERY if EVERY in names else results_name([title(name) for name in dict.fromkeys(names)])


def results_name(methods: Sequence[str]) -> str:
    """What the files of a run of these methods are named after: the names joined by "+", safe in a file name.

    Of many names, the first and a hash of all of them: a file's name has room for 255 bytes.
    """
    name = safe_name("+".join(methods))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
