"""The landmarks of a tree of pictures, as DeepfakeBench keeps them: an NPY file a picture, in a folder beside."""

from collections.abc import Mapping, Sequence

import numpy as np

from common.console import count, warn
from data.entry import Entry
from data.indexing.picture_sizes import Size
from data.landmarks import misplaced
from data.npy_landmarks import npy_of, read_npy
from data.stores import FolderImages


def landmarks_of(
    folder: FolderImages, entries: Sequence[Entry], sizes: Mapping[str, Size]
) -> list[tuple[str, np.ndarray]]:
    """The key and landmarks (68 or 81, 2) of each picture that has a file of them, in its pixels.

    The file of `.../frames/000_003/0001.png` is `.../landmarks/000_003/0001.npy`. A warning says how many cannot be
    of their pictures (`data.landmarks.misplaced`) and are left out. Raises InputError for a file that holds none.
    """
    found, unfit = [], []
    for entry in entries:
        beside = npy_of(entry.key)
        if beside is None or beside not in folder:
            continue
        points = read_npy(folder.path / beside)
        problem = misplaced(points, sizes[entry.key])
        if problem:
            unfit.append(f"those in {beside} {problem}")
        else:
            found.append((entry.key, points))
    if unfit:
        warn(
            f"{count(len(unfit), 'file')} of landmarks left out, which cannot be those of their pictures; they may be "
            f"of the whole frames: {unfit[0]}"
        )
    return found
