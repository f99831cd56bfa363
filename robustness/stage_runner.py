"""Works through the stages of a run on every frame, keeps what is finished, and goes on where it stopped."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import log
from common.console import count, progress, warn
from common.errors import InputError
from common.process_state import kept_process_state
from common.progress_lines import PERCENT
from data.frames import Frame
from detectors.checks.detector_state import require_unchanged, state_of
from detectors.checks.spot_checks import spot_checked
from robustness.attacked_frames import AttackedFrames, FrameEntry
from robustness.stage_records import CleanVerdict, Part, Parts, Record
from robustness.stages import CLEAN, Stage, StageFrames, judged_otherwise
from robustness.threat_model import ThreatModel
from runs.configuration import Configuration
from runs.run_folder import RunFolder, Shard

PARTS = "parts"  # the folder of finished parts


@dataclass(frozen=True)
class StageResults:
    """The results of the stages of a run.

    Attributes:
        records: by stage and the frame's key.
        seconds: by stage, wall time of all its frames.
        failures: frames that could not be read, with the reason.
    """

    records: dict[str, dict[str, Record]]
    seconds: dict[str, float]
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class AttackPlan:
    """All that a run does.

    Attributes:
        configuration: everything its results depend on.
        chosen: the frames.
        threat_model: the detectors.
        stages: in order; a stage may read the results of those before it.
        group: how many frames are attacked together.
    """

    configuration: Configuration
    chosen: AttackedFrames
    threat_model: ThreatModel
    stages: tuple[Stage, ...]
    group: int


def carry_out(path: Path, plan: AttackPlan, title: str = "") -> StageResults:
    """Works through a plan in the folder `path`; what an earlier, interrupted call has finished is kept.

    Frames are taken in fixed groups, so that results do not depend on where a run was interrupted. A frame that
    cannot be read is reported and left out, and tried again next time. `title` begins the progress line.

    Raises:
        InputError: the folder was made with another configuration or is in use, an attack does not suit the detector,
            or no fake could be read.
        OSError: the folder cannot be written.
    """
    folder = RunFolder(path)
    with folder.locked(Shard()):
        folder.bind(plan.configuration, [PARTS])
        results = _Work(Parts(folder.path / PARTS, folder.seals), plan).everything(title)
        folder.seals.require_unchanged()
    if not any(frame.key in results.records[plan.stages[0].name] for frame in plan.chosen.fakes):
        raise InputError(f"none of the fakes could be read; the first: {next(iter(results.failures.values()))}")
    return results


class _Work:
    """The state of a run: the results so far, and the frames of the group in hand."""

    def __init__(self, parts: Parts, plan: AttackPlan) -> None:
        self.parts, self.plan = parts, plan
        self.before = {each: state_of(each) for each in (plan.threat_model.detector, plan.threat_model.source)}
        self.held: dict[str, Frame] = {}  # of the group in hand, so that its frames are decoded once
        self.kept: tuple[FrameEntry, Record] | None = None  # a frame that an earlier call judged
        self.judged: set[str] = set()  # the frames that this call judged, whose attacks begin anew
        self.results = StageResults(
            {stage.name: {} for stage in plan.stages}, {stage.name: 0.0 for stage in plan.stages}
        )

    def everything(self, title: str) -> StageResults:
        """All groups, all stages."""
        stages = self.plan.stages
        tasks = [(stage, chunk) for group in self._groups() for stage in stages for chunk in _chunks(group, stage.size)]
        weights = [stage.passes * len(chunk) for stage, chunk in tasks]
        scale = 100 / sum(weights)
        todo = [not self.parts.begun(stage.name, chunk[0].key) for stage, chunk in tasks]
        done = sum(weight for weight, missing in zip(weights, todo, strict=True) if not missing)
        frames = count(len(self.plan.chosen.fakes) + len(self.plan.chosen.real), "frame")
        with progress(f"{PERCENT} of {frames}") as bar:
            task = bar.add_task(title, total=100, completed=round(scale * done))
            bar.advance(task, 0)  # starts the clock
            for (stage, chunk), weight, missing in zip(tasks, weights, todo, strict=True):
                bar.update(task, description=f"{title}{stage.name:<14}")
                self._do(stage, chunk)
                log.info(f"{title}{stage.name}: {', '.join(frame.key for frame in chunk)}")
                bar.advance(task, scale * weight * missing)
            bar.update(task, description=f"{title}done", completed=100)
        return self.results

    def _groups(self) -> Iterator[Sequence[FrameEntry]]:
        yield from _chunks(self.plan.chosen.fakes, self.plan.group)
        yield from _chunks(self.plan.chosen.real, self.plan.group)

    def _do(self, stage: Stage, chunk: Sequence[FrameEntry]) -> None:
        """One stage on frames that are worked on together, unless it is finished."""
        wanted = stage.wanted(chunk, self.results.records)
        if not wanted:
            return
        first, keys = chunk[0].key, [frame.key for frame in wanted]
        part = self.parts.finished(stage.name, first, keys)
        if part is not None and not self.judged.isdisjoint(keys):
            part = None
            warn(f"{stage.name}: {keys[0]} and what was attacked with it is done again, as its own verdict was lost")
        if part is not None and stage.name == CLEAN:
            self.kept = wanted[0], part.records[0]
        if part is None:
            self._require_same_detector()
            sample = self._read(wanted)
            if not sample.entries:
                return
            started = time.perf_counter()
            threat_model, what = self.plan.threat_model, "a picture that this run asked about"
            asked = (threat_model.detector, threat_model.source)
            checked = spot_checked(asked, threat_model.batch_size, what, stage.name, first)
            try:
                with kept_process_state(stage.name), checked:
                    records = tuple(stage.work(sample))
                    seconds = time.perf_counter() - started  # of the work, not of what is asked again after it
            finally:  # before what else is said of a detector that an attack has changed
                for detector, before in self.before.items():
                    require_unchanged(detector, before, "an attack of this run")
            part = Part(records, seconds)
            self.parts.save(stage.name, first, part)
            if stage.name == CLEAN:
                self.judged.update(keys)
        self.results.records[stage.name] |= {record.key: record for record in part.records}
        self.results.seconds[stage.name] += part.seconds

    def _require_same_detector(self) -> None:
        """Refuses to go on by a detector that judges a frame otherwise than when the run was begun; asks once."""
        if self.kept is None:
            return
        (entry, before), self.kept = self.kept, None
        try:
            sample = StageFrames([entry], [self._held(entry)], self.plan.threat_model)
        except InputError:
            return  # of frames that cannot be read, the stages say why
        if isinstance(before, CleanVerdict) and judged_otherwise(sample, before):
            who = "the detector" if self.plan.threat_model.white_box else "the detector, or the one that is attacked,"
            raise InputError(
                f"{self.parts.folder.parent}: {who} judges {entry.key} otherwise than when this run was begun, "
                f"although its weights and settings are the same: what it depends on beside them has changed; put that "
                "back to go on, or give another --run NAME to start anew"
            )

    def _read(self, wanted: Sequence[FrameEntry]) -> StageFrames:
        """The frames that can be read; the others are failures."""
        entries, frames = [], []
        for frame in wanted:
            if frame.key in self.results.failures:
                continue
            try:
                frames.append(self._held(frame))
                entries.append(frame)
            except InputError as error:
                self.results.failures[frame.key] = str(error)
                warn(f"{frame.key} is left out: {error}")
        sample = StageFrames(entries, frames, self.plan.threat_model)
        if entries:
            _ = sample.direct, sample.attackable  # resized here, so that no stage's seconds hold it
        return sample

    def _held(self, frame: FrameEntry) -> Frame:
        if frame.key not in self.held:
            pixels = self.plan.chosen.read(frame)
            if len(self.held) >= self.plan.group:
                self.held.clear()
            self.held[frame.key] = pixels
        return self.held[frame.key]


def _chunks(frames: Sequence[FrameEntry], size: int | None) -> Iterator[Sequence[FrameEntry]]:
    step = size or max(1, len(frames))
    for start in range(0, len(frames), step):
        yield frames[start : start + step]
