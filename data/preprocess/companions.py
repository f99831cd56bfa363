"""The videos beside a manipulated one: its mask video and its original, which show what was manipulated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Literal

import numpy as np

from common.errors import InputError
from data.preprocess.crops import Region
from data.preprocess.face_detection import Box
from data.preprocess.layout import Clip
from data.preprocess.manipulation_masks import NotTheSameMomentError, difference, from_mask_video, from_strength
from data.preprocess.video import VideoInfo, probe, read, until_damage


@dataclass(frozen=True, eq=False)
class Moment:
    """The frames (H, W, 3) uint8 of a clip's companions at one moment; None where there is none."""

    mask: np.ndarray | None = None
    original: np.ndarray | None = None


@dataclass
class Companions:
    """Makes a clip's masks and, where `sources`, cuts its source pictures.

    Attributes:
        mask: the mask video, which then gives the masks.
        original: the original, where masks are made from the difference to it, or source pictures are wanted.
        sources: whether the original's part of every crop is wanted.
        size: (width, height) of the clip's frames as they are shown, which its companions' are brought to.
        unclear: how many crops have no mask because nothing stands out from the noise.
        elsewhere: how many have none because the original shows another moment.
        unproven: how many have no source picture because the face fills the frame, so that nothing can be compared.
        problems: what is wrong with the videos, by their path.
    """

    mask: Path | None = None
    original: Path | None = None
    sources: bool = False
    size: tuple[int, int] | None = None
    unclear: int = 0
    elsewhere: int = 0
    unproven: int = 0
    problems: dict[Path, list[str]] = field(default_factory=dict)

    @property
    def mask_source(self) -> Literal["video", "difference"] | None:
        """What the masks are made from."""
        if self.mask is not None:
            return "video"
        return "difference" if self.original is not None else None

    def moments(self, positions: Sequence[int]) -> Iterator[Moment]:
        """The companions' frames at `positions`, in order; None for those from a video's first damage on."""
        masks, originals = (self._frames(path, positions) for path in (self.mask, self.original))
        for _, mask, original in zip(positions, masks, originals, strict=False):
            yield Moment(mask, original)

    def mask_and_source(
        self, image: np.ndarray, moment: Moment, face: Box, area: Region
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The mask (side, side) bool and the source picture (side, side, 3) uint8 of a crop, or None.

        Args:
            image: (H, W, 3) uint8 RGB, the clip's frame of that moment.
            moment: its companions' frames.
            face: the face's box in the frame.
            area: the part of the frame that is cropped.
        """
        mask = None if moment.mask is None else from_mask_video(moment.mask, area)
        if moment.original is None:
            return mask, None
        try:
            strength = difference(image, moment.original, face)
        except NotTheSameMomentError:
            self.elsewhere += 1
            return mask, None
        if self.mask_source == "difference":
            mask = None if strength is None else from_strength(strength, image.shape, face, area)
            self.unclear += mask is None
        self.unproven += self.sources and strength is None
        return mask, area.cut(moment.original) if self.sources and strength is not None else None

    def remarks(self) -> list[str]:
        """A line about each reason for crops without a mask or source picture."""
        lines = [
            f"{self._missed(path)} only before the damage: {problem}"
            for path, problems in self.problems.items()
            for problem in problems
        ]
        if self.elsewhere:
            wanted = "mask" if not self.sources else "source picture" if self.mask else "mask and source picture"
            lines.append(f"no {wanted} for {self.elsewhere} frames: {self.original} shows other moments")
        if self.unclear:
            lines.append(f"no mask for {self.unclear} frames: the manipulation is within the noise of compression")
        if self.unproven:
            lines.append(f"no source picture for {self.unproven} frames: the face leaves nothing to compare")
        return lines

    def _frames(self, path: Path | None, positions: Sequence[int]) -> Iterator[np.ndarray | None]:
        if path is not None:
            for _, image in until_damage(read(path, positions, self.size), self.problems.setdefault(path, [])):
                yield image
        yield from repeat(None)

    def _missed(self, path: Path) -> str:
        """What is wanted from a video."""
        if path == self.mask or not self.sources:
            return "masks"
        return "source pictures" if self.mask is not None else "masks and source pictures"


def companions_of(clip: Clip, info: VideoInfo, sources: bool = False) -> tuple[Companions, list[str]]:
    """What a manipulated clip's masks are made from: its mask video, else its original, else nothing.

    With `sources` the original is taken in any case. The lines say why a video that is there cannot be used, and
    where there is no original to take source pictures from. `info` describes the clip.
    """
    remarks: list[str] = []
    if not clip.fake:
        return Companions(), remarks
    mask = original = None
    if clip.mask is not None:
        problem = _unfit(clip.mask, info)
        mask = None if problem else clip.mask
        remarks += [f"no masks from {problem}"] if problem else []
    if clip.original is not None and (sources or mask is None):
        problem = _unfit(clip.original, info)
        original = None if problem else clip.original
        wanted = "masks" if not sources else "source pictures" if mask else "masks or source pictures"
        remarks += [f"no {wanted} from {problem}"] if problem else []
    if sources and clip.original is None:
        remarks.append("no source pictures: its original is not there")
    return Companions(mask, original, sources, info.size), remarks


def _unfit(path: Path, info: VideoInfo) -> str | None:
    """Why a mask video or original cannot go with a clip, beginning with its path, or None.

    It may be longer: where two videos were combined, the result ends with the shorter one. Its pixels may have another
    shape: programs that make fakes and masks often leave out what the original says of it.
    """
    try:
        other = probe(path)
    except InputError as error:
        return f"it: {error}"
    if other.size != info.size and other.display.grid != info.display.grid:
        return f"{path}: it is {other.width}x{other.height}, the clip {info.width}x{info.height}"
    if other.frames < info.frames and other.damage is None:
        return f"{path}: it has {other.frames} frames, the clip {info.frames}"
    return None
