"""Videos decoded as a stream, as a player shows them: one frame in memory at a time."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av import Packet, VideoFrame
from av.container import InputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from common.errors import InputError
from data.images import MAX_PIXELS, MIN_SIDE
from data.preprocess.cuts import Cuts
from data.preprocess.display import Display
from data.preprocess.film_stream import opened_film, reason

T = TypeVar("T")
USUAL_RATE = 25.0  # frames per second, where a file does not say
PREDICTED = (PictureType.P, PictureType.B, PictureType.S)  # from other frames
HIGH_RANGE = {16: "PQ", 18: "HLG"}  # transfer curves, by their numbers in ITU-T H.273
_INTERLACED = (
    "{woven} of its {frames} frames are marked as interlaced: where two moments are woven into one frame, what moves "
    "has combed edges, which no player shows; deinterlace it first"
)
EARLY = 0.5  # seconds; a file that ends so much before the end that its header tells gets a remark


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        frames: how many of its frames decode and are shown, up to the first damage.
        rate: frames per second, on the mean of the film as its header tells.
        display: how its first frame is shown.
        times: seconds from the first of those frames to each, ascending; a camera may take them unevenly.
        cuts: seconds from the first frame to each that is the first after a cut (`data.preprocess.cuts`).
        damage: what is wrong with the file behind those frames, beginning with its path, or None.
        remarks: lines about the file that a user may want to know.
    """

    frames: int
    rate: float
    display: Display
    times: tuple[float, ...]
    cuts: tuple[float, ...] = ()
    damage: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames as they are shown: upright, in square pixels."""
        return self.display.size

    @property
    def length(self) -> float:
        """Seconds from the first frame to the end of the last, which is taken to be shown as long as the one before."""
        return self.times[-1] + (self.times[-1] - self.times[-2] if self.frames > 1 else 1 / self.rate)

    @property
    def width(self) -> int:
        """That of the frames as they are shown."""
        return self.size[0]

    @property
    def height(self) -> int:
        """That of the frames as they are shown."""
        return self.size[1]


def probe(path: Path) -> VideoInfo:
    """Reads a video's description, and decodes it to count the frames that a player shows.

    Neither a header's count nor the packets tell: edit lists hide frames, AVI headers count dropped ones, and what is
    cut between two key frames cannot be decoded up to the second.

    From the first damage on nothing is counted, and neither from a change of the frames' size on: what follows may be
    another film.

    Raises InputError for a file that is missing, not a video, without a frame before its first damage, too small to
    hold a face, or in colours that FFmpeg cannot convert.
    """
    with _opened(path) as (container, stream, remarks):
        stamps: list[int | None] = []
        damage, display, frame, woven, cuts = None, None, None, 0, Cuts()
        try:
            for frame in _shown(path, container, stream):
                if display is None:
                    _rgb(path, frame)
                    display = _display(path, frame, stream)
                stamps.append(frame.pts)
                with _convertible(path, frame):
                    cuts.add(frame)
                woven += frame.interlaced_frame
        except InputError as error:
            damage = str(error)
        if display is None or frame is None:
            raise InputError(damage or f"{path}: the video has no frames; download or copy it again")
        width, height = display.size
        if min(width, height) < MIN_SIDE:
            raise InputError(f"{path}: {width}x{height} pixels is too small for a video of faces")
        remarks += _high_range(stream)
        if woven:
            remarks += (_INTERLACED.format(woven=woven, frames=len(stamps)),)
        if damage is None:
            remarks += _early_end(container, frame)
        rate = float(stream.average_rate or USUAL_RATE)
        times = _seconds(stamps, stream.time_base)
        if times is None:
            times = [number / rate for number in range(len(stamps))]
            remarks += (f"its frames do not say when they are shown: times are counted at {rate:g} frames a second",)
        cut = tuple(times[at] for at in cuts.found())
        return VideoInfo(len(stamps), rate, display, tuple(times), cut, damage, remarks + _cut(cut))


def read(path: Path, positions: Sequence[int], size: tuple[int, int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes a video in order and yields (position, (H, W, 3) uint8 RGB) for the wanted frames, one at a time.

    The frames are upright and their pixels are square (see Display). The conversion to RGB is FFmpeg's own (BT.601
    where the file does not say), as OpenCV's reader does it. Frames that FFmpeg would patch up after damage are never
    given out: from the first one on everything in the file is in doubt.

    Args:
        path: the video file.
        positions: which frames, ascending; they count from 0 among those shown, in order of display.
        size: (width, height) that the frames are brought to; None for their own.

    Raises:
        InputError: at the first frame that is damaged, of another size than the first, or not convertible to RGB, or
            where the video ends before the last wanted one.
    """
    wanted = iter(positions)
    target = next(wanted, None)
    if target is None:
        return
    with _opened(path) as (container, stream, _):
        count = 0
        for frame in _shown(path, container, stream):
            if count == target:
                yield count, _display(path, frame, stream).show(_rgb(path, frame), size)
                target = next(wanted, None)
                if target is None:
                    return
            count += 1
        raise InputError(f"{path}: ends after {count} frames, before frame {target}; it is cut off or damaged")


def until_damage(frames: Iterator[T], problems: list[str]) -> Iterator[T]:
    """Yields from `frames` up to where it raises InputError, whose message is then added to `problems`."""
    try:
        yield from frames
    except InputError as error:
        problems.append(str(error))


def _shown(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames that are shown, in order of display; raises InputError at the first damage or change of their size."""
    count, size = 0, None
    try:
        for frame in _decoded(container, stream):
            if frame.is_corrupt:
                raise InputError(f"{path}: damaged at frame {count}; the frames before it are kept")
            size = size or (frame.width, frame.height)
            if size != (frame.width, frame.height):
                raise InputError(
                    f"{path}: its frames change from {size[0]}x{size[1]} to {frame.width}x{frame.height} pixels at "
                    f"frame {count}; the frames before it are kept: cut it there, or bring all to one size"
                )
            yield frame
            count += 1
    except _DamagedError as error:
        raise InputError(f"{path}: damaged after frame {count} ({error})") from error


class _DamagedError(Exception):
    """Why a packet cannot be read or decoded."""


class _UnreadableError(_DamagedError):
    """Why a packet cannot be read; what was decoded before it is whole."""


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames that the decoder gives, in order of display; raises _DamagedError.

    A file that was cut between two key frames begins with packets whose frames are predicted from what was cut off.
    Their decoder gives nothing, an error, or a patchwork: none of it is shown, and none of it is damage.
    """
    keyed = headless = False  # whether a key frame has come; whether frames from before it may still come
    try:
        for packet in _packets(container, stream):
            keyed = keyed or packet.is_keyframe
            headless = headless or not keyed
            try:
                frames = stream.decode(packet)
            except av.FFmpegError as error:
                if keyed:
                    raise _DamagedError(reason(error)) from error
                continue
            for frame in frames:
                headless = headless and not frame.key_frame and frame.pict_type in PREDICTED
                if not headless:
                    yield frame
    except _UnreadableError:
        yield from _held_back(stream)
        raise
    yield from _held_back(stream)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The stream's packets, without the empty ones that stand for dropped frames; raises _UnreadableError."""
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise _UnreadableError("a frame is cut off")
            if packet.size > 0:
                yield packet
    except av.FFmpegError as error:
        raise _UnreadableError(reason(error)) from error


def _held_back(stream: VideoStream) -> list[VideoFrame]:
    """The last frames, which the decoder held back to give them in order of display; raises _DamagedError."""
    try:
        return stream.decode(None)
    except av.FFmpegError as error:
        raise _DamagedError(reason(error)) from error


def _seconds(stamps: Sequence[int | None], unit: Fraction | None) -> list[float] | None:
    """The seconds from the first of some frames to each, of their time stamps, counted in a unit of seconds.

    None where a stamp is not known, or not after the one before.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    if unit is None or len(known) < len(stamps) or any(after <= before for before, after in itertools.pairwise(known)):
        return None
    return [float((stamp - known[0]) * unit) for stamp in known]


def _rgb(path: Path, frame: VideoFrame) -> np.ndarray:
    """A frame as it is stored, (H, W, 3) uint8 RGB; raises InputError where FFmpeg cannot convert it."""
    with _convertible(path, frame):
        return frame.to_ndarray(format="rgb24")


@contextlib.contextmanager
def _convertible(path: Path, frame: VideoFrame) -> Iterator[None]:
    """Raises InputError where FFmpeg cannot convert a frame inside."""
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        why = reason(error) if isinstance(error, av.FFmpegError) else str(error)
        colours = f"matrix {int(frame.colorspace)} of ITU-T H.273, pixels {frame.format.name}"
        raise InputError(
            f"{path}: FFmpeg cannot convert its colours to RGB ({colours}: {why}); convert it first, as by "
            f"`ffmpeg -i {path.name} -vf zscale=matrix=709 converted.mp4`"
        ) from error


def _display(path: Path, frame: VideoFrame, stream: VideoStream) -> Display:
    """How a frame is shown; raises InputError where that cannot be."""
    try:
        display = Display.of(frame, stream.sample_aspect_ratio)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    width, height = display.size
    if width * height > MAX_PIXELS and display.size != display.grid:
        raise InputError(
            f"{path}: {width}x{height} pixels is too large; at most {MAX_PIXELS:,} are decoded (its pixels are "
            f"{display.aspect} times as wide as high)"
        )
    return display


def _high_range(stream: VideoStream) -> tuple[str, ...]:
    """A remark where a film has a high dynamic range, whose colours are read as if it had the usual one."""
    curve = HIGH_RANGE.get(stream.codec_context.color_trc)
    if curve is None:
        return ()
    return (
        f"it is in high dynamic range ({curve}), and its colours, not tone-mapped, come out pale: convert it first",
    )


def _cut(times: Sequence[float]) -> tuple[str, ...]:
    """A remark where a film is cut."""
    if not times:
        return ()
    first = ", ".join(f"{time:.2f} s" for time in times[:3]) + (", ..." if len(times) > 3 else "")
    return (
        f"it is cut {len(times)} time{'' if len(times) == 1 else 's'} ({first}): a face before a cut and one at its "
        "place after it are taken for the same, and may be two people's",
    )


def _early_end(container: InputContainer, last: VideoFrame) -> tuple[str, ...]:
    """A remark where a film without sound ends well before the end that its header tells, as a file that is cut off."""
    if len(container.streams) > 1 or not container.duration or last.time is None or last.time_base is None:
        return ()
    told = container.duration / av.time_base
    end = last.time + float(last.duration * last.time_base) - (container.start_time or 0) / av.time_base
    if told - end <= EARLY:
        return ()
    return (f"it ends after {end:.1f} s, its header says {told:.1f} s: it may be cut off",)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream, tuple[str, ...]]]:
    """A file, its film and remarks; decoded by one thread: the clips are what runs in parallel."""
    with opened_film(path) as (container, stream, remarks):
        if stream.width * stream.height > MAX_PIXELS:
            raise InputError(
                f"{path}: {stream.width}x{stream.height} pixels is too large; at most {MAX_PIXELS:,} are decoded"
            )
        stream.codec_context.thread_count = 1
        # of every frame, whose size may change; codecs count whole blocks, up to twice as much
        stream.codec_context.options = {"max_pixels": str(2 * MAX_PIXELS)}
        yield container, stream, remarks
