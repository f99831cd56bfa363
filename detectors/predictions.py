"""What a detector says of many frames, kept with what is known of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.console import listed, progress, say, warn
from common.errors import InputError
from data.frames import Frame
from detectors.answers import NotFiniteError
from detectors.base import Detector
from detectors.checks.consistency import differs
from detectors.checks.spot_checks import spot_checked
from detectors.half_precision import half_types
from detectors.preparing import prepared
from detectors.queries import Queries, probabilities


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a detector says of N frames.

    Attributes:
        keys: their N keys.
        families: "Real", or the manipulation each was made with.
        videos: the video that each is from.
        labels: the class that each belongs to.
        probabilities: (N, C) float64, so that confident verdicts do not tie where float32 rounds.
        left_out: how many frames of each family belong to no class.
        unreadable: how many frames could not be read.
    """

    keys: tuple[str, ...]
    families: tuple[str, ...]
    videos: tuple[str, ...]
    labels: tuple[int, ...]
    probabilities: Tensor
    left_out: dict[str, int]
    unreadable: int


def predict(
    detector: Detector,
    frames: Sequence[Frame],
    batch_size: int = 16,
    label_of: Callable[[str | None], int | None] | None = None,
) -> Predictions:
    """Asks a detector about frames; one that cannot be read is named and left out.

    Args:
        detector: what is asked, on its own device.
        frames: N frames; each is read when its turn comes.
        batch_size: how many frames pass through the detector at a time, at least 1.
        label_of: gives the class of a family, or None for frames to be left out; None is the detector's own.

    Raises:
        InputError: no frame is left, the detector's logits are not finite for one, or it says otherwise in the end
            of the first, second, middle or last frame of the first batch or the last of all, asked about that alone,
            or of one of a random sample (`detectors.checks.spot_checks`), asked about beside others.
    """
    with spot_checked((detector,), batch_size, "a frame of this test"):
        return _predict(Queries(detector, batch_size), frames, batch_size, label_of or detector.label_of)


def _predict(
    queries: Queries, frames: Sequence[Frame], batch_size: int, label_of: Callable[[str | None], int | None]
) -> Predictions:
    detector = queries.detector
    seen: list[tuple[str, str, str, int]] = []
    waiting: list[Tensor] = []
    results: list[Tensor] = []
    left_out: Counter[str] = Counter()
    kept: dict[int, Tensor] = {}
    known = (0, 1, batch_size // 2, batch_size - 1)
    unreadable = 0
    with progress("frame") as bar:
        task = bar.add_task("testing", total=len(frames))
        for position in range(len(frames)):
            bar.advance(task)
            try:
                frame = frames[position]
            except InputError as error:
                warn(f"left out: {error}")
                unreadable += 1
                continue
            label = label_of(frame.family)
            if label is None:
                left_out[frame.family or "no label"] += 1
                continue
            seen.append((frame.key, str(frame.family), frame.video, label))
            waiting.append(prepared(detector, frame.image))
            kept = {at: image for at, image in kept.items() if at in known} | {len(seen) - 1: waiting[-1]}
            if len(waiting) == batch_size:
                results.append(_asked(queries, waiting, seen))
                waiting = []
    if waiting:
        results.append(_asked(queries, waiting, seen))
    if not seen:
        raise InputError(
            f"nothing to test: none of {len(frames)} frames could be read and belongs to one of the classes "
            f"{', '.join(detector.class_names)}"
        )
    keys, families, videos, labels = zip(*seen, strict=True)
    said = torch.cat(results)
    for at, image in kept.items():
        _require_same(queries, image, keys[at], said[at : at + 1])
    return Predictions(keys, families, videos, labels, said, dict(left_out), unreadable)


def _asked(queries: Queries, images: Sequence[Tensor], seen: Sequence[tuple[str, str, str, int]]) -> Tensor:
    """Probabilities of images, those of the last frames seen; InputError names frames that have none."""
    try:
        return probabilities(queries.logits(torch.stack(list(images))).double())
    except NotFiniteError as error:
        keys = [frame[0] for frame in seen[-len(images) :]]
        lost = [key for key, image in zip(keys, images, strict=True) if not _answers(queries, image)]
        named = f" ({', '.join(lost)})" if lost else ""
        raise InputError(f"{error}{named}; its weights are damaged or do not fit it, or it divides by 0") from None


def _require_same(queries: Queries, image: Tensor, key: str, said: Tensor) -> None:
    """Refuses a detector that says otherwise of an image (3, S, S) by itself than it `said`, probabilities (1, C)."""
    logits, before = queries.logits(image[None]).double(), said.log()
    half = bool(half_types(queries.detector, image))
    if difference := differs(before, logits.log_softmax(dim=1), half):
        raise InputError(
            f"detector {type(queries.detector).__name__} answers {key} alone and at the end differently than beside "
            f"others at the beginning (a logit differs by {difference:.2g}): it mixes the pictures of a batch, "
            "it draws, or keeps a state; mend its forward"
        )


def _answers(queries: Queries, image: Tensor) -> bool:
    try:
        queries.logits(image[None])
    except NotFiniteError:
        return False
    return True


def report_left_out(predictions: Predictions, reason: str = "") -> None:
    """Prints which frames took no part, and for what `reason`, where there are any."""
    if predictions.left_out:
        say(f"left out{reason}: {listed(predictions.left_out)}")
    if predictions.unreadable:
        warn(f"{predictions.unreadable} frames could not be read and are left out")
