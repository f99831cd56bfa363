"""Saliency maps made elsewhere: a folder of NPY files by frame key, judged as any other method."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from pathlib import Path, PurePosixPath
from tokenize import TokenError
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.console import warn
from common.errors import InputError
from common.files import sha256, stem, visible
from xai.base import Fill, Score
from xai.kept_order import kept_order

FAMILY = "saliency"
COMPARED = 100
"""How many frames' maps are compared with each other before a run."""

LONGEST = 3
"""Times its other side that a side of a map is not: the three colours of a square picture beside each other are."""


@dataclass(frozen=True)
class SavedMaps:
    """The maps of a folder: a frame's is `<key>.npy` as a relative path, or else `common.files.stem(key).npy`.

    Attributes:
        folder: where the maps are.
        fingerprint: the SHA-256 of their names and contents, so that a run never mixes two sets of maps.
        hashes: the SHA-256 of each by its path below the folder, where a map must still be what it was.
    """

    folder: str
    fingerprint: str
    hashes: InitVar[Mapping[str, str] | None] = None

    def __post_init__(self, hashes: Mapping[str, str] | None) -> None:
        """Keeps the hashes, which are in the fingerprint, out of the fields, which stand in a run's configuration."""
        object.__setattr__(self, "_hashes", dict(hashes or {}))

    @classmethod
    def read(cls, folder: str) -> "SavedMaps":
        """The maps of a folder as it is now. Raises InputError where it is none or holds no NPY file."""
        path = Path(folder)
        files = sorted(filter(Path.is_file, visible(path, "**/*.npy"))) if path.is_dir() else []
        if not files:
            what = "has no .npy files" if path.is_dir() else "is not a folder"
            raise InputError(
                f"{folder} {what}: expected saliency maps, one NPY file per frame, named <frame's key>.npy"
            )
        hashes = {file.relative_to(path).as_posix(): sha256(file) for file in files}
        digest = hashlib.sha256()
        for name, content in hashes.items():
            digest.update(f"{name}\0{content}\n".encode())
        return cls(folder, digest.hexdigest(), hashes)

    def for_frame(self, key: str) -> "SavedMap":
        """The map of the frame of that key; raises InputError where the folder has none."""
        path = self._path(key)
        if path is None:
            raise InputError(f"{self.folder} has no saliency map of this frame; expected {' or '.join(_names(key))}")
        hashes: Mapping[str, str] = self.__dict__["_hashes"]
        return SavedMap(path, hashes.get(path.relative_to(self.folder).as_posix(), "") if hashes else None)

    def require_any(self, keys: Sequence[str]) -> None:
        """Raises InputError where the folder has no map of any of these frames.

        A warning names two of the first frames whose maps are the same, byte for byte: one may be of another frame.
        """
        every = ((key, path) for key in keys if (path := self._path(key)) is not None)
        found = list(itertools.islice(every, COMPARED))
        if not found:
            raise InputError(
                f"{self.folder} has no saliency map of any of the {len(keys):,} frames; expected names such as "
                f"{' or '.join(_names(keys[0]))}"
            )
        first: dict[str, str] = {}
        for key, path in found:
            other = first.setdefault(sha256(path), key)
            if other != key:
                warn(
                    f"{self.folder}: the saliency maps of {other} and {key} are the same, byte for byte; unless "
                    "they are meant to be, one is of another frame"
                )
                return

    def _path(self, key: str) -> Path | None:
        return next((path for name in _names(key) if (path := Path(self.folder) / name).is_file()), None)


@dataclass(frozen=True)
class SavedMap:
    """One map in a file: a numpy array (h, w) of any size and any real type, higher is more important.

    Its values keep their order, whatever their type; see `kept_order`. With a SHA-256, the file must still have it.
    """

    uses_segments: ClassVar[bool] = False
    path: Path
    sha256: str | None = None

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The map at the image's size, (H, W) float32 or float64; no forwards.

        A map of another size is resized bilinearly, a larger one by averaging over each pixel (antialiasing), so that
        nothing between the pixels is lost. Raises InputError for a file that holds anything but such a map, or another
        than when the maps' fingerprint was taken.
        """
        saliency = load(self.path)
        if self.sha256 is not None and sha256(self.path) != self.sha256:
            raise InputError(f"{self.path} is no longer the map that the run was started with: put that back")
        size = tuple(image.shape[1:])
        if saliency.shape == size:
            return saliency
        maps = torch.from_numpy(saliency)[None, None]
        return functional.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=True)[0, 0].numpy()


def _names(key: str) -> list[str]:
    """What a frame's map may be called, as a path below the folder."""
    return [*([f"{key}.npy"] if stays_inside(key) else []), f"{stem(key)}.npy"]


def stays_inside(key: str) -> bool:
    """Whether a key is a relative path that leads nowhere but down."""
    parts = PurePosixPath(key.replace("\\", "/"))
    return bool(key) and "\0" not in key and not parts.is_absolute() and ".." not in parts.parts


def load(path: Path) -> np.ndarray:
    """A saliency map (h, w) from an NPY file, without unpickling, as `kept_order` gives it.

    Raises InputError for anything else.
    """
    try:
        stored = np.lib.format.open_memmap(path, mode="r")  # reads no more than the file holds, whatever it claims
    except (ValueError, EOFError, SyntaxError, TokenError, OverflowError) as error:
        raise InputError(f"{path} is not readable as a saliency map ({error})") from error
    if stored.dtype.kind not in "fiub":
        raise InputError(f"{path} holds {stored.dtype} instead of real numbers")
    if stored.ndim != 2 or not stored.size:
        raise InputError(f"{path} has shape {stored.shape}, expected (height, width)")
    if max(stored.shape) >= LONGEST * min(stored.shape):
        raise InputError(
            f"{path} has shape {stored.shape}, which no picture has: expected (height, width), not flattened"
        )
    if path.stat().st_size != stored.offset + stored.nbytes:
        raise InputError(f"{path} holds more than one array: it was written twice; write the map alone")
    return kept_order(np.array(stored, dtype=stored.dtype.newbyteorder("=")), str(path))
