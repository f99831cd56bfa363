"""Survival curves of verdicts: how many stand after a budget, and each method's restricted mean beside them."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.statistics import Estimate
from analysis.survival import Survival
from common.console import count
from common.figures import FAINT, GREY, INK
from reporting.figure_style import Style, save_both, styles


@dataclass(frozen=True)
class AxisScale:
    """The axis of a survival figure: its quantity, and how values are written.

    Attributes:
        label: of the axis: "L-infinity budget (1/255)", "queries", "share of the segments".
        limit: where the axis and the restricted means end, in the units of `needed`.
        factor: what values are multiplied by to be written: 255 for budgets.
        digits: after the point.
    """

    label: str
    limit: float
    factor: float = 1.0
    digits: int = 1


def save_survival(
    path: Path,
    curves: Mapping[str, tuple[Survival, Estimate]],
    scale: AxisScale,
    title: str,
    controls: Collection[str] = (),
    mark: str = "",
) -> list[Path]:
    """Draws each method's curve and restricted mean, the smallest mean on top, as PNG and PDF; returns both files.

    Args:
        path: of the PNG; the PDF lies beside it.
        curves: the survival curve and the restricted mean of each method; those without a frame are left out.
        scale: the axis that both panels share.
        title: above the picture.
        controls: the methods that are drawn thinner and in grey.
        mark: what sets the run apart (`reporting.published_mark`).

    Raises:
        ValueError: no method has a frame.
        OSError: a file cannot be written.
    """
    curves = {method: entry for method, entry in curves.items() if entry[0].searches}
    if not curves:
        raise ValueError("survival curves need a method with at least one frame")
    style_of = styles(list(curves), controls)
    ordered = sorted(curves, key=lambda method: curves[method][1].value)
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK, "pdf.fonttype": 42}):
        figure = Figure(figsize=(10, max(4.2, 1.9 + 0.3 * len(ordered))), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True, width_ratios=(1.1, 1))
        for method in reversed(ordered):
            _curve(left, curves[method][0], scale, style_of[method], method in controls)
        _finish(left, scale)
        for row, method in enumerate(ordered):
            _mean(right, row, *curves[method], scale, style_of[method])
        _finish_means(right, ordered, scale)
        first = next(iter(curves.values()))[0]
        figure.suptitle(f"{title}\n{_counted(curves, first)}", x=0.01, ha="left", fontsize=11)
        return save_both(figure, path, mark)


def _counted(curves: Mapping[str, tuple[Survival, Estimate]], first: Survival) -> str:
    alike = all((curve.searches, curve.videos) == (first.searches, first.videos) for curve, _ in curves.values())
    each = "one for each frame, trial and draw"
    counted = (
        f"{count(first.searches, 'search', 'searches')} ({each}), {count(first.videos, 'video')}, " if alike else ""
    )
    return f"{counted}95 % intervals. Verdicts that nothing flipped are censored, not dropped."


def _curve(axes: Axes, curve: Survival, scale: AxisScale, style: Style, is_control: bool) -> None:
    x = scale.factor * np.concatenate([[0.0], curve.needed, [max(scale.limit, curve.needed.max(initial=0.0))]])
    y = np.concatenate([[1.0], curve.standing, curve.standing[-1:] if len(curve.standing) else [1.0]])
    width, order = (1.6, 2) if is_control else (2.0, 3)
    axes.plot(x, y, drawstyle="steps-post", color=style.colour, ls=style.dash, lw=width, zorder=order)


def _finish(axes: Axes, scale: AxisScale) -> None:
    axes.set_title("verdicts that still stand", loc="left", fontsize=10)
    axes.set_xlim(0, scale.factor * scale.limit)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
    axes.set_xlabel(scale.label)
    axes.grid(color=FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


def _mean(axes: Axes, row: int, curve: Survival, mean: Estimate, scale: AxisScale, style: Style) -> None:
    value, low, high = (scale.factor * number for number in (mean.value, mean.low, mean.high))
    if not math.isnan(low):
        axes.plot([low, high], [row, row], color=style.colour, lw=2, solid_capstyle="round")
    axes.plot([value], [row], "o", ms=7, mfc=style.colour, mec="white", mew=0.8, zorder=3, clip_on=False)
    axes.plot(
        [-0.13, -0.02], [row, row], color=style.colour, ls=style.dash, lw=2, transform=_beside(axes), clip_on=False
    )
    axes.text(1.03, row, f"{value:z.{scale.digits}f}", va="center", ha="left", fontsize=9, transform=_beside(axes))
    unflipped = f"{curve.censored} of {curve.searches}"
    axes.text(1.17, row, unflipped, va="center", ha="left", fontsize=9, color=GREY, transform=_beside(axes))


def _finish_means(axes: Axes, methods: list[str], scale: AxisScale) -> None:
    axes.set_title("restricted mean: less is better", loc="left", fontsize=10)
    axes.text(1.17, -0.7, "never\nflipped", va="bottom", ha="left", fontsize=8, color=GREY, transform=_beside(axes))
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_xlabel(scale.label)
    axes.tick_params(length=0, pad=6)
    axes.tick_params(axis="y", pad=42)
    axes.grid(axis="x", color=FAINT)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _beside(axes: Axes) -> matplotlib.transforms.Transform:
    """x in shares of the panel's width, y in methods."""
    return axes.get_yaxis_transform()
