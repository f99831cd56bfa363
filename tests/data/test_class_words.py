"""What names say of classes: common words, whatever their case; what says nothing stays unsaid."""

import pytest

from data.class_words import FAKE, class_of, like_split, split_of
from data.frames import REAL


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        (
            "real REAL Original pristine bonafide Bona-Fide live Genuine 0_real real_images Celeb-real YouTube-real",
            REAL,
        ),
        ("original_sequences training_real FF-real DFD_real celebReal authentic", REAL),
        ("fake FAKES 1_fake manipulated manipulated_videos Celeb-synthesis deepfake forged Spoof ai_generated", FAKE),
        ("train_fake fakeImages DeepFake synthetic", FAKE),
        ("Deepfakes deepfakes DF FF-DF ff_df", "Deepfakes"),
        ("Face2Face face2face F2F FF-F2F Face_2_Face", "Face2Face"),
        ("FaceSwap FS ff-fs face-swap", "FaceSwap"),
        ("NeuralTextures NT Neural_Textures", "NeuralTextures"),
        ("FaceShifter faceshifter", "FaceShifter"),
        ("real_vs_fake real-and-fake realistic unreal deepfake_database 0 1 000_003 0000_fake method_A faces", None),
        ("reality surreal fakery alive originality youtube train", None),
    ],
)
def test_names(names: str, meaning: str | None) -> None:
    assert {name: class_of(name) for name in names.split()} == dict.fromkeys(names.split(), meaning)


def test_splits() -> None:
    said = {name: split_of(name) for name in ("Train", "training", "VAL", "dev", "Validation", "test", "eval")}
    assert list(said.values()) == ["train", "train", "val", "val", "val", "test", "test"]
    assert split_of("training_real") == "train"
    for name in ("Train_set", "trainset", "training_set", "TrainSet", "train_images", "train split", "TRAIN-DATA"):
        assert split_of(name) == "train", name
    assert [split_of(name) for name in ("val_set", "valset", "test_set", "Testset")] == ["val", "val", "test", "test"]
    assert [split_of(name) for name in ("train_test", "test_person_7", "real", "contest", "testing-ground")] == [
        None
    ] * 5


def test_names_that_may_be_a_splits() -> None:
    assert all(map(like_split, ("train_v2", "train_val", "test_subject", "dev kit")))
    assert not any(map(like_split, ("train", "Train_set", "test_001", "training_real", "contest", "000_003", "faces")))
