"""Finished videos whose files are not as they were written: they are done again, with a word, and come out whole."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data.index import read_index
from data.preprocess.crop_folder import FINISHED, SETTINGS
from data.stores import LmdbImages
from tests.data.preprocess.commands import FORGED, command, report
from tests.data.preprocess.videos import data_set, tree

OPTIONS = ("--frames-per-video", "4", "--methods", "Deepfakes", "--sources")
OTHER = "original_sequences/youtube/c23/videos/001.mp4"
CROP, MASK, SOURCE = (f"{part}{FORGED}/00004_0.png" for part in ("", "masks/", "sources/"))
OTHER_MASK = f"masks/{FORGED}/00000_0.png"
RECORD = f"{FINISHED}/{FORGED}.json"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 12345\n"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("ffpp"), frames=12)


@pytest.fixture
def out(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The crops of three videos, finished."""
    assert command(root, tmp_path / "out", *OPTIONS) == 0
    capsys.readouterr()
    return tmp_path / "out"


def warned(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The warnings so far."""
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]


def edited(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    """What changes a record, with everything else as it was."""

    def edit(out: Path) -> None:
        values = json.loads((out / RECORD).read_text())
        change(values)
        (out / RECORD).write_text(json.dumps(values))

    return edit


def emptied(name: str) -> Callable[[Path], object]:
    return lambda out: (out / name).write_bytes(b"")


def copied(one: str, other: str) -> Callable[[Path], object]:
    return lambda out: (out / other).write_bytes((out / one).read_bytes())


def exchanged(one: str, other: str) -> Callable[[Path], None]:
    def exchange(out: Path) -> None:
        first, second = (out / name for name in (one, other))
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)

    return exchange


def zeroed(name: str) -> Callable[[Path], None]:
    """What writes zeros over a stretch of a file, whose length stays."""

    def zero(out: Path) -> None:
        data = bytearray((out / name).read_bytes())
        data[60:124] = bytes(64)
        (out / name).write_bytes(data)

    return zero


def piped(out: Path) -> None:
    (out / CROP).unlink()
    os.mkfifo(out / CROP)


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an empty crop": (CROP, emptied(CROP)),
    "an empty mask": (MASK, emptied(MASK)),
    "an empty source picture": (SOURCE, emptied(SOURCE)),
    "a pointer of git-lfs": (CROP, lambda out: (out / CROP).write_bytes(POINTER)),
    "a sector of zeros": (CROP, zeroed(CROP)),
    "crops of two frames exchanged": (f"{FORGED}/00000_0.png", exchanged(CROP, f"{FORGED}/00000_0.png")),
    "crops of two videos exchanged": (CROP, exchanged(CROP, f"{OTHER}/00004_0.png")),
    "the mask of another frame": (MASK, copied(OTHER_MASK, MASK)),
    "the crop as its source picture": (SOURCE, copied(CROP, SOURCE)),
    "a mask that is gone": (MASK, lambda out: (out / MASK).unlink()),
    "a pipe": (CROP, piped),
    "masks that are not said": (RECORD, edited(lambda values: [crop.update(masked=False) for crop in values["crops"]])),
    "half of the crops": (RECORD, edited(lambda values: values.update(crops=values["crops"][:2]))),
    "fewer frames": (RECORD, edited(lambda values: values.update(frames=3))),
    "another share of the masks": (RECORD, edited(lambda values: values.update(mask_share=0.5))),
    "another key": (RECORD, edited(lambda values: values.update(key=OTHER))),
    "a landmark": (RECORD, edited(lambda values: values["crops"][0].update(landmarks=[[1, 2]] * 5))),
    "another hash": (RECORD, edited(lambda values: values["crops"][0].update(sha256="0" * 64))),
    "the size of the video": (RECORD, edited(lambda values: values.update(sources=[1, 2, None]))),
    "a record that is cut off": (RECORD, lambda out: (out / RECORD).write_text((out / RECORD).read_text()[:-20])),
    "an empty record": (RECORD, emptied(RECORD)),
    "the record of another video": (RECORD, copied(f"{FINISHED}/{OTHER}.json", RECORD)),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_not_as_it_was_written_is_made_again(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    whole = tree(out)
    times = {path: path.stat().st_mtime_ns for path in (out / OTHER).iterdir()}
    name, damage = DAMAGE[what]
    damage(out)
    assert command(root, out, *OPTIONS) == 0
    lines = warned(capsys)
    assert any(str(out / name) in line and f"the crops of {FORGED} are made again" in line for line in lines), lines
    assert tree(out) == whole
    if what != "crops of two videos exchanged":
        assert len(lines) == 1
        assert {path: path.stat().st_mtime_ns for path in times} == times  # nothing else was done again


def test_whole_folders_are_kept_without_a_word(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if "_sequences" in str(path) and path.is_file()}
    values = json.loads((out / RECORD).read_text())
    (out / RECORD).write_text(json.dumps(values, indent=4, sort_keys=True))  # another layout says the same
    times[out / RECORD] = (out / RECORD).stat().st_mtime_ns
    assert command(root, out, *OPTIONS) == 0
    assert warned(capsys) == []
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_any_changed_byte_of_a_record_is_seen(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another digit at every third place that has one: JSON all the while."""
    text, whole = (out / RECORD).read_text(), tree(out)
    places = [place for place, letter in enumerate(text) if letter.isdigit()][::23]
    assert len(places) > 20
    for place in places:
        (out / RECORD).write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}")
        assert command(root, out, *OPTIONS) == 0
        lines = warned(capsys)
        assert len(lines) == 1, text[place - 20 : place + 20]
        assert str(out / FORGED) in lines[0] or RECORD in lines[0]
        assert tree(out) == whole


def test_a_record_from_a_folder_of_other_options_is_not_believed(
    root: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, wider = tree(out), tmp_path / "wider"
    assert command(root, wider, *OPTIONS, "--margin", "1.6") == 0
    capsys.readouterr()
    for part in (
        RECORD,
        *(f"{where}{FORGED}/{number:05d}_0.png" for where in ("", "masks/", "sources/") for number in (0, 4, 7, 11)),
    ):
        if (wider / part).exists():
            (out / part).write_bytes((wider / part).read_bytes())
    assert command(root, out, *OPTIONS) == 0
    assert "made with other options" in warned(capsys)[0]
    assert tree(out) == whole


def test_records_of_earlier_versions_are_done_again_with_one_remark(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tree(out)
    for record in (out / FINISHED).rglob("*.json"):
        values = json.loads(record.read_text())
        for owner in (values, *values["crops"]):
            for name in ("sha256", "mask_sha256", "source_sha256", "recipe"):
                owner.pop(name, None)
        record.write_text(json.dumps(values))
    (out / CROP).write_bytes(b"")
    assert command(root, out, *OPTIONS, "--workers", "2") == 0
    lines = warned(capsys)
    assert len(lines) == 1
    assert "the records of 3 finished videos, such as" in lines[0]
    assert "are of an earlier version and have no checksums" in lines[0]
    assert tree(out) == whole


def test_a_damaged_crop_does_not_replace_the_sound_one_in_a_store(
    root: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "faces.lmdb"
    assert command(root, out, *OPTIONS, "--lmdb", str(store)) == 0
    sound = (out / CROP).read_bytes()
    (out / CROP).write_bytes(POINTER)
    assert command(root, out, *OPTIONS, "--lmdb", str(store)) == 0
    assert LmdbImages(store).read(CROP) == sound


def test_a_run_that_is_ended_while_it_makes_crops_again_leaves_no_record(
    root: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / MASK).unlink()

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("data.preprocess.clip.probe", ended)
        assert command(root, out, *OPTIONS) == 130
    assert not (out / RECORD).exists()
    assert command(root, out, *OPTIONS) == 0
    assert report(out)[FORGED]["masks"] == "4"
    assert sum(entry.mask is not None for entry in read_index(out / "index.csv")) == 4


def test_a_folder_that_lost_its_options_says_so(out: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / SETTINGS).unlink()
    assert command(root, out, *OPTIONS) == 1
    assert f"{out}: has finished videos, but its preprocess.json, which says how they were made, is" in " ".join(
        capsys.readouterr().err.split()
    )
    assert (out / CROP).is_file()
