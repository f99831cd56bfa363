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
from detectors.checks.consistency import differs
from detectors.half_precision import half_types
from robustness.attacked_frames import FrameEntry
from robustness.gradient_norms import check_gradients
from robustness.stage_records import Attacked, CleanVerdict, DipResult, Record
from robustness.threat_model import ThreatModel, judge
from robustness.whole_frame_attack import WholeFrameAttack

CLEAN = "clean"
SMALL = 1e-2
"""A difference of a logit that is rounding, where an attack has just brought it to zero."""

Earlier = Mapping[str, Mapping[str, Record]]
"""By stage and the frame's key, the records of the stages before."""

Defence = Callable[[Tensor, int], Tensor]
"""From an image (3, S, S) in [0, 1] and a seed to what is shown to the detector instead."""


class StageFrames:
    """A few frames with their pixels, as the source and the detector take them."""

    def __init__(self, entries: Sequence[FrameEntry], frames: Sequence[Frame], threat_model: ThreatModel) -> None:
        self.entries, self.frames, self.threat_model = tuple(entries), tuple(frames), threat_model

    @property
    def keys(self) -> list[str]:
        """The frames' keys."""
        return [frame.key for frame in self.entries]

    @cached_property
    def direct(self) -> Tensor:
        """(N, 3, S, S) as the detector takes them."""
        return self.threat_model.direct(self.frames)

    @cached_property
    def attackable(self) -> Tensor:
        """(N, 3, S', S') as the source takes them."""
        return self.direct if self.threat_model.white_box else self.threat_model.attackable(self.frames)


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
    def wanted(self, frames: Sequence[FrameEntry], earlier: Earlier) -> list[FrameEntry]:
        """The frames that this stage works on, given the records of the stages before."""

    @abstractmethod
    def work(self, sample: StageFrames) -> Sequence[Record]:
        """One record for each frame of the sample, in order."""


@dataclass(frozen=True, eq=False)
class CleanStage(Stage):
    """The verdicts before any attack."""

    def wanted(self, frames: Sequence[FrameEntry], earlier: Earlier) -> list[FrameEntry]:
        """All frames."""
        return list(frames)

    def work(self, sample: StageFrames) -> list[CleanVerdict]:
        """Raises InputError where the detector's logits are not finite."""
        threat_model = sample.threat_model
        seen = threat_model.judged(sample.direct)
        if not seen.score.isfinite().all():
            bad = [key for key, score in zip(sample.keys, seen.score.tolist(), strict=True) if not abs(score) < 1e300]
            raise InputError(f"the detector's logits are not finite on {bad[0]}")
        relayed, source = seen.real, seen.real
        if not threat_model.white_box:
            relayed = threat_model.judged(threat_model.relayed(sample.attackable)).real
            source = judge(threat_model.source, sample.attackable, threat_model.batch_size).real
        columns = (seen.score.tolist(), seen.real.tolist(), relayed.tolist(), source.tolist())
        return [CleanVerdict(key, *values) for key, *values in zip(sample.keys, *columns, strict=True)]


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackStage(Stage):
    """One attack at one budget on every fake that the detector calls fake.

    Attributes:
        frame_attack: what attacks.
        among: the keys of the frames that may be taken; None for all.
        spared: stages before; a frame on which one of them succeeded is not attacked, as that would add nothing.
    """

    frame_attack: WholeFrameAttack
    among: frozenset[str] | None = None
    spared: tuple[str, ...] = ()

    def wanted(self, frames: Sequence[FrameEntry], earlier: Earlier) -> list[FrameEntry]:
        """The detected fakes among them that no earlier attack has passed off as real."""
        return _not_turned(detected_entries(frames, earlier, self.among), earlier, self.spared)

    def work(self, sample: StageFrames) -> list[Attacked]:
        """Attacks all frames of the sample together.

        Raises InputError where the detector that was attacked says something else of an attacked frame afterwards.
        """
        threat_model = sample.threat_model
        result = self.frame_attack(threat_model.source, sample.attackable, sample.keys, threat_model.batch_size)
        seen = threat_model.judged(threat_model.relayed(result.images))
        difference = differs(result.logits, seen.logits, half=False) if threat_model.white_box else 0.0
        if difference > SMALL and half_types(threat_model.detector, result.images[0]):
            difference = differs(result.logits, seen.logits, half=True)
        if difference > SMALL:
            raise InputError(
                f"detector {type(threat_model.detector).__name__} answers attacked frames differently twice (a logit "
                f"differs by {difference:.2g}, from {sample.keys[0]} on): it draws, or keeps a state; mend its forward"
            )
        change = (result.images - sample.attackable).abs().amax(dim=(1, 2, 3))
        columns = (seen.score, seen.real, result.flipped, change, result.steps, result.forwards)
        rows = zip(sample.keys, *(column.tolist() for column in columns), strict=True)
        return [Attacked(key, *values) for key, *values in rows]


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientStage(Stage):
    """Whether gradients vanish at the detected fakes, or where an attack by them has led.

    Attributes:
        epsilon: the size of the random changes they are compared with.
        seed: of the run's draws.
        among: the keys of the frames that may be taken.
        frame_attack: what leads away from the frames; None for frames as they are.
        spared: stages before; a frame on which one of them succeeded is not taken.
    """

    epsilon: float
    seed: int
    among: frozenset[str]
    frame_attack: WholeFrameAttack | None = None
    spared: tuple[str, ...] = ()

    def wanted(self, frames: Sequence[FrameEntry], earlier: Earlier) -> list[FrameEntry]:
        """The detected fakes among them that no spared stage has passed off as real."""
        return _not_turned(detected_entries(frames, earlier, self.among), earlier, self.spared)

    def work(self, sample: StageFrames) -> Sequence[Record]:
        """A gradient check for each frame."""
        seeds = [derive_seed(self.seed, key, "slopes") for key in sample.keys]
        return check_gradients(
            sample.threat_model.detector,
            sample.direct if self.frame_attack is None else _attacked(sample, self.frame_attack),
            sample.keys,
            seeds,
            self.epsilon,
            sample.threat_model.batch_size,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class DefenceStage(Stage):
    """The verdicts on frames that a defence has drawn anew, attacked or not.

    Attributes:
        defence: what draws.
        seed: of the run's draws.
        among: the keys of the frames that may be taken.
        frame_attack: what attacks before; None for frames as they are. The attack does not know of the defence.
    """

    defence: Defence
    seed: int
    among: frozenset[str]
    frame_attack: WholeFrameAttack | None = None

    def wanted(self, frames: Sequence[FrameEntry], earlier: Earlier) -> list[FrameEntry]:
        """The detected fakes among them, and without an attack all."""
        if self.frame_attack is None:
            return [frame for frame in frames if frame.key in self.among]
        return detected_entries(frames, earlier, self.among)

    def work(self, sample: StageFrames) -> list[DipResult]:
        """Draws each image anew and judges it."""
        threat_model, images = sample.threat_model, sample.direct
        if self.frame_attack is not None:
            images = _attacked(sample, self.frame_attack)
        before = threat_model.judged(images).real.tolist()
        device = next(threat_model.detector.parameters(), torch.empty(0)).device
        results = []
        for key, image, real in zip(sample.keys, images, before, strict=True):
            started = time.perf_counter()
            drawn = self.defence(image.to(device), derive_seed(self.seed, key, "defence"))
            seconds = time.perf_counter() - started
            seen = threat_model.judged(drawn[None])
            results.append(DipResult(key, real, float(seen.score[0]), bool(seen.real[0]), seconds))
        return results


def detected_entries(
    frames: Sequence[FrameEntry], earlier: Earlier, among: frozenset[str] | None = None
) -> list[FrameEntry]:
    """The fakes, of those `among`, that the detector calls fake before any attack."""
    verdicts = earlier[CLEAN]
    return [
        frame
        for frame in frames
        if frame.fake and (among is None or frame.key in among) and not _called_real(verdicts.get(frame.key))
    ]


def judged_otherwise(sample: StageFrames, before: CleanVerdict) -> bool:
    """Whether the detector judges the one frame of a sample otherwise, beyond rounding, than its verdict before.

    Of the source of a transfer the verdict alone was kept, and is compared.
    """
    threat_model, detector = sample.threat_model, sample.threat_model.detector
    if not threat_model.white_box:
        source = judge(threat_model.source, sample.attackable, threat_model.batch_size).real
        if bool(source[0]) != before.source_real:
            return True
    now = threat_model.judged(sample.direct)
    then = now.logits.clone()
    then[0, detector.real] += float(now.score[0]) - before.score  # which has that log-odds of fake
    return differs(now.logits, then, bool(half_types(detector, sample.direct[0]))) > 0


def turned(record: Record | None) -> bool:
    """Whether a record is of an attack that passed its frame off as real."""
    return isinstance(record, Attacked) and record.real


def _not_turned(frames: Sequence[FrameEntry], earlier: Earlier, spared: Sequence[str]) -> list[FrameEntry]:
    """The frames that none of the stages before has passed off as real."""
    return [frame for frame in frames if not any(turned(earlier[stage].get(frame.key)) for stage in spared)]


def _attacked(sample: StageFrames, frame_attack: WholeFrameAttack) -> Tensor:
    """What an attack makes of the frames of a sample, as the detector sees it."""
    threat_model = sample.threat_model
    attacked = frame_attack(threat_model.source, sample.attackable, sample.keys, threat_model.batch_size)
    return threat_model.relayed(attacked.images)


def _called_real(verdict: Record | None) -> bool:
    """Whether a frame has no verdict or is called Real."""
    return not isinstance(verdict, CleanVerdict) or verdict.relayed_real
