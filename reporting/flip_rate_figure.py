"""One picture of a run: how often each method's regions flip the verdict, against random regions."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.statistics import ALPHA
from analysis.summary import MethodSummary, Summary
from common.console import count
from common.figures import BLUE, FAINT, GREY, INK, PALE, save_png, write_mark
from scoring.baselines.table import BASELINES, RANDOM

PANELS = {"1": "best region", "1-2": "best two regions", "1-3": "best three regions"}
"""Titles of the panels by depth; a share of the frame ("5%") is its own title."""


def save_summary(path: Path, summary: Summary, mark: str = "") -> None:
    """Writes the picture of a summary as PNG: attacks down, depths across, the best method on top.

    `mark` says what sets the run apart, see `reporting.published_mark`.
    """
    attacks = summary.attacks
    rows = len(summary.ranked(attacks[0]))
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK}):
        figure = Figure(figsize=(10, 1.2 + len(attacks) * (0.65 + 0.3 * rows)), layout="constrained")
        depths = summary.shown
        panels = figure.subplots(len(attacks), len(depths), sharex=True, sharey="row", squeeze=False)
        for row, attack in zip(panels, attacks, strict=True):
            for panel, depth in zip(row, depths, strict=True):
                title = PANELS.get(depth, f"best regions, {depth}")
                lines = summary.of(attack, depth)
                _draw(panel, [lines[method] for method in summary.ranked(attack)])
                panel.set_title(title if len(attacks) == 1 else f"{attack}: {title}", loc="left", fontsize=10)
        for panel in panels[-1]:
            panel.set_xlabel("verdicts flipped to Real")
        figure.suptitle(caption(summary), x=0.01, ha="left", fontsize=11)
        write_mark(figure, mark)
        save_png(figure, path)


def caption(summary: Summary) -> str:
    """What the picture of a summary shows, and of how many frames."""
    first = summary.lines[0]
    frames, videos = summary.sample(first.attack)
    attacked = f" ({first.attack})" if len(summary.attacks) == 1 else ""
    compared = any(line.method == RANDOM for line in summary.lines)
    legend = f"  Filled: differs from random regions (p < {ALPHA}, corrected)." if compared else ""
    return (
        f"How often does attacking only a method's best regions{attacked} make the detector say Real?\n"
        f"{count(frames, 'frame')} from {count(videos, 'video')}, 95 % intervals.{legend}"
    )


def _draw(panel: Axes, lines: list[MethodSummary]) -> None:
    """One depth of one attack: a dot with its interval for each method, and a band for random regions."""
    for row, line in enumerate(lines):
        rate, is_baseline = line.flip_rate, line.method in BASELINES
        if line.method == RANDOM:
            panel.axvspan(rate.low, rate.high, color=PALE, lw=0, zorder=0)
            panel.axvline(rate.value, color=GREY, lw=1.5, zorder=1)
        colour = GREY if is_baseline else BLUE
        fill = colour if is_baseline or line.flip_rate_vs_random.is_significant else "white"
        panel.plot([rate.low, rate.high], [row, row], color=colour, lw=2, solid_capstyle="round", zorder=2)
        panel.plot([rate.value], [row], "o", ms=7, mfc=fill, mec=colour, mew=1.6, zorder=3, clip_on=False)
        panel.text(1.05, row, f"{100 * rate.value:.0f} %", va="center", ha="left", fontsize=9)
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
    panel.set_ylim(len(lines) - 0.5, -0.5)
    panel.set_yticks(range(len(lines)), [line.method for line in lines])
    panel.tick_params(length=0, pad=7)
    panel.grid(axis="x", color=FAINT)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)
