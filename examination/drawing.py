"""A case's pictures: each map over its picture with the region that was attacked, and the verdict over a film."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage.color import rgb2gray

from common.figures import BLUE, GREY, RED
from examination.case import Case
from examination.frame import ExaminedFrame

OUTLINE = "#00e5ff"


def draw_map(axis: Axes, frame: ExaminedFrame, name: str) -> None:
    """A method's map over the grey picture, with the outline of its region."""
    picture, saliency = as_seen(frame), frame.explanations[name].saliency
    axis.imshow(rgb2gray(picture), cmap="gray", vmin=0.0, vmax=1.0)
    low, high = np.percentile(saliency, [1, 99])
    axis.imshow(saliency, cmap="inferno", alpha=0.55, vmin=low, vmax=high if high > low else low + 1)
    axis.contour(frame.regions[name], levels=[0.5], colors=OUTLINE, linewidths=1.4)
    axis.axis("off")


def draw_picture(axis: Axes, frame: ExaminedFrame) -> None:
    """The picture as the detector sees it."""
    axis.imshow(as_seen(frame))
    axis.axis("off")


def draw_best(axis: Axes, frame: ExaminedFrame) -> None:
    """The picture with the outline of the best region that is known."""
    draw_picture(axis, frame)
    if frame.evidence is not None:
        axis.contour(frame.evidence.best_region, levels=[0.5], colors=OUTLINE, linewidths=1.4)


def draw_curve(axis: Axes, case: Case) -> None:
    """The probability of manipulation over a film, with the frames that are examined."""
    axis.plot([point.time for point in case.curve], [point.fake for point in case.curve], "o-", ms=3, lw=1, color=BLUE)
    for frame in case.frames:
        if frame.shot.time is not None:
            axis.axvline(frame.shot.time, color=RED, lw=0.8, ls="--")
    axis.axhline(float(np.mean([point.fake for point in case.curve])), color=GREY, lw=0.8)
    axis.tick_params(labelsize=7)
    axis.xaxis.label.set_fontsize(7)
    axis.yaxis.label.set_fontsize(7)
    axis.set(xlabel="seconds (dashed: examined; grey: mean)", ylabel="p(manipulated)", ylim=(-0.03, 1.03))


def as_seen(frame: ExaminedFrame) -> np.ndarray:
    """(S, S, 3) float in [0, 1]."""
    return frame.image.permute(1, 2, 0).cpu().numpy()


def png_of(figure: Figure, dpi: int = 110) -> bytes:
    """A figure as PNG; the same figure gives the same bytes."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()


def map_picture(frame: ExaminedFrame, name: str, side: float = 2.4) -> Figure:
    """One map alone, edge to edge."""
    figure = Figure(figsize=(side, side))
    draw_map(figure.add_axes((0, 0, 1, 1)), frame, name)
    return figure


def curve_picture(case: Case) -> Figure:
    """The verdict over the film."""
    figure = Figure(figsize=(7, 1.7), layout="constrained")
    draw_curve(figure.subplots(), case)
    return figure


def plain_picture(frame: ExaminedFrame, best: bool = False, side: float = 2.4) -> Figure:
    """The picture alone, or with its best region."""
    figure = Figure(figsize=(side, side))
    (draw_best if best else draw_picture)(figure.add_axes((0, 0, 1, 1)), frame)
    return figure
