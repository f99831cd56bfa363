"""A run: scores every frame that is not finished yet, and makes the tables when all are."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from common.console import progress, warn
from common.errors import InputError
from data.frames import Frame
from scoring import gallery, tables
from scoring.albums import album
from scoring.config import Configuration, bind
from scoring.folder import Folder, Shard
from scoring.frame import Scored, Tell
from scoring.products import Results, make
from scoring.selection import Selection

Score = Callable[[Frame, Tell], Scored]
"""From a frame to what scoring it gives; says which stage begins as it goes."""

WRONG = (ValueError, ArithmeticError, RuntimeError)  # what numerical code raises on an image it cannot handle


def run(
    path: Path,
    name: str,
    configuration: Configuration,
    selection: Selection,
    score: Score,
    shard: Shard | None = None,
) -> Results | int:
    """Scores the selected frames in the folder `path` and writes its tables, named after the methods: `name`.

    Frames finished earlier are kept; a frame that fails is reported and left out, and tried again next time. With
    a `shard` only its frames are scored, and the tables are made once no frame is missing; until then the number
    of missing frames is returned. Interrupted at any moment, even by SIGKILL, the same call goes on where it
    stopped, and what it then writes is the same, byte for byte, except costs.

    Raises InputError where the folder was made with another configuration, is in use by another process, or no
    frame could be scored; OSError where it cannot be written.
    """
    shard = shard or Shard()
    folder = Folder(path)
    with folder.locked(shard):
        bind(folder.config, configuration)
        failures = _score_missing(folder, selection, score, shard)
        if shard.whole:
            tables.write_failures(path, failures)
        finished = {key: found for key in selection.keys if (found := folder.finished(key)) is not None}
        missing = len(selection.keys) - len(finished)
        if missing and not shard.whole:
            return missing
        if not finished:
            reason = next(iter(failures.values()))
            raise InputError(f"none of the {len(failures)} frames could be scored; the first: {reason}")
        return make(folder, name, json.loads(configuration.to_json()), finished, failures)


def _score_missing(folder: Folder, selection: Selection, score: Score, shard: Shard) -> dict[str, str]:
    """Scores the frames of the shard that are not finished; returns the reasons of those that fail."""
    mine = [place for place in range(len(selection.keys)) if shard.has(place)]
    todo = [place for place in mine if folder.finished(selection.keys[place]) is None]

    pictured = {selection.keys[place] for place in gallery.kept(len(selection.keys))}

    def keep(frame: Frame, tell: Tell) -> None:
        scored = score(frame, tell)
        if frame.key in pictured and (pictures := album(frame, scored)) is not None:
            gallery.save(folder.path, pictures)
        folder.save(frame.key, scored.records, scored.costs)

    return each_frame(selection, todo, len(mine), keep)


def each_frame(
    selection: Selection, todo: Sequence[int], total: int, work: Callable[[Frame, Tell], None]
) -> dict[str, str]:
    """Works on the selected frames at `todo`, of `total`, with a progress bar; returns the reasons of those that fail.

    A frame that fails is reported at once and the others go on; a disk that is full ends it all.
    """
    failures: dict[str, str] = {}
    if not todo:
        return failures
    with progress() as bar:
        task = bar.add_task("", total=total, completed=total - len(todo))
        bar.advance(task, 0)  # starts the clock, so that the first frame already gives an estimate
        for place in todo:
            try:
                work(selection.frame(place), lambda stage: bar.update(task, description=f"{stage:<12}"))
            except WRONG as error:
                key = selection.keys[place]
                failures[key] = _reason(error)
                warn(f"{key} is left out: {failures[key]}")
            bar.advance(task)
        bar.update(task, description="done")
    return failures


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
