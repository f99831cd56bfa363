"""The videos beside a manipulated one: its mask video and its original, which show what was manipulated."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Literal

import numpy as np

from common.console import count
from common.errors import InputError
from data.preprocess.crops import Region, shrink
from data.preprocess.frame_change import FrameChange, Moment
from data.preprocess.layout import Clip
from data.preprocess.manipulation_masks import NotTheSameMomentError
from data.preprocess.video import VideoInfo, probe, read, until_damage

ENOUGH = 0.9  # a mask video that covers a smaller share of the clip gives way to an original that covers more


@dataclass
class Companions:
    """Makes a clip's masks and, where `sources`, cuts its source pictures.

    Attributes:
        mask: the mask video, which then gives the masks.
        original: the original, where masks are made from the difference to it, or source pictures are wanted.
        sources: whether the original's part of every crop is wanted.
        size: (width, height) of the clip's frames as they are shown, which its companions' are brought to.
        unclear: how many crops have no mask because nothing stands out from the noise.
        lengths: how many frames the clip and each of these has, by path; only common frames are compared.
        black: how many crops have no mask because the mask video marks nothing in them.
        unclear: how many have none because nothing stands out from the noise.
        elsewhere: how many have none because the original shows another moment.
        unproven: how many have no source picture because the face fills the frame, so that nothing can be compared.
        beyond: how many frames a video has no counterpart of, by its path.
        problems: what is wrong with the videos, by their path.
    """

    mask: Path | None = None
    original: Path | None = None
    sources: bool = False
    size: tuple[int, int] | None = None
    lengths: Mapping[Path, int] = field(default_factory=dict)
    black: int = 0
    unclear: int = 0
    elsewhere: int = 0
    unproven: int = 0
    beyond: dict[Path, int] = field(default_factory=dict)
    problems: dict[Path, list[str]] = field(default_factory=dict)

    @property
    def mask_source(self) -> Literal["video", "difference"] | None:
        """What the masks are made from."""
        if self.mask is not None:
            return "video"
        return "difference" if self.original is not None else None

    def of_masks(self) -> "Companions":
        """The same videos, as far as masks are made from them, with nothing counted yet."""
        return Companions(self.mask, None if self.mask else self.original, lengths=self.lengths)

    def moments(self, positions: Sequence[int]) -> Iterator[Moment]:
        """The companions' frames at `positions`, in order; None beyond a video's end or from its first damage on."""
        masks, originals = (self._frames(path, positions) for path in (self.mask, self.original))
        for _, mask, original in zip(positions, masks, originals, strict=False):
            yield Moment(mask, original)

    def mask_and_source(
        self, frame: FrameChange, face: int, changed: Iterable[int], area: Region, size: int
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The mask and the source picture of a crop, reduced to `size` pixels as `shrink` does, or None.

        The mask is (side, side) bool and has at least one manipulated pixel: one without says nothing. The source
        picture is (side, side, 3) uint8.

        Args:
            frame: the clip's frame, and what was changed there.
            face: the number of the face that is cropped.
            changed: the numbers of all faces in the frame that count as manipulated.
            area: the part of the frame that is cropped.
            size: pixels to which larger crops are reduced; 0 for never.
        """
        mask = source = None
        if frame.moment.mask is not None:
            mask = _reduced(frame.mask(changed, area), size)
            self.black += mask is None
        if frame.moment.original is None:
            return mask, None
        try:
            comparable = frame.strength(face) is not None
            if self.mask_source == "difference":
                mask = _reduced(frame.mask(changed, area), size)
                self.unclear += mask is None
        except NotTheSameMomentError:
            self.elsewhere += 1
            return mask, None
        if self.sources and comparable:
            source = shrink(area.cut(frame.moment.original), size)
        self.unproven += self.sources and not comparable
        return mask, source

    def remarks(self) -> list[str]:
        """A line about each reason for crops without a mask or source picture."""
        lines = [
            f"{self._missed(path)} only before the damage: {problem}"
            for path, problems in self.problems.items()
            for problem in problems
        ]
        lines += [
            f"no {self._missed(path)} for {count(beyond, 'frame')}, beyond the {self.lengths[path]} of {path}"
            for path, beyond in self.beyond.items()
            if not self.problems.get(path)
        ]
        if self.black:
            lines.append(f"no mask for {count(self.black, 'crop')}: {self.mask} marks nothing there")
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
            common = [position for position in positions if position < self.lengths[path]]
            if len(common) < len(positions):
                self.beyond[path] = len(positions) - len(common)
            for _, image in until_damage(read(path, common, self.size), self.problems.setdefault(path, [])):
                yield image
        yield from repeat(None)

    def _missed(self, path: Path) -> str:
        """What is wanted from a video."""
        if path == self.mask or not self.sources:
            return "masks"
        return "source pictures" if self.mask is not None else "masks and source pictures"


def companions_of(clip: Clip, info: VideoInfo, sources: bool = False) -> tuple[Companions, list[str]]:
    """What a manipulated clip's masks are made from: its mask video, else its original, else nothing.

    With `sources` the original is taken in any case. A video that is shorter or longer than the clip serves for the
    frames that both have; a mask video that lacks many of them is used only where the original lacks as many. The
    lines say why a video that is there cannot be used, and where there is no original to take source pictures from.
    `info` describes the clip.
    """
    remarks: list[str] = []
    if not clip.fake:
        return Companions(), remarks
    lengths: dict[Path, int] = {}
    problems: dict[Path, list[str]] = {}
    mask = original = None
    if clip.mask is not None:
        problem = _unfit(clip.mask, info, lengths, problems)
        mask = None if problem else clip.mask
        remarks += [f"no masks from {problem}"] if problem else []
    if clip.original is not None and (sources or mask is None or lengths[mask] < ENOUGH * info.frames):
        problem = _unfit(clip.original, info, lengths, problems)
        original = None if problem else clip.original
        wanted = "masks" if not sources else "source pictures" if mask else "masks or source pictures"
        remarks += [f"no {wanted} from {problem}"] if problem and (sources or mask is None) else []
    if mask and original and lengths[mask] < min(ENOUGH * info.frames, lengths[original]):
        remarks.append(f"no masks from {mask}: it has {lengths[mask]} frames, the clip {info.frames}")
        mask = None
    if mask and not sources:
        original = None
    if sources and clip.original is None:
        remarks.append("no source pictures: its original is not there")
    used = {path: problems[path] for path in (mask, original) if path}
    return Companions(mask, original, sources, info.size, lengths, problems=used), remarks


def _unfit(path: Path, info: VideoInfo, lengths: dict[Path, int], problems: dict[Path, list[str]]) -> str | None:
    """Why a mask video or original cannot go with a clip, beginning with its path, or None; notes length and damage.

    It may be longer: where two videos were combined, the result ends with the shorter one; of a shorter one the common
    frames are used. Its pixels may have another shape: programs that make fakes and masks often leave out what the
    original says of it.
    """
    try:
        other = probe(path)
    except InputError as error:
        return f"it: {error}"
    if other.size != info.size and other.display.grid != info.display.grid:
        return f"{path}: it is {other.width}x{other.height}, the clip {info.width}x{info.height}"
    lengths[path] = other.frames
    problems[path] = [other.damage] if other.damage else []
    return None


def _reduced(mask: np.ndarray | None, size: int) -> np.ndarray | None:
    """A mask (side, side) bool reduced as its crop is; None where there is none, or no pixel of it is left."""
    if mask is None:
        return None
    small = shrink(mask.astype(np.float32), size) >= 0.5
    return small if small.any() else None
