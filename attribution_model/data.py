"""Frames as training batches: which frames, in which order, changed how. All of it depends on the seed alone."""

import collections
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from attribution_model.augment import Augmentation
from common.console import warn
from common.errors import InputError
from common.seeds import derive_seed, generator
from data.index import Entry
from data.source import IndexedFrames
from detectors.base import Detector, resize

Batch = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) float32 in [0, 1] and labels (N,) int64."""


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


class FrameDataset(Dataset[tuple[Tensor, int] | None]):
    """Training or validation samples, by (epoch, position); a frame that cannot be read is None, with a warning."""

    def __init__(
        self, frames: Labelled, size: int, antialias: bool, augmentation: Augmentation | None, seed: int
    ) -> None:
        self.frames, self.size, self.antialias = frames, size, antialias
        self.augmentation, self.seed = augmentation, seed

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, int] | None:
        """The image (3, S, S) float32 in [0, 1] and its class; what augmentation does depends on seed, epoch, key."""
        epoch, position = place
        try:
            frame = self.frames.frames[position]
        except InputError as error:
            if epoch == 0:
                warn(f"left out: {error}")
            return None
        image = frame.image
        if self.augmentation is not None:
            image = self.augmentation(image, generator(self.seed, "augmentation", epoch, frame.key))
        return resize(image, self.size, self.antialias), self.frames.labels[position]


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, position) for every position once, shuffled by seed and epoch or in order."""

    def __init__(self, count: int, shuffle: bool, seed: int) -> None:
        self.count, self.shuffle, self.seed, self.epoch = count, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self.count)
        if self.shuffle:
            generator(self.seed, "order", self.epoch).shuffle(order)
        return iter([(self.epoch, int(position)) for position in order])


def collate(samples: Sequence[tuple[Tensor, int] | None]) -> Batch:
    """A batch of the samples that could be read; N may be 0."""
    read = [sample for sample in samples if sample is not None]
    images = torch.stack([image for image, _ in read]) if read else torch.empty(0, 3, 1, 1)
    return images, torch.tensor([label for _, label in read], dtype=torch.int64)


class FrameData(LightningDataModule):
    """Training and validation batches of labelled frames."""

    def __init__(
        self,
        train: Labelled,
        validation: Labelled | None,
        detector: Detector,
        augmentation: Augmentation,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.size, self.antialias = detector.input_size, detector.antialias
        self.augmentation, self.batch_size, self.workers, self.seed = augmentation, batch_size, workers, seed

    def train_dataloader(self) -> DataLoader[tuple[Tensor, int] | None]:
        """Shuffled, augmented batches; a last batch of one frame, which batch norms cannot use, is dropped."""
        drop_last = len(self.train) % self.batch_size == 1 and len(self.train) > 1
        return self._loader(self.train, self.augmentation, shuffle=True, drop_last=drop_last)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, int] | None] | list[None]:
        """The validation frames in order, unchanged; an empty list where there are none."""
        return [] if self.validation is None else self._loader(self.validation, None, shuffle=False, drop_last=False)

    def _loader(
        self, frames: Labelled, augmentation: Augmentation | None, shuffle: bool, drop_last: bool
    ) -> DataLoader[tuple[Tensor, int] | None]:
        dataset = FrameDataset(frames, self.size, self.antialias, augmentation, self.seed)
        sampler = EpochSampler(len(frames), shuffle, derive_seed(self.seed, "frames"))
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=collate,
            drop_last=drop_last,
        )


def _person(entry: Entry) -> str:
    return PurePosixPath(entry.video).stem.split("_")[0]
