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

    The file of `.../frames/000_003/0001.png` is `.../landmarks/000_003/0001.npy`. A warning says how many lie outside
    of their pictures and are left out. Raises InputError for a file that holds no landmarks.
    """
    found, outside = [], []
    for entry in entries:
        beside = npy_of(entry.key)
        if beside is None or beside not in folder:
            continue
        points = read_npy(folder.path / beside)
        if misplaced(points, sizes[entry.key]):
            outside.append(beside)
        else:
            found.append((entry.key, points))
    if outside:
        warn(
            f"{count(len(outside), 'file')} of landmarks left out, which lie outside of their pictures, such as "
            f"{outside[0]}: they are of other pictures, perhaps of the whole frames"
        )
    return found
