"""The video beside a manipulated one that tells what was manipulated: its mask video, or its original."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from common.errors import InputError
from data.preprocess.crops import Square
from data.preprocess.faces import Box
from data.preprocess.layout import Clip
from data.preprocess.masks import NotTheSameMomentError, from_difference, from_mask_video
from data.preprocess.video import VideoInfo, probe, read, until_damage


@dataclass
class Companion:
    """Makes a clip's masks from `path`, a mask video ("video") or an original ("difference").

    Attributes:
        unclear: how many frames have no mask because nothing stands out from the noise.
        elsewhere: how many have none because the original shows another moment.
        problems: what is wrong with the video.
    """

    source: Literal["video", "difference"]
    path: Path
    unclear: int = 0
    elsewhere: int = 0
    problems: list[str] = field(default_factory=list)

    def frames(self, positions: Sequence[int]) -> Iterator[np.ndarray | None]:
        """Its frames (H, W, 3) uint8 at `positions`, in order; None for those from its first damage on."""
        count = 0
        for _, image in until_damage(read(self.path, positions), self.problems):
            yield image
            count += 1
        for _ in positions[count:]:
            yield None

    def mask(self, image: np.ndarray, other: np.ndarray, face: Box, area: Square) -> np.ndarray | None:
        """The mask (side, side) bool of a crop, from the clip's frame and its own of the same number, or None."""
        if self.source == "video":
            return from_mask_video(other, area)
        try:
            mask = from_difference(image, other, face, area)
        except NotTheSameMomentError:
            self.elsewhere += 1
            return None
        self.unclear += mask is None
        return mask

    def remarks(self) -> list[str]:
        """A line about each reason for frames without a mask."""
        lines = [f"masks only before the damage: {problem}" for problem in self.problems]
        if self.elsewhere:
            lines.append(f"no mask for {self.elsewhere} frames: {self.path} shows other moments")
        if self.unclear:
            lines.append(f"no mask for {self.unclear} frames: the manipulation is within the noise of compression")
        return lines


def companion_of(clip: Clip, info: VideoInfo) -> tuple[Companion | None, list[str]]:
    """What a manipulated clip's masks are made from: its mask video, else its original, else None.

    The lines say why a video that is there cannot be used. `info` describes the clip.
    """
    remarks: list[str] = []
    if not clip.fake:
        return None, remarks
    sources: tuple[tuple[Literal["video", "difference"], Path | None], ...]
    sources = (("video", clip.mask), ("difference", clip.original))
    for source, path in sources:
        if path is not None:
            problem = _unfit(path, info)
            if problem is None:
                return Companion(source, path), remarks
            remarks.append(problem)
    return None, remarks


def _unfit(path: Path, info: VideoInfo) -> str | None:
    """Why a mask video or original cannot go with a clip, or None.

    It may be longer: where two videos were combined, the result ends with the shorter one.
    """
    try:
        other = probe(path)
    except InputError as error:
        return f"no masks from it: {error}"
    if other.size != info.size:
        return f"no masks from {path}: it is {other.width}x{other.height}, the clip {info.width}x{info.height}"
    if other.frames < info.frames:
        return f"no masks from {path}: it has {other.frames} frames, the clip {info.frames}"
    return None
