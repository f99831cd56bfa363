"""A few fakes to look at, each beside the real frame it was made from and what filters make of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.malafide.files import StoredFilter
from attacks.malafide.fitting import Opponent
from attacks.malafide.material import Material, moment_of, person_of
from common.errors import InputError
from data.frames import REAL
from data.sample import natural, spread
from detectors.queries import Queries, exact_float32

REAL_NAME, FAKE_NAME = "real", "fake"


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One fake and what belongs to it, all (3, S, S) float32 in [0, 1] at the detector's input size.

    Attributes:
        name: for files.
        pictures: by name: "real" where there is a counterpart, "fake", and each filter's.
    """

    name: str
    pictures: dict[str, Tensor]


def exhibits(
    material: Material,
    positions: Sequence[int],
    manipulation: str,
    opponent: Opponent,
    filters: dict[str, StoredFilter],
    count: int,
) -> list[Exhibit]:
    """`count` fakes of a manipulation, evenly spread over those at `positions`, with real frames and filtered ones.

    A fake's counterpart is the real frame of the same person and moment, else of the nearest moment; one without is
    shown alone. Raises InputError where there are no fakes.
    """
    fakes = sorted(material.of([manipulation], positions), key=lambda place: natural(material.entries[place].key))
    if not fakes:
        raise InputError(f"there are no {manipulation} frames to look at")
    reals = material.of([REAL], range(len(material.entries)))
    found = []
    for place in (fakes[each] for each in spread(len(fakes), count)):
        fake = opponent.detector.prepare(material.frames[place].image)
        pictures = {}
        counterpart = _counterpart(material, place, reals)
        if counterpart is not None:
            pictures[REAL_NAME] = opponent.detector.prepare(material.frames[counterpart].image)
        pictures[FAKE_NAME] = fake
        device = Queries(opponent.detector).device
        for name, stored in filters.items():
            with torch.no_grad(), exact_float32():
                pictures[name] = stored.filter(fake[None].to(device))[0].cpu()
        found.append(Exhibit(_file_name(material, place), pictures))
    return found


def probabilities(opponent: Opponent, shown: Sequence[Exhibit]) -> list[dict[str, float]]:
    """p(fake) = 1 - p(Real) of every picture, by exhibit and name."""
    queries = Queries(opponent.detector, opponent.batch_size)
    images = torch.stack([picture for exhibit in shown for picture in exhibit.pictures.values()])
    found = iter((1 - queries.probabilities(images)[:, opponent.detector.real]).tolist())
    return [{name: next(found) for name in exhibit.pictures} for exhibit in shown]


def names_of(shown: Sequence[Exhibit]) -> list[str]:
    """The columns of a page: "real" where any exhibit has one, "fake", and the filters."""
    return sorted(
        {name for exhibit in shown for name in exhibit.pictures},
        key=lambda name: (name != REAL_NAME, name != FAKE_NAME, natural(name)),
    )


def as_bytes(picture: Tensor) -> np.ndarray:
    """(3, S, S) in [0, 1] as (S, S, 3) uint8 RGB."""
    return (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def _counterpart(material: Material, place: int, reals: Sequence[int]) -> int | None:
    """The real frame of the same person whose moment is nearest, preferably of the same face."""
    fake = material.entries[place]
    same = [each for each in reals if person_of(material.entries[each]) == person_of(fake)]

    def distance(each: int) -> tuple[int, bool]:
        other = material.entries[each]
        moments = [
            int(digits[-1]) if (digits := re.findall(r"\d+", moment_of(entry))) else 0 for entry in (fake, other)
        ]
        return abs(moments[0] - moments[1]), other.key.rsplit("/", 1)[-1] != fake.key.rsplit("/", 1)[-1]

    return min(same, key=distance, default=None)


def _file_name(material: Material, place: int) -> str:
    entry = material.entries[place]
    video = entry.video.rsplit("/", 1)[-1] if entry.video != entry.key else ""
    stem = entry.key.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", f"{video.rsplit('.', 1)[0]}_{stem}".strip("_"))
