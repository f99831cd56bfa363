"""A few fakes to be shown, each beside the real frame it was made from and what filters make of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.malafide.filter_dataset import FilterDataset, moment_of, person_of
from attacks.malafide.filter_files import StoredFilter
from attacks.malafide.fitting import TargetDetector
from attacks.malafide.scores import ASKED
from common.errors import InputError
from data.frames import REAL
from data.sample import natural, spread
from detectors.checks.spot_checks import spot_checked
from detectors.preparing import prepared
from detectors.queries import Queries, exact_float32

REAL_NAME, FAKE_NAME = "real", "fake"


@dataclass(frozen=True, eq=False)
class FilteredFrame:
    """One fake and what belongs to it, all (3, S, S) float32 in [0, 1] at the detector's input size.

    Attributes:
        name: for files.
        pictures: by name: "real" where there is a counterpart, "fake", and each filter's.
    """

    name: str
    pictures: dict[str, Tensor]


def filtered_frames(
    dataset: FilterDataset,
    positions: Sequence[int],
    manipulation: str,
    target_detector: TargetDetector,
    filters: dict[str, StoredFilter],
    count: int,
) -> list[FilteredFrame]:
    """`count` fakes of a manipulation, evenly spread over those at `positions`, with real frames and filtered ones.

    A fake's counterpart is the real frame of the same person and moment, else of the nearest moment; one without is
    shown alone.

    Args:
        dataset: real frames and fakes; counterparts are taken from all of it.
        positions: in the dataset, among which the fakes are.
        manipulation: the family of the fakes.
        target_detector: it prepares frames, at its input size.
        filters: by the name that their pictures get.
        count: fakes at most, at least 1.

    Raises:
        InputError: there are no fakes of the manipulation at the positions, or a frame cannot be read.
    """
    fakes = sorted(dataset.of([manipulation], positions), key=lambda position: natural(dataset.entries[position].key))
    if not fakes:
        raise InputError(f"there are no {manipulation} frames to look at")
    reals = dataset.of([REAL], range(len(dataset.entries)))
    frames = []
    for fake_position in (fakes[index] for index in spread(len(fakes), count)):
        fake = prepared(target_detector.detector, dataset.frames[fake_position].image)
        pictures = {}
        counterpart = _counterpart(dataset, fake_position, reals)
        if counterpart is not None:
            pictures[REAL_NAME] = prepared(target_detector.detector, dataset.frames[counterpart].image)
        pictures[FAKE_NAME] = fake
        device = Queries(target_detector.detector).device
        for name, stored in filters.items():
            with torch.no_grad(), exact_float32():
                pictures[name] = stored.filter(fake[None].to(device))[0].cpu()
        frames.append(FilteredFrame(_file_name(dataset, fake_position), pictures))
    return frames


def probabilities(target_detector: TargetDetector, shown: Sequence[FilteredFrame]) -> list[dict[str, float]]:
    """p(fake) = 1 - p(Real) of every picture, by its name, for each filtered frame.

    Raises InputError as `spot_checked` does.
    """
    queries = Queries(target_detector.detector, target_detector.batch_size)
    images = torch.stack([picture for filtered_frame in shown for picture in filtered_frame.pictures.values()])
    with spot_checked((target_detector.detector,), target_detector.batch_size, ASKED):
        values = iter((1 - queries.probabilities(images)[:, target_detector.detector.real]).tolist())
    return [{name: next(values) for name in filtered_frame.pictures} for filtered_frame in shown]


def names_of(shown: Sequence[FilteredFrame]) -> list[str]:
    """The columns of a page: "real" where any filtered frame has one, "fake", and the filters."""
    return sorted(
        {name for filtered_frame in shown for name in filtered_frame.pictures},
        key=lambda name: (name != REAL_NAME, name != FAKE_NAME, natural(name)),
    )


def as_bytes(picture: Tensor) -> np.ndarray:
    """(3, S, S) in [0, 1] as (S, S, 3) uint8 RGB."""
    return (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def _counterpart(dataset: FilterDataset, position: int, reals: Sequence[int]) -> int | None:
    """The real frame of the same person whose moment is nearest, preferably of the same face."""
    fake = dataset.entries[position]
    same = [candidate for candidate in reals if person_of(dataset.entries[candidate]) == person_of(fake)]

    def distance(candidate: int) -> tuple[int, bool]:
        other = dataset.entries[candidate]
        moments = [
            int(digits[-1]) if (digits := re.findall(r"\d+", moment_of(entry))) else 0 for entry in (fake, other)
        ]
        return abs(moments[0] - moments[1]), other.key.rsplit("/", 1)[-1] != fake.key.rsplit("/", 1)[-1]

    return min(same, key=distance, default=None)


def _file_name(dataset: FilterDataset, position: int) -> str:
    entry = dataset.entries[position]
    video = entry.video.rsplit("/", 1)[-1] if entry.video != entry.key else ""
    stem = entry.key.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", f"{video.rsplit('.', 1)[0]}_{stem}".strip("_"))
