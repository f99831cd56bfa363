"""What a run says of a detector: clean accuracy, attack success by budget and manipulation, the check, a defence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.frames import CLASS_NAMES
from detectors.rates import auc
from scoring.robustness.estimates import rate, rates
from scoring.robustness.records import Attacked, Redrawn, Verdict
from scoring.robustness.running import Found
from scoring.robustness.security import Security, examine
from scoring.robustness.selection import Listed
from scoring.robustness.setup import REDRAWN, Setup
from scoring.robustness.stages import CLEAN
from scoring.statistics import Estimate

ALL = "all"


@dataclass(frozen=True)
class Clean:
    """How the detector does before any attack.

    Attributes:
        family: "Real", a manipulation, or "all".
        frames: how many.
        videos: that these are from.
        accuracy: the share of them that is told right, as real or fake.
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
class Line:
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
        return Estimate(1 - self.success.value, 1 - self.success.high, 1 - self.success.low)


@dataclass(frozen=True)
class Restored:
    """What a defence makes of some frames.

    Attributes:
        case: "real frames", "fakes", "both" as they are, or the attack that fakes met.
        frames: how many.
        videos: that these are from.
        without: the share told right without the defence.
        within: the share told right with it; of attacked fakes the defended share.
    """

    case: str
    frames: int
    videos: int
    without: float
    within: Estimate


@dataclass(frozen=True)
class Robustness:
    """All that a run says of one detector.

    Attributes:
        label: the detector's name.
        clean: before any attack, "all" first.
        lines: by attack, budget and manipulation, "all" first.
        security: the check, or None.
        restored: of the defence; empty without one.
        seconds: wall time on a frame, by stage; of the defence on one picture.
        unattacked: in a transfer, fakes that the attacked detector calls Real already, so that nothing changes them.
        failures: frames that could not be read, with the reason.
    """

    label: str
    clean: tuple[Clean, ...]
    lines: tuple[Line, ...]
    security: Security | None
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
    def overall(self) -> tuple[Line, ...]:
        """The lines of all manipulations together."""
        return tuple(line for line in self.lines if line.family == ALL)

    def of(self, family: str) -> dict[tuple[str, float], Line]:
        """The lines of one manipulation by attack and budget."""
        return {(line.attack, line.epsilon): line for line in self.lines if line.family == family}

    @property
    def families(self) -> list[str]:
        """The manipulations, those with a label first, in its order."""
        return [family for family in dict.fromkeys(line.family for line in self.lines) if family != ALL]


def summarise(found: Found, setup: Setup) -> Robustness:
    """The summary of what a plan gave."""
    seed = setup.plan.configuration.seed
    verdicts = {key: record for key, record in found.records[CLEAN].items() if isinstance(record, Verdict)}
    frames = [frame for frame in setup.plan.chosen.frames if frame.key in verdicts]
    fakes = [frame for frame in frames if frame.fake]
    attacked = [frame for frame in fakes if not verdicts[frame.key].relayed_real]
    return Robustness(
        label=setup.label,
        clean=tuple(_clean(frames, verdicts, seed)),
        lines=tuple(_lines(attacked, found, setup, seed)),
        security=None if setup.check is None else examine(setup.check, found.records, fakes, seed),
        restored=tuple(_restored(frames, found, seed)) if setup.defence is not None else (),
        seconds=_seconds(found),
        unattacked=0 if setup.source is None else sum(verdicts[frame.key].source_real for frame in attacked),
        failures=found.failures,
    )


def ordered(families: Sequence[str]) -> list[str]:
    """Each family once, those with a label first, in its order."""
    return sorted(set(families), key=lambda name: (CLASS_NAMES.index(name) if name in CLASS_NAMES else 99, name))


def _clean(frames: Sequence[Listed], verdicts: Mapping[str, Verdict], seed: int) -> list[Clean]:
    found = []
    for family in (ALL, *ordered([frame.family for frame in frames])):
        members = [frame for frame in frames if family in (ALL, frame.family)]
        right = [verdicts[frame.key].real != frame.fake for frame in members]
        videos = [frame.video for frame in members]
        passed = sum(verdicts[frame.key].relayed_real for frame in members if frame.fake)
        facing = [frame for frame in frames if family in (ALL, frame.family) or not frame.fake]
        area = auc([verdicts[frame.key].score for frame in facing], [frame.fake for frame in facing])
        found.append(Clean(family, len(members), len(set(videos)), rate(right, videos, seed), area, passed))
    return found


def _lines(attacked: Sequence[Listed], found: Found, setup: Setup, seed: int) -> list[Line]:
    """By attack and budget, then manipulation; all share the resamples of videos."""
    lines: list[Line] = []
    for family in (ALL, *ordered([frame.family for frame in attacked])):
        members = [frame for frame in attacked if family in (ALL, frame.family)]
        records = {label: [found.records[label][frame.key] for frame in members] for label in setup.assaults}
        turned = np.array([[_flag(each, "real") for each in column] for column in records.values()], dtype=float).T
        videos = [frame.video for frame in members]
        estimates = rates(turned.reshape(len(members), len(records)), videos, seed)
        for (label, assault), success in zip(setup.assaults.items(), estimates, strict=True):
            source = [_flag(each, "source_real") for each in records[label]]
            on_source = float(np.mean(source)) if source else math.nan
            count = len(members), len(set(videos))
            lines.append(Line(assault.name, assault.epsilon, family, *count, success, on_source))
    return lines


def _flag(record: object, name: str) -> bool:
    return isinstance(record, Attacked) and bool(getattr(record, name))


def _restored(frames: Sequence[Listed], found: Found, seed: int) -> list[Restored]:
    """Frames as they are, then by attack."""
    cases: list[Restored] = []
    for stage, records in found.records.items():
        if stage != REDRAWN and not stage.startswith(f"{REDRAWN} "):
            continue
        drawn = [(frame, records[frame.key]) for frame in frames if frame.key in records]
        groups = {stage.removeprefix(f"{REDRAWN} "): drawn}
        if stage == REDRAWN:
            fakes, real = ([(f, r) for f, r in drawn if f.fake == fake] for fake in (True, False))
            groups = {"both": drawn, "real frames": real, "fakes": fakes}
        for case, members in groups.items():
            pairs = [(frame, record) for frame, record in members if isinstance(record, Redrawn)]
            videos = [frame.video for frame, _ in pairs]
            before = [record.real_before != frame.fake for frame, record in pairs]
            after = [record.real != frame.fake for frame, record in pairs]
            share = float(np.mean(before)) if before else math.nan
            cases.append(Restored(case, len(pairs), len(set(videos)), share, rate(after, videos, seed)))
    return cases


def _seconds(found: Found) -> dict[str, float]:
    """By stage on a frame; the defence's are of the drawing alone, over all its stages."""
    seconds = {stage: found.seconds[stage] / len(records) for stage, records in found.records.items() if records}
    drawn = [
        each.seconds for records in found.records.values() for each in records.values() if isinstance(each, Redrawn)
    ]
    return {**seconds, REDRAWN: float(np.mean(drawn))} if drawn else seconds
