"""One picture of a run: how often each method's regions flip the verdict, against random regions."""

import io
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.files import atomic_write
from scoring.protocol import ARMS
from scoring.summary import ALPHA, CONTROL, Line, Summary

PANELS = {"1": "best region", "1-2": "best two regions", "1-3": "best three regions"}
"""What depths are called; shares of the frame ("5%") by themselves."""
BLUE, GREY, PALE, FAINT, INK = "#0b5fa5", "#8a8a8a", "#e6e6e6", "#f0f0f0", "#222222"


def save_summary(path: Path, summary: Summary) -> None:
    """Writes the picture of a summary as PNG: attacks down, depths across, the best method on top."""
    attacks = summary.attacks
    count = len(summary.ranked(attacks[0]))
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK}):
        figure = Figure(figsize=(10, 1.2 + len(attacks) * (0.65 + 0.3 * count)), layout="constrained")
        tops = summary.shown
        panels = figure.subplots(len(attacks), len(tops), sharex=True, sharey="row", squeeze=False)
        for row, attack in zip(panels, attacks, strict=True):
            for panel, top in zip(row, tops, strict=True):
                title = PANELS.get(top, f"best regions, {top}")
                lines = summary.of(attack, top)
                _draw(panel, [lines[method] for method in summary.ranked(attack)])
                panel.set_title(title if len(attacks) == 1 else f"{attack}: {title}", loc="left", fontsize=10)
        for panel in panels[-1]:
            panel.set_xlabel("verdicts flipped to Real")
        figure.suptitle(_title(summary), x=0.01, ha="left", fontsize=11)
        save_png(figure, path)


def save_png(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Writes a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        with atomic_write(path, "wb") as file:
            file.write(buffer.getvalue())


def _title(summary: Summary) -> str:
    first = summary.lines[0]
    attacked = f" ({first.attack})" if len(summary.attacks) == 1 else ""
    compared = any(line.method == CONTROL for line in summary.lines)
    legend = f"  Filled: differs from random regions (p < {ALPHA}, corrected)." if compared else ""
    return (
        f"How often does attacking only a method's best regions{attacked} make the detector say Real?\n"
        f"{first.frames} frames from {first.videos} videos, 95 % intervals.{legend}"
    )


def _draw(panel: Axes, lines: list[Line]) -> None:
    """One depth of one attack: a dot with its interval for each method, and a band for the control."""
    for place, line in enumerate(lines):
        rate, control = line.flip_rate, line.method in ARMS
        if line.method == CONTROL:
            panel.axvspan(rate.low, rate.high, color=PALE, lw=0, zorder=0)
            panel.axvline(rate.value, color=GREY, lw=1.5, zorder=1)
        colour = GREY if control else BLUE
        fill = colour if control or line.flip_rate_vs_random.certain else "white"
        panel.plot([rate.low, rate.high], [place, place], color=colour, lw=2, solid_capstyle="round", zorder=2)
        panel.plot([rate.value], [place], "o", ms=7, mfc=fill, mec=colour, mew=1.6, zorder=3, clip_on=False)
        panel.text(1.05, place, f"{100 * rate.value:.0f} %", va="center", ha="left", fontsize=9)
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
    panel.set_ylim(len(lines) - 0.5, -0.5)
    panel.set_yticks(range(len(lines)), [line.method for line in lines])
    panel.tick_params(length=0, pad=7)
    panel.grid(axis="x", color=FAINT)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)
