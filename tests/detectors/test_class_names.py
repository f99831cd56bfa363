"""Names of classes are read in whatever words and case, and nothing is guessed."""

import pytest

from common.errors import InputError
from detectors.class_names import class_name, class_names, labels_in, order_unknown


@pytest.mark.parametrize(
    "label",
    ["real", "REAL", "Original", "originals", "pristine", "bonafide", "bona-fide", "Bona Fide", "live", "genuine",
     "0_real", "1-Real", "real_0", "Real Images", "real_face"],
)  # fmt: skip
def test_words_for_real(label: str) -> None:
    assert class_name(label) == "Real"


@pytest.mark.parametrize(
    "label",
    ["fake", "FAKE", "1_fake", "Fake Image", "deepfake", "manipulated", "forged", "spoof", "AI-generated", "synthetic"],
)
def test_words_for_fake(label: str) -> None:
    assert class_name(label) == "Fake"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("deepfakes", "Deepfakes"),
        ("faceswap", "FaceSwap"),
        ("StyleGAN2", "StyleGAN2"),
        ("0", "0"),
        ("unreal", "unreal"),
    ],
)
def test_other_names(label: str, name: str) -> None:
    assert class_name(label) == name


@pytest.mark.parametrize(
    ("labels", "outputs", "names"),
    [
        (("fake", "real"), 2, ("Fake", "Real")),
        (("0_real", "1_fake"), 2, ("Real", "Fake")),
        (("spoof", "live"), 2, ("Fake", "Real")),
        (("Fake", "Real"), 1, ("Fake", "Real")),
        (("real",), 1, ("Fake", "Real")),
        (("fake",), 1, ("Real", "Fake")),
        (("original", "deepfakes", "faceswap"), 3, ("Real", "Deepfakes", "FaceSwap")),
        (("fake", "synthetic", "original"), 3, ("fake", "synthetic", "Real")),
    ],
)
def test_class_names(labels: tuple[str, ...], outputs: int, names: tuple[str, ...]) -> None:
    assert class_names(labels, outputs, "x") == names


@pytest.mark.parametrize(
    ("labels", "outputs", "words"),
    [
        (("Fake",), 2, "expected 2 names, the network has 2 outputs"),
        (("Real", "Fake", "Spoof"), 2, "expected 2 names"),
        (("live", "real"), 2, "one of them Real"),
        (("cat", "dog"), 2, "one of them Real"),
        (("cat",), 1, "neither real nor fake"),
        (("Real", "Deepfakes", "deepfakes"), 3, "different names"),
    ],
)
def test_names_that_settle_nothing(labels: tuple[str, ...], outputs: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        class_names(labels, outputs, "--classes")


@pytest.mark.parametrize(
    ("said", "labels"),
    [
        ({"class_to_idx": {"fake": 0, "real": 1}}, ("fake", "real")),
        ({"label2id": {"real": "1", "fake": "0"}}, ("fake", "real")),
        ({"id2label": {"1": "Fake", "0": "Real"}}, ("Real", "Fake")),
        ({"idx_to_class": {1: "Fake", 0: "Real"}}, ("Real", "Fake")),
        ({"classes": ["a", "b"]}, ("a", "b")),
        ({"classes": 2, "labels": [0, 1]}, None),
        ({"class_to_idx": {"fake": 0, "real": 2}}, None),
        ({}, None),
    ],
)
def test_labels_in(said: dict[str, object], labels: tuple[str, ...] | None) -> None:
    assert labels_in(said) == labels


def test_the_order_is_asked_for_with_both_spellings() -> None:
    message = str(order_unknown(2, "x.pth"))
    assert message.startswith("x.pth has 2 outputs and does not say which is Real")
    assert "--classes Real,Fake" in message
    assert "--classes Fake,Real" in message
    assert "--classes with 5 names" in str(order_unknown(5, "x.pth"))


@pytest.mark.parametrize(
    "said",
    [
        {"class_names": ["real", "fake"], "class_to_idx": {"0_fake": 0, "1_real": 1}},
        {"label_names": ["Real", "a", "b"], "id2label": {"0": "a", "1": "Real", "2": "b"}},
    ],
)
def test_labels_that_contradict_each_other_are_refused(said: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"its {next(iter(said))} .* and its {list(said)[1]} .* contradict each other"):
        labels_in(said)


def test_labels_in_other_words_do_not_contradict_each_other() -> None:
    assert labels_in({"class_names": ["Real", "Fake"], "class_to_idx": {"0_original": 0, "1_deepfake": 1}})
    assert labels_in({"class_names": ["Real", "Fake"], "labels": ["a", "b", "c"]})
