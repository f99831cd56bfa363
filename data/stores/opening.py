"""Opening whatever a user names as a source of images."""

import os
from pathlib import Path

from common.errors import InputError
from data.stores.base import ImageSource
from data.stores.folder_images import FolderImages
from data.stores.lmdb_format import is_store
from data.stores.lmdb_reader import LmdbImages


def open_images(path: str | Path) -> ImageSource:
    """The images at `path`: an LMDB file, a folder made by LMDB (with a data.mdb), or a folder of pictures.

    Raises InputError where there is nothing, a file that is not an LMDB store, or one without its data.
    """
    path = Path(path)
    if not os.path.exists(path):
        locked = (
            "; there is only its lock file, so copy the store itself, too" if os.path.exists(f"{path}-lock") else ""
        )
        raise InputError(f"{path}: no such image store or folder{locked}")
    return LmdbImages(path) if is_store(path) else FolderImages(path)
