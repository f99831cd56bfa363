"""The inspection of one frame in words and as a picture: its verdict, its explanations, and what they point at."""

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.figure import Figure
from torch import Tensor

from common.errors import InputError
from common.figures import save_png
from common.seeds import generator
from data.frames import Frame
from runs.selection import Selection
from scoring.inspection import FrameInspection
from scoring.protocol import EVERY
from xai.explanation import Explanation
from xai.figure import draw_view
from xai.map_picture import TOP
from xai.methods import ALL, SUFFIX, hides, parse_method
from xai.ranking import top_region

RANDOM = "random"


def pick_frame(selection: Selection, index: str, seed: int) -> Frame:
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
    every = [name for method in names for name in (ALL if method == EVERY else (method,))]
    explainers = {parse_method(name).explainer: hides(name) for name in every}
    return tuple(
        name + SUFFIX * (adversarial and hiding)
        for adversarial in fills
        for name, hiding in explainers.items()
        if hiding or adversarial == fills[0]
    )


def describe_inspection(inspection: FrameInspection) -> list[str]:
    """The lines to print of a frame: its scores, its classes, and the segments that each method points at."""
    names, predicted = inspection.class_names, int(inspection.probabilities.argmax())
    truth = names[inspection.label] if inspection.label is not None else "unknown to the detector"
    family = f" (family {inspection.frame.family})" if inspection.frame.family else ""
    lines = [
        f"Frame: {inspection.frame.key}",
        f"Scores: {_scores(names, inspection.probabilities)}",
        f"Predicted: {names[predicted]}. True class: {truth}{family}. Explained: {names[inspection.target]}.",
    ]
    if predicted != inspection.target:
        lines.append(f"The verdict is {names[predicted]}, so the likeliest fake class is explained.")
    if inspection.after is not None:
        verdict = names[int(inspection.after.argmax())]
        lines.append(f"Adversarial image: {verdict}. Scores: {_scores(names, inspection.after)}")
        if inspection.view.adversarial is not None and (inspection.view.adversarial == inspection.view.image).all():
            lines.append("It is the frame itself, so hiding pixels with it hides nothing: maps by that fill are noise.")
    mask = inspection.view.mask
    lines += [_points_at(name, explanation, mask) for name, explanation in inspection.explanations.items()]
    return lines


def save_inspection(inspection: FrameInspection, path: Path) -> None:
    """Writes the picture as PNG, whole or not at all."""
    figure = Figure()
    draw_view(inspection.view, figure)
    save_png(figure, path, dpi=110)


def has_display() -> bool:
    """Whether a window can be opened here: matplotlib falls back to a backend without windows where none can."""
    try:
        backend = matplotlib.get_backend()
    except ImportError:  # the one that MPLBACKEND names needs a display
        return False
    return backend.lower() in map(str.lower, backend_registry.list_builtin(BackendFilter.INTERACTIVE))


def show_inspection(inspection: FrameInspection) -> None:
    """Displays the picture in a window until it is closed; to be called where `has_display`."""
    draw_view(inspection.view, plt.figure(dpi=110))
    plt.show()


def file_name(frame: Frame) -> str:
    """A readable name for the picture of a frame."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", frame.key)[-80:].strip("._-") + ".png"


def _points_at(name: str, explanation: Explanation, mask: np.ndarray | None) -> str:
    best = explanation.ranking[:TOP].tolist()
    weak = ", weak: fewer than three regions speak for the class" if explanation.weak else ""
    weak += f"; the map {explanation.completeness}" if explanation.completeness else ""
    line = f"{name}: segments {', '.join(map(str, best))}; {explanation.forwards} forwards, {explanation.seconds:.1f} s"
    line += _again(explanation)
    if mask is None or not mask.any():
        return line + weak
    region = top_region(explanation.segments, explanation.ranking, min(TOP, len(explanation.ranking)))
    hit = (region & mask).sum() / region.sum()
    return (
        f"{line}; {100 * hit:.0f} % of their pixels are manipulated ({100 * mask.mean():.0f} % of the frame is){weak}"
    )


def _again(explanation: Explanation) -> str:
    """How probably a re-run points at the same segments."""
    if explanation.covariance is None:
        return "; on a re-run: unknown, as it does not say how far it depends on draws"
    if not explanation.covariance.any():
        return "; the same on every re-run" if explanation.stability.all() else "; all segments count alike"
    chances = ", ".join(f"{100 * chance:.0f} %" for chance in explanation.stability)
    return f"; on a re-run the same best 1, 2, 3 segments: {chances}"


def _scores(names: Sequence[str], probabilities: Tensor) -> str:
    return ", ".join(f"{name} {float(p):.3f}" for name, p in zip(names, probabilities, strict=True))
