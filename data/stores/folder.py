"""Images in a folder, as files."""

import os
from collections.abc import Iterator
from pathlib import Path

from common.errors import InputError
from data.images import SUFFIXES
from data.index import key_problem
from data.stores.base import TAIL, stamp_of


class FolderImages:
    """The pictures under a folder; a key is a file's path relative to it, with forward slashes.

    Raises InputError where `root` is not a folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.path = Path(root)
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such folder")

    def read(self, key: str) -> bytes:
        """The file's bytes. Raises InputError where it is missing or cannot be read."""
        try:
            return self._file(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(f"{key!r} is not in the folder {self.path}") from error
        except OSError as error:
            raise InputError(f"{key!r} in the folder {self.path} cannot be read ({error.strerror})") from error

    def __contains__(self, key: object) -> bool:
        """Whether there is such a file."""
        return isinstance(key, str) and key_problem(key) is None and (self.path / key).is_file()

    def keys(self) -> list[str]:
        """Every picture under the folder (by its suffix), sorted; hidden files and folders are left out."""
        found = []
        for file in _files(self.path, ()):
            if file.suffix.lower() in SUFFIXES:
                key = file.relative_to(self.path).as_posix()
                problem = key_problem(key)
                if problem:
                    raise InputError(f"{self.path}: the file name {key!r} {problem}; rename it")
                found.append(key)
        return sorted(found)

    def stamp(self, key: str) -> str | None:
        """The file's size and last bytes; None where it is missing."""
        if key not in self:
            return None
        with self._file(key).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            return stamp_of(size, file.read(TAIL))

    def _file(self, key: str) -> Path:
        problem = key_problem(key)
        if problem:
            raise InputError(f"{key!r} cannot name an image in the folder {self.path}: it {problem}")
        return self.path / key


def _files(folder: Path, ancestors: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Every visible file under `folder`; linked folders are followed, but not back to one of their ancestors."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in ancestors:
        return
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in visible:
        if entry.is_dir():
            yield from _files(Path(entry.path), (*ancestors, here))
        elif entry.is_file():
            yield Path(entry.path)
