"""One frame in detail: its verdict, its explanations, the adversarial image and what changed with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from common.errors import FAILED, InputError, described
from common.memory import place
from common.process_state import kept_process_state
from data.frames import Frame
from data.masks import at_size
from detectors import Detector, Queries
from detectors.answers import require_unequal
from detectors.checks.spot_checks import SpotChecks
from detectors.memory import ran_out
from detectors.preparing import prepared, prepared_mask
from detectors.queries import probabilities
from scoring.asked_again import OF_A_FRAME, AskedAgain, changed_pictures
from scoring.frame import Scorer
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.explanation_settings import check_settings
from xai.figure import View
from xai.methods import ADVERSARIAL


@dataclass(frozen=True, eq=False)
class FrameInspection:
    """What there is to say of one frame.

    Attributes:
        frame: which.
        class_names: of the detector.
        probabilities: (C,) of the detector's classes.
        after: (C,) of the adversarial image, or None where none was made.
        label: the frame's class, or None where the detector has none for it.
        target: the explained class.
        explanations: by the name of the method.
        view: what to draw.
    """

    frame: Frame
    class_names: tuple[str, ...]
    probabilities: Tensor
    after: Tensor | None
    label: int | None
    target: int
    explanations: dict[str, Explanation]
    view: View


@kept_process_state("inspecting a frame")
def inspect_frame(frame: Frame, scorer: Scorer) -> FrameInspection:
    """Asks a scorer's detector about a frame and explains its verdict by each of its methods.

    At the end it is asked again, about the frame and changed pictures of it. Raises InputError where the detector gives
    no verdict, or two, or a method cannot explain it; also where their code fails.
    """
    with _in_one_line(f"looking at {frame.key}", scorer.detector):
        return _inspected(frame, scorer)


@contextmanager
def _in_one_line(what: str, detector: Detector) -> Iterator[None]:
    """Turns what a user's own code or a library raises into one line; memory that runs out has one of its own."""
    try:
        yield
    except (InputError, OSError):
        raise
    except FAILED as error:
        if ran_out(error):
            raise
        raise InputError(
            f"{what} fails with {type(detector).__name__} ({described(error)}, at {place(error)})"
        ) from error


def _inspected(frame: Frame, scorer: Scorer) -> FrameInspection:
    detector = scorer.detector
    queries = Queries(detector, scorer.batch_size)
    spot_checks = SpotChecks(detector, scorer.batch_size, OF_A_FRAME, scorer.seed, frame.key)
    image = prepared(detector, frame.image)
    check_settings(scorer.settings, detector, image)
    explanations, adversarial, after = {}, None, None
    with spot_checks.listening():
        logits = queries.logits(image[None])
        require_unequal(detector, detector.class_names, logits[0])
        predicted, target = int(logits[0].argmax()), explained_class(logits[0], detector.real)
        shared = FrameExplanations(
            detector, image, target, scorer.settings, scorer.seed, frame.key, scorer.batch_size, scorer.precision
        )
        for method in scorer.methods:
            spot_checks.begin(method.name)
            with _in_one_line(f"method {method.name}", detector):
                explanations[method.name] = shared.explain(method)
        if any(method.fill == ADVERSARIAL for method in scorer.methods):
            adversarial = shared.adversarial.image
            after = queries.probabilities(adversarial[None])[0]
    changed = changed_pictures(detector, image, shared.segments, [] if adversarial is None else [adversarial])
    AskedAgain(detector, scorer.batch_size)(frame.key, image, logits, changed)
    spot_checks.require()
    names, mask = detector.class_names, frame.mask
    if mask is not None:
        mask = at_size(prepared_mask(detector, mask, frame.image), tuple(image.shape[1:]))
    view = View(
        image=_picture(image),
        explanations=explanations,
        adversarial=None if adversarial is None else _picture(adversarial),
        adversarial_verdict="" if after is None else names[int(after.argmax())],
        mask=mask,
        caption=f"{frame.key}\npredicted: {names[predicted]}, explained: {names[target]}",
    )
    label = detector.label_of(frame.family)
    return FrameInspection(frame, names, probabilities(logits)[0], after, label, target, explanations, view)


def _picture(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()
