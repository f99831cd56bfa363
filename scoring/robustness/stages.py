"""What is done to frames, one stage after another: verdicts, attacks, stronger attacks, gradients, a defence."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from common.errors import InputError
from common.seeds import derive_seed
from data.frames import Frame
from scoring.robustness.assault import Assault
from scoring.robustness.records import Attacked, Record, Redrawn, Verdict
from scoring.robustness.selection import Listed
from scoring.robustness.sight import Sight, judge
from scoring.robustness.slopes import slopes

CLEAN = "clean"
Earlier = Mapping[str, Mapping[str, Record]]
"""By stage and key, what the stages before gave."""

Defence = Callable[[Tensor, int], Tensor]
"""From an image (3, S, S) in [0, 1] and a seed to what is shown to the detector instead."""


class Sample:
    """A few frames with their pixels, as the source and the detector take them."""

    def __init__(self, listed: Sequence[Listed], frames: Sequence[Frame], sight: Sight) -> None:
        self.listed, self.frames, self.sight = tuple(listed), tuple(frames), sight

    @property
    def keys(self) -> list[str]:
        """Of the frames."""
        return [frame.key for frame in self.listed]

    @cached_property
    def direct(self) -> Tensor:
        """(N, 3, S, S) as the detector takes them."""
        return self.sight.direct(self.frames)

    @cached_property
    def attackable(self) -> Tensor:
        """(N, 3, S', S') as the source takes them."""
        return self.direct if self.sight.white_box else self.sight.attackable(self.frames)


@dataclass(frozen=True, eq=False)
class Stage(ABC):
    """One stage on a few frames.

    Attributes:
        name: unique in a run, and what its progress is called.
        passes: planned forward passes on one frame, a gradient counting as two more.
        size: how many frames it takes together; None for as many as the run does.
    """

    name: str
    passes: int
    size: int | None = None

    @abstractmethod
    def wanted(self, frames: Sequence[Listed], earlier: Earlier) -> list[Listed]:
        """The frames that this stage works on, as the stages before say."""

    @abstractmethod
    def work(self, sample: Sample) -> Sequence[Record]:
        """One record for each frame of the sample, in order."""


@dataclass(frozen=True, eq=False)
class CleanStage(Stage):
    """The verdicts before any attack."""

    def wanted(self, frames: Sequence[Listed], earlier: Earlier) -> list[Listed]:
        """All."""
        return list(frames)

    def work(self, sample: Sample) -> list[Verdict]:
        """Raises InputError where the detector's logits are not finite."""
        sight = sample.sight
        seen = sight.judged(sample.direct)
        if not seen.score.isfinite().all():
            bad = [key for key, score in zip(sample.keys, seen.score.tolist(), strict=True) if not abs(score) < 1e300]
            raise InputError(f"the detector's logits are not finite on {bad[0]}")
        relayed, source = seen.real, seen.real
        if not sight.white_box:
            relayed = sight.judged(sight.relayed(sample.attackable)).real
            source = judge(sight.source, sample.attackable, sight.batch_size).real
        columns = (seen.score.tolist(), seen.real.tolist(), relayed.tolist(), source.tolist())
        return [Verdict(key, *values) for key, *values in zip(sample.keys, *columns, strict=True)]


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackStage(Stage):
    """One attack at one budget on every fake that the detector calls fake.

    Attributes:
        assault: what attacks.
        among: the keys of the frames that may be taken; None for all.
        spared: stages whose success spares a frame this one, which would add nothing.
    """

    assault: Assault
    among: frozenset[str] | None = None
    spared: tuple[str, ...] = ()

    def wanted(self, frames: Sequence[Listed], earlier: Earlier) -> list[Listed]:
        """The detected fakes among them that no earlier attack has passed off as real."""
        return [
            frame
            for frame in detected(frames, earlier, self.among)
            if not any(turned(earlier[stage].get(frame.key)) for stage in self.spared)
        ]

    def work(self, sample: Sample) -> list[Attacked]:
        """Attacks all frames of the sample together."""
        sight = sample.sight
        result = self.assault(sight.source, sample.attackable, sample.keys, sight.batch_size)
        seen = sight.judged(sight.relayed(result.images))
        change = (result.images - sample.attackable).abs().amax(dim=(1, 2, 3))
        columns = (seen.score, seen.real, result.flipped, change, result.steps, result.forwards)
        rows = zip(sample.keys, *(column.tolist() for column in columns), strict=True)
        return [Attacked(key, *values) for key, *values in rows]


@dataclass(frozen=True, eq=False, kw_only=True)
class SlopeStage(Stage):
    """Whether gradients vanish at the detected fakes.

    Attributes:
        epsilon: the size of the random changes they are compared with.
        seed: of the run's draws.
        among: the keys of the frames that may be taken.
    """

    epsilon: float
    seed: int
    among: frozenset[str]

    def wanted(self, frames: Sequence[Listed], earlier: Earlier) -> list[Listed]:
        """The detected fakes among them."""
        return detected(frames, earlier, self.among)

    def work(self, sample: Sample) -> Sequence[Record]:
        """A Slope for each."""
        seeds = [derive_seed(self.seed, key, "slopes") for key in sample.keys]
        return slopes(sample.sight.detector, sample.direct, sample.keys, seeds, self.epsilon, sample.sight.batch_size)


@dataclass(frozen=True, eq=False, kw_only=True)
class DefenceStage(Stage):
    """What the detector says of frames that a defence has drawn anew, attacked or not.

    Attributes:
        defence: what draws.
        seed: of the run's draws.
        among: the keys of the frames that may be taken.
        assault: what attacks before; None for frames as they are. The attack does not know of the defence.
    """

    defence: Defence
    seed: int
    among: frozenset[str]
    assault: Assault | None = None

    def wanted(self, frames: Sequence[Listed], earlier: Earlier) -> list[Listed]:
        """The detected fakes among them, and without an attack all."""
        if self.assault is None:
            return [frame for frame in frames if frame.key in self.among]
        return detected(frames, earlier, self.among)

    def work(self, sample: Sample) -> list[Redrawn]:
        """Draws each image anew and judges it."""
        sight, images = sample.sight, sample.direct
        if self.assault is not None:
            attacked = self.assault(sight.source, sample.attackable, sample.keys, sight.batch_size).images
            images = sight.relayed(attacked)
        before = sight.judged(images).real.tolist()
        device = next(sight.detector.parameters(), torch.empty(0)).device
        found = []
        for key, image, real in zip(sample.keys, images, before, strict=True):
            started = time.perf_counter()
            drawn = self.defence(image.to(device), derive_seed(self.seed, key, "defence"))
            seconds = time.perf_counter() - started
            seen = sight.judged(drawn[None])
            found.append(Redrawn(key, real, float(seen.score[0]), bool(seen.real[0]), seconds))
        return found


def detected(frames: Sequence[Listed], earlier: Earlier, among: frozenset[str] | None = None) -> list[Listed]:
    """The fakes, of those `among`, that the detector calls fake before any attack."""
    verdicts = earlier[CLEAN]
    return [
        frame
        for frame in frames
        if frame.fake and (among is None or frame.key in among) and not _called_real(verdicts.get(frame.key))
    ]


def turned(record: Record | None) -> bool:
    """Whether a record is of an attack that passed its frame off as real."""
    return isinstance(record, Attacked) and record.real


def _called_real(verdict: Record | None) -> bool:
    """Whether a frame has no verdict or is called Real."""
    return not isinstance(verdict, Verdict) or verdict.relayed_real
