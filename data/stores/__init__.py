"""Where the bytes of images come from: folders and LMDB stores."""

from data.stores.base import ImageSource
from data.stores.folder_images import FolderImages
from data.stores.lmdb_reader import LmdbImages
from data.stores.lmdb_writer import LmdbWriter, Written
from data.stores.opening import open_images
from data.stores.unchanged_images import UnchangedImages

__all__ = ["FolderImages", "ImageSource", "LmdbImages", "LmdbWriter", "UnchangedImages", "Written", "open_images"]
