"""Landmarks as DeepfakeBench keeps them (Yan et al., NeurIPS 2023): an NPY file a picture, in a parallel folder.

The landmarks of `frames/000_003/012.png` are in `landmarks/000_003/012.npy`, in the pixels of that picture.
"""

from pathlib import Path, PurePosixPath
from tokenize import TokenError

import numpy as np

from common.errors import InputError
from common.files import visible

FRAMES, FOLDER = "frames", "landmarks"
SHAPES = ((68, 2), (81, 2))


def npy_of(key: str) -> str | None:
    """The path of the file with a picture's landmarks, or None for a picture that is in no folder "frames"."""
    path = PurePosixPath(key)
    if FRAMES not in path.parts[:-1]:
        return None
    *folders, name = path.with_suffix(".npy").parts
    return "/".join([*(FOLDER if folder == FRAMES else folder for folder in folders), name])


def read_npy(path: Path) -> np.ndarray:
    """The landmarks (68, 2) or (81, 2) float64 in an NPY file. Raises InputError for anything else."""
    try:
        stored = np.lib.format.open_memmap(path, mode="r")  # unpickles nothing, reads no more than the file holds
    except (ValueError, EOFError, SyntaxError, TokenError, OverflowError) as error:
        raise InputError(f"{path}: not readable as landmarks ({error})") from error
    if stored.dtype.kind not in "fiu" or stored.shape not in SHAPES:
        raise InputError(f"{path}: {stored.dtype} of shape {stored.shape}, expected landmarks (68, 2) or (81, 2)")
    points = np.array(stored, dtype=float)
    if not np.isfinite(points).all():
        raise InputError(f"{path}: landmarks that are not finite numbers")
    return points


def read_npy_files(folder: Path) -> dict[str, np.ndarray]:
    """The landmarks of every NPY file below a folder, by the whole path of its picture, without a suffix.

    Raises InputError where there are none, or one holds no landmarks.
    """
    files = sorted(visible(folder, "**/*.npy"))
    if not files:
        raise InputError(f"{folder}: no NPY files in this folder; expected such as {FOLDER}/000_003/012.npy")
    points = {}
    for file in files:
        parts = file.resolve().with_suffix("").parts
        points[str(PurePosixPath(*(FRAMES if part == FOLDER else part for part in parts)))] = read_npy(file)
    return points
