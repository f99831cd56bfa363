"""A run that measures costs: explains every selected frame by every method, and keeps what each stage took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.console import warn
from data.frames import Frame
from runs.partial_frames import MissingPart
from runs.row_files import write_costs, write_failures
from runs.run import answers
from runs.run_folder import RunFolder
from runs.setup import RunSetup
from runs.workers.messages import Failure, Score, Task
from scoring.costs import VERDICT, Cost, ProgressCallback
from scoring.scored import Scored


@dataclass(frozen=True, eq=False)
class MeasuredCosts:
    """The costs of a run's frames.

    Attributes:
        costs: by the frame's key; of a frame that was measured in part, without the methods that failed.
        failures: frames that could not be measured, with the reason.
        missing: the methods that failed on other frames.
    """

    costs: Mapping[str, Sequence[Cost]]
    failures: Mapping[str, str]
    missing: Sequence[MissingPart]


def measure_costs(folder: RunFolder, setup: RunSetup) -> MeasuredCosts:
    """Measures each selected frame; a method that fails on one leaves the others' costs standing.

    A frame that was measured whole earlier, in the same configuration, is not measured again. `setup` is one without
    attacks; the folder is locked by the caller. Raises InputError where the folder was made with another configuration.
    """
    folder.bind(setup.configuration)
    keys, failures, missing = setup.selection.keys, dict[str, str](), list[MissingPart]()
    methods = [method.name for method in setup.scorer.methods]
    tasks = [Task(index, pictured=False) for index, key in enumerate(keys) if not _whole(folder.costs(key), methods)]
    for key, answer in answers(setup.selection, tasks, len(keys), _warmed(setup.scorer)):
        if isinstance(answer, Failure):
            failures[key] = answer.reason
            warn(f"{key} is left out: {answer.reason}")
            continue
        for failed in answer.failures:
            missing.append(MissingPart(key, failed.stage, failed.reason))
            warn(f"{key} is measured without {failed.stage}: {failed.reason}")
        folder.save_costs(key, answer.costs)
    folder.seals.require_unchanged()
    write_failures(folder.path, failures, missing)
    costs = {key: folder.costs(key) for key in keys if key not in failures}
    write_costs(folder.path, costs)
    return MeasuredCosts(costs, failures, missing)


def _whole(costs: Sequence[Cost], methods: Sequence[str]) -> bool:
    """Whether a frame's costs are those of every method; a frame that is called Real has the verdict's alone."""
    stages = {cost.stage for cost in costs}
    return stages == {VERDICT} or (bool(stages) and stages >= set(methods))


def _warmed(score: Score) -> Score:
    """The same score, that scores a frame again whose stages are new: what libraries do once is no explanation's cost.

    That is the first frame and, where it is called Real or a method fails on it, the first that has what it lacks.
    """
    warm: set[str] = set()

    def scored(frame: Frame, on_stage: ProgressCallback) -> Scored:
        found = score(frame, on_stage)
        if {cost.stage for cost in found.costs} <= warm:
            return found
        warm.update(cost.stage for cost in found.costs)
        return score(frame, lambda stage: on_stage("warmed up"))

    return scored
