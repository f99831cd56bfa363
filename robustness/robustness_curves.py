"""Robustness curves: the share of fakes passed off as real against the budget."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attacks.budgets import fraction
from common.figures import BLUE, FAINT, GREY, INK, save_png
from robustness.gradient_masking import GradientMasking
from robustness.robustness_summary import AttackSummary, Robustness

COLOURS = (BLUE, "#d1662c", "#2f8f5b", "#7b4ea3", "#b8860b", "#c2408c")
MARKERS = "osD^vP"
APART = 0.09  # octaves between the points of two detectors


def save_curves(path: Path, summary: Robustness, title: str) -> None:
    """Writes one detector's robustness curve as PNG: a line for each attack, its interval as a band."""
    attacks: dict[str, list[AttackSummary]] = {}
    for line in summary.overall:
        attacks.setdefault(line.attack, []).append(line)
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK}):
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = figure.subplots()
        _draw(axes, attacks)
        if summary.masking is not None:
            _mark(axes, summary.masking)
        _finish(axes, [line.epsilon for line in summary.overall], [summary.masking])
        axes.set_ylabel("fakes passed off as real")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        save_png(figure, path)


def save_comparison(path: Path, summaries: Sequence[Robustness], title: str) -> None:
    """Writes several detectors' curves as PNG: a panel for each attack, in it a line for each detector."""
    attacks = list(dict.fromkeys(line.attack for line in summaries[0].overall))
    with matplotlib.rc_context({"font.size": 10, "font.family": "DejaVu Sans", "text.color": INK}):
        figure = Figure(figsize=(1.8 + 3.6 * len(attacks), 4.2), layout="constrained")
        panels = figure.subplots(1, len(attacks), sharey=True, squeeze=False)[0]
        for axes, attack in zip(panels, attacks, strict=True):
            curves = {
                _legend_label(summary): [line for line in summary.overall if line.attack == attack]
                for summary in summaries
            }
            _draw_apart(axes, curves)
            _finish(axes, [line.epsilon for line in summaries[0].overall], [])
            axes.set_title(attack, loc="left", fontsize=10)
        panels[0].set_ylabel("fakes passed off as real")
        panels[-1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        save_png(figure, path)


def _legend_label(summary: Robustness) -> str:
    """A detector's name, with what speaks against its curve."""
    flags = () if summary.masking is None else summary.masking.flags
    return "\n".join([summary.label, *(f"(flag: {flag})" for flag in flags)])


def _draw(axes: Axes, curves: Mapping[str, Sequence[AttackSummary]]) -> None:
    """A line with its band for each name."""
    for index, (name, lines) in enumerate(curves.items()):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        budgets = [255 * line.epsilon for line in lines]
        estimates = [line.success for line in lines]
        low, high = [estimate.low for estimate in estimates], [estimate.high for estimate in estimates]
        if not any(math.isnan(end) for end in low):
            axes.fill_between(budgets, low, high, color=colour, alpha=0.13, lw=0)
        axes.plot(
            budgets, [estimate.value for estimate in estimates], color=colour, marker=marker, ms=6, lw=1.8, label=name,
            clip_on=False, zorder=3,
        )  # fmt: skip


def _draw_apart(axes: Axes, curves: Mapping[str, Sequence[AttackSummary]]) -> None:
    """A line with error bars for each name, a little beside each other: several detectors may agree."""
    for index, (name, lines) in enumerate(curves.items()):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        shift = 2 ** (APART * (index - (len(curves) - 1) / 2))
        budgets = [255 * line.epsilon * shift for line in lines]
        estimates = [line.success for line in lines]
        axes.plot(
            budgets, [estimate.value for estimate in estimates], color=colour, marker=marker, ms=6, lw=1.8, label=name,
            clip_on=False, zorder=3,
        )  # fmt: skip
        low, high = [estimate.low for estimate in estimates], [estimate.high for estimate in estimates]
        axes.vlines(budgets, low, high, color=colour, lw=1.4, alpha=0.6, clip_on=False)


def _mark(axes: Axes, masking: GradientMasking) -> None:
    """The worst case of the check, at its budget."""
    axes.plot(
        [255 * masking.epsilon], [masking.stronger.value], marker="*", ms=13, mfc="none", mec=INK, mew=1.2, ls="",
        label="PGD, APGD, Square\ntogether (check)", clip_on=False, zorder=4,
    )  # fmt: skip


def _finish(axes: Axes, epsilons: Sequence[float], checks: Sequence[GradientMasking | None]) -> None:
    budgets = sorted({*epsilons, *(check.epsilon for check in checks if check is not None)})
    axes.set_xscale("log", base=2)
    axes.set_xlim(255 * budgets[0] / 1.25, 255 * budgets[-1] * 1.25)
    axes.set_xticks([255 * budget for budget in budgets], [fraction(budget) for budget in budgets])
    axes.minorticks_off()
    axes.set_xlabel("L-infinity budget")
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
    axes.grid(color=FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
