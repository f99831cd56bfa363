"""Whether explanations know their own sampling error: what each run states, beside what re-runs show.

Run as `python -m benchmarks.sampling_error`. Each method explains each frame many times, with other draws each time, on
the same segments and the same adversarial image. Stated is what a run says from its own samples, the mean over the
runs; seen is how far the runs differ, and how often two of them have the same best segments. Errors are compared by
their mean squares, as a variance is what can be estimated without bias from few samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
import torch
import typer

import detectors
import xai
from benchmarks.common import BatchSizeOption, ThreadsOption
from common.console import application, progress, run, say, table
from data.demo.demo_frames import DemoFrames
from data.demo.forgeries import FAMILIES
from data.frames import Frame
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.memory import keep_freed_memory
from detectors.options import DeviceOption
from xai.explanation import Explanation, FrameExplanations

app = application(__doc__ or "")

ROUNDING = 1e-5  # a share of the largest importance: what moves less is the rounding of float32
WITHOUT_DRAWS = 3  # re-runs of a method that draws nothing: they are to be the same


@dataclass(frozen=True)
class Calibration:
    """One method on one frame.

    Attributes:
        stated_variance: of a segment's importance, as the runs state it: mean over runs and segments.
        seen_variance: over the runs, mean over segments.
        stated_same: the probability of the same best, best two, best three, as the runs state it, (3,).
        seen_same: the share of pairs of runs that have the same, (3,).
        runs: how many.
    """

    stated_variance: float
    seen_variance: float
    stated_same: np.ndarray
    seen_same: np.ndarray
    runs: int


@app.command()
def measure_sampling_error(
    frames: Annotated[int, typer.Option(min=1, help="How many demo forgeries.")] = 6,
    re_runs: Annotated[int, typer.Option(min=2, help="Runs of each method on each frame, with other draws.")] = 40,
    preset: Annotated[str, typer.Option(help="published or quick.")] = "quick",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A value on top of the preset, as LIME.samples=500; repeatable.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="Repeatable; by default all eight.")] = None,
    size: Annotated[int, typer.Option(help="Pixels of the demo network's input, 64 to 224; fewer are faster.")] = 224,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 2,
) -> None:
    """Explains demo frames again and again and prints what was stated and what was seen."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    model = detectors.load("demo", None, device)
    model.input_size = size
    names = method or list(xai.ALL)
    overrides: dict[str, dict[str, str]] = {}
    for component, field, value in map(xai.parse_override, setting or []):
        overrides.setdefault(component, {})[field] = value
    settings = xai.build_settings(preset, overrides, [xai.parse_method(name) for name in names])
    source = DemoFrames(frames, families=FAMILIES)
    found: dict[str, list[Calibration]] = {name: [] for name in names}
    with progress() as bar:
        task = bar.add_task("re-running", total=frames * len(names))
        for index in range(frames):
            for name, calibration in calibrations(model, source[index], settings, names, re_runs, batch_size):
                found[name].append(calibration)
                bar.advance(task)
    say(f"{frames} demo frames at {size} pixels, preset {preset}, {re_runs} re-runs ({WITHOUT_DRAWS} without draws)")
    _print(found)


def calibrations(
    model: Detector,
    frame: Frame,
    settings: xai.ExplanationSettings,
    names: Sequence[str],
    re_runs: int,
    batch_size: int = ON_CPU,
) -> Iterator[tuple[str, Calibration]]:
    """Each method's calibration on one frame.

    Args:
        model: the detector whose verdict is explained.
        frame: what it sees.
        settings: of the explanations.
        names: of the methods.
        re_runs: runs of each, at least 2; of one that draws nothing, WITHOUT_DRAWS at most.
        batch_size: images in a forward pass.
    """
    prepared = model.prepare(frame.image)
    target = xai.explained_class(Queries(model).probabilities(prepared[None])[0], model.real)
    first = FrameExplanations(model, prepared, target, settings, 0, frame.key, batch_size)
    for name in names:
        runs: list[Explanation] = []
        for seed in range(re_runs):
            again = FrameExplanations(model, prepared, target, settings, seed, frame.key, batch_size)
            again.segments = first.segments
            if name.endswith("_adv"):
                again.adversarial = first.adversarial
            runs.append(again.explain(name))
            if len(runs) == WITHOUT_DRAWS and not any(run.standard_error.any() for run in runs):
                break
        yield name, calibration_of(runs)


def calibration_of(runs: Sequence[Explanation]) -> Calibration:
    """What runs of one method on one frame state and show; at least two, on the same segments."""
    importance = np.stack([run.importance for run in runs])
    moves = np.ptp(importance, axis=0).max() > ROUNDING * np.abs(importance).max()
    best = [[frozenset(run.ranking[:k].tolist()) for run in runs] for k in (1, 2, 3)]
    same = [np.mean([one == other for one, other in combinations(sets, 2)]) for sets in best]
    return Calibration(
        stated_variance=float(np.mean([run.standard_error**2 for run in runs])),
        seen_variance=float(importance.var(axis=0, ddof=1).mean()) if moves else 0.0,
        stated_same=np.mean([run.stability for run in runs], axis=0),
        seen_same=np.array(same),
        runs=len(runs),
    )


def error_ratio(calibrated: Sequence[Calibration]) -> float:
    """The stated standard error over the spread seen, root of the mean squares over frames; 1 where neither moves.

    Each frame counts alike, whatever the size of its values.
    """
    shares = [(c.stated_variance / c.seen_variance) for c in calibrated if c.seen_variance]
    return float(np.sqrt(np.mean(shares))) if shares else 1.0


def _print(found: dict[str, list[Calibration]]) -> None:
    lines = []
    for name, calibrated in found.items():
        single = [error_ratio([c]) for c in calibrated]
        stated = np.mean([c.stated_same for c in calibrated], axis=0)
        seen = np.mean([c.seen_same for c in calibrated], axis=0)
        worst = max(abs(c.stated_same[2] - c.seen_same[2]) for c in calibrated)
        lines.append(
            (
                name,
                str(calibrated[0].runs),
                f"{error_ratio(calibrated):.2f} ({min(single):.2f} to {max(single):.2f})",
                *(f"{said:.2f} / {was:.2f}" for said, was in zip(stated, seen, strict=True)),
                f"{worst:.2f}",
            )
        )
    table(
        "stated standard error over the spread seen (least and largest frame); stated / seen probability of the same",
        ("method", "runs", "error", "best", "best two", "best three", "three, worst frame"),
        lines,
    )


if __name__ == "__main__":
    run(app)
