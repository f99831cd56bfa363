"""A frame, and the families that frames belong to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

REAL = "Real"
CLASS_NAMES = (REAL, "NeuralTextures", "Face2Face", "Deepfakes", "FaceSwap")  # by `mc_label`, 0 to 4
SHORT_NAMES = {"DF": "Deepfakes", "F2F": "Face2Face", "FS": "FaceSwap", "NT": "NeuralTextures"}
"""The families by the names that papers give them."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame and what is known about it.

    Attributes:
        key: its relative path, which names it everywhere.
        image: (H, W, 3) uint8 RGB.
        label: its `mc_label` (0 to 4), or None where it has none.
        family: "Real", the manipulation it was made with, or None where unknown.
        video: the path of the video it is from (its own key where it stands alone); frames of one video are
            not independent, so statistics cluster by it.
        mask: (H, W) bool, the manipulated pixels, or None where unknown.
    """

    key: str
    image: np.ndarray
    label: int | None
    family: str | None
    video: str
    mask: np.ndarray | None = None


Frames = Sequence[Frame]


def family_of(key: str, fake: bool | None, label: int | None) -> str | None:
    """The family that a frame's labels and path say: by `mc_label` first, then by the path's folders.

    `manipulated_sequences/<family>/...` as in FaceForensics++; any other fake takes its path's first folder
    ("Celeb-synthesis/..."). None where the frame has no labels.
    """
    if label is not None:
        return CLASS_NAMES[label]
    if fake is None:
        return None
    if not fake:
        return REAL
    parts = PurePosixPath(key).parts
    if "manipulated_sequences" in parts[:-2]:
        return parts[parts.index("manipulated_sequences") + 1]
    return parts[0] if len(parts) > 1 else "Fake"


def family_in(key: str) -> str | None:
    """The family that the folders of FaceForensics++ in a path name, "Real" among them; None for any other path.

    An untouched person in a manipulated video (`bystanders/...`) is of no family by its path.
    """
    parts = PurePosixPath(key).parts[:-2]
    if "bystanders" in parts:
        return None
    if "manipulated_sequences" in parts:
        return PurePosixPath(key).parts[parts.index("manipulated_sequences") + 1]
    return REAL if "original_sequences" in parts else None


def video_of(key: str) -> str:
    """The video that a frame's key names: its folder, or the key itself for a frame without one."""
    parent = str(PurePosixPath(key).parent)
    return key if parent == "." else parent
