"""Images as a detector takes them, prepared once and kept in memory where they fit."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attacks.malafide.filter_dataset import FilterDataset
from common.console import progress, warn
from common.errors import InputError
from data.frames import Frame
from detectors.base import Detector
from detectors.preparing import prepared

MEMORY = 1 << 30
"""Bytes that a set of prepared images may take; a larger one is read anew whenever it is asked for."""


class PreparedImages:
    """Some frames as inputs of one detector, by their index among those that could be read.

    Frames are prepared once and kept as bytes, which loses nothing where a detector prepares them on bytes as all of
    ours do; others are kept as they are. Sets of more than `memory` bytes are read when asked for.
    """

    def __init__(
        self,
        dataset: FilterDataset,
        positions: Sequence[int],
        detector: Detector,
        what: str = "images",
        memory: int = MEMORY,
    ) -> None:
        """Reads every frame once; one that cannot be read is named in a warning and left out.

        Args:
            dataset: the frames.
            positions: in the dataset, of those to prepare.
            detector: what they are prepared for.
            what: what they are called in progress bar and messages.
            memory: bytes that the prepared images may take, at one byte a value; larger sets are read when asked for.

        Raises:
            InputError: none of the frames can be read.
        """
        self.dataset, self.detector = dataset, detector
        self.size = detector.input_size
        self.kept: list[Tensor] | None = [] if len(positions) * 3 * self.size**2 <= memory else None
        self.positions: list[int] = []
        with progress("frame") as bar:
            for position in bar.track(positions, description=f"reading {what}"):
                try:
                    image = prepared(detector, dataset.frames[position].image)
                except InputError as error:
                    warn(f"left out: {error}")
                    continue
                self.positions.append(position)
                if self.kept is not None:
                    self.kept.append(_packed(image))
        if not self.positions:
            raise InputError(f"none of the {len(positions)} {what} can be read")

    def __len__(self) -> int:
        return len(self.positions)

    def frame(self, index: int) -> Frame:
        """The frame itself, read anew."""
        return self.dataset.frames[self.positions[index]]

    def at(self, indices: Sequence[int]) -> Tensor:
        """(n, 3, S, S) float32 in [0, 1] of the images at these indices."""
        if self.kept is not None:
            return torch.stack([_unpacked(self.kept[index]) for index in indices])
        return torch.stack([prepared(self.detector, self.frame(index).image) for index in indices])

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.at(range(start, min(start + size, len(self))))


def _packed(image: Tensor) -> Tensor:
    """An image as uint8 where that gives exactly the same back, else as it is."""
    packed = (image * 255).round().to(torch.uint8)
    return packed if torch.equal(_unpacked(packed), image) else image


def _unpacked(image: Tensor) -> Tensor:
    return image.float().div(255.0) if image.dtype == torch.uint8 else image
