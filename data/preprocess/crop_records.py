"""What was done: the settings that crops are made with, and what became of every video."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.preprocess.crops import CropFormat
from data.preprocess.face_detection import detector_identity
from data.preprocess.landmarking import landmarks_identity
from data.preprocess.layout import Clip
from data.preprocess.splits import TimeSplit

VERSION = 2  # of what the same settings make; raised when crops or masks change
MASKS = "masks"
SOURCES = "sources"
BYSTANDERS = "bystanders"
FIVE_POINT = "five-point"
LATER = {"sources": False, "align": "box", "landmarks": None, "bystanders": "leave-out"}
"""What folders were made with that do not name these."""


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
        sha256: of its file, in hexadecimal, once that is written.
        mask_sha256: of its mask's file; None where it has none.
        source_sha256: of its source picture's file; None where it has none.
    """

    position: int
    face: int
    masked: bool
    sourced: bool = False
    landmarks: tuple[tuple[float, float], ...] | None = None
    bystander: bool = False
    sha256: str | None = None
    mask_sha256: str | None = None
    source_sha256: str | None = None


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
