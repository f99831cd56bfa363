"""Which frames train a network: their classes, who is held out, how classes are weighted."""

import collections
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from common.console import warn
from common.errors import InputError
from data.entry import Entry
from data.source import IndexedFrames
from detectors.base import Detector


@dataclass(frozen=True, eq=False)
class Labelled:
    """Frames with the class that each belongs to.

    Attributes:
        frames: N frames.
        labels: their N classes.
    """

    frames: IndexedFrames
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, positions: Sequence[int]) -> "Labelled":
        """These frames only, in this order."""
        entries = [self.frames.entries[position] for position in positions]
        return Labelled(IndexedFrames(entries, self.frames.images), tuple(self.labels[p] for p in positions))

    def fingerprint(self) -> str:
        """How many frames they are, and a hash of what the index says of them and of their classes, in their order."""
        said = "".join(f"{entry} {label}\n" for entry, label in zip(self.frames.entries, self.labels, strict=True))
        return f"{len(self)} frames ({hashlib.sha256(said.encode()).hexdigest()[:12]})"

    def pictures(self) -> str:
        """A hash of the bytes of their pictures, masks and source pictures, in hexadecimal; they are read for it."""
        return self.frames.fingerprint()[:12]


def require_classes(frames: Labelled, detector: Detector) -> Labelled:
    """The frames. Raises InputError where they are all of one class, which nothing could tell from another."""
    if len(set(frames.labels)) < 2:
        name = detector.class_names[frames.labels[0]]
        raise InputError(f"all {len(frames)} frames are {name}: training and validation need frames of two classes")
    return frames


def require_apart(training: Labelled, validation: Labelled, names: Sequence[str]) -> None:
    """Sees that validation is on other frames than training, and warns where it is on the same videos or people.

    Args:
        training: the frames to train on.
        validation: those to validate on.
        names: of their splits.

    Raises:
        InputError: frames are in both.
    """
    seen, held = ({entry.key for entry in part.frames.entries} for part in (training, validation))
    if shared := sorted(seen & held):
        raise InputError(
            f"{len(shared)} of the {len(held)} frames to validate on ({names[1]}) are trained on as well ({names[0]}), "
            f"as {shared[0]}: name another --val-split, or leave it out to hold people out"
        )
    trained, validated = ({_person(entry) for entry in part.frames.entries} for part in (training, validation))
    if known := sorted(name for name in trained & validated if any(map(str.isdigit, name))):
        warn(
            f"{len(known)} of the {len(validated)} people to validate on ({names[1]}) are trained on as well "
            f"({names[0]}), as {known[0]}: the accuracy on people that were never seen will be lower"
        )


def labelled(frames: IndexedFrames, detector: Detector) -> tuple[Labelled, dict[str, int]]:
    """The frames that belong to one of a detector's classes, and how many of each family are left out.

    Raises InputError where no frame belongs to any.
    """
    labels = [detector.label_of(entry.family) for entry in frames.entries]
    chosen = [(entry, label) for entry, label in zip(frames.entries, labels, strict=True) if label is not None]
    left_out = collections.Counter(
        entry.family or "no label" for entry, label in zip(frames.entries, labels, strict=True) if label is None
    )
    if not chosen:
        raise InputError(f"no frame belongs to one of the classes {', '.join(detector.class_names)}")
    kept = IndexedFrames([entry for entry, _ in chosen], frames.images)
    return Labelled(kept, tuple(label for _, label in chosen)), dict(left_out)


def require_images(frames: IndexedFrames) -> None:
    """Raises InputError, naming the first of them, where images that the index names are missing."""
    missing = frames.missing()
    if missing:
        raise InputError(
            f"{len(missing)} of {len(frames)} images are not in {frames.images.path}, the first is {missing[0]}: "
            "check --images"
        )


def hold_out(frames: Labelled, fraction: float, seed: int) -> tuple[Labelled, Labelled | None]:
    """Splits off about `fraction` of the people for validation: (training, validation or None).

    Whole people go, so that no face is in both: frames whose videos' names share the part before the first "_" (as
    004 and 004_982 in FaceForensics++). The validation part is None where there are too few people for every
    class to keep frames on both sides.
    """
    groups = [_person(entry) for entry in frames.frames.entries]
    people = sorted(set(groups), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    held = set(people[: round(fraction * len(people))])
    inside = [position for position, group in enumerate(groups) if group in held]
    outside = [position for position, group in enumerate(groups) if group not in held]
    everything = set(frames.labels)
    parts = [{frames.labels[position] for position in part} for part in (inside, outside)]
    if not held or any(part != everything for part in parts):
        return frames, None
    return frames.at(outside), frames.at(inside)


def class_weights(labels: Sequence[int], classes: int) -> Tensor:
    """The weight of each class in the loss, (C,) float32: N / (C' n_c), 0 for a class without frames.

    C' is the number of classes that have frames, so the mean weight over the N frames is 1 (scikit-learn's
    "balanced"; King and Zeng, Political Analysis 2001).
    """
    counts = np.bincount(np.asarray(labels), minlength=classes)
    present = counts > 0
    weights = np.zeros(classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return torch.tensor(weights, dtype=torch.float32)


def _person(entry: Entry) -> str:
    return PurePosixPath(entry.video).stem.split("_")[0]
