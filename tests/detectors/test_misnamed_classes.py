"""Names that are exchanged are told from verdicts that are wrong, and named."""

import numpy as np
import pytest

from data.frames import CLASS_NAMES, REAL
from detectors.misnamed_classes import VIDEOS, misnamed, said_of


def said(renamed: dict[str, str], right: float, videos: int = 6, each: int = 5, seed: int = 0) -> dict[str, str]:
    """What is found where so many frames of a video are called by the name that their class goes by."""
    draws = np.random.default_rng(seed)
    names = sorted({*renamed, *renamed.values()})
    rows = [
        (name, called if draws.random() < right else str(draws.choice(names)), f"{name}/{video}")
        for name, called in renamed.items()
        for video in range(videos)
        for _ in range(each)
    ]
    return misnamed(*map(list, zip(*rows, strict=True)))


TWO = {REAL: REAL, "Fake": "Fake"}
FIVE = {name: name for name in CLASS_NAMES}
SORTED = dict(zip(CLASS_NAMES, sorted(CLASS_NAMES), strict=True))


@pytest.mark.parametrize("right", [1.0, 0.9])
@pytest.mark.parametrize(
    "renamed",
    [
        {REAL: "Fake", "Fake": REAL},
        SORTED,
        FIVE | {REAL: "FaceSwap", "FaceSwap": REAL},
        dict(zip(CLASS_NAMES, CLASS_NAMES[1:] + CLASS_NAMES[:1], strict=True)),
    ],
    ids=["reversed", "sorted", "two of five", "shifted"],
)
def test_exchanged_names_are_found(renamed: dict[str, str], right: float) -> None:
    assert said(renamed, right) == {name: called for name, called in renamed.items() if name != called}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("right", [1.0, 0.7, 0.4, 0.0])
@pytest.mark.parametrize("names", [TWO, FIVE], ids=["two", "five"])
def test_right_and_bad_detectors_are_not_blamed(names: dict[str, str], right: float, seed: int) -> None:
    assert said(names, right, seed=seed) == {}


@pytest.mark.parametrize(
    "renamed",
    [
        {REAL: REAL, "Fake": REAL},
        {REAL: "Fake", "Fake": "Fake"},
        {REAL: "Deepfakes", "Deepfakes": "Deepfakes", "FaceSwap": "FaceSwap", "Face2Face": "Deepfakes"},
        {REAL: REAL, "Deepfakes": "FaceSwap", "FaceSwap": "Deepfakes", "Face2Face": "Face2Face"},
    ],
    ids=["all real", "all fake", "real called fake", "fakes among each other"],
)
def test_one_class_taken_for_another_is_no_exchange(renamed: dict[str, str]) -> None:
    assert said(renamed, 1.0) == {}


def test_few_videos_say_nothing_however_many_frames_they_have() -> None:
    exchanged = {REAL: "Fake", "Fake": REAL}
    assert said(exchanged, 1.0, videos=VIDEOS - 1, each=50) == {}
    assert said(exchanged, 1.0, videos=VIDEOS, each=1) == exchanged


def test_it_is_said_in_words() -> None:
    assert "(those of Real Fake, those of Fake Real)" in said_of({REAL: "Fake", "Fake": REAL})
    assert said_of({}) == ""
