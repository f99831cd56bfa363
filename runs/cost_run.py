"""A run that measures costs: explains every selected frame by every method, and keeps what each stage took."""

from collections.abc import Mapping, Sequence

from common.console import warn
from data.frames import Frame
from runs.row_files import write_costs, write_failures
from runs.run import answers
from runs.run_folder import RunFolder
from runs.setup import RunSetup
from runs.workers.messages import Failure, Score, Task
from scoring.costs import Cost, ProgressCallback
from scoring.scored import Scored


def measure_costs(folder: RunFolder, setup: RunSetup) -> tuple[Mapping[str, Sequence[Cost]], Mapping[str, str]]:
    """The costs of each selected frame, and the frames that could not be measured with the reason.

    A frame that was measured earlier, in the same configuration, is not measured again. `setup` is one without
    attacks; the folder is locked by the caller. Raises InputError where the folder was made with another configuration.
    """
    folder.bind(setup.configuration)
    keys, failures = setup.selection.keys, {}
    tasks = [Task(index, pictured=False) for index, key in enumerate(keys) if not folder.costs(key)]
    for key, answer in answers(setup.selection, tasks, len(keys), _warmed(setup.scorer)):
        reason = answer.reason if isinstance(answer, Failure) else "; ".join(map(str, answer.failures))
        if isinstance(answer, Failure) or reason:
            failures[key] = reason
            warn(f"{key} is left out: {reason}")
        else:
            folder.save_costs(key, answer.costs)
    write_failures(folder.path, failures)
    costs = {key: folder.costs(key) for key in keys if key not in failures}
    write_costs(folder.path, costs)
    return costs, failures


def _warmed(score: Score) -> Score:
    """The same score, that scores its first frame twice: what libraries compile once is no explanation's cost."""
    warm = False

    def scored(frame: Frame, on_stage: ProgressCallback) -> Scored:
        nonlocal warm
        if not warm:
            score(frame, lambda stage: on_stage("warming up"))
            warm = True
        return score(frame, on_stage)

    return scored
