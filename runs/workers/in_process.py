"""Scoring in this process: the next frame is read while one is scored."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from runs.selection import Selection
from runs.workers.messages import Answer, Score, Task, score_frame
from scoring.costs import ProgressCallback


def score_here(
    score: Score, selection: Selection, tasks: Sequence[Task], on_stage: ProgressCallback
) -> Generator[tuple[Task, Answer]]:
    """Every task with its answer, in order.

    Args:
        score: scores a frame.
        selection: the frames of the run.
        tasks: the frames to score.
        on_stage: called with the name of each stage that begins.
    """
    with ThreadPoolExecutor(1, "reader") as reader:
        following = [reader.submit(selection.frame, task.index) for task in tasks[:1]]
        for number, task in enumerate(tasks):
            frame = following.pop()
            following = [reader.submit(selection.frame, later.index) for later in tasks[number + 1 : number + 2]]
            yield task, score_frame(score, frame.result, task, on_stage)
