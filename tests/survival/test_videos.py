"""Videos: frames, or one line; nothing but the file itself is opened, and no frame is larger than a picture may be."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from data.preprocess.video import probe, read
from tests.data.preprocess.videos import moving, write
from tests.survival.inputs import damaged, survives, tried


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One short video in each kind of file."""
    folder = tmp_path_factory.mktemp("videos")
    return {ending: write(folder / f"v{ending}", moving(8)).read_bytes() for ending in (".mp4", ".avi", ".mkv")}


@tried(100)
@given(st.data())
def test_any_video_is_frames_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    content = data.draw(st.sampled_from(sorted(files)).flatmap(lambda ending: damaged(st.just(files[ending]))))
    path = tmp_path_factory.mktemp("videos") / "v.mp4"
    path.write_bytes(content)

    def use() -> None:
        count = probe(path).frames
        for _, image in read(path, sorted({0, min(3, count - 1)})):
            assert image.dtype == np.uint8

    survives("videos", use, str(path))


def claiming(path: Path, side: int) -> Path:
    """An AVI of raw frames of 64x64 pixels whose header claims side x side."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr24"
        for packet in (
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")),
            stream.encode(),
        ):
            container.mux(packet)
    data = path.read_bytes()
    place = data.index(b"strf") + 12  # behind the chunk's and the header's own sizes
    path.write_bytes(data[:place] + side.to_bytes(4, "little") * 2 + data[place + 8 :])
    return path


@pytest.mark.parametrize("side", [10_000, 30_000, 2**31 - 1])
def test_a_video_that_claims_absurd_frames_is_refused(tmp_path: Path, side: int) -> None:
    path = claiming(tmp_path / "v.avi", side)
    assert survives("video bombs", lambda: probe(path), str(path)) is not None
    assert survives("video bombs", lambda: list(read(path, [0])), str(path)) is not None


def test_a_frame_that_grows_within_a_video_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header's size passes, the second frame's own does not."""
    path = tmp_path / "v.avi"
    with av.open(str(path), "w") as container:
        streams = container.add_stream("mjpeg", rate=25)
        streams.width, streams.height, streams.pix_fmt = 64, 64, "yuvj420p"
        container.mux(streams.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        larger = av.CodecContext.create("mjpeg", "w")
        larger.width, larger.height, larger.pix_fmt, larger.time_base = 640, 640, "yuvj420p", Fraction(1, 25)
        image = av.VideoFrame.from_ndarray(np.zeros((640, 640, 3), np.uint8), "rgb24").reformat(format="yuvj420p")
        for packet in larger.encode(image):
            packet.stream, packet.pts, packet.dts = streams, 1, 1
            container.mux(packet)
    with pytest.raises(InputError, match="its frames change from 64x64 to 640x640 pixels at frame 1"):
        list(read(path, [0, 1]))
    monkeypatch.setattr("data.preprocess.video.MAX_PIXELS", 100_000)
    assert probe(path).size == (64, 64)
    assert survives("video bombs", lambda: list(read(path, [0, 1])), f"{path}: damaged after frame 1") is not None


def test_a_video_in_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """An AVI whose code for the codec is none."""
    path = claiming(tmp_path / "v.avi", 64)
    data = path.read_bytes()
    place = data.index(b"strf") + 8 + 16  # biCompression
    path.write_bytes(data[:place] + b"\0\1?\xff" + data[place + 4 :])
    assert survives("video bombs", lambda: probe(path), f"{path}: its video is in a format") is not None


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile other.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\nother.mp4\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_that_poses_as_a_video_opens_nothing(tmp_path: Path, kind: str) -> None:
    """FFmpeg follows lists of files and addresses, whatever the file's ending: here none is opened."""
    write(tmp_path / "other.mp4", moving(3))
    path = tmp_path / "v.mp4"
    path.write_text(PLAYLISTS[kind])
    if kind == "concat":  # the test's own teeth: without the rule the other file's frames come out
        with av.open(str(path)) as container:
            assert len(list(container.decode(video=0))) == 3
    assert survives("video bombs", lambda: probe(path), f"{path}: cannot be opened as a video") is not None
