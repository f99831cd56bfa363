"""Films as programs and cameras write them: turned, of long pixels, cut, with several streams."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

RATE = 25


@dataclass(frozen=True)
class Film:
    """A stream to be written.

    Attributes:
        images: (H, W, 3) uint8 RGB, as they are stored.
        codec, pixels, options: FFmpeg's names.
        turn: degrees counter-clockwise that a player turns it by; then it is `mirrored`, left to right.
        matrix: nine numbers in their place.
        aspect: the width of a pixel in units of its height.
        dropped: positions of images that are not written, though their moment passes.
        headless: how many packets are left out at its start.
        disposition: what the file marks it as.
    """

    images: Sequence[np.ndarray]
    codec: str = "libx264"
    pixels: str = "yuv444p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "8", "preset": "ultrafast", "g": "10"})
    turn: int = 0
    mirrored: bool = False
    matrix: Sequence[int] | None = None
    aspect: Fraction = Fraction(1)
    dropped: Collection[int] = ()
    headless: int = 0
    disposition: Disposition | None = None


def write_film(path: Path, *films: Film) -> Path:
    """A file of one or more streams, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        streams = [_stream(container.add_stream(film.codec, rate=RATE, options=film.options), film) for film in films]
        for stream, film in zip(streams, films, strict=True):
            container.mux(list(_packets(stream, film))[film.headless :])
    return path


def write_of_two_sizes(path: Path, images: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Path:
    """A film of `images`, and then, of another size, of `others`, in one stream (MJPEG)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p"
        container.mux(list(_packets(stream, Film(images))))
        later = av.VideoCodecContext.create("mjpeg", "w")
        later.height, later.width = others[0].shape[:2]
        later.pix_fmt, later.time_base = "yuvj420p", Fraction(1, RATE)
        for number, image in enumerate(others, len(images)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            for packet in later.encode(frame):
                packet.stream = stream
                container.mux(packet)
    return path


def move_earlier(source: Path, path: Path, frames: int) -> Path:
    """The film of a file with its first frames at moments before 0: an MP4 has an edit list that hides them."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.pts is not None and packet.dts is not None and stream.time_base is not None:
                step = round(frames / (RATE * stream.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts - step, packet.dts - step, copy
                new.mux(packet)
    return path


def _packets(stream: VideoStream, film: Film) -> Iterator[Packet]:
    for number, image in enumerate(film.images):
        if number not in film.dropped:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            yield from stream.encode(frame)
    yield from stream.encode(None)


def _stream(stream: VideoStream, film: Film) -> VideoStream:
    stream.pix_fmt = film.pixels
    stream.height, stream.width = film.images[0].shape[:2]
    stream.codec_context.sample_aspect_ratio = film.aspect
    if film.turn or film.mirrored:
        stream.set_display_rotation(film.turn, hflip=film.mirrored)
    if film.matrix is not None:
        stream.set_display_matrix(film.matrix)
    if film.disposition is not None:
        stream.disposition = film.disposition  # type: ignore[misc]  # PyAV's stub says that it is for reading
    return stream
