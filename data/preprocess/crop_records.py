"""What was done: the settings a folder of crops was made with, and a record of every finished video."""

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import InputError
from common.files import atomic_write, read_json_object
from data.preprocess.crops import CropFormat
from data.preprocess.face_detection import detector_identity
from data.preprocess.landmarking import landmarks_identity
from data.preprocess.layout import Clip
from data.preprocess.splits import TimeSplit

VERSION = 2  # of what the same settings make; raised when crops or masks change
SETTINGS = "preprocess.json"
FINISHED = ".finished"
MASKS = "masks"
SOURCES = "sources"
BYSTANDERS = "bystanders"
FIVE_POINT = "five-point"
LATER = {"sources": False, "align": "box", "landmarks": None, "bystanders": "leave-out"}
"""What folders were made with that do not name these."""
LATER_FIELDS = {
    "sourced": False,
    "landmarks": None,
    "bystander": False,
    "label_from": None,
    "changed_faces": None,
    "unclear": 0,
}
"""What fields of records and crops are where a record does not name them."""
LEFTOVER = re.compile(r"\..+\.part")  # the name of a temporary file of common.files.atomic_write


@dataclass(frozen=True)
class PreprocessSettings:
    """Everything that decides what is made of one video.

    Attributes:
        frames_per_video: how many frames to choose, evenly spread; 0 for all.
        face_detector: a name that `faces.face_detector` takes.
        margin: the crop's side in sizes of the face.
        size: crops larger than this many pixels are reduced to it; 0 keeps their own size.
        file_format: how crops are stored.
        several: what becomes of a video with several faces: "main" keeps the main one, "track" all, "skip" none. In a
            manipulated video only the faces that the change lies on count, where that is known.
        by_time: the split by time, or None.
        sources: whether the same square of a manipulated clip's original is stored, too.
        align: "box" crops a square around the face's box; FIVE_POINT aligns a face whose landmarks are known.
        landmarks: a file of landmarks, or of a dlib predictor, or None.
        bystanders: what becomes of the untouched faces in a manipulated video: "leave-out", or "real" to crop them as
            real ones.
    """

    frames_per_video: int = 32
    face_detector: str = "haar"
    margin: float = 1.3
    size: int = 512
    file_format: CropFormat = field(default_factory=CropFormat)
    several: str = "main"
    by_time: TimeSplit | None = None
    sources: bool = False
    align: str = "box"
    landmarks: Path | None = None
    bystanders: str = "leave-out"

    def settings(self) -> dict[str, Any]:
        """The recipe as JSON values, by the names of the command's options.

        Options that came later are left out at their defaults: so they are in folders made before them.
        """
        later = {
            "sources": self.sources,
            "align": self.align,
            "landmarks": landmarks_identity(self.landmarks) if self.landmarks else None,
            "bystanders": self.bystanders,
        }
        return {
            "version": VERSION,
            "frames-per-video": self.frames_per_video,
            "face-detector": detector_identity(self.face_detector),
            "margin": self.margin,
            "size": self.size,
            "format": str(self.file_format),
            "several": self.several,
            "split-by-time": self.by_time is not None,
            "train-share": self.by_time.train if self.by_time else None,
            "test-share": self.by_time.test if self.by_time else None,
        } | {name: value for name, value in later.items() if value != LATER[name]}


@dataclass(frozen=True)
class Crop:
    """One stored crop: frame `position` of its video, `face` number in it (0 is the main one), and what goes with it.

    Attributes:
        masked: whether it has a mask.
        sourced: whether it has a source picture.
        landmarks: (x, y) of its face in the crop's pixels, or None where unknown.
        bystander: whether it shows an untouched face of a manipulated video, and so is real.
    """

    position: int
    face: int
    masked: bool
    sourced: bool = False
    landmarks: tuple[tuple[float, float], ...] | None = None
    bystander: bool = False


@dataclass(frozen=True)
class Record:
    """What became of one video.

    Attributes:
        key: the video's key.
        sources: the sizes in bytes of the video, its original and its mask video (None where absent).
        frames: how many frames of the video are shown, up to its first damage.
        chosen: how many of them were searched for faces.
        faceless: how many of those have no crop because no face of the kept tracks is in them.
        filled: how many crops have a box put between its neighbours, because the detector missed the face.
        crowded: how many of the chosen frames show more than one face.
        faces: how many faces the video has (tracks over time).
        in_gap: how many frames with a crop to make fell into the gap of a split by time.
        crops: those stored.
        mask_source: "video", "difference", or None.
        mask_share: the masks' mean share of their crops, or None.
        label_from: of a manipulated video with several faces, what its label was given by: "change" where it went to
            the faces that the change lies on, "clip" where nothing says which they are; None for other videos.
        changed_faces: how many of the faces the change lies on; None where that was not looked at, or cannot be said.
        unclear: how many faces in single frames have no crop, as their track and that frame disagree on whether the
            change lies on them.
        remarks: lines about what could not be had (a mask, a frame).
        problem: why the video failed, wholly or from some frame on, or None.
    """

    key: str
    sources: tuple[int | None, int | None, int | None]
    frames: int = 0
    chosen: int = 0
    faceless: int = 0
    filled: int = 0
    crowded: int = 0
    faces: int = 0
    in_gap: int = 0
    crops: tuple[Crop, ...] = ()
    mask_source: str | None = None
    mask_share: float | None = None
    label_from: str | None = None
    changed_faces: int | None = None
    unclear: int = 0
    remarks: tuple[str, ...] = ()
    problem: str | None = None


def crop_key(video: str, crop: Crop, suffix: str) -> str:
    """A crop's key as published: the video's path, the frame's number in five digits, `_`, the face's number.

    A bystander's is that below `bystanders`: it is of another person than the video's label is about.
    """
    folder = f"{BYSTANDERS}/{video}" if crop.bystander else video
    return f"{folder}/{crop.position:05d}_{crop.face}{suffix}"


def mask_key(video: str, crop: Crop) -> str:
    """The key of a crop's mask: the crop's own below `masks`, always PNG."""
    return f"{MASKS}/{crop_key(video, crop, '.png')}"


def source_key(video: str, crop: Crop, suffix: str) -> str:
    """The key of a crop's source picture: the crop's own below `sources`."""
    return f"{SOURCES}/{crop_key(video, crop, suffix)}"


def sources_of(clip: Clip) -> tuple[int | None, int | None, int | None]:
    """The sizes in bytes of a clip's files; a file that was replaced by a whole one is seen by its size."""
    video, original, mask = (
        path.stat().st_size if path is not None and path.is_file() else None
        for path in (clip.path, clip.original, clip.mask)
    )
    return video, original, mask


@dataclass(frozen=True)
class CropFolder:
    """A folder of crops: where things are in it, and which videos are finished. `suffix` is the crops' ending."""

    path: Path
    suffix: str

    def finished(self, clip: Clip) -> Record | None:
        """The record of a clip whose files are all as they were and whose crops are all there, or None."""
        file = self._record(clip.key)
        if not file.is_file():
            return None
        record = _record(file)
        if record.sources != sources_of(clip):
            return None
        if clip.fake and record.faces > 1 and record.crops and record.label_from is None:
            return None  # of a version that gave the label to the main face, whichever was changed
        return record if all(picture.is_file() for picture in self._pictures(record)) else None

    def finish(self, record: Record) -> None:
        """Records a video whose crops are all written."""
        with atomic_write(self._record(record.key)) as file:
            json.dump(dataclasses.asdict(record, dict_factory=_filled), file)

    def save(self, key: str, data: bytes) -> None:
        """Writes the file of a crop, mask or source picture."""
        with atomic_write(self.path / key, "wb") as file:
            file.write(data)

    def clear(self, clip: Clip) -> None:
        """Removes what there is of a clip's pictures, such as what an interrupted run left."""
        for part in ("", MASKS, SOURCES, BYSTANDERS):
            folder = self.path / part / clip.key
            if folder.exists():
                shutil.rmtree(folder)

    def _record(self, key: str) -> Path:
        return self.path / FINISHED / PurePosixPath(f"{key}.json")

    def _pictures(self, record: Record) -> Iterator[Path]:
        for crop in record.crops:
            yield self.path / crop_key(record.key, crop, self.suffix)
            if crop.masked:
                yield self.path / mask_key(record.key, crop)
            if crop.sourced:
                yield self.path / source_key(record.key, crop, self.suffix)


def open_folder(path: Path, recipe: PreprocessSettings) -> CropFolder:
    """A new folder of crops, or an older one made with the same recipe, rid of what an interrupted run left.

    Raises InputError where it was made with another recipe (and says which option differs), or holds something
    else.
    """
    settings = recipe.settings()
    if (path / SETTINGS).is_file():
        _compare(path, _load(path / SETTINGS), settings)
    elif path.exists() and (not path.is_dir() or any(not LEFTOVER.fullmatch(file.name) for file in path.iterdir())):
        raise InputError(f"{path}: there is something else here; name an empty or new folder with --out")
    else:
        with atomic_write(path / SETTINGS) as file:
            json.dump(settings, file, indent=2)
    for leftover in [*path.iterdir(), *(path / FINISHED).rglob("*")]:
        if LEFTOVER.fullmatch(leftover.name):
            leftover.unlink()
    return CropFolder(path, recipe.file_format.suffix)


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


def _record(path: Path) -> Record:
    values = _load(path)
    try:
        crops = tuple(_crop(crop) for crop in values["crops"])
        sources = tuple(values["sources"])
        return Record(**{**values, "crops": crops, "sources": sources, "remarks": tuple(values["remarks"])})
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged; remove it, or start again with another --out") from error


def _crop(values: dict[str, Any]) -> Crop:
    landmarks = values.get("landmarks")
    return Crop(**{**values, "landmarks": landmarks and tuple((x, y) for x, y in landmarks)})


def _filled(values: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a record or crop, without those that came later and are not filled."""
    return {name: value for name, value in values if name not in LATER_FIELDS or value != LATER_FIELDS[name]}
