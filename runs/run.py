"""A run: scores every frame that is not finished yet, and says which frames are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from common.console import count, progress
from common.errors import InputError
from runs.configuration import Configuration
from runs.gallery import sprites
from runs.row_files import write_failures
from runs.run_folder import RunFolder, Shard
from runs.selection import Selection
from runs.workers.in_process import score_here
from runs.workers.messages import Answer, Score, Task
from runs.workers.worker_pool import WorkerPool, dispatch
from runs.writer import result_writer

WHOLE_RUN = Shard()
LOST = "its finished records were taken away or damaged while the run was at work; the same command scores it again"
"""Why a frame is left out that was scored."""


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run's frames.

    Attributes:
        finished: their keys, in the order of the selection.
        missing: how many frames other shards have still to score; 0 of a whole run.
        failures: frames that could not be scored, with the reason.
    """

    finished: tuple[str, ...]
    missing: int
    failures: Mapping[str, str]


def score_frames(
    folder: RunFolder,
    configuration: Configuration,
    selection: Selection,
    score: Score,
    shard: Shard = WHOLE_RUN,
    pool: WorkerPool | None = None,
) -> RunOutcome:
    """Scores the selected frames that are not finished yet, and writes their results into the run's folder.

    Frames finished earlier are kept; a frame that fails, or whose records are lost on the way, is reported and left
    out, and tried again next time.
    Interrupted at any moment, even by SIGKILL, the same call goes on where it stopped, and what it then keeps is the
    same, byte for byte, except costs.

    Args:
        folder: the run's, locked by the caller (`RunFolder.locked`).
        configuration: what the frames' scores depend on; the folder is bound to it.
        selection: the frames of the run.
        score: scores a frame; see `runs.workers.messages.Score`.
        shard: only its frames are scored.
        pool: workers that score in place of `score`; None for this process.

    Raises:
        InputError: the folder was made with another configuration, or has lost it, also while frames were scored, or no
            frame of a whole run could be scored.
        OSError: the folder cannot be written.
    """
    folder.bind(configuration)
    failures = _score_missing(folder, selection, score, shard, pool)
    folder.seals.require_unchanged()
    missing = set(folder.missing(selection.keys))
    finished = tuple(key for key in selection.keys if key not in missing)
    if shard.whole:
        failures = {key: failures.get(key, LOST) for key in selection.keys if key in missing}
        write_failures(folder.path, failures)
    if missing and not shard.whole:
        return RunOutcome(finished, len(missing), failures)
    if not finished:
        reason = next(iter(failures.values()))
        raise InputError(f"none of the {len(failures)} frames could be scored; the first: {reason}")
    if not missing:
        folder.remove_damaged()
    return RunOutcome(finished, 0, failures)


def _score_missing(
    folder: RunFolder, selection: Selection, score: Score, shard: Shard, pool: WorkerPool | None
) -> dict[str, str]:
    """Scores the frames of the shard that are not finished; returns the reasons of those that fail, in their order."""
    mine = [index for index in range(len(selection.keys)) if shard.has(index)]
    shown = sprites.kept(len(selection.keys))
    missing = set(folder.missing([selection.keys[index] for index in mine]))
    tasks = [Task(index, index in shown) for index in mine if selection.keys[index] in missing]
    with result_writer(folder) as writer:
        for key, answer in answers(selection, tasks, len(mine), score, pool):
            writer(key, answer)
    return {key: writer.failures[key] for key in selection.keys if key in writer.failures}


def answers(
    selection: Selection, tasks: Sequence[Task], total: int, score: Score, pool: WorkerPool | None = None
) -> Iterator[tuple[str, Answer]]:
    """Every task's key and answer, by a worker pool or in this process, with a progress bar.

    Args:
        selection: the frames of the run.
        tasks: the frames to score.
        total: how many frames the progress bar shows; those without a task count as done.
        score: scores a frame in this process.
        pool: workers that score in place of `score`; None for this process.

    Raises:
        InputError: the pool's workers cannot be started.
        RuntimeError: a worker met an error that is no fault of a frame.
    """
    if not tasks:
        return
    with progress("frame") as bar:
        title = "" if pool is None else count(min(pool.slots, len(tasks)), "worker")
        shown = bar.add_task(title, total=total, completed=total - len(tasks))
        bar.advance(shown, 0)  # starts the clock, so that the first frame already gives an estimate

        def on_stage(stage: str) -> None:
            bar.update(shown, description=f"{stage:<12}")

        answered = score_here(score, selection, tasks, on_stage) if pool is None else dispatch(pool, tasks)
        with closing(answered):
            for task, answer in answered:
                yield selection.keys[task.index], answer
                bar.advance(shown)
        bar.update(shown, description="done")
