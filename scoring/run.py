"""A run: scores every frame that is not finished yet, and makes the tables when all are."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from common.console import count, progress
from common.errors import InputError
from scoring import gallery, tables
from scoring.config import Configuration, bind
from scoring.folder import Folder, Shard
from scoring.keeping import keeping
from scoring.products import Results, make
from scoring.selection import Selection
from scoring.workers.alone import score_here
from scoring.workers.answers import Answer, Score, Task
from scoring.workers.crew import Crew, hand_out


def run(
    path: Path,
    name: str,
    configuration: Configuration,
    selection: Selection,
    score: Score,
    shard: Shard | None = None,
    crew: Crew | None = None,
) -> Results | int:
    """Scores the selected frames in the folder `path` and writes its tables, named after the methods: `name`.

    Frames finished earlier are kept; a frame that fails is reported and left out, and tried again next time. With
    a `shard` only its frames are scored, and the tables are made once no frame is missing; until then the number
    of missing frames is returned. With a `crew` its workers score, in place of `score`.

    Interrupted at any moment, even by SIGKILL, the same call goes on where it stopped, and what it then writes is the
    same, byte for byte, except costs.

    Raises InputError where the folder was made with another configuration, is in use by another process, or no
    frame could be scored; OSError where it cannot be written.
    """
    shard = shard or Shard()
    folder = Folder(path)
    with folder.locked(shard):
        bind(folder.config, configuration)
        failures = _score_missing(folder, selection, score, shard, crew)
        if shard.whole:
            tables.write_failures(path, failures)
        missing = set(folder.missing(selection.keys))
        if missing and not shard.whole:
            return len(missing)
        finished = [key for key in selection.keys if key not in missing]
        if not finished:
            reason = next(iter(failures.values()))
            raise InputError(f"none of the {len(failures)} frames could be scored; the first: {reason}")
        return make(folder, name, json.loads(configuration.to_json()), finished, failures)


def _score_missing(
    folder: Folder, selection: Selection, score: Score, shard: Shard, crew: Crew | None
) -> dict[str, str]:
    """Scores the frames of the shard that are not finished; returns the reasons of those that fail, in their order."""
    mine = [place for place in range(len(selection.keys)) if shard.has(place)]
    shown = gallery.kept(len(selection.keys))
    missing = set(folder.missing([selection.keys[place] for place in mine]))
    tasks = [Task(place, place in shown) for place in mine if selection.keys[place] in missing]
    with keeping(folder) as keep:
        for key, answer in answers(selection, tasks, len(mine), score, crew):
            keep(key, answer)
    return {key: keep.failures[key] for key in selection.keys if key in keep.failures}


def answers(
    selection: Selection, tasks: Sequence[Task], total: int, score: Score, crew: Crew | None = None
) -> Iterator[tuple[str, Answer]]:
    """Every task's key and answer, by a crew or in this process, with a progress bar of `total` frames."""
    if not tasks:
        return
    with progress() as bar:
        title = "" if crew is None else count(min(crew.seats, len(tasks)), "worker")
        shown = bar.add_task(title, total=total, completed=total - len(tasks))
        bar.advance(shown, 0)  # starts the clock, so that the first frame already gives an estimate

        def tell(stage: str) -> None:
            bar.update(shown, description=f"{stage:<12}")

        found = score_here(score, selection, tasks, tell) if crew is None else hand_out(crew, tasks)
        with closing(found):
            for task, answer in found:
                yield selection.keys[task.place], answer
                bar.advance(shown)
        bar.update(shown, description="done")
