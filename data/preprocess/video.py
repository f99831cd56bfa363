"""Videos decoded as a stream: one frame in memory at a time."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from common.errors import InputError
from data.images import MAX_PIXELS, MIN_SIDE

T = TypeVar("T")
USUAL_RATE = 25.0  # frames per second, where a file does not say
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm"
"""FFmpeg's names for what may be opened: neither playlists nor lists of files, which make it read other places."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    Attributes:
        frames: how many frames it should have: what its header says or what is in the file, whichever is more.
        width, height: in pixels.
        rate: frames per second.
    """

    frames: int
    width: int
    height: int
    rate: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height


def probe(path: Path) -> VideoInfo:
    """Reads a video's description and counts its frames, without decoding any.

    Raises InputError for a file that is missing, not a video, without frames, or too small to hold a face.
    """
    with _opened(path) as (container, stream):
        held = 0
        with contextlib.suppress(av.FFmpegError):  # damage inside; `read` will say where
            for packet in container.demux(stream):
                held += packet.size > 0 and not packet.is_discard
        frames = max(stream.frames, held)
        if frames == 0:
            raise InputError(f"{path}: the video has no frames; download or copy it again")
        if min(stream.width, stream.height) < MIN_SIDE:
            raise InputError(f"{path}: {stream.width}x{stream.height} pixels is too small for a video of faces")
        rate = float(stream.average_rate or USUAL_RATE)
        return VideoInfo(frames, stream.width, stream.height, rate)


def read(path: Path, positions: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes a video in order and yields (position, (H, W, 3) uint8 RGB) for the wanted frames, one at a time.

    `positions` ascend and count from 0 in order of display. The conversion to RGB is FFmpeg's own (BT.601 where
    the file does not say), as OpenCV's reader does it. Frames that FFmpeg would patch up after damage are never
    given out: from the first one on everything in the file is in doubt.

    Raises InputError at the first damaged frame, or where the video ends before the last wanted one.
    """
    wanted = iter(positions)
    target = next(wanted, None)
    with _opened(path) as (container, stream):
        count = 0
        frames = container.decode(stream)
        while target is not None:
            try:
                frame = next(frames, None)
            except av.FFmpegError as error:
                raise InputError(f"{path}: damaged after frame {count} ({_reason(error)})") from error
            if frame is None:
                raise InputError(f"{path}: ends after {count} frames, before frame {target}; it is cut off or damaged")
            if frame.is_corrupt:
                raise InputError(f"{path}: damaged at frame {count}; the frames before it are kept")
            if count == target:
                yield count, frame.to_ndarray(format="rgb24")
                target = next(wanted, None)
            count += 1


def until_damage(frames: Iterator[T], problems: list[str]) -> Iterator[T]:
    """Yields from `frames` up to where it raises InputError, whose message is then added to `problems`."""
    try:
        yield from frames
    except InputError as error:
        problems.append(str(error))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video and its first video stream, decoded by one thread: the clips are what runs in parallel."""
    try:
        container = av.open(
            str(path),
            metadata_errors="replace",
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
        )
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such video") from error
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be opened as a video ({_reason(error)}); it is cut off or damaged") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{path}: has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise InputError(f"{path}: its video is in a format that is not known, or the file is damaged")
        if stream.width * stream.height > MAX_PIXELS:
            raise InputError(
                f"{path}: {stream.width}x{stream.height} pixels is too large; at most {MAX_PIXELS:,} are decoded"
            )
        stream.codec_context.thread_count = 1
        # of every frame, whose size may change; codecs count whole blocks, up to twice as much
        stream.codec_context.options = {"max_pixels": str(2 * MAX_PIXELS)}
        yield container, stream


def _reason(error: av.FFmpegError) -> str:
    return (error.strerror or "unreadable").lower()
