"""One frame looked at closely: the verdict, the explanations, what they point at, and a picture of it all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, from_numpy
from torch.nn import functional

from common.errors import InputError
from common.seeds import generator
from data.frames import Frame
from detectors import Queries
from scoring.figures import save_png
from scoring.frame import Scorer
from scoring.selection import Selection
from scoring.setup import EVERY
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.figure import TOP, View, draw
from xai.methods import ADVERSARIAL, ALL, SUFFIX, hides, parse
from xai.ranking import top_region

RANDOM = "random"


@dataclass(frozen=True, eq=False)
class Look:
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


def choose(selection: Selection, index: str, seed: int) -> Frame:
    """The frame at `index` ("0", "1", ... or "random", drawn by the seed). Raises InputError for anything else."""
    count = len(selection.keys)
    if index == RANDOM:
        return selection.frame(int(generator(seed, "look").integers(count)))
    if not index.isdecimal() or int(index) >= count:
        raise InputError(f"--index {index}: give a number from 0 to {count - 1}, or {RANDOM}")
    return selection.frame(int(index))


def with_fills(names: Sequence[str], fills: Sequence[bool]) -> tuple[str, ...]:
    """The methods of the explainers that `names` stand for, by fill: True is the adversarial, False the usual one.

    An explainer that hides no pixels is there once, whatever the fills. Raises InputError for an unknown name.
    """
    every = [name for each in names for name in (ALL if each == EVERY else (each,))]
    explainers = {parse(name).explainer: hides(name) for name in every}
    return tuple(
        name + SUFFIX * (adversarial and hiding)
        for adversarial in fills
        for name, hiding in explainers.items()
        if hiding or adversarial == fills[0]
    )


def look(frame: Frame, scorer: Scorer) -> Look:
    """Asks a scorer's detector about a frame and explains its verdict by each of its methods.

    Raises InputError where a method cannot explain it.
    """
    detector = scorer.detector
    queries = Queries(detector, scorer.batch_size)
    image = detector.prepare(frame.image)
    probabilities = queries.probabilities(image[None])[0]
    target = explained_class(probabilities, detector.real)
    shared = FrameExplanations(
        detector, image, target, scorer.settings, scorer.seed, frame.key, scorer.batch_size, scorer.precision
    )
    explanations = {method.name: shared.explain(method) for method in scorer.methods}
    adversarial = after = None
    if any(method.fill == ADVERSARIAL for method in scorer.methods):
        adversarial = shared.adversarial.image
        after = queries.probabilities(adversarial[None])[0]
    names, predicted = detector.class_names, int(probabilities.argmax())
    view = View(
        image=_picture(image),
        explanations=explanations,
        adversarial=None if adversarial is None else _picture(adversarial),
        adversarial_verdict="" if after is None else names[int(after.argmax())],
        mask=_at_size(frame.mask, detector.input_size),
        caption=f"{frame.key}\npredicted: {names[predicted]}, explained: {names[target]}",
    )
    label = detector.label_of(frame.family)
    return Look(frame, names, probabilities, after, label, target, explanations, view)


def describe(seen: Look) -> list[str]:
    """What to print: the scores, the classes, and what each method points at."""
    names, predicted = seen.class_names, int(seen.probabilities.argmax())
    truth = names[seen.label] if seen.label is not None else "unknown to the detector"
    family = f" (family {seen.frame.family})" if seen.frame.family else ""
    lines = [
        f"Frame: {seen.frame.key}",
        f"Scores: {_scores(names, seen.probabilities)}",
        f"Predicted: {names[predicted]}. True class: {truth}{family}. Explained: {names[seen.target]}.",
    ]
    if predicted != seen.target:
        lines.append(f"The verdict is {names[predicted]}, so the likeliest fake class is explained.")
    if seen.after is not None:
        verdict = names[int(seen.after.argmax())]
        lines.append(f"Adversarial image: {verdict}. Scores: {_scores(names, seen.after)}")
    lines += [_points_at(name, explanation, seen.view.mask) for name, explanation in seen.explanations.items()]
    return lines


def save(seen: Look, path: Path) -> None:
    """Writes the picture as PNG, whole or not at all."""
    figure = Figure()
    draw(seen.view, figure)
    save_png(figure, path, dpi=110)


def show(seen: Look) -> None:
    """Displays the picture in a window until it is closed. Raises InputError where there is no display."""
    if matplotlib.get_backend().lower() == "agg":
        raise InputError("--show needs a display; the saved picture is the same")
    draw(seen.view, plt.figure(dpi=110))
    plt.show()


def file_name(frame: Frame) -> str:
    """A readable name for the picture of a frame."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", frame.key)[-80:].strip("._-") + ".png"


def _points_at(name: str, explanation: Explanation, mask: np.ndarray | None) -> str:
    best = explanation.ranking[:TOP].tolist()
    weak = ", weak: fewer than three regions speak for the class" if explanation.weak else ""
    line = f"{name}: segments {', '.join(map(str, best))}; {explanation.forwards} forwards, {explanation.seconds:.1f} s"
    if mask is None or not mask.any():
        return line + weak
    region = top_region(explanation.segments, explanation.ranking, min(TOP, len(explanation.ranking)))
    hit = (region & mask).sum() / region.sum()
    return (
        f"{line}; {100 * hit:.0f} % of their pixels are manipulated ({100 * mask.mean():.0f} % of the frame is){weak}"
    )


def _scores(names: Sequence[str], probabilities: Tensor) -> str:
    return ", ".join(f"{name} {float(p):.3f}" for name, p in zip(names, probabilities, strict=True))


def _picture(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def _at_size(mask: np.ndarray | None, size: int) -> np.ndarray | None:
    if mask is None:
        return None
    resized = functional.interpolate(from_numpy(mask.astype(np.float32))[None, None], (size, size), mode="nearest")
    return resized[0, 0].numpy() > 0.5
