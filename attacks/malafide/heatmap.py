"""The table of equal error rates as a picture."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attacks.malafide.table import NONE, Table, TableRow, TableValue
from common.figures import save_png

INK, FAINT, LINE = "#222222", "#8a8a8a", "#ffffff"
MAP = "YlOrRd"


def save_heatmap(path: Path, table: Table) -> None:
    """Writes the table as PNG: the darker, the more the detector errs; 50 % is chance. PSNR and SSIM stand below."""
    rows, columns = len(table.rows), len(table.manipulations)
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK}):
        figure = Figure(figsize=(4.6 + 1.35 * columns, 1.3 + 0.5 * rows), layout="constrained")
        axes = figure.add_subplot()
        colours = matplotlib.colormaps[MAP]
        for index, row in enumerate(table.rows):
            for column, manipulation in enumerate(table.manipulations):
                _draw(axes, index, column, table.at(row, manipulation), colours)
        _label(axes, table)
        bar = figure.colorbar(
            matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 100), colours), ax=axes, shrink=0.8, pad=0.02
        )
        bar.set_label("equal error rate (%)")
        bar.outline.set_visible(False)
        figure.suptitle("How often does a detector err once fakes pass through the filter?", x=0.01, ha="left")
        save_png(figure, path)


def _draw(axes: Axes, row: int, column: int, value: TableValue | None, colours: matplotlib.colors.Colormap) -> None:
    if value is None:
        axes.text(column, row, "–", ha="center", va="center", color=FAINT)
        return
    axes.add_patch(matplotlib.patches.Rectangle((column - 0.5, row - 0.5), 1, 1, fc=colours(value.eer), ec=LINE, lw=2))
    ink = "white" if value.eer > 0.6 else INK
    beside = [f"{value.psnr:.1f} dB"] if value.psnr is not None else []
    beside += [f"SSIM {value.ssim:.2f}"] if value.ssim is not None else []
    axes.text(column, row - 0.14 * bool(beside), f"{100 * value.eer:.1f}", ha="center", va="center", color=ink)
    axes.text(column, row + 0.24, ", ".join(beside), ha="center", va="center", color=ink, fontsize=6.5)


def _label(axes: Axes, table: Table) -> None:
    axes.set_xlim(-0.5, len(table.manipulations) - 0.5)
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_xticks(range(len(table.manipulations)), table.manipulations)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(table.rows)), [_name(row) for row in table.rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for index in range(1, len(table.rows)):
        before, here = table.rows[index - 1], table.rows[index]
        if before.trained_on != here.trained_on or (here.trained_on and before.tested_on != here.tested_on):
            axes.axhline(index - 0.5, color=FAINT, lw=0.8, xmin=-0.6, clip_on=False)


def _name(row: TableRow) -> str:
    if row.filter == NONE:
        return f"no filter, tested on {row.tested_on}"
    tested = "" if row.trained_on == row.tested_on else f", tested on {row.tested_on}"
    return f"trained on {row.trained_on}{tested}: {row.filter}"
