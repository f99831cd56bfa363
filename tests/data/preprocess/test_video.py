"""Decoding as a stream, and what becomes of damaged files."""

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest

from common.errors import InputError
from data.preprocess.video import probe, read, until_damage
from tests.data.preprocess.videos import background, moving, write


def shades(count: int) -> list[np.ndarray]:
    """Frames that tell their own number by their brightness."""
    return [np.full((64, 64, 3), 5 * index, dtype=np.uint8) for index in range(count)]


def test_frames_come_by_their_number(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", shades(40))
    info = probe(path)
    assert (info.frames, info.size, info.rate) == (40, (64, 64), 25.0)
    wanted = [0, 3, 17, 18, 39]
    found = list(read(path, wanted))
    assert [position for position, _ in found] == wanted
    for position, image in found:
        assert image.dtype == np.uint8
        assert image.shape == (64, 64, 3)
        assert np.abs(image.astype(int) - 5 * position).max() <= 2
    assert list(read(path, [])) == []


def test_the_chosen_frames_are_those_of_a_naive_decoder(ffpp: Path) -> None:
    path = ffpp / "original_sequences/youtube/c23/videos/004.mp4"
    wanted = [0, 7, 30]
    with av.open(str(path)) as container:
        naive = [
            image.to_ndarray(format="rgb24") for _, image in zip(range(31), container.decode(video=0), strict=False)
        ]
    for position, image in read(path, wanted):
        np.testing.assert_array_equal(image, naive[position])


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", (background(320, 240) for _ in range(60)))
    one = 320 * 240 * 3
    tracemalloc.start()
    try:
        total = sum(image.nbytes for _, image in read(path, range(60)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 60 * one
    assert peak < 4 * one


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_file_gives_the_frames_before_the_cut(tmp_path: Path, share: float) -> None:
    whole = write(tmp_path / "whole.mp4", moving(60), faststart=True)
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: int(share * len(data))])
    assert probe(cut).frames == 60  # the header still says so
    problems: list[str] = []
    kept = dict(until_damage(read(cut, range(60)), problems))
    assert len(problems) == 1
    assert str(cut) in problems[0]
    assert 0.5 * share * 60 < len(kept) < 60
    intact = dict(read(whole, range(60)))
    assert list(kept) == list(range(len(kept)))
    for position, image in kept.items():
        np.testing.assert_array_equal(image, intact[position])


def test_damage_in_the_middle_ends_the_video_there(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4", moving(60))
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(byte ^ 0x5A for byte in data[middle : middle + 200])
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(bytes(data))
    intact = dict(read(whole, range(60)))
    problems: list[str] = []
    kept = dict(until_damage(read(damaged, range(60)), problems))
    assert len(problems) == 1
    assert "damaged" in problems[0]
    assert 5 < len(kept) < 59
    for position, image in kept.items():
        np.testing.assert_array_equal(image, intact[position])


def test_a_file_without_a_frame_count_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", shades(12))
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 0
    assert probe(path).frames == 12


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.mp4: no such video"):
        probe(tmp_path / "absent.mp4")
    for name, data in (("empty.mp4", b""), ("junk.mp4", bytes(range(256)) * 20), ("text.mp4", b"not a video")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=rf"{name}: cannot be opened as a video"):
            probe(tmp_path / name)
    whole = write(tmp_path / "whole.mp4", moving(10))  # its table of frames is at its end
    (tmp_path / "headless.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(InputError, match=r"headless\.mp4: cannot be opened .*; it is cut off or damaged"):
        probe(tmp_path / "headless.mp4")
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="has no video stream"):
        probe(sound)
    with pytest.raises(InputError, match="12x12 pixels is too small"):
        probe(write(tmp_path / "tiny.mp4", [np.zeros((12, 12, 3), np.uint8)] * 2))
