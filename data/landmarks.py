"""Landmarks of faces: reading and writing them, the five that alignment uses, and a stand-in where there are none.

68 points are in the order of iBUG 300-W (Sagonas et al., 2013), as dlib uses them; 81 are those and 13 on the forehead;
5 are the centres of the eye at the left of the picture and of the other, the tip of the nose, and the corners of the
mouth, left and right. A pixel's centre has whole coordinates.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from skimage.transform import SimilarityTransform

from common.csv_files import as_read, save_rows
from common.errors import InputError
from common.files import parse_json, read_text, sha256
from data.images import SUFFIXES
from data.mean_face import mean_face
from data.npy_landmarks import FOLDER, read_npy_files

__all__ = [
    "COUNTS",
    "Landmarks",
    "five_points",
    "landmarks_for",
    "mean_face",
    "misplaced",
    "read_landmarks",
    "refuse_packed",
    "stands",
    "write_landmarks",
]

COUNTS = (5, 68, 81)
PACKED = {b"BZh": "bunzip2", b"\x1f\x8b": "gunzip", b"\xfd7zXZ": "unxz", b"PK\x03\x04": "unzip"}
"""By the first bytes of a packed file, what unpacks it."""
NOSE_TIP, LEFT_EYE, RIGHT_EYE, MOUTH_CORNERS = 30, slice(36, 42), slice(42, 48), (48, 54)
SHOWN = "relative_path,x0,y0,x1,y1,..."
REACH = 0.5
"""How far outside of its picture a landmark may be, in longer sides of the picture.

A crop of 1.3 face boxes holds nearly all landmarks. With boxes that are a tenth off, a fifth too small and tilted by
35 degrees, landmarks of a mean face reach 0.15 of the side beyond it, of a crop as large as the box 0.36.
"""
OUTSIDE = 0.5
"""What part of the landmarks may be outside of the picture; in those tight crops at most 0.35 of them are."""
FEWEST = 2
"""How far eyes and mouth lie apart at least, in pixels; in parts of the picture (mediapipe's) they do by below 1."""


class Landmarks(Mapping[str, np.ndarray]):
    """The landmarks that a file gives, (n, 2) float64 (x, y) in pixels, by the key of their picture.

    A picture is found by its key as the file writes it. Where that fails it is found by the ends of the paths, without
    their suffix, for CADDM's ldm.json has no suffixes and its paths begin where its author's working folder was.
    """

    def __init__(self, path: Path, points: Mapping[str, np.ndarray], fingerprint: str | None = None) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._points = dict(points)
        self._by_end: dict[str, list[str]] = {}
        for key in self._points:
            self._by_end.setdefault(_end(_stem(key)), []).append(key)

    def __getitem__(self, key: str) -> np.ndarray:
        """The landmarks of a picture. Raises KeyError where there are none, InputError where two could be meant."""
        if key in self._points:
            return self._points[key]
        stem = _stem(key)
        matches = [other for other in self._by_end.get(_end(stem), []) if _same_end(stem, _stem(other))]
        if not matches:
            raise KeyError(key)
        if len(matches) > 1:
            raise InputError(f"{self.path}: {key!r} could be {matches[0]!r} or {matches[1]!r}; write the whole paths")
        return self._points[matches[0]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    @property
    def fingerprint(self) -> str:
        """A SHA-256, in hexadecimal, of the file that they were read from; of a folder, of all that was read from it.

        It does not change with where the file or folder lies.
        """
        if self._fingerprint is not None:
            return self._fingerprint
        names = {key: key.split("/") for key in sorted(self._points)}
        same = takewhile(lambda parts: len(set(parts)) == 1, zip(*names.values(), strict=False))
        common = len(list(same))  # the folders that lead to all of them
        digest = hashlib.sha256()
        for key, parts in names.items():
            points = np.asarray(self._points[key], "<f8")
            name = parts[min(common, max(0, len(parts) - 2)) :]
            digest.update(repr((name, points.shape)).encode() + points.tobytes())
        return digest.hexdigest()


def read_landmarks(path: str | Path) -> Landmarks:
    """The landmarks in a file: our CSV or CADDM's JSON, recognised by the first character; or in a folder of NPY files.

    The CSV has a header `relative_path,x0,y0,x1,y1,...` and a line per picture with 5, 68 or 81 points, as
    `python -m data demo` and `python -m data preprocess` write it. The JSON is the `ldm.json` of CADDM (Dong et al.,
    CVPR 2023): an object that gives each picture's path an object with its `landmark`, a list of [x, y]; its `label`
    and `source_path` are not used. The NPY files are DeepfakeBench's, anywhere below the folder; see `npy_landmarks`.
    Raises InputError, with the line, picture or file, for anything else.
    """
    path = Path(path)
    if path.is_dir():
        return Landmarks(path, read_npy_files(path))
    refuse_packed(path)
    if path.is_file() and path.suffix.lower() == ".npy":
        raise InputError(f"{path}: the landmarks of one picture; name the folder {FOLDER} that they are in")
    try:
        text = read_text(path, "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot read the landmarks ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8, so neither a landmarks.csv nor an ldm.json") from error
    points = _from_json(path, text) if text.lstrip()[:1] == "{" else _from_csv(path, text)
    if not points:
        raise InputError(f"{path}: there are no landmarks in this file")
    return Landmarks(path, points, sha256(path))


def refuse_packed(path: Path) -> None:
    """Raises InputError where a file is packed, as dlib's predictors are when they are downloaded."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(8)
    for mark, command in PACKED.items():
        if start.startswith(mark):
            raise InputError(f"{path}: is packed; unpack it first ({command} {path}) and name the file inside")


def write_landmarks(path: str | Path, landmarks: Iterable[tuple[str, np.ndarray]]) -> None:
    """Writes (key, landmarks) as a CSV file that `read_landmarks` reads, with three decimals, whole or not at all.

    Raises InputError where the pictures have different numbers of landmarks, ValueError where there are none.
    """
    rows = [(key, np.asarray(points, float)) for key, points in landmarks]
    if not rows:
        raise ValueError("there are no landmarks to write")
    counts = {len(points): key for key, points in rows}
    if len(counts) > 1:
        one, other = list(counts)[:2]
        raise InputError(
            f"{path}: {counts[one]} has {one} landmarks, {counts[other]} has {other}; a file has one number for all"
        )
    lines = ([key, *(Decimal(f"{value:.3f}") for value in points.ravel())] for key, points in rows)
    save_rows(path, [_header(next(iter(counts))), *lines])


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """Eye centres (left in the picture, right), nose tip, mouth corners (left, right): (5, 2) of 5, 68 or 81 points.

    An eye's centre is the mean of its six points. Raises ValueError for another shape.
    """
    if landmarks.shape not in [(count, 2) for count in COUNTS]:
        raise ValueError(f"expected (5, 2), (68, 2) or (81, 2) landmarks, got {landmarks.shape}")
    if len(landmarks) == 5:
        return landmarks
    eyes = [landmarks[eye].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE)]
    return np.stack([*eyes, landmarks[NOSE_TIP], *landmarks[list(MOUTH_CORNERS)]])


def stands(landmarks: np.ndarray) -> bool:
    """Whether a face's mouth is below its eyes, rather than beside or above them."""
    five = five_points(landmarks)
    across, down = five[3:].mean(axis=0) - five[:2].mean(axis=0)
    return bool(down > abs(across))


def misplaced(landmarks: np.ndarray, shape: tuple[int, ...]) -> str | None:
    """What shows that landmarks (5, 68 or 81, 2) cannot be of a picture of `shape` (H, W, ...), or None.

    The middle of the face is outside of the picture, or more than `OUTSIDE` of the landmarks are, or one is farther
    from it than `REACH`, or more than a tenth of them (but one) lie at one place, as zeros do that stand for nothing.
    Or eyes and mouth lie closer than `FEWEST` pixels, as where they are in parts of the picture.
    """
    places, together = np.unique(landmarks, axis=0, return_counts=True)
    if together.max() > max(1, len(landmarks) // 10):
        x, y = places[together.argmax()]
        return f"are at one place, ({x:.0f}, {y:.0f}), {together.max()} of {len(landmarks)}"
    height, width = shape[:2]
    apart = float(np.ptp(five_points(landmarks), axis=0).max())
    if apart < FEWEST:
        return (
            f"have eyes and mouth {apart:.2g} pixels apart, of its {width}x{height}; give them in pixels, not in parts "
            "of the picture"
        )
    size, edges = f"its {width}x{height} pixels", np.array([width - 1, height - 1])
    beyond = np.maximum(np.maximum(-landmarks, landmarks - edges).max(axis=1), 0)
    outside = int(np.count_nonzero(beyond))
    if outside <= OUTSIDE * len(landmarks) and beyond.max() > REACH * max(height, width):
        x, y = landmarks[beyond.argmax()]
        return f"have one at ({x:.0f}, {y:.0f}), far outside {size}"
    x, y = five_points(landmarks).mean(axis=0)
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        return f"lie about ({x:.0f}, {y:.0f}), outside {size}; give those of the crop, not of the frame it was cut from"
    if outside > OUTSIDE * len(landmarks):
        return f"are of another picture, perhaps a larger one: {outside} of {len(landmarks)} are outside {size}"
    return None


def landmarks_for(
    key: str, shape: tuple[int, ...], landmarks: Mapping[str, np.ndarray] | None = None, margin: float = 1.3
) -> np.ndarray:
    """The landmarks of a picture of `shape` (H, W, ...): its own, else a mean face; (68, 2) or (81, 2) float64.

    Where only five are known, it is the mean face moved, turned and scaled to them. Where none are, it is the mean
    face in the middle of the largest square.

    Args:
        key: the picture's key.
        shape: the picture's, (H, W, ...).
        landmarks: by key, (5, 2), (68, 2) or (81, 2) (x, y) in pixels; None where there are none.
        margin: the side of the crop that a picture without landmarks is taken for, in sizes of the face box.

    Raises:
        InputError: the landmarks cannot be of the picture (`misplaced`), as those of a whole frame are not of its crop,
            or five landmarks lie at one place.
    """
    height, width = shape[:2]
    own = None if landmarks is None else landmarks.get(key)
    if own is None:
        side = min(height, width)
        return mean_face(side, margin) + (np.array([width, height]) - side) / 2
    problem = misplaced(own, shape)
    if problem:
        raise InputError(f"the landmarks of {key} {problem}")
    return own if len(own) > 5 else _mean_face_at(own)


def _mean_face_at(five: np.ndarray) -> np.ndarray:
    shape = mean_face(1.0)
    motion = SimilarityTransform.from_estimate(five_points(shape), five)
    if not motion:
        raise InputError(f"five landmarks at one place, {five[0].round(1).tolist()}, are no face")
    return motion(shape)


def _header(count: int) -> list[str]:
    return ["relative_path", *(f"{axis}{number}" for number in range(count) for axis in "xy")]


def _from_csv(path: Path, text: str) -> dict[str, np.ndarray]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    points: dict[str, np.ndarray] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        count = next((count for count in COUNTS if header == _header(count)), None)
        if count is None:
            raise InputError(
                f"{path}, line 1: not the header {SHOWN} of a CSV file with 5, 68 or 81 points, nor CADDM's JSON"
            )
        for cells in reader:
            if not cells:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise InputError(f"{where}: {len(cells)} cells where the header has {len(header)}")
            key = as_read(cells[0])
            if key in points:
                raise InputError(f"{where}: {key!r} occurs twice; keep one of them")
            points[key] = _points(cells[1:], count, where)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from error
    return points


def _from_json(path: Path, text: str) -> dict[str, np.ndarray]:
    try:
        values = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); copy or make the file again") from error
    points = {}
    for key, value in values.items():
        where = f"{path}: the landmarks of {key!r}"
        marks = value.get("landmark") if isinstance(value, dict) else None
        if not isinstance(marks, list) or len(marks) not in COUNTS:
            raise InputError(f'{where} are not there; expected {{"landmark": [[x, y], ...]}} with 5, 68 or 81 points')
        points[key.removeprefix("./")] = _points(marks, len(marks), where)
    return points


def _points(values: list[Any], count: int, where: str) -> np.ndarray:
    """The values as (count, 2) float64, all finite."""
    try:
        points = np.array(values, dtype=float).reshape(count, 2)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: not {count} points of two numbers") from error
    if not np.isfinite(points).all():
        raise InputError(f"{where}: not {count} points of finite numbers")
    return points


def _stem(key: str) -> str:
    """A key without the suffix of a picture."""
    suffix = PurePosixPath(key).suffix
    return key.removesuffix(suffix) if suffix.lower() in SUFFIXES else key


def _end(stem: str) -> str:
    """The last two parts of a path: a video and a frame of it."""
    return "/".join(stem.split("/")[-2:])


def _same_end(one: str, other: str) -> bool:
    """Whether one path is the end of the other, part by part."""
    longer, shorter = sorted((one.split("/"), other.split("/")), key=len, reverse=True)
    return longer[-len(shorter) :] == shorter
