"""Images in a folder, as files."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from common.errors import InputError
from common.files import sha256
from data.images import SUFFIXES, refuse_size
from data.keys import key_problem
from data.stores.lmdb_format import refuse_incomplete

_OF_SYSTEMS = {"@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN", "__MACOSX"}
"""Folders that storage, bins and archives put beside a user's own: thumbnails and what was deleted."""


class FolderImages:
    """The pictures under a folder; a key is a file's path relative to it, with forward slashes.

    Nothing outside the folder is read: links in it are followed only to places in it. The folder itself may be a link.
    Raises InputError where `root` is not a folder, or an LMDB store without its data.
    """

    def __init__(self, root: str | Path) -> None:
        self.path = Path(root).absolute()  # own code may change the working folder before it is read
        if not os.path.isdir(self.path):
            raise InputError(f"{self.path}: no such folder")
        refuse_incomplete(self.path)
        self._real = Path(os.path.realpath(self.path))

    def read(self, key: str) -> bytes:
        """The file's bytes. Raises InputError where it is missing, too large for a picture or cannot be read."""
        return self.head(key, -1)

    def head(self, key: str, size: int) -> bytes:
        """The first `size` bytes of the file, all where it is negative. Raises InputError as `read` does."""
        file = self._file(key)
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{key!r} in the folder {self.path} cannot be read (it is not a file)")
            refuse_size(status.st_size, f"{key} in {self.path}")
            with file.open("rb") as opened:
                return opened.read(size)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(f"{key!r} is not in the folder {self.path}") from error
        except OSError as error:
            raise InputError(f"{key!r} in the folder {self.path} cannot be read ({error.strerror})") from error

    def __contains__(self, key: object) -> bool:
        """Whether there is such a file."""
        if not isinstance(key, str) or key_problem(key) is not None:
            return False
        return os.path.isfile(self.path / key) and self._holds(self.path / key)

    def keys(self) -> list[str]:
        """Every picture under the folder (by its suffix), sorted; hidden files and folders of systems are left out."""
        keys = []
        for file in _files(self.path, ()):
            if file.suffix.lower() in SUFFIXES:
                key = file.relative_to(self.path).as_posix()
                problem = key_problem(key)
                if problem:
                    raise InputError(f"{self.path}: the file name {key!r} {problem}; rename it")
                self._file(key)
                keys.append(key)
        return sorted(keys)

    def stamp(self, key: str) -> str | None:
        """The SHA-256 of the file, in hexadecimal; None where it is missing."""
        return sha256(self._file(key)) if key in self else None

    def _file(self, key: str) -> Path:
        problem = key_problem(key)
        if problem:
            raise InputError(f"{key!r} cannot name an image in the folder {self.path}: it {problem}")
        if not self._holds(self.path / key):
            raise InputError(
                f"{key!r} is a link that leads out of the folder {self.path}, which is not followed; put the pictures "
                "themselves there, or name the folder that holds them"
            )
        return self.path / key

    def _holds(self, file: Path) -> bool:
        """Whether a path, its links followed, is in the folder; of one that does not exist, whether it would be."""
        return self._real in Path(os.path.realpath(file)).parents


def _files(folder: Path, ancestors: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Every visible file under `folder`; linked folders are followed, but not back to one of their ancestors."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in ancestors:
        return
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _OF_SYSTEMS]
    for entry in visible:
        if entry.is_dir():
            yield from _files(Path(entry.path), (*ancestors, here))
        elif entry.is_file():
            yield Path(entry.path)
