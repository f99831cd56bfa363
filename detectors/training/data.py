"""Frames as batches: in which order, changed how. All of it depends on the seed alone."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from common.console import warn
from common.errors import InputError
from common.seeds import derive_seed, generator
from detectors.base import Detector
from detectors.training.recipe import Recipe, Sample, TrainingBatch
from detectors.training.training_frames import Labelled

Item = tuple[Tensor, int, Tensor]
"""An image (3, S, S), its class and its boxes (n, 4)."""

Make = Callable[[Labelled, int, np.random.Generator], Sequence[Sample]]
"""From a frame's position and draws to its samples."""


class FrameDataset(Dataset[list[Item] | None]):
    """What frames give to train or validate on, by (epoch, position); a frame that cannot be read is None.

    `make` is a recipe's `samples` or `validation`; `purpose` names its draws, which depend on the seed, the epoch
    and the frame's key. A frame that cannot be read is named once, in whichever epoch that is.
    """

    def __init__(self, frames: Labelled, detector: Detector, make: Make, seed: int, purpose: str) -> None:
        self.frames, self.make, self.seed, self.purpose = frames, make, seed, purpose
        self.prepare = detector.prepare
        self.named: set[int] = set()

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: tuple[int, int]) -> list[Item] | None:
        """Images (3, S, S) float32 in [0, 1] with their classes and boxes."""
        epoch, position = index
        draws = generator(self.seed, self.purpose, epoch, self.frames.frames.entries[position].key)
        try:
            samples = self.make(self.frames, position, draws)
        except InputError as error:
            if position not in self.named:
                self.named.add(position)
                warn(f"left out: {error}")
            return None
        return [(self.prepare(sample.image), sample.label, torch.from_numpy(sample.boxes)) for sample in samples]


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, position) for every position once: shuffled by seed and epoch, or in order as epoch 0 always.

    Of `devices` processes each takes every `devices`-th, from its `rank` on, so that their batches together are those
    of a single process. All get the same number; the rest, fewer than `devices`, waits for another epoch.
    """

    def __init__(self, count: int, shuffle: bool, seed: int, rank: int = 0, devices: int = 1) -> None:
        self.count, self.shuffle, self.seed, self.epoch = count, shuffle, seed, 0
        self.rank, self.devices = rank, devices

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch if self.shuffle else 0

    def __len__(self) -> int:
        return self.count // self.devices

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self.count)
        if self.shuffle:
            generator(self.seed, "order", self.epoch).shuffle(order)
        share = order[self.rank :: self.devices][: len(self)]
        return iter([(self.epoch, int(position)) for position in share])


def collate(items: Sequence[list[Item] | None]) -> TrainingBatch:
    """A batch of the samples that could be read; N may be 0."""
    read = [item for several in items if several is not None for item in several]
    images = torch.stack([image for image, _, _ in read]) if read else torch.empty(0, 3, 1, 1)
    labels = torch.tensor([label for _, label, _ in read], dtype=torch.int64)
    return TrainingBatch(images, labels, [boxes for _, _, boxes in read])


def steps_of(frames: int, batch_size: int, devices: int = 1) -> int:
    """How many batches an epoch has; a last one that would leave a device a single frame is dropped."""
    whole, rest = divmod(frames // devices, batch_size // devices)
    return max(1, whole + (rest > 1))


class FrameData(LightningDataModule):
    """Training and validation batches of labelled frames, as a recipe makes them.

    Several devices share each training batch of `batch_size` frames; each validates on all validation frames.
    """

    def __init__(
        self,
        train: Labelled,
        validation: Labelled | None,
        detector: Detector,
        recipe: Recipe,
        batch_size: int,
        workers: int,
        seed: int,
        devices: int = 1,
    ) -> None:
        super().__init__()
        self.train, self.validation, self.detector, self.recipe = train, validation, detector, recipe
        self.batch_size, self.workers, self.seed, self.devices = batch_size, workers, seed, devices

    def train_dataloader(self) -> DataLoader[list[Item] | None]:
        """Shuffled, changed batches; a last batch of one frame, which batch norms cannot use, is dropped."""
        dataset = FrameDataset(self.train, self.detector, self.recipe.samples, self.seed, "augmentation")
        rank = self.trainer.global_rank if self.trainer is not None else 0
        sampler = EpochSampler(len(dataset), True, derive_seed(self.seed, "frames"), rank, self.devices)
        per_device = self.batch_size // self.devices
        return self._loader(dataset, sampler, per_device, drop_last=len(sampler) % per_device == 1 and len(sampler) > 1)

    def val_dataloader(self) -> DataLoader[list[Item] | None] | list[None]:
        """The validation frames in order, the same in every epoch; an empty list where there are none."""
        if self.validation is None:
            return []
        dataset = FrameDataset(self.validation, self.detector, self.recipe.validation, self.seed, "validation")
        sampler = EpochSampler(len(dataset), False, self.seed)
        return self._loader(dataset, sampler, self.batch_size, drop_last=False)

    def _loader(
        self, dataset: FrameDataset, sampler: EpochSampler, batch_size: int, drop_last: bool
    ) -> DataLoader[list[Item] | None]:
        return DataLoader(
            dataset,
            batch_size,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=collate,
            drop_last=drop_last,
        )
