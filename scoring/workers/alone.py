"""Scoring in this process: the next frame is read while one is scored."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from scoring.frame import Tell
from scoring.selection import Selection
from scoring.workers.answers import Answer, Score, Task, score_frame


def score_here(score: Score, selection: Selection, tasks: Sequence[Task], tell: Tell) -> Generator[tuple[Task, Answer]]:
    """Every task with its answer, in order."""
    with ThreadPoolExecutor(1, "reader") as reader:
        following = [reader.submit(selection.frame, task.place) for task in tasks[:1]]
        for number, task in enumerate(tasks):
            frame = following.pop()
            following = [reader.submit(selection.frame, each.place) for each in tasks[number + 1 : number + 2]]
            yield task, score_frame(score, frame.result, task, tell)
