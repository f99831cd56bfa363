"""What folders say: classes, splits and videos, and what is asked for."""

import pytest

from common.errors import InputError
from data.indexing.labelled_pictures import identity
from data.indexing.picture_tree import ClassNames, Verdict, VideoRule, split, unknown_folders, verdict, videos


@pytest.mark.parametrize(
    ("key", "family", "folder"),
    [
        ("manipulated_sequences/Deepfakes/c23/frames/000_003/0001.png", "Deepfakes", "manipulated_sequences/Deepfakes"),
        ("FF/manipulated_sequences/neuraltextures/raw/000_003/1.png", "NeuralTextures", None),
        ("manipulated_sequences/FaceDancer/c23/frames/000_003/1.png", "FaceDancer", "manipulated_sequences/FaceDancer"),
        ("manipulated_sequences/000_003/1.png", "Fake", "manipulated_sequences"),
        ("original_sequences/youtube/c23/frames/000/0001.png", "Real", "original_sequences/youtube"),
        ("original_sequences/000/0001.png", "Real", "original_sequences"),
        ("original_sequences/actors/c23/frames/01__exit/1.png", "Real", "original_sequences/actors"),
        ("Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000/1.png", "Fake", "Celeb-DF-v2/Celeb-synthesis"),
        ("train/real/x.jpg", "Real", "train/real"),
        ("train/1_fake/x.jpg", "Fake", "train/1_fake"),
        ("stylegan/0_real/x.jpg", "Real", "stylegan/0_real"),
        ("fake/Face2Face/x.jpg", "Face2Face", "fake/Face2Face"),
        ("UADFV/fake/frames/0000_fake/1.png", "Fake", "UADFV/fake"),
        ("FaceSwap/real/x.jpg", "Real", "FaceSwap/real"),
        ("FaceSwap/fake/x.jpg", "FaceSwap", "FaceSwap/fake"),
        ("real_vs_fake/real-vs-fake/train/real/1.jpg", "Real", "real_vs_fake/real-vs-fake/train/real"),
    ],
)
def test_folders_that_say_a_class(key: str, family: str, folder: str | None) -> None:
    found = verdict(key)
    assert found is not None
    assert (found.family, found.fake) == (family, family != "Real")
    assert folder is None or found.folder == folder


@pytest.mark.parametrize("key", ["x.png", "0/x.png", "train/1/x.png", "DFDCP/method_A/v/x.png", "real.png"])
def test_folders_that_say_nothing(key: str) -> None:
    assert verdict(key) is None


@pytest.mark.parametrize(
    "key", ["fake/original/x.png", "real/fake/x.png", "real/Deepfakes/x.png", "FaceSwap/F2F/x.png"]
)
def test_folders_that_contradict_each_other_are_asked_about(key: str) -> None:
    with pytest.raises(
        InputError, match=r"contradict each other on its class; say what holds, such as --class \S+=real"
    ):
        verdict(key)


def test_what_the_user_says() -> None:
    names = ClassNames(["1=fake", "0=Real", "StyleGAN=fake", "b/StyleGAN=F2F", "extra\\old=skip", "x=y=live"])
    told = {
        "train/1/a.png": Verdict("Fake", "train/1"),  # a number is no name of a family
        "train/0/a.png": Verdict("Real", "train/0"),
        "StyleGAN/v/a.png": Verdict("StyleGAN", "StyleGAN"),
        "b/StyleGAN/a.png": Verdict("Face2Face", "b/StyleGAN"),
        "extra/old/a.png": Verdict("skip", "extra/old"),
        "x=y/a.png": Verdict("Real", "x=y"),
        "0/1/a.png": Verdict("Fake", "0/1"),  # the innermost decides
        "other/a.png": None,
    }
    assert names.unused == ["0", "1", "StyleGAN", "b/StyleGAN", "extra/old", "x=y"]
    assert {key: names.of(key.split("/")[:-1]) for key in told} == told
    assert names.unused == []
    root = ClassNames([".=real", "a=fake"])
    assert (root.of([]), root.of(["v"]), root.of(["a"])) == (
        Verdict("Real", "."),
        Verdict("Real", "."),
        Verdict("a", "a"),
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["real"], "expected FOLDER=CLASS, such as --class method_A=fake"),
        (["a=rael"], "--class a=rael: a class is real, fake"),
        (["a="], "a class is real, fake"),
        (["a=real", "a=fake"], "says two things of the folder a"),
    ],
)
def test_what_the_user_says_wrong(given: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ClassNames(given)


def test_splits_of_folders() -> None:
    assert [split(key) for key in ("Train/real/x", "real/Validation/x", "test_fake/x", "real/x", "train.png")] == [
        *("train", "val", "test"),
        *(None, None),
    ]
    with pytest.raises(InputError, match="name two splits, test and train"):
        split("train/real/test/x.png")


def grouped(keys: list[str], rule: VideoRule | None = None) -> dict[str, str]:
    found = {key: verdict(key) for key in keys}
    return videos({key: said for key, said in found.items() if said}, rule)


def test_folders_below_a_class_are_videos_and_pictures_in_it_stand_alone() -> None:
    keys = {
        "manipulated_sequences/DF/c23/frames/000_003/1.png": "manipulated_sequences/DF/c23/frames/000_003",
        "original_sequences/youtube/c23/000/1.png": "original_sequences/youtube/c23/000",
        "real/clip 7/frames/1.png": "real/clip 7/frames",
        "real/1.png": "real/1.png",
        "real/img_2.png": "real/img_2.png",
        "real/images/3.png": "real/images/3.png",
        "fake/train/5.png": "fake/train/5.png",
    }
    assert grouped(list(keys)) == keys
    assert grouped(list(keys), VideoRule.PICTURES) == {key: key for key in keys}


def test_names_like_those_of_frames_are_asked_about() -> None:
    keys = [f"fake/{video}_{number:04d}.png" for video in ("000_003", "001_870") for number in range(4)]
    with pytest.raises(
        InputError, match=r"8 pictures in fake have names as frames of 2 videos.*--videos names.*pictures"
    ):
        grouped(keys)
    assert set(grouped(keys, VideoRule.NAMES).values()) == {"fake/000_003", "fake/001_870"}
    assert len(set(grouped(keys, VideoRule.PICTURES).values())) == 8
    others = ["real/a_frame12.png", "real/a_frame3.png", "real/b-f3.png", "real/surf7.png", "real/8.png", "real/09.png"]
    assert list(grouped(others, VideoRule.NAMES).values()) == [
        "real/a",
        "real/a",
        "real/b",
        "real/surf",
        "real",
        "real",
    ]
    photos = [f"real/{number:05d}.png" for number in range(20)] + [f"fake/img_{number}.png" for number in range(20)]
    assert len(set(grouped(photos).values())) == 40


def test_the_outermost_folder_of_which_nothing_is_known_is_asked_for() -> None:
    known = ["set/real/1.png", "set/fake/1.png"]
    unknown = ["set/method_A/frames/v1/1.png", "set/method_A/frames/v2/1.png", "set/images/odd/1.png", "loose.png"]
    assert unknown_folders(unknown, known) == {"set/method_A": 2, "set/images/odd": 1, ".": 1}
    assert unknown_folders(["train/0/1.png", "train/1/1.png", "test/0/1.png"], []) == {
        "train/0": 1,
        "train/1": 1,
        "test/0": 1,
    }


def test_the_ids_of_videos() -> None:
    ids = {
        "manipulated_sequences/DF/c23/frames/004_982": "004",
        "original_sequences/youtube/c23/frames/004": "004",
        "a/videos/004_982.mp4": "004",
        "fake/004_982/frames": "004",
        "fake/004_982": "004",
        "fake/004.png": "004",
        "original_sequences/actors/c23/frames/01__exit": "actor 01",
    }
    assert {video: identity(video) for video in ids} == ids
