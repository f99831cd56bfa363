"""The costs of explanations as a table, a CSV and a bar chart."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.method_costs import MethodCost
from common.console import count, table
from common.csv_files import save_csv
from common.figures import BLUE, GREY, save_png
from xai.methods import ADVERSARIAL


def write_cost_report(folder: Path, name: str, methods: Sequence[MethodCost]) -> list[Path]:
    """Writes efficiency_NAME.csv and efficiency_NAME.png, and returns them. Raises OSError where that fails."""
    csv, picture = folder / f"efficiency_{name}.csv", folder / f"efficiency_{name}.png"
    save_csv(csv, pd.DataFrame([asdict(cost) for cost in methods]), float_format="%.3f")
    save_png(cost_figure(methods), picture)
    return [csv, picture]


def show_costs(methods: Sequence[MethodCost]) -> None:
    """Prints the methods' costs as a table."""
    same = len({cost.frames for cost in methods}) == 1
    rows = [
        [
            cost.method,
            *([] if same else [f"{cost.frames}"]),
            f"{cost.forwards:.0f}",
            f"{cost.calls:.0f}",
            f"{cost.seconds:.2f}" + ("" if np.isnan(cost.seconds_sd) else f" +- {cost.seconds_sd:.2f}"),
            f"{cost.adversarial_forwards:.0f}" if cost.fill == ADVERSARIAL else "",
            f"{cost.adversarial_seconds:.2f}" if cost.fill == ADVERSARIAL else "",
        ]
        for cost in methods
    ]
    table(
        f"Cost of one explanation ({_means(methods)})",
        [
            "method",
            *([] if same else ["frames"]),
            "forwards",
            "calls",
            "seconds",
            "of which adversarial",
            "seconds of it",
        ],
        rows,
    )


def cost_figure(methods: Sequence[MethodCost]) -> Figure:
    """A bar for each method's forwards and one for its seconds; what makes the adversarial image is set off."""
    figure = Figure(figsize=(10, 1.3 + 0.35 * len(methods)), layout="constrained")
    names = [cost.method for cost in methods]
    parts = {
        "forwards": [(cost.forwards, cost.adversarial_forwards) for cost in methods],
        "seconds": [(cost.seconds, cost.adversarial_seconds) for cost in methods],
    }
    for axis, (unit, values) in zip(figure.subplots(1, 2, sharey=True), parts.items(), strict=True):
        whole, adversarial = (np.array(column) for column in zip(*values, strict=True))
        axis.barh(names, whole - adversarial, color=BLUE, label="the explanation itself")
        axis.barh(names, adversarial, left=whole - adversarial, color=GREY, label="its adversarial image")
        for index, value in enumerate(whole):
            axis.text(value, index, f" {value:.0f}" if unit == "forwards" else f" {value:.1f}", va="center", fontsize=9)
        axis.set_xlabel(f"{unit} per frame")
        axis.set_xlim(0, 1.12 * max(float(whole.max()), 1e-9))
        axis.tick_params(length=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.axes[0].invert_yaxis()
    figure.axes[0].legend(loc="upper right", frameon=False, fontsize=9)
    figure.suptitle(f"What one explanation costs ({_means(methods)})", x=0.01, ha="left", fontsize=11)
    return figure


def _means(methods: Sequence[MethodCost]) -> str:
    """Of how many frames the means are, in words: fewer for a method that failed on some."""
    frames = [cost.frames for cost in methods]
    fewest, most = min(frames), max(frames)
    if fewest == most:
        return f"mean of {count(most, 'frame')}"
    return f"means of {fewest} to {most} frames, not all of the same"
