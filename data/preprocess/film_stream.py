"""A video file and which of its streams is the film."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from common.errors import InputError
from common.files import require_plain

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm"
"""FFmpeg's names for what may be opened: neither playlists nor lists of files, which make it read other places."""
ATTACHED = Disposition.attached_pic | Disposition.timed_thumbnails  # cover art; small pictures of a film's chapters


@contextlib.contextmanager
def opened_film(path: Path) -> Iterator[tuple[InputContainer, VideoStream, tuple[str, ...]]]:
    """A video file, its film, and a remark where it holds several.

    Attached pictures are no films, and neither is a stream of one picture beside a longer one: so some programs store
    cover art. Of several films one is taken that the file marks as its default, as players do; then the one with the
    most pixels, then the first.

    Raises InputError for a file that is missing or cannot be opened, or that has no film in a known format.
    """
    with _opened(path) as container:
        films = _films(path, container)
        if len(films) == 1:
            yield container, films[0], ()
            return
        films = sorted(_moving(container, films), key=_rank)
        index = films[0].index
        remarks = (_choice(films),) if len(films) > 1 else ()
    with _opened(path) as container:  # again from the start: counting has read it to its end
        yield container, next(stream for stream in container.streams.video if stream.index == index), remarks


def reason(error: av.FFmpegError) -> str:
    """FFmpeg's words for what went wrong."""
    return (error.strerror or "unreadable").lower()


def _opened(path: Path) -> InputContainer:
    try:
        require_plain(path)
        return av.open(
            str(path),
            metadata_errors="replace",
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
        )
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such video") from error
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be opened as a video ({reason(error)}); it is cut off or damaged") from error


def _films(path: Path, container: InputContainer) -> list[VideoStream]:
    """The streams that may be films, by what the file's header says."""
    if not container.streams.video:
        raise InputError(f"{path}: has no video stream")
    films = [stream for stream in container.streams.video if not stream.disposition & ATTACHED]
    if not films:
        raise InputError(f"{path}: has attached pictures, such as cover art, but no film")
    known = [stream for stream in films if stream.codec_context is not None]
    if not known:
        raise InputError(f"{path}: its video is in a format that is not known, or the file is damaged")
    return known


def _moving(container: InputContainer, streams: Sequence[VideoStream]) -> list[VideoStream]:
    """Those of more than one packet; all where none has more."""
    packets: Counter[int] = Counter()
    with contextlib.suppress(av.FFmpegError):  # damage inside: decoding will say where
        for packet in container.demux(*streams):
            packets[packet.stream_index] += packet.size > 0
    return [stream for stream in streams if packets[stream.index] > 1] or list(streams)


def _rank(stream: VideoStream) -> tuple[bool, int, int]:
    return not stream.disposition & Disposition.default, -stream.width * stream.height, stream.index


def _choice(films: Sequence[VideoStream]) -> str:
    """A line about which of several films, the best one first, is taken."""
    best, *others = (f"{film.width}x{film.height}" for film in films)
    return f"it holds {len(films)} films: the one of {best} pixels is taken, not that of {', '.join(others)}"
