"""What explanations cost: forwards, calls and seconds of each method, plain against adversarial."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from common.console import table, warn
from common.errors import InputError
from data.frames import Frame
from scoring import row_files
from scoring.config import bind
from scoring.costs import Cost
from scoring.csv_files import save_csv
from scoring.figures import BLUE, GREY, save_png
from scoring.folder import Folder, Shard
from scoring.frame import Scored, Tell
from scoring.run import answers
from scoring.setup import Setup
from scoring.tables import write_failures
from scoring.workers.answers import Failure, Score, Task
from xai.methods import ADVERSARIAL, Method


@dataclass(frozen=True)
class MethodCost:
    """What a method takes on one frame: means over frames.

    Attributes:
        method: its name.
        fill: what hides pixels.
        frames: how many were measured.
        forwards: images passed to the detector, those of making the adversarial image included.
        calls: forward passes they went in.
        seconds: wall time, likewise.
        seconds_sd: its standard deviation over frames; NaN with one frame.
        adversarial_forwards: the part of `forwards` that makes the adversarial image; 0 for other fills.
        adversarial_seconds: the part of `seconds`, likewise.
    """

    method: str
    fill: str
    frames: int
    forwards: float
    calls: float
    seconds: float
    seconds_sd: float
    adversarial_forwards: float
    adversarial_seconds: float


@dataclass(frozen=True, eq=False)
class Efficiency:
    """The costs of every method, the frames that could not be measured with the reason, and the files written."""

    methods: tuple[MethodCost, ...]
    failures: Mapping[str, str]
    files: tuple[Path, ...]


def measure(path: Path, setup: Setup) -> Efficiency:
    """Explains every selected frame by every method, in the folder `path`, and writes down what it takes.

    `setup` is one without attacks. A frame that was measured earlier, in the same configuration, is not measured
    again. Raises InputError where the folder was made with another configuration, is in use, or nothing could be
    measured: no frame was readable, or the detector calls them all Real.
    """
    folder, selection = Folder(path), setup.selection
    with folder.locked(Shard()):
        bind(folder.config, setup.configuration)

        failures = {}
        tasks = [Task(place, pictured=False) for place, key in enumerate(selection.keys) if not folder.costs(key)]
        for key, answer in answers(selection, tasks, len(selection.keys), _warmed(setup.scorer)):
            if isinstance(answer, Failure):
                failures[key] = answer.reason
                warn(f"{key} is left out: {answer.reason}")
            else:
                folder.save_costs(key, answer.costs)
        write_failures(path, failures)
        costs = {key: folder.costs(key) for key in selection.keys if key not in failures}
        row_files.write_costs(path, costs)
        methods = tuple(summarise(costs, setup.scorer.methods))
        if not methods:
            reason = next(iter(failures.values()), "the detector calls every frame Real, so nothing is explained")
            raise InputError(f"nothing could be measured: {reason}")
        csv, picture = path / f"efficiency_{setup.name}.csv", path / f"efficiency_{setup.name}.png"
        save_csv(csv, pd.DataFrame([asdict(each) for each in methods]), float_format="%.3f")
        save_png(draw(methods), picture)
    return Efficiency(methods, failures, (csv, picture, path / "costs.csv"))


def _warmed(score: Score) -> Score:
    """Scores its first frame twice: what libraries compile once in a process is no explanation's cost."""
    warm = False

    def scored(frame: Frame, tell: Tell) -> Scored:
        nonlocal warm
        if not warm:
            score(frame, lambda stage: tell("warming up"))
            warm = True
        return score(frame, tell)

    return scored


def summarise(costs: Mapping[str, Sequence[Cost]], methods: Sequence[Method]) -> list[MethodCost]:
    """The mean costs of each method over the frames that it explained; nothing for a method without any."""
    found = []
    for method in methods:
        own = [cost for each in costs.values() for cost in each if cost.stage == method.name]
        shared = [cost for each in costs.values() for cost in each if cost.stage == method.fill == ADVERSARIAL]
        if not own:
            continue
        seconds = np.array([cost.seconds for cost in own])
        found.append(
            MethodCost(
                method=method.name,
                fill=method.fill,
                frames=len(own),
                forwards=float(np.mean([cost.forwards for cost in own])),
                calls=float(np.mean([cost.calls for cost in own])),
                seconds=float(seconds.mean()),
                seconds_sd=float(seconds.std(ddof=1)) if len(own) > 1 else float("nan"),
                adversarial_forwards=sum(cost.forwards for cost in shared) / len(own),
                adversarial_seconds=sum(cost.seconds for cost in shared) / len(own),
            )
        )
    return found


def show(found: Efficiency) -> None:
    """Prints the table."""
    rows = [
        [
            each.method,
            f"{each.forwards:.0f}",
            f"{each.calls:.0f}",
            f"{each.seconds:.2f}" + ("" if np.isnan(each.seconds_sd) else f" +- {each.seconds_sd:.2f}"),
            f"{each.adversarial_forwards:.0f}" if each.fill == ADVERSARIAL else "",
            f"{each.adversarial_seconds:.2f}" if each.fill == ADVERSARIAL else "",
        ]
        for each in found.methods
    ]
    table(
        f"Cost of one explanation (mean of {found.methods[0].frames} frames)",
        ["method", "forwards", "calls", "seconds", "of which adversarial", "seconds of it"],
        rows,
    )


def draw(methods: Sequence[MethodCost]) -> Figure:
    """A bar for each method's forwards and one for its seconds; what makes the adversarial image is set off."""
    figure = Figure(figsize=(10, 1.3 + 0.35 * len(methods)), layout="constrained")
    names = [each.method for each in methods]
    parts = {
        "forwards": [(each.forwards, each.adversarial_forwards) for each in methods],
        "seconds": [(each.seconds, each.adversarial_seconds) for each in methods],
    }
    for axis, (unit, values) in zip(figure.subplots(1, 2, sharey=True), parts.items(), strict=True):
        whole, adversarial = (np.array(column) for column in zip(*values, strict=True))
        axis.barh(names, whole - adversarial, color=BLUE, label="the explanation itself")
        axis.barh(names, adversarial, left=whole - adversarial, color=GREY, label="its adversarial image")
        for place, value in enumerate(whole):
            axis.text(value, place, f" {value:.0f}" if unit == "forwards" else f" {value:.1f}", va="center", fontsize=9)
        axis.set_xlabel(f"{unit} per frame")
        axis.set_xlim(0, 1.12 * max(float(whole.max()), 1e-9))
        axis.tick_params(length=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.axes[0].invert_yaxis()
    figure.axes[0].legend(loc="upper right", frameon=False, fontsize=9)
    figure.suptitle(f"What one explanation costs (mean of {methods[0].frames} frames)", x=0.01, ha="left", fontsize=11)
    return figure
