"""What people call real and manipulated pictures: the words of folders, files and checkpoints."""

import re
from functools import cache

from data.frames import CLASS_NAMES, REAL, SHORT_NAMES

FAKE = "Fake"
"""The family of a picture that is manipulated nobody says how."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REAL_WORDS = _words("real reals original originals pristine bonafide live genuine authentic unmanipulated untampered")
FAKE_WORDS = _words(
    "fake fakes deepfake manipulated manipulation manipulations forged forgery forgeries tampered altered synthetic "
    "synthesis synthesized synthesised generated spoof spoofed attack attacks"
)
NEUTRAL_WORDS = _words(
    "image images img imgs picture pictures photo photos face faces frame frames video videos sequence sequences crop "
    "crops sample samples data class celeb youtube you tube ai deep ff dfd 0 1"
)
"""What may stand beside a word for a class and says nothing of it, as in "0_real", "Celeb-real" or "fake_images"."""

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
}
"""Splits by the words for them."""

_PART_WORDS = _words(
    "set sets split splits subset data dataset image images img imgs picture pictures photo photos face faces frame "
    "frames video videos crop crops"
)
"""What may stand beside a word for a split."""

_FAMILIES = {
    **{name.casefold(): name for name in (*CLASS_NAMES[1:], "FaceShifter", "DeepFakeDetection")},
    **{short.casefold(): name for short, name in SHORT_NAMES.items()},
    "dfd": "DeepFakeDetection",
    "fsh": "FaceShifter",
}


def words_of(name: str) -> list[str]:
    """The words in a name, in small letters: "Celeb-real" and "celebReal" are "celeb" and "real"."""
    return [word.casefold() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+", name)]


def known_family(name: str) -> str | None:
    """The manipulation of FaceForensics++ that a name stands for, whatever its case and hyphens, or None.

    "deepfakes", "DF" and "FF-DF" are "Deepfakes".
    """
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return _FAMILIES.get(plain) or (_FAMILIES.get(plain.removeprefix("ff")) if plain.startswith("ff") else None)


@cache
def class_of(name: str) -> str | None:
    """What a name says of the class: "Real", a manipulation of FaceForensics++, "Fake", or None where it says nothing.

    A name speaks for a class where all its words do, but for those that say nothing ("0_real", "training_fake"). So
    "real_vs_fake", "realistic" and "deepfake_database" say nothing.
    """
    family = known_family(name)
    if family:
        return family
    words = set(words_of(name))
    if {"bona", "fide"} <= words:
        words = words - {"bona", "fide"} | {"bonafide"}
    rest = words - NEUTRAL_WORDS - SPLIT_WORDS.keys()
    if rest and rest <= REAL_WORDS:
        return REAL
    return FAKE if rest and rest <= FAKE_WORDS else None


@cache
def split_of(name: str) -> str | None:
    """The split that a name says ("train", "val" or "test"), or None.

    "Validation", "Train_set", "testset" and "training_real" say one: all their words do, but for those for a class and
    those that any part of a data set may be called.
    """
    words = {word.removesuffix("set") if word.removesuffix("set") in SPLIT_WORDS else word for word in words_of(name)}
    if class_of(name) is None and not words <= SPLIT_WORDS.keys() | _PART_WORDS:
        return None
    found = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


@cache
def like_split(name: str) -> bool:
    """Whether a name has a word for a split and does not say which, as "train_v2" and "train_val", or what else it is.

    "test_001" is the name of a video, and so is every other with a number of three digits or more.
    """
    words = set(words_of(name))
    numbered = any(word.isdigit() and len(word) >= 3 for word in words)
    return bool(words & SPLIT_WORDS.keys()) and not numbered and split_of(name) is None and class_of(name) is None
