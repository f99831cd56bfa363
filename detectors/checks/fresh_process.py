"""Asks a user's own detector in another process, in another order: it must say of a frame what it says here.

What it keeps for good of the first picture (a face box, an exposure; in a module, a class, a cache), what two detectors
of one module share, and what follows from Python's hash of a text or the order of a set is the same at every question
as long as a process lives. In a process that has asked it nothing yet it is something else.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save

from common.console import count, warn, withheld
from common.errors import FAILED, InputError, described
from data.sample import spread
from detectors.base import Detector
from detectors.checks.consistency import answers_differ
from detectors.queries import Queries
from detectors.registry import LoadedAs, loaded_as, made_again

PICTURES = 4
"""How many frames it is asked about at most, after another picture."""

LIMIT = 300.0
"""Seconds that the other process may take: a detector that waits for what this process holds would wait for ever."""

TOLERANCE = 1e-3
"""Of the range of what is prepared, in the mean over its pixels."""

DARKER = 0.7
"""What every pixel of that other picture is, of the last frame's."""

_SERVE = """import json, sys
task, answers, path = sys.argv[1:]
sys.path[:] = json.loads(path)
from detectors.checks.fresh_process import serve
serve(task, answers)"""

_UNKNOWN = "whether it says the same there is not known"

_TOLD = "told"

_NOTHING = subprocess.DEVNULL


@dataclass(frozen=True)
class _Said:
    """What a detector makes of a picture.

    Attributes:
        prepared: (3, S, S) float32, or why it cannot be prepared.
        logits: (C,) float32, or why there are none.
    """

    prepared: np.ndarray | str
    logits: np.ndarray | str


@dataclass(frozen=True)
class _Answers:
    """The names of a detector's classes, and what it says of each picture."""

    class_names: tuple[str, ...]
    said: Sequence[_Said]


def require_same_in_fresh_process(detector: Detector, total: int, picture: Callable[[int], np.ndarray]) -> None:
    """Refuses a user's own detector that says of frames otherwise in another process, asked in the opposite order.

    Of the frames, PICTURES are taken, evenly spread, without those that cannot be read. Here all are prepared, then all
    are asked about, twice; there each is asked about once it is prepared, after the last one mirrored and darker. A
    frame that is not said the same twice here is left to its turn, which one line says. Where the other process cannot
    be had, or makes no detector, one line says that nothing is known. Any other detector than a user's own, and one
    that no `detectors.load` made, is not asked, and no frame is read.

    Args:
        detector: loaded, and maybe asked before.
        total: how many frames it is to judge.
        picture: gives the frame at an index below `total`, (H, W, 3) uint8; InputError for one that cannot be read.

    Raises:
        InputError: the classes, what is prepared of a frame, or a frame's logits are others there.
    """
    if (loaded := loaded_as(detector)) is None:
        return
    name = f"detector {loaded.name}"
    pictures = list(_pictures(total, picture))
    if not pictures:
        if total:
            warn(f"{name} was not asked in another process, as none of the frames for that can be read: {_UNKNOWN}")
        return
    here, again = (_said_together(detector, pictures) for _ in range(2))
    other = (pictures[-1][:, ::-1] * DARKER).astype(np.uint8)
    found = _ask(loaded, [other, *reversed(pictures)])
    if isinstance(found, str):
        warn(f"{name} could not be asked in another process ({found}): {_UNKNOWN}")
        return
    if found.class_names != tuple(detector.class_names):
        raise InputError(
            f"{name} names its classes {', '.join(detector.class_names)} here and {', '.join(found.class_names)} in "
            "another process: write them as a tuple, and not by what changes with the process, as the order of a set"
        )
    if all(isinstance(each.logits, str) for each in (*here, *found.said[1:])):
        warn(f"{name} answers none of {count(len(here), 'frame')}, here or in another process: {_UNKNOWN}")
    differing = 0
    for one, two, there in zip(here, again, reversed(found.said[1:]), strict=True):
        if _otherwise(detector, one, two):
            differing += 1  # here already, and so the frame is left out when its turn comes
            continue
        if difference := _otherwise(detector, one, there, loaded.draws):
            raise InputError(
                f"{name} {difference} in another process, where it is asked in another order: it keeps something of "
                "the first picture, shares what another detector sets up, or depends on its process (hash(), the order "
                "of a set, draws, what a calling script has set); let prepare and forward follow from the picture and "
                "the weights alone"
            )
    if differing:
        warn(
            f"{name} does not say the same twice of {differing} of {count(len(here), 'frame')}, which are not compared "
            f"with what it says in another process: {_UNKNOWN}"
        )


def serve(task_file: str, answers_file: str) -> None:
    """What the other process does: reads a task and writes answers, or why there are none.

    It ends without what users' code would do at a process's end, as remove a folder that it shares with the first.
    """
    told, pictures = _unpacked(Path(task_file).read_bytes())
    torch.set_num_threads(told["threads"])
    found = _answers(LoadedAs(**told["loaded"]), pictures)
    if isinstance(found, str):
        message = _packed({"failed": found}, [])
    else:
        parts = [part for said in found.said for part in (said.prepared, said.logits)]
        reasons = [part if isinstance(part, str) else None for part in parts]
        arrays = [part for part in parts if not isinstance(part, str)]
        message = _packed({"class_names": found.class_names, "reasons": reasons}, arrays)
    Path(answers_file).write_bytes(message)
    os._exit(0)


def _pictures(total: int, picture: Callable[[int], np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3) uint8 of PICTURES of `total` frames, evenly spread, without those that cannot be read."""
    for index in spread(total, PICTURES):
        with contextlib.suppress(InputError):  # said when its turn comes
            yield picture(index)


def _answers(loaded: LoadedAs, pictures: Sequence[np.ndarray]) -> _Answers | str:
    """What a detector that is made for this says of pictures, in turn; or why it cannot be made."""
    with withheld():
        try:
            detector = made_again(loaded)
        except FAILED as error:
            return described(error)
        said = []
        for picture in pictures:
            made = _prepared(detector, picture)
            said.append(_Said(made, _logits(detector, made)))
    return _Answers(tuple(detector.class_names), said)


def _ask(loaded: LoadedAs, pictures: Sequence[np.ndarray]) -> _Answers | str:
    """What is said in another process, or why nothing is; whatever that process has started ends with it."""
    with tempfile.TemporaryDirectory() as folder:
        task_file, answers_file = Path(folder, "task"), Path(folder, "answers")
        told = {"loaded": asdict(loaded), "threads": torch.get_num_threads()}
        task_file.write_bytes(_packed(told, pictures))
        path = json.dumps(list(map(str, sys.path)))
        command = [sys.executable, "-c", _SERVE, str(task_file), str(answers_file), path]
        try:
            process = subprocess.Popen(
                command, stdin=_NOTHING, stdout=_NOTHING, stderr=_NOTHING, start_new_session=True
            )
        except OSError as error:
            return described(error)
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired as error:
            return described(error)
        finally:
            _end(process)
        if status or not answers_file.exists():
            return f"it ended with status {status}"
        said, arrays = _unpacked(answers_file.read_bytes())
    if "failed" in said:
        return str(said["failed"])
    left = iter(arrays)
    parts = [next(left) if reason is None else str(reason) for reason in said["reasons"]]
    return _Answers(tuple(said["class_names"]), list(map(_Said, parts[::2], parts[1::2])))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all of its session."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _packed(told: Mapping[str, object], arrays: Sequence[np.ndarray]) -> bytes:
    """What can be written as JSON, and arrays, as the bytes of a safetensors file."""
    numbered = {str(number): np.ascontiguousarray(array) for number, array in enumerate(arrays)}
    return save(numbered | {_TOLD: np.frombuffer(json.dumps(told).encode(), np.uint8)})


def _unpacked(message: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    tensors = load(message)
    told = json.loads(tensors.pop(_TOLD).tobytes())
    return told, [tensors[str(number)] for number in range(len(tensors))]


def _said_together(detector: Detector, pictures: Sequence[np.ndarray]) -> list[_Said]:
    """What a detector makes of pictures that are all prepared before it is asked about any."""
    prepared = [_prepared(detector, picture) for picture in pictures]
    return [_Said(made, _logits(detector, made)) for made in prepared]


def _prepared(detector: Detector, picture: np.ndarray) -> np.ndarray | str:
    try:
        return detector.prepare(picture).cpu().numpy().copy()
    except FAILED as error:
        return described(error)


def _logits(detector: Detector, prepared: np.ndarray | str) -> np.ndarray | str:
    if isinstance(prepared, str):
        return prepared
    try:
        return Queries(detector).logits(torch.from_numpy(prepared)[None])[0].float().cpu().numpy()
    except FAILED as error:
        return described(error)


def _otherwise(detector: Detector, here: _Said, there: _Said, draws: bool = False) -> str:
    """How a frame is prepared or answered otherwise, in words; "" for not at all.

    Answers are not compared where it `draws` its weights when it is made, which is said when it is loaded.
    """
    return _prepared_otherwise(here, there) or ("" if draws else _answered_otherwise(detector, here, there))


def _prepared_otherwise(here: _Said, there: _Said) -> str:
    """How a frame is prepared otherwise, in words; "" for not at all."""
    one, two = here.prepared, there.prepared
    if isinstance(one, str) or isinstance(two, str):
        return _failed_otherwise(one, two, "prepare")
    if one.shape != two.shape:
        return "prepares a frame at another size"
    apart, values = float(np.abs(one - two).mean()), float(np.ptp(one))
    return (
        f"prepares a frame otherwise (by {apart:.2g} where its values span {values:.2g})"
        if not apart <= TOLERANCE * values  # also where either has a NaN
        else ""
    )


def _answered_otherwise(detector: Detector, here: _Said, there: _Said) -> str:
    """How a frame is answered otherwise, in words; "" for not at all."""
    one, two = here.logits, there.logits
    if isinstance(one, str) or isinstance(two, str):
        return _failed_otherwise(one, two, "answer")
    image, before, now = (torch.from_numpy(np.asarray(values)) for values in (here.prepared, one, two))
    difference = answers_differ(detector, image, before[None], now[None])
    return f"answers a frame otherwise (a logit differs by {difference:.2g})" if difference else ""


def _failed_otherwise(one: np.ndarray | str, two: np.ndarray | str, verb: str) -> str:
    """What fails in one process alone, in words; "" where it fails in both."""
    if isinstance(one, str) == isinstance(two, str):
        return ""
    return (
        f"does not {verb} a frame here ({one}), and does"
        if isinstance(one, str)
        else f"does not {verb} a frame ({two})"
    )
