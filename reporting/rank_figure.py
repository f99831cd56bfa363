"""The critical-difference picture (Demsar, JMLR 7, 2006): mean ranks on a line, bars join those that do not differ."""

import math
from collections.abc import Collection
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.statistics import Ranks
from common.figures import BLUE, GREY, INK
from reporting.figure_style import save_both

BAR, STEP = 0.34, 0.62  # heights of a bar and of a label's line, where 1 is a third of an inch
GAP = 0.06  # between the axis' end and the labels, as a share of its length


def save_ranks(path: Path, ranks: Ranks, title: str, controls: Collection[str] = (), mark: str = "") -> list[Path]:
    """Draws mean ranks, best on the left, as PNG and PDF; returns both files.

    Args:
        path: of the PNG; the PDF lies beside it.
        ranks: the mean rank of each method, with the critical difference.
        title: above the picture.
        controls: the methods that are drawn in grey.

    Raises:
        ValueError: there are no ranks: no frame, or only one method.
        OSError: a file cannot be written.
    """
    if math.isnan(ranks.critical):
        raise ValueError("mean ranks need two methods or more and at least one frame")
    groups, count = ranks.alike(), len(ranks.methods)
    labels_from = 0.55 + BAR * len(groups)
    depth = labels_from + STEP * math.ceil(count / 2)
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK, "pdf.fonttype": 42}):
        figure = Figure(figsize=(8.4, 1.35 + (depth + 1.5) / 3), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        _axis(axes, count)
        _critical(axes, ranks)
        for number, group in enumerate(groups):
            ends = [ranks.ranks[ranks.methods.index(method)] for method in (group[0], group[-1])]
            y = -0.42 - BAR * number
            axes.plot([ends[0] - 0.03, ends[1] + 0.03], [y, y], color=INK, lw=4.5, solid_capstyle="round", zorder=3)
        _labels(axes, ranks, labels_from, controls)
        width = (count - 1) * (1 + 2 * GAP)
        axes.set_xlim(1 - 0.27 * width, count + 0.27 * width)
        axes.set_ylim(-depth - 0.1, 1.75)
        test = "" if math.isnan(ranks.p) else f"; Friedman {_p(ranks.p)}"
        figure.suptitle(
            f"{title}\nMean rank over {ranks.videos} videos ({ranks.frames} frames), 1 is best{test}. "
            f"Bars join methods that cannot\nbe told apart: ranks closer than the critical difference (Nemenyi, 5 %).",
            x=0.01,
            ha="left",
            fontsize=11,
        )
        return save_both(figure, path, mark)


def _axis(axes: Axes, count: int) -> None:
    axes.plot([1, count], [0, 0], color=INK, lw=1.2)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.16], color=INK, lw=1.2)
        axes.text(rank, 0.26, f"{rank}", ha="center", va="bottom", fontsize=9)


def _critical(axes: Axes, ranks: Ranks) -> None:
    """A bracket as long as the critical difference, above the axis; cut, and saying so, where the axis is shorter."""
    end = min(1 + ranks.critical, float(len(ranks.methods)))
    axes.plot([1, end], [1.2, 1.2], color=GREY, lw=1.6)
    for x in (1, end) if end == 1 + ranks.critical else (1,):
        axes.plot([x, x], [1.08, 1.32], color=GREY, lw=1.6)
    longer = "" if end == 1 + ranks.critical else ", longer than the axis"
    axes.text(end + 0.08, 1.2, f"critical difference {ranks.critical:.2f}{longer}", va="center", fontsize=9, color=INK)


def _labels(axes: Axes, ranks: Ranks, start: float, controls: Collection[str]) -> None:
    """Each method's name on a line to its mean rank: the better half on the left, the others on the right."""
    count = len(ranks.methods)
    left = math.ceil(count / 2)
    margin = (count - 1) * GAP
    for index, (method, rank) in enumerate(zip(ranks.methods, ranks.ranks, strict=True)):
        colour = GREY if method in controls else BLUE
        on_left = index < left
        y = -start - STEP * (index if on_left else count - 1 - index)
        edge = 1 - margin if on_left else count + margin
        axes.plot([rank, rank, edge], [0, y, y], color=colour, lw=1.1, zorder=2)
        axes.plot([rank], [0], "o", ms=6, color=colour, zorder=4)
        words = f"{method}  {rank:.2f} " if on_left else f" {rank:.2f}  {method}"
        axes.text(edge, y, words, ha="right" if on_left else "left", va="center", color=INK)


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
