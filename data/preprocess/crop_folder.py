"""A folder of crops: what it was made with, which videos are finished, and whether their files are as they were.

A finished video's record, a JSON file, has the SHA-256 of each of its crops, masks and source pictures, that of the
recipe they were made with, and last its own: of all its other values, whatever the file's layout. So damage shows that
leaves every file in its place, and files that were exchanged; it is no protection from someone who writes new hashes.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import InputError
from common.files import atomic_write, read_json_object, require_plain, sha256, visible
from data.preprocess.crop_records import (
    BYSTANDERS,
    LATER,
    MASKS,
    SOURCES,
    Crop,
    PreprocessSettings,
    Record,
    crop_key,
    mask_key,
    source_key,
    sources_of,
)
from data.preprocess.layout import Clip

SETTINGS = "preprocess.json"
FINISHED = ".finished"
LATER_FIELDS = {
    "sourced": False,
    "landmarks": None,
    "bystander": False,
    "mask_sha256": None,
    "source_sha256": None,
    "label_from": None,
    "changed_faces": None,
    "unclear": 0,
}
"""What fields of records and crops are where a record does not name them."""
LEFTOVER = re.compile(r"\..+\.part")  # the name of a temporary file of common.files.atomic_write

_RECIPE, _CHECKSUM = "recipe", "sha256"


class EarlierRecordError(InputError):
    """A record of an earlier version, without checksums: whether its crops are as they were cannot be said."""


@dataclass(frozen=True)
class CropFolder:
    """A folder of crops: where things are in it, and which videos are finished.

    Attributes:
        path: of the folder.
        suffix: the crops' ending.
        recipe: the SHA-256 of the settings that its crops are made with, in hexadecimal.
    """

    path: Path
    suffix: str
    recipe: str = ""

    def finished(self, clip: Clip) -> Record | None:
        """The record of a clip that is finished; None where it is not, or where its videos are others now.

        Every crop, mask and source picture of it is read. Raises InputError, naming the file, where one is not as it
        was written, or the record is not, or is another video's or of another recipe; EarlierRecordError where it has
        no checksums.
        """
        file = self._record(clip.key)
        if not file.is_file():
            return None
        record = self._read(file)
        if record.key != clip.key:
            raise InputError(f"{file} is a copy of the record of {record.key}")
        if record.sources != sources_of(clip):
            return None
        for picture, written in self._pictures(record):
            _require_same(picture, written)
        return record

    def finish(self, record: Record) -> None:
        """Records a video whose crops are all written."""
        values = dataclasses.asdict(record, dict_factory=_filled) | {_RECIPE: self.recipe}
        with atomic_write(self._record(record.key)) as file:
            json.dump(values | {_CHECKSUM: _digest(values)}, file)

    def store(self, video: str, crop: Crop, picture: bytes, mask: bytes | None, source: bytes | None) -> Crop:
        """Writes the files of a crop, and returns it with their hashes.

        Args:
            video: the video's key.
            crop: which one it is.
            picture: the encoded crop.
            mask: its encoded mask; None where it has none.
            source: its encoded source picture; None where it has none.
        """
        return replace(
            crop,
            sha256=self._save(crop_key(video, crop, self.suffix), picture),
            mask_sha256=None if mask is None else self._save(mask_key(video, crop), mask),
            source_sha256=None if source is None else self._save(source_key(video, crop, self.suffix), source),
        )

    def clear(self, clip: Clip) -> None:
        """Removes a clip's record and what there is of its pictures, such as what an interrupted run left."""
        self._record(clip.key).unlink(missing_ok=True)
        for part in ("", MASKS, SOURCES, BYSTANDERS):
            folder = self.path / part / clip.key
            if folder.exists():
                shutil.rmtree(folder)

    def _save(self, key: str, data: bytes) -> str:
        with atomic_write(self.path / key, "wb") as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    def _read(self, file: Path) -> Record:
        try:
            values = read_json_object(file)
            stated = values.pop(_CHECKSUM, None)
            fits = stated == _digest(values)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file} is damaged ({error})") from error
        if stated is None:
            raise EarlierRecordError(f"{file} has no checksum: it is damaged, or of an earlier version")
        if not fits:
            raise InputError(f"{file} is damaged: its checksum does not fit")
        if values.pop(_RECIPE, None) != self.recipe:
            raise InputError(f"{file} was made with other options than {self.path / SETTINGS} holds")
        return _record(file, values)

    def _record(self, key: str) -> Path:
        return self.path / FINISHED / PurePosixPath(f"{key}.json")

    def _pictures(self, record: Record) -> Iterator[tuple[Path, str | None]]:
        """The files of a video's crops, and the hash of each."""
        for crop in record.crops:
            yield self.path / crop_key(record.key, crop, self.suffix), crop.sha256
            if crop.masked:
                yield self.path / mask_key(record.key, crop), crop.mask_sha256
            if crop.sourced:
                yield self.path / source_key(record.key, crop, self.suffix), crop.source_sha256


def open_folder(path: Path, recipe: PreprocessSettings) -> CropFolder:
    """A new folder of crops, or an older one made with the same recipe, rid of what an interrupted run left.

    Raises InputError where it was made with another recipe (and says which option differs), or holds something
    else.
    """
    settings = recipe.settings()
    if (path / SETTINGS).is_file():
        _compare(path, _load(path / SETTINGS), settings)
    elif (path / FINISHED).is_dir():
        raise InputError(
            f"{path}: has finished videos, but its {SETTINGS}, which says how they were made, is gone: put it back, or "
            "name another --out"
        )
    elif path.exists() and (not path.is_dir() or any(visible(path))):
        raise InputError(f"{path}: there is something else here; name an empty or new folder with --out")
    else:
        with atomic_write(path / SETTINGS) as file:
            json.dump(settings, file, indent=2)
    for leftover in [*path.iterdir(), *(path / FINISHED).rglob("*")]:
        if LEFTOVER.fullmatch(leftover.name):
            leftover.unlink()
    return CropFolder(path, recipe.file_format.suffix, _digest(settings))


def _compare(path: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    for name in dict.fromkeys([*asked, *stored]):
        before, now = (options.get(name, LATER.get(name)) for options in (stored, asked))
        if before != now and name == "version":
            raise InputError(
                f"{path}: was made by another version of flipscope, whose crops of some videos differ; "
                "name another --out"
            )
        if before != now:
            raise InputError(
                f"{path}: was made with {name} {before}, now asked for {now}; "
                "use the options it was made with, or another --out"
            )


def _load(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); remove it, or start again with another --out") from error


def _digest(values: dict[str, Any]) -> str:
    """The SHA-256, in hexadecimal, of what a JSON object holds, whatever its layout."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _require_same(file: Path, written: str | None) -> None:
    """Raises InputError where a file is gone, cannot be read, or is not the one that was written."""
    try:
        require_plain(file)
        found = sha256(file)
    except FileNotFoundError as error:
        raise InputError(f"{file} is gone") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})") from error
    if found != written:
        raise InputError(f"{file} is not as it was written: its SHA-256 does not fit")


def _record(path: Path, values: dict[str, Any]) -> Record:
    try:
        crops = tuple(_crop(crop) for crop in values["crops"])
        sources = tuple(values["sources"])
        return Record(**{**values, "crops": crops, "sources": sources, "remarks": tuple(values["remarks"])})
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: it is no record of a video") from error


def _crop(values: dict[str, Any]) -> Crop:
    landmarks = values.get("landmarks")
    return Crop(**{**values, "landmarks": landmarks and tuple((x, y) for x, y in landmarks)})


def _filled(values: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a record or crop, without those that came later and are not filled."""
    return {name: value for name, value in values if name not in LATER_FIELDS or value != LATER_FIELDS[name]}
