"""Decoding as a stream, and what becomes of damaged files."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from common.errors import InputError
from data.preprocess.cuts import Cuts
from data.preprocess.video import _seconds, probe, read, until_damage
from tests.data.preprocess.films import Film, move_earlier, write_film, write_of_two_sizes
from tests.data.preprocess.videos import background, moving, write

COVER = Film(
    [np.full((300, 300, 3), 250, np.uint8)],
    codec="mjpeg",
    pixels="yuvj420p",
    options={},
    disposition=Disposition.attached_pic,
)


def shades(count: int) -> list[np.ndarray]:
    """At most 50 frames that tell their own number by their brightness, in levels of 5."""
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
    info = probe(cut)  # whose header still says 60
    assert info.damage is not None
    assert info.damage.startswith(f"{cut}: damaged after frame {info.frames}")
    problems: list[str] = []
    kept = dict(until_damage(read(cut, range(60)), problems))
    assert len(problems) == 1
    assert str(cut) in problems[0]
    assert 0.5 * share * 60 < len(kept) == info.frames < 60
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
    assert problems == [probe(damaged).damage]
    assert 5 < len(kept) == probe(damaged).frames < 59
    for position, image in kept.items():
        np.testing.assert_array_equal(image, intact[position])


def test_a_file_without_a_frame_count_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", shades(12))
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 0
    assert probe(path).frames == 12


def numbers(path: Path) -> list[int]:
    """What the frames of a film of `shades` say of their number, all of them read."""
    info = probe(path)
    assert info.damage is None
    return [round(float(image.mean()) / 5) for _, image in read(path, range(info.frames))]


def test_an_edit_list_hides_frames(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mp4", Film(shades(30)))
    path = move_earlier(whole, tmp_path / "v.mp4", 18)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 30
    assert numbers(path) == list(range(18, 30))


def test_dropped_frames_are_not_counted(tmp_path: Path) -> None:
    film = Film(shades(23), codec="mpeg4", pixels="yuv420p", options={"b": "4M"}, dropped=(5, 6, 12))
    path = write_film(tmp_path / "v.avi", film)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 23
    assert numbers(path) == [number for number in range(23) if number not in (5, 6, 12)]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx", "libvpx-vp9", "libx265", "libsvtav1"])
def test_what_is_cut_between_key_frames_starts_at_the_next(tmp_path: Path, codec: str) -> None:
    """Whatever its decoder makes of the packets before: no frame, an error, or a patchwork."""
    options = {"g": "10", "bf": "0"} | {
        "libx265": {"x265-params": "keyint=10:min-keyint=10:scenecut=0:bframes=0:log-level=none"},
        "libsvtav1": {"svtav1-params": "keyint=10:scd=0:pred-struct=1", "preset": "12"},
        "libvpx": {"cpu-used": "8"},
        "libvpx-vp9": {"cpu-used": "8"},
        "mpeg4": {"b": "4M", "sc_threshold": "1000000000"},
    }.get(codec, {"preset": "ultrafast"})
    film = Film(shades(30), codec=codec, pixels="yuv420p", options=options)
    assert numbers(write_film(tmp_path / "whole.mkv", film)) == list(range(30))
    assert numbers(write_film(tmp_path / "cut.mkv", replace(film, headless=6))) == list(range(10, 30))


def test_a_file_that_ends_early_says_so(tmp_path: Path) -> None:
    """FFmpeg reads a Matroska file that is cut off between two frames without an error."""
    whole = write_film(tmp_path / "whole.mkv", Film(moving(60)))
    data = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    info = probe(cut)
    assert probe(whole).remarks == ()
    assert 20 < info.frames < 40
    assert info.remarks == (f"it ends after {info.frames / 25:.1f} s, its header says 2.4 s: it may be cut off",)


@pytest.mark.parametrize("ending", [".mkv", ".avi", ".mp4"])
def test_attached_pictures_are_not_the_film(tmp_path: Path, ending: str) -> None:
    for name, picture in (("track", replace(COVER, disposition=None)), ("attached", COVER)):
        path = write_film(tmp_path / f"{name}{ending}", picture, Film(shades(12)))
        info = probe(path)
        assert (info.frames, info.size, info.remarks) == (12, (64, 64), ())
        assert numbers(path) == list(range(12))


def test_a_file_of_attached_pictures_is_no_film(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", COVER, Film(shades(3)))
    with av.open(str(path)) as old, av.open(str(tmp_path / "v.mp4"), "w") as new:
        picture = next(stream for stream in old.streams.video if stream.disposition & Disposition.attached_pic)
        copy = new.add_stream_from_template(picture)
        copy.disposition = Disposition.attached_pic  # type: ignore[misc]  # as in write_film
        for packet in old.demux(picture):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    with pytest.raises(InputError, match=r"v\.mp4: has attached pictures, such as cover art, but no film"):
        probe(tmp_path / "v.mp4")


def test_of_several_films_the_best_is_taken(tmp_path: Path) -> None:
    small, large = Film(shades(12)), Film([cv2.resize(image, (96, 80)) for image in shades(9)])
    path = write_film(tmp_path / "v.mkv", small, large)
    info = probe(path)
    assert (info.frames, info.size) == (9, (96, 80))
    assert info.remarks == ("it holds 2 films: the one of 96x80 pixels is taken, not that of 64x64",)
    assert numbers(path) == list(range(9))
    marked = write_film(tmp_path / "marked.mkv", large, replace(small, disposition=Disposition.default))
    assert probe(marked).size == (64, 64)  # a player shows what is marked
    assert numbers(marked) == list(range(12))


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


@pytest.mark.parametrize(("curve", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG"), ("bt709", None)])
def test_high_dynamic_range_is_remarked(tmp_path: Path, curve: str, name: str | None) -> None:
    options = {"preset": "ultrafast", "color_trc": curve}
    film = write_film(tmp_path / "v.mp4", Film(shades(3), pixels="yuv420p10le", options=options))
    remarks = [remark for remark in probe(film).remarks if "high dynamic range" in remark]
    assert [f"({name})" in remark for remark in remarks] == ([] if name is None else [True])


@pytest.mark.parametrize("woven", [True, False])
def test_interlaced_frames_are_remarked(tmp_path: Path, woven: bool) -> None:
    options = {"preset": "ultrafast", **({"x264-params": "tff=1"} if woven else {})}
    film = write_film(tmp_path / "v.mp4", Film(shades(3), options=options))
    said = [remark for remark in probe(film).remarks if remark.startswith("3 of its 3 frames are marked as interlaced")]
    assert len(said) == woven


UNEVEN = [0.1 * n for n in range(10)] + [1 + 0.02 * n for n in range(20)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("start", [0.0, 7.0])
def test_a_frames_time_is_its_own(tmp_path: Path, suffix: str, start: float) -> None:
    """At ten frames a second and then at fifty; players count from the first frame on."""
    path = write(tmp_path / f"v.{suffix}", shades(30), times=[start + time for time in UNEVEN])
    info = probe(path)
    assert info.times == pytest.approx(UNEVEN, abs=1e-3)
    assert info.length == pytest.approx(1.4, abs=1e-3)
    assert numbers(path)[12] == 12
    even = probe(write(tmp_path / "even.mp4", shades(5)))
    assert even.times == pytest.approx([0.04 * n for n in range(5)])
    assert even.length == pytest.approx(0.2)
    assert probe(write(tmp_path / "one.mp4", shades(1))).length == pytest.approx(0.04)


def test_stamps_that_do_not_ascend_are_no_times() -> None:
    assert _seconds([4, 8, 12], Fraction(1, 4)) == [0.0, 1.0, 2.0]
    for stamps, unit in (([0, 2, 2], Fraction(1)), ([0, 2, 1], Fraction(1)), ([0, None], Fraction(1)), ([0, 1], None)):
        assert _seconds(stamps, unit) is None


def test_a_change_of_the_frames_size_ends_the_video_there(tmp_path: Path) -> None:
    path = write_of_two_sizes(tmp_path / "v.mkv", shades(8), [np.full((32, 48, 3), 90, np.uint8)] * 5)
    info = probe(path)
    assert (info.frames, info.size) == (8, (64, 64))
    told = f"{path}: its frames change from 64x64 to 48x32 pixels at frame 8; the frames before it are kept"
    assert (info.damage or "").startswith(told)
    problems: list[str] = []
    frames = list(until_damage(read(path, [0, 7, 8, 12]), problems))
    assert [(position, image.shape) for position, image in frames] == [(0, (64, 64, 3)), (7, (64, 64, 3))]
    assert problems == [info.damage]


@pytest.mark.parametrize("matrix", ["ycgco", "bt2020c", "ictcp", "chroma-derived-nc"])
def test_a_film_in_colours_that_cannot_be_converted_is_refused_by_name(tmp_path: Path, matrix: str) -> None:
    film = write_film(tmp_path / "v.mp4", Film(shades(3), options={"preset": "ultrafast", "colorspace": matrix}))
    for decode in (probe, lambda path: list(read(path, [0]))):
        with pytest.raises(InputError, match=r"v\.mp4: FFmpeg cannot convert its colours to RGB \(matrix") as caught:
            decode(film)
        assert str(caught.value).endswith("as by `ffmpeg -i v.mp4 -vf zscale=matrix=709 converted.mp4`")


def test_colours_that_cannot_be_converted_from_some_frame_on_end_the_video_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, add = write(tmp_path / "film.mp4", [np.full((64, 64, 3), 100, np.uint8)] * 20), Cuts.add

    def added(cuts: Cuts, frame: av.VideoFrame) -> None:
        if frame.pts and frame.time == pytest.approx(12 / 25):
            frame.colorspace = 8  # YCgCo, which FFmpeg does not convert
        add(cuts, frame)

    monkeypatch.setattr(Cuts, "add", added)
    assert "cannot convert its colours" in str(probe(film).damage)
