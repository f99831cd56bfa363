"""Where Celeb-DF keeps its videos, and the command on a small one."""

from pathlib import Path

import pytest

from common.errors import InputError
from data.index import read_index
from data.preprocess.celebdf import CelebDF
from tests.data.preprocess.commands import command, report
from tests.data.preprocess.videos import moving, painted, place, write

FAKE = "Celeb-synthesis/id0_id1_0000.mp4"
LIST = "List_of_testing_videos.txt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "Celeb-DF-v2"
    for name in (
        "Celeb-real/id0_0000.mp4",
        "Celeb-real/id0_0001.mp4",
        "YouTube-real/00170.mp4",
        FAKE,
        "Celeb-synthesis/id0_id1_0009.mp4",
        "Celeb-synthesis/odd.mp4",
        "Celeb-synthesis/notes.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / LIST).write_text(
        "1 YouTube-real/00170.mp4\n1 Celeb-real/id0_0001.mp4\n0 Celeb-synthesis/id0_id1_0009.mp4\n\n"
    )
    return root


def test_clips_have_their_family_original_and_split(root: Path) -> None:
    found = CelebDF().find(root)
    assert not found.remarks
    clips = {clip.key: clip for clip in found.clips}
    assert list(clips) == sorted(clips)
    assert {key: (clip.family, clip.fake, clip.label, clip.identity, clip.split) for key, clip in clips.items()} == {
        "Celeb-real/id0_0000.mp4": ("Real", False, 0, "id0", "train"),
        "Celeb-real/id0_0001.mp4": ("Real", False, 0, "id0", "test"),
        "YouTube-real/00170.mp4": ("Real", False, 0, "00170", "test"),
        FAKE: ("Celeb-synthesis", True, None, "id0", "train"),
        "Celeb-synthesis/id0_id1_0009.mp4": ("Celeb-synthesis", True, None, "id0", "test"),
        "Celeb-synthesis/odd.mp4": ("Celeb-synthesis", True, None, "odd", "train"),
    }
    originals = {clip.path.name: clip.original for clip in found.clips if clip.original}
    assert originals == {"id0_id1_0000.mp4": root / "Celeb-real/id0_0000.mp4"}
    assert {clip.family for clip in CelebDF().find(root, ["celeb-synthesis"]).clips} == {"Celeb-synthesis"}


def test_a_list_that_is_missing_or_names_missing_videos_is_remarked_on(root: Path) -> None:
    (root / "YouTube-real/00170.mp4").unlink()
    found = CelebDF().find(root)
    assert found.remarks == ("1 of the 3 videos to test on are not there, such as YouTube-real/00170.mp4",)
    (root / LIST).unlink()
    found = CelebDF().find(root)
    assert [clip.split for clip in found.clips] == [None] * 5
    assert found.remarks == (f"no {LIST} under {root}: the index has no splits",)


def test_what_is_not_there_or_wrong_is_said(root: Path, tmp_path: Path) -> None:
    for content, says in (
        ("1 YouTube-real/00170.mp4\nYouTube-real/00171.mp4\n", "line 2: 'YouTube-real/00171.mp4' is not such as"),
        ("1 Elsewhere/00170.mp4\n", "line 1: '1 Elsewhere/00170.mp4' is not such as"),
        ("0 YouTube-real/00170.mp4\n", "line 1: YouTube-real/00170.mp4 is labelled 0, but 1 means real and 0 fake"),
        (f"1 {FAKE}\n", f"line 1: {FAKE} is labelled 1"),
    ):
        (root / LIST).write_text(content)
        with pytest.raises(InputError) as refused:
            CelebDF().find(root)
        assert str(refused.value).startswith(f"{root / LIST}, line")
        assert says in str(refused.value)
    (root / LIST).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not text in UTF-8"):
        CelebDF().find(root)
    (root / LIST).unlink()
    with pytest.raises(InputError, match="unknown family 'Deepfakes'; known: Real, Celeb-synthesis"):
        CelebDF().find(root, ["Deepfakes"])
    with pytest.raises(InputError, match="no such folder"):
        CelebDF().find(tmp_path / "absent")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="none of Celeb-real, YouTube-real, Celeb-synthesis is in it"):
        CelebDF().find(tmp_path / "other")
    (tmp_path / "empty" / "Celeb-real").mkdir(parents=True)
    with pytest.raises(InputError, match="no videos of Real, Celeb-synthesis"):
        CelebDF().find(tmp_path / "empty")


def test_the_command_makes_crops_masks_sources_and_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "Celeb-DF-v2", tmp_path / "out"
    images = moving(10)
    write(root / "Celeb-real/id0_0000.mp4", images)
    write(root / "YouTube-real/00170.mp4", images[::-1])
    write(root / FAKE, painted(images, [place(index) for index in range(10)]))
    (root / LIST).write_text("1 YouTube-real/00170.mp4\n")
    options = ("--layout", "celebdf", "--frames-per-video", "2")
    assert command(root, out, *options, "--sources") == 0
    entries = read_index(out / "index.csv")
    assert {(entry.video, entry.fake, entry.label, entry.family, entry.split) for entry in entries} == {
        ("Celeb-real/id0_0000.mp4", False, 0, "Real", "train"),
        ("YouTube-real/00170.mp4", False, 0, "Real", "test"),
        (FAKE, True, None, "Celeb-synthesis", "train"),
    }
    row = report(out)[FAKE]
    assert (row["crops"], row["masks"], row["mask_source"], row["sources"]) == ("2", "2", "difference", "2")
    assert "index.csv: 6 crops (test 2, train 4)" in capsys.readouterr().out
    by_time = tmp_path / "time"
    assert command(root, by_time, *options, "--split-by-time") == 0
    assert {entry.split for entry in read_index(by_time / "index.csv") if entry.video == FAKE} == {"train", "test"}
    capsys.readouterr()
    for code, said, place_, more in (
        (2, "belong to --layout ffpp", tmp_path / "new", ("--compression", "c23")),
        (2, "belong to --layout ffpp", tmp_path / "new", ("--splits", str(tmp_path))),
        (1, "crops would lie among the videos", root, ()),
        (1, "crops would lie among the videos", root / "Celeb-real" / "crops", ()),
    ):
        assert command(root, place_, *options, *more) == code
        assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
