"""Names of classes are read in whatever words and case, and nothing is guessed."""

from typing import Any

import pytest

from common.errors import InputError
from detectors.loading.class_names import class_name, class_names, labels_in, order_unknown, other_labels


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


@pytest.mark.parametrize(
    "numbers",
    [
        {"real": 1, "fake": 0},
        {"real": 0, "fake": 0},
        {"real": 0, "fake": 2},
        {"Deepfake": 0, "Realism": 1},
        {"Original": "1"},
    ],
)
def test_numbers_that_contradict_names_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"its id2label \(Real, Fake\) and its label2id \(.*\) contradict each other"):
        labels_in({"id2label": {"0": "Real", "1": "Fake"}, "label2id": numbers})


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"cat": 0, "dog": 1}, True),
        ({"LABEL_0": 0, "LABEL_1": 1}, False),
        ({"original": 0, "forged": 1}, False),
        ({"real": 0}, False),
        (None, False),
    ],
)
def test_names_by_number_count_and_others_are_said(numbers: dict[str, int] | None, told: bool) -> None:
    said = {"label2id": numbers, "id2label": {"0": "real", "1": "fake"}}
    assert labels_in(said) == ("real", "fake")
    remark = other_labels(said)
    assert (remark is not None) == told
    assert not told or "its label2id (cat, dog) has other names than its id2label, which is taken" in str(remark)


def test_names_count_before_numbered_ones() -> None:
    said = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"real": 1, "fake": 0}}
    assert labels_in(said) == ("fake", "real")


def test_labels_in_other_words_do_not_contradict_each_other() -> None:
    assert labels_in({"class_names": ["Real", "Fake"], "class_to_idx": {"0_original": 0, "1_deepfake": 1}})
    assert labels_in({"class_names": ["Real", "Fake"], "labels": ["a", "b", "c"]})
