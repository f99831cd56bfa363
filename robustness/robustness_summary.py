"""Sums up a run: clean accuracy, attack success by budget and manipulation, the check, a defence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics import Estimate
from data.frames import CLASS_NAMES
from detectors.rates import auc, tied
from robustness.attack_setup import AttackSetup
from robustness.attacked_frames import FrameEntry
from robustness.deep_image_prior import DIP
from robustness.estimates import rate, rates
from robustness.gradient_masking import GradientMasking, examine
from robustness.stage_records import Attacked, CleanVerdict, DipResult
from robustness.stage_runner import StageResults
from robustness.stages import CLEAN

ALL = "all"


@dataclass(frozen=True)
class Clean:
    """How the detector does before any attack.

    Attributes:
        family: "Real", a manipulation, or "all".
        frames: how many.
        videos: that these are from.
        accuracy: the share of them that is judged right, as real or fake.
        auc: the area under the ROC curve of these fakes against all real frames; None where one of them is absent.
        passed: how many fakes the detector calls Real without any attack; they are not attacked.
    """

    family: str
    frames: int
    videos: int
    accuracy: Estimate
    auc: float | None
    passed: int


@dataclass(frozen=True)
class AttackSummary:
    """How one attack at one budget did on one manipulation.

    Attributes:
        attack: its name.
        epsilon: the L-infinity budget.
        family: a manipulation, or "all".
        frames: fakes that the detector called fake before.
        videos: that these are from.
        success: the share of them that it calls Real afterwards.
        on_source: the share that turned the detector they were made on; in a white box the same.
    """

    attack: str
    epsilon: float
    family: str
    frames: int
    videos: int
    success: Estimate
    on_source: float

    @property
    def defended(self) -> Estimate:
        """The share that the detector still calls fake: 1 - success."""
        success = self.success
        return Estimate(1 - success.value, 1 - success.high, 1 - success.low, success.frames, success.videos)


@dataclass(frozen=True)
class Restored:
    """How frames are judged without and with a defence.

    Attributes:
        case: "real frames", "fakes", "both" as they are, or the attack that fakes met.
        frames: how many.
        videos: that these are from.
        without: the share judged right without the defence.
        within: the share judged right with it; of attacked fakes the defended share.
    """

    case: str
    frames: int
    videos: int
    without: float
    within: Estimate


@dataclass(frozen=True)
class Robustness:
    """The summary of one detector's run.

    Attributes:
        label: the detector's name.
        clean: before any attack, "all" first.
        lines: by attack, budget and manipulation, "all" first.
        masking: the check for gradient masking, or None.
        restored: of the defence; empty without one.
        seconds: wall time on a frame, by stage; of the defence, of drawing one frame.
        unattacked: in a transfer, fakes that the attacked detector calls Real already, so that nothing changes them.
        failures: frames that could not be read, with the reason.
    """

    label: str
    clean: tuple[Clean, ...]
    lines: tuple[AttackSummary, ...]
    masking: GradientMasking | None
    restored: tuple[Restored, ...]
    seconds: Mapping[str, float]
    unattacked: int
    failures: Mapping[str, str]

    @property
    def accuracy(self) -> Estimate:
        """Of all frames before any attack."""
        return self.clean[0].accuracy

    @property
    def auc(self) -> float | None:
        """The area under the ROC curve before any attack, or None without real frames."""
        return self.clean[0].auc

    @property
    def overall(self) -> tuple[AttackSummary, ...]:
        """The lines of all manipulations together."""
        return tuple(line for line in self.lines if line.family == ALL)

    def of(self, family: str) -> dict[tuple[str, float], AttackSummary]:
        """The lines of one manipulation by attack and budget."""
        return {(line.attack, line.epsilon): line for line in self.lines if line.family == family}

    @property
    def families(self) -> list[str]:
        """The manipulations, those with a label first, in its order."""
        return [family for family in dict.fromkeys(line.family for line in self.lines) if family != ALL]


def summarise_robustness(results: StageResults, setup: AttackSetup) -> Robustness:
    """Sums up the results of a plan."""
    seed = setup.plan.configuration.seed
    verdicts = {key: record for key, record in results.records[CLEAN].items() if isinstance(record, CleanVerdict)}
    frames = [frame for frame in setup.plan.chosen.frames if frame.key in verdicts]
    fakes = [frame for frame in frames if frame.fake]
    attacked = [frame for frame in fakes if not verdicts[frame.key].relayed_real]
    return Robustness(
        label=setup.label,
        clean=tuple(_clean(frames, verdicts, seed)),
        lines=tuple(_lines(attacked, results, setup, seed)),
        masking=None if setup.check is None else examine(setup.check, results.records, fakes, seed),
        restored=tuple(_restored(frames, results, seed)) if setup.defence is not None else (),
        seconds=_seconds(results),
        unattacked=0 if setup.source is None else sum(verdicts[frame.key].source_real for frame in attacked),
        failures=results.failures,
    )


def ordered(families: Sequence[str]) -> list[str]:
    """Each family once: those of the detector's classes in their order, then others by name."""
    return sorted(set(families), key=lambda name: (CLASS_NAMES.index(name) if name in CLASS_NAMES else 99, name))


def _clean(frames: Sequence[FrameEntry], verdicts: Mapping[str, CleanVerdict], seed: int) -> list[Clean]:
    lines = []
    for family in (ALL, *ordered([frame.family for frame in frames])):
        members = [frame for frame in frames if family in (ALL, frame.family)]
        right = [verdicts[frame.key].real != frame.fake for frame in members]
        videos = [frame.video for frame in members]
        passed = sum(verdicts[frame.key].relayed_real for frame in members if frame.fake)
        facing = [frame for frame in frames if family in (ALL, frame.family) or not frame.fake]
        area = auc(tied([verdicts[frame.key].score for frame in facing]), [frame.fake for frame in facing])
        lines.append(Clean(family, len(members), len(set(videos)), rate(right, videos, seed), area, passed))
    return lines


def _lines(attacked: Sequence[FrameEntry], results: StageResults, setup: AttackSetup, seed: int) -> list[AttackSummary]:
    """By attack and budget, then manipulation; all share the resamples of videos."""
    lines: list[AttackSummary] = []
    for family in (ALL, *ordered([frame.family for frame in attacked])):
        members = [frame for frame in attacked if family in (ALL, frame.family)]
        records = {label: [results.records[label][frame.key] for frame in members] for label in setup.frame_attacks}
        turned = np.array([[_flag(record, "real") for record in column] for column in records.values()], dtype=float).T
        videos = [frame.video for frame in members]
        estimates = rates(turned.reshape(len(members), len(records)), videos, seed)
        for (label, frame_attack), success in zip(setup.frame_attacks.items(), estimates, strict=True):
            source = [_flag(record, "source_real") for record in records[label]]
            on_source = float(np.mean(source)) if source else math.nan
            count = len(members), len(set(videos))
            lines.append(AttackSummary(frame_attack.name, frame_attack.epsilon, family, *count, success, on_source))
    return lines


def _flag(record: object, name: str) -> bool:
    return isinstance(record, Attacked) and bool(getattr(record, name))


def _restored(frames: Sequence[FrameEntry], results: StageResults, seed: int) -> list[Restored]:
    """Frames as they are, then by attack."""
    cases: list[Restored] = []
    for stage, records in results.records.items():
        if stage != DIP and not stage.startswith(f"{DIP} "):
            continue
        drawn = [(frame, records[frame.key]) for frame in frames if frame.key in records]
        groups = {stage.removeprefix(f"{DIP} "): drawn}
        if stage == DIP:
            fakes, real = ([(f, r) for f, r in drawn if f.fake == fake] for fake in (True, False))
            groups = {"both": drawn, "real frames": real, "fakes": fakes}
        for case, members in groups.items():
            pairs = [(frame, record) for frame, record in members if isinstance(record, DipResult)]
            videos = [frame.video for frame, _ in pairs]
            before = [record.real_before != frame.fake for frame, record in pairs]
            after = [record.real != frame.fake for frame, record in pairs]
            share = float(np.mean(before)) if before else math.nan
            cases.append(Restored(case, len(pairs), len(set(videos)), share, rate(after, videos, seed)))
    return cases


def _seconds(results: StageResults) -> dict[str, float]:
    """By stage on a frame; the defence's are of the drawing alone, over all its stages."""
    seconds = {stage: results.seconds[stage] / len(records) for stage, records in results.records.items() if records}
    drawn = [
        record.seconds
        for records in results.records.values()
        for record in records.values()
        if isinstance(record, DipResult)
    ]
    return {**seconds, DIP: float(np.mean(drawn))} if drawn else seconds
