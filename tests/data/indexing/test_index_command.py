"""`python -m data index`: from a folder of pictures to an index that everything else reads."""

from pathlib import Path

import numpy as np
import pytest

from common.console import status
from data.__main__ import app
from data.images import encode_png
from data.index import read_index
from data.landmarks import read_landmarks
from data.source import open_frames
from tests.data.indexing.trees import mask, picture


def command(folder: Path, *more: str) -> int:
    return status(app, ["index", str(folder), *more])


def deepfakebench(root: Path) -> list[str]:
    """FaceForensics++ as DeepfakeBench prepares it; the keys of its frames in order."""
    keys = []
    for family in ("manipulated_sequences/Deepfakes", "manipulated_sequences/FaceShifter"):
        for video in ("000_003", "004_982"):
            for number in ("2", "9", "10"):
                place = f"{video}/{number}"
                keys.append(picture(root, f"{family}/c23/frames/{place}.png"))
                if family.endswith("Deepfakes"):
                    mask(root, f"{family}/c23/masks/{place}.png")
                    file = root / f"{family}/c23/landmarks/{place}.npy"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    np.save(file, np.random.default_rng(int(number)).integers(4, 20, (81, 2)))
    return [*keys, *(picture(root, f"original_sequences/youtube/c23/frames/{video}/0.png") for video in ("000", "004"))]


def test_the_tree_of_faceforensics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, splits = tmp_path / "ffpp", tmp_path / "splits"
    keys = deepfakebench(root)
    splits.mkdir()
    for name, pairs in (("train", '[["0", "3"]]'), ("val", "[]"), ("test", "[[4, 982]]")):
        (splits / f"{name}.json").write_text(pairs)
    assert command(root, "--splits", str(splits)) == 0
    entries = read_index(root / "index.csv")
    assert [entry.key for entry in entries] == keys  # 9 before 10
    assert [entry.family for entry in entries] == ["Deepfakes"] * 6 + ["FaceShifter"] * 6 + ["Real"] * 2
    assert [entry.label for entry in entries] == [3] * 6 + [None] * 6 + [0] * 2
    assert [entry.split for entry in entries] == (["train"] * 3 + ["test"] * 3) * 2 + ["train", "test"]
    assert [entry.mask for entry in entries] == [key.replace("frames", "masks") for key in keys[:6]] + [None] * 8
    assert len({entry.video for entry in entries}) == 6
    landmarks = read_landmarks(root / "landmarks.csv")
    assert list(landmarks) == keys[:6]
    np.testing.assert_array_equal(landmarks[keys[2]], np.random.default_rng(10).integers(4, 20, (81, 2)))
    frames = open_frames(root / "index.csv")
    assert frames.missing() == []
    assert frames[0].mask is not None
    assert frames[0].mask.mean() == 0.5
    said = capsys.readouterr()
    assert "index.csv: 14 pictures of 6 videos (test 7, train 7)" in said.out
    assert "sizes: all 24x24 pixels" in said.out
    assert f"next: --frames {root / 'index.csv'}\n" in said.out
    assert "warning" not in said.err


def test_plain_folders_masks_and_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    for part in ("Train", "test"):
        picture(root, f"{part}/Real/a.png")
        picture(root, f"{part}/FAKE/b.png")
        mask(root, f"{part}/masks/b_mask.png")
    assert command(root, "--out", str(tmp_path / "my.csv")) == 0
    found = {entry.key: entry for entry in read_index(tmp_path / "my.csv")}
    assert {key: (entry.fake, entry.label, entry.family, entry.split, entry.mask) for key, entry in found.items()} == {
        "Train/Real/a.png": (False, 0, "Real", "train", None),
        "Train/FAKE/b.png": (True, None, "Fake", "train", "Train/masks/b_mask.png"),
        "test/Real/a.png": (False, 0, "Real", "test", None),
        "test/FAKE/b.png": (True, None, "Fake", "test", "test/masks/b_mask.png"),
    }
    assert all(entry.video == key for key, entry in found.items())
    said = capsys.readouterr().out
    assert "4 pictures in the folder of a class, each counted as a video of its own" in said
    assert f"next: --frames {tmp_path / 'my.csv'} --images {root}\n" in said
    assert len(open_frames(tmp_path / "my.csv", root, "test")) == 2


def test_a_folder_a_class_and_a_question_for_what_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("pristine", "nt", "face2face", "DF", "FaceSwap", "StyleGAN", "1"):
        picture(tmp_path, f"{name}/x.png")
    assert command(tmp_path) == 1
    said = capsys.readouterr().err
    assert "nothing says whether pictures are real or manipulated in 1 (1 picture), StyleGAN (1 picture)" in said
    assert "--class 1=real, --class 1=fake or --class 1=Deepfakes" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "index.csv").exists()
    assert command(tmp_path, "--class", "StyleGAN=fake", "--class", "1=skip") == 0
    found = {entry.key.split("/")[0]: (entry.family, entry.label) for entry in read_index(tmp_path / "index.csv")}
    assert found == {
        "pristine": ("Real", 0),
        "nt": ("NeuralTextures", 1),
        "face2face": ("Face2Face", 2),
        "DF": ("Deepfakes", 3),
        "FaceSwap": ("FaceSwap", 4),
        "StyleGAN": ("StyleGAN", None),
    }
    assert command(tmp_path) == 1
    assert "index.csv: is there already; add --overwrite" in capsys.readouterr().err
    assert command(tmp_path, "--class", "StyleGAN=real", "--class", "1=fake", "--overwrite") == 0
    assert sum(entry.fake is False for entry in read_index(tmp_path / "index.csv")) == 2


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path, "real/whole.png", (90, 160))
    for name in "abc":
        picture(tmp_path, f"fake/{name}.png")
        mask(tmp_path, f"masks/{name}.png", (24, 24) if name == "a" else (48, 48))
    picture(tmp_path, "fake/small.png", (8, 24))
    (tmp_path / "fake/empty.jpg").write_bytes(b"")
    (tmp_path / "fake/text.png").write_text("no picture")
    mask(tmp_path, "masks/other.png")
    mask(tmp_path, "masks/whole.png", (90, 160))
    assert command(tmp_path) == 0
    entries = read_index(tmp_path / "index.csv")
    assert [(entry.key, entry.mask) for entry in entries] == [
        ("fake/a.png", "masks/a.png"),
        ("fake/b.png", None),
        ("fake/c.png", None),
        ("real/whole.png", None),
    ]
    said = capsys.readouterr()
    assert "3 files left out, where no picture can be read, such as " in said.err
    assert (
        "2 masks left out, of another size than the picture, such as masks/b.png (48x48, the picture 24x24)" in said.err
    )
    assert "2 masks of no manipulated picture, and not used, such as masks/other.png" in said.err
    assert "1 of 4 pictures are not square, such as real/whole.png (160x90)" in said.err
    assert "if they are whole frames, crop the faces first" in said.err
    assert "sizes: 2 sizes, from 24x24 to 160x90 pixels" in said.out


@pytest.mark.parametrize(
    ("keys", "options", "says"),
    [
        ([], (), "no pictures in this folder"),
        (["fake/x.png"], ("--class", "nowhere=real"), "no pictures below a folder nowhere, which --class names"),
        (["fake/x.png"], ("--class", "fake=skip"), "no pictures are left; all are masks or skipped"),
        (["masks/x.png"], (), "no pictures are left"),
        (["x.png"], (), "in . (1 picture); say it with --class .=real"),
        (["fake/real/x.png"], (), "contradict each other"),
        (["train/fake/dev/x.png"], (), "name two splits"),
        ([f"fake/{name}_{number}.png" for name in "ab" for number in "12"], (), "--videos names"),
        (["fake/x.png"], ("--splits", "splits"), "no split knows any of the 1 videos, such as fake/x.png (id x)"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    keys: list[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("splits").mkdir()
    for name in ("train", "val", "test"):
        Path(f"splits/{name}.json").write_text("[]")
    root = tmp_path / "set"
    root.mkdir()
    for key in keys:
        picture(root, key)
    assert command(root, *options) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (root / "index.csv").exists()


def test_films_are_told_from_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.mp4").write_bytes(b"x")
    assert command(tmp_path) == 1
    assert "it has videos: `python -m data preprocess` makes face crops and an index of them" in capsys.readouterr().err


def test_several_compressions_and_landmarks_of_other_pictures_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for compression in ("c23", "c40"):
        picture(tmp_path, f"manipulated_sequences/DF/{compression}/frames/000_003/1.png")
    file = tmp_path / "manipulated_sequences/DF/c40/landmarks/000_003/1.npy"
    file.parent.mkdir(parents=True)
    np.save(file, np.full((68, 2), 300) + np.arange(68)[:, None])
    assert command(tmp_path) == 0
    said = capsys.readouterr().err
    assert "videos at several compressions, c23 and c40" in said
    assert "1 file of landmarks left out, which cannot be those of their pictures" in said
    assert "those in manipulated_sequences/DF/c40/landmarks/000_003/1.npy lie about (" in said
    assert not (tmp_path / "landmarks.csv").exists()
    assert command(tmp_path, "--class", "c40=skip", "--overwrite") == 0
    assert "compressions" not in capsys.readouterr().err
    assert len(read_index(tmp_path / "index.csv")) == 1


def test_landmarks_with_one_far_outside_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marks = np.full((68, 2), 4.0) + np.arange(68)[:, None] / 10
    far = marks.copy()
    far[5] *= 1000
    for number, points in enumerate((marks, far)):
        key = f"manipulated_sequences/DF/c23/frames/000_003/{number}.png"
        picture(tmp_path, key)
        file = tmp_path / key.replace("frames", "landmarks").replace(".png", ".npy")
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, points)
    assert command(tmp_path) == 0
    said = capsys.readouterr().err
    assert "1 file of landmarks left out" in said
    assert "landmarks/000_003/1.npy have one at (4500, 4500), far outside" in said
    assert [Path(key).name for key in read_landmarks(tmp_path / "landmarks.csv")] == ["0.png"]


def test_the_videos_of_names_are_the_users_to_say(tmp_path: Path) -> None:
    for video in ("000_003", "001_870"):
        for number in range(3):
            picture(tmp_path, f"fake/{video}_{number}.png")
    for rule, count in (("names", 2), ("pictures", 6)):
        assert command(tmp_path, "--videos", rule, "--overwrite") == 0
        assert len({entry.video for entry in read_index(tmp_path / "index.csv")}) == count


def test_names_that_group_no_pictures_are_said_and_words_behind_the_number_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("000_003_0_of300", "000_003_1_of300", "001_870_0_of300"):
        picture(tmp_path, f"a/fake/{name}.png")
    for name in ("000_003_0_face0", "000_003_1_face0", "1_crop", "2_crop", "frame000_vid7", "frame001_vid7"):
        picture(tmp_path, f"b/fake/{name}.png")
    assert command(tmp_path / "a", "--videos", "names") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "no two of the 3 pictures have names that differ in the last number alone, such as fake/000_003_" in told
    assert command(tmp_path / "b", "--videos", "names") == 0
    assert "no two" not in capsys.readouterr().err
    videos = {entry.video for entry in read_index(tmp_path / "b/index.csv")}
    assert videos == {"fake/000_003", "fake", "fake/vid7"}


@pytest.mark.parametrize("rule", ["names", "pictures"])
def test_an_index_of_names_of_every_kind_is_not_doubted(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("fake/a_1", "fake/a_2", "fake/0001", "fake/0002", "fake/b", "fake/000_003/1", "fake/000_003/2", "real/c")
    for name in (*names, "real/id0_0000", "real/id0_0001", "real/id1_0000", "real/id1_0001"):
        picture(tmp_path, f"{name}.png")
    assert command(tmp_path, "--videos", rule) == 0
    capsys.readouterr()
    assert len(read_index(tmp_path / "index.csv")) == len(names) + 4
    assert capsys.readouterr().err == ""


def test_splits_below_classes_in_other_words(tmp_path: Path) -> None:
    keys = [picture(tmp_path, f"{place}/{n}.png") for place in ("fake/Test_set", "real/Train_set") for n in range(3)]
    assert command(tmp_path, "--videos", "pictures") == 0
    assert command(tmp_path, "--overwrite") == 0
    entries = read_index(tmp_path / "index.csv")
    assert [entry.split for entry in entries] == ["test"] * 3 + ["train"] * 3
    assert [entry.video for entry in entries] == keys


def test_a_folder_that_may_be_a_split_is_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("fake/a", "real/train_v2"):
        picture(tmp_path, f"{place}/0.png")
    assert command(tmp_path) == 1
    assert "real/train_v2 may be the folder of a split or of one video: rename it" in capsys.readouterr().err
    assert command(tmp_path, "--videos", "names") == 0
    assert "no split for the pictures below train_v2" in capsys.readouterr().err


def test_a_generators_folder_that_counts_as_one_video_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        picture(tmp_path, f"real/FFHQ/{number:05d}.png")
        picture(tmp_path, f"fake/StyleGAN/{number:05d}.png")
    assert command(tmp_path) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "the 20 pictures of Real count as 1 video, as each of their folders does, such as real/FFHQ:" in said
    assert "such as fake/StyleGAN: where they are not frames of one film, add --videos pictures" in said
    assert command(tmp_path, "--overwrite", "--videos", "pictures") == 0
    told = capsys.readouterr()
    assert "count as" not in told.err
    assert "40 pictures of 40 videos" in told.out


def drawn(root: Path, key: str, image: np.ndarray) -> None:
    (root / key).parent.mkdir(parents=True, exist_ok=True)
    (root / key).write_bytes(encode_png(image))


def copied(root: Path, key: str, other: str) -> None:
    (root / other).parent.mkdir(parents=True, exist_ok=True)
    (root / other).write_bytes((root / key).read_bytes())


@pytest.mark.parametrize("size", [24, 256])  # smaller and larger than what is read for the size
def test_the_same_picture_in_two_classes_or_splits_is_said(
    size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draws = np.random.default_rng(0)
    for key in ("train/real/a.png", "train/real/b.png", "train/fake/c.png", "test/fake/d.png"):
        drawn(tmp_path, key, draws.integers(0, 256, (size, size, 3), dtype=np.uint8))
    assert command(tmp_path, "--videos", "pictures") == 0
    assert "byte for byte" not in capsys.readouterr().err
    copied(tmp_path, "train/real/a.png", "train/fake/e.png")
    copied(tmp_path, "train/real/b.png", "train/fake/f.png")
    copied(tmp_path, "train/fake/c.png", "test/fake/g.png")
    copied(tmp_path, "train/fake/c.png", "train/fake/h.png")
    assert command(tmp_path, "--videos", "pictures", "--overwrite") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "byte for byte" in line]
    assert len(told) == 2
    assert "2 pictures in two classes, the same byte for byte, such as train/" in told[0]
    assert "train/real/" in told[0]
    assert "(Real)" in told[0]
    assert "1 picture in two splits, the same byte for byte, such as " in told[1]
    assert "train/fake/c.png (train)" in told[1]
    assert "test/fake/g.png (test)" in told[1]


def test_pictures_that_only_begin_alike_are_not_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    for key in ("real/a.png", "fake/b.png"):
        drawn(tmp_path, key, image)
        image = image.copy()
        image[-1] = 0
    assert command(tmp_path, "--videos", "pictures") == 0
    assert "byte for byte" not in capsys.readouterr().err
