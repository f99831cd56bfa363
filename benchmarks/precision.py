"""What bfloat16 does to explanations: how alike they rank the segments, and what it saves.

Run as `python -m benchmarks.precision`. Each method explains each frame in float32 and in bfloat16 with the same draws,
and once more in float32 with other draws: what bfloat16 moves is to be seen beside what chance moves anyway. How
alike two maps are is Spearman's rank correlation of the segments' mean values. The adversarial image is made in float32
always, as finite differences of sigma 0.001 vanish in bfloat16.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer

import detectors
import xai
from benchmarks.common import BatchSizeOption, ThreadsOption
from benchmarks.peers import agreement
from common.console import application, progress, run, say, table
from data.demo.demo_frames import DemoFrames
from data.demo.forgeries import FAMILIES
from data.frames import Frame
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.memory import keep_freed_memory
from detectors.options import DeviceOption
from xai.explanation import Explanation

app = application(__doc__ or "")


@dataclass(frozen=True)
class Compared:
    """One method on one frame.

    Attributes:
        rounded: Spearman's correlation of bfloat16 with float32.
        other_draws: of other draws with the first, both in float32.
        same_best: whether bfloat16 has the same best segment.
        seconds: of float32 and of bfloat16.
    """

    rounded: float
    other_draws: float
    same_best: bool
    seconds: tuple[float, float]


@app.command()
def measure_precision(
    frames: Annotated[int, typer.Option(min=1, help="How many demo forgeries.")] = 4,
    preset: Annotated[str, typer.Option(help="published or quick.")] = "published",
    method: Annotated[list[str] | None, typer.Option(help="Repeatable; by default the four with usual fills.")] = None,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 2,
) -> None:
    """Explains demo frames in both precisions and prints how alike the rankings are."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    model = detectors.load("demo", None, device)
    settings = xai.build_settings(preset)
    names = method or [name for name in xai.ALL if not name.endswith("_adv")]
    comparisons: dict[str, list[Compared]] = {name: [] for name in names}
    source = DemoFrames(frames, families=FAMILIES)
    with progress() as bar:
        task = bar.add_task("comparing", total=frames * len(names))
        for index in range(frames):
            for name in names:
                comparisons[name].append(compare_precisions(model, source[index], settings, name, batch_size))
                bar.advance(task)
    say(f"{frames} demo frames, preset {preset}, {batch_size} images at a time, {threads} threads, {device}")
    _print(comparisons)


def compare_precisions(
    model: Detector, frame: Frame, settings: xai.ExplanationSettings, name: str, batch_size: int
) -> Compared:
    """One method on one frame in both precisions, and with other draws.

    Args:
        model: the detector whose verdict is explained.
        frame: what it sees.
        settings: of the explanations.
        name: the method.
        batch_size: images in a forward pass.
    """
    prepared = model.prepare(frame.image)
    target = xai.explained_class(Queries(model).probabilities(prepared[None])[0], model.real)

    def explained(precision: str, seed: int) -> Explanation:
        explanations = xai.FrameExplanations(model, prepared, target, settings, seed, frame.key, batch_size, precision)
        return explanations.explain(name)

    full, rounded, other_draws = explained("float32", 0), explained("bfloat16", 0), explained("float32", 1)
    return Compared(
        agreement(full.saliency, rounded.saliency, full.segments),
        agreement(full.saliency, other_draws.saliency, full.segments),
        bool(full.ranking[0] == rounded.ranking[0]),
        (full.seconds, rounded.seconds),
    )


def _print(comparisons: dict[str, list[Compared]]) -> None:
    table(
        "rank agreement with float32, mean (least) over frames",
        ("method", "bfloat16", "same best", "other draws", "float32 s", "bfloat16 s", "times faster"),
        [
            (
                name,
                _spread([comparison.rounded for comparison in compared]),
                f"{sum(comparison.same_best for comparison in compared)} of {len(compared)}",
                _spread([comparison.other_draws for comparison in compared]),
                f"{(full := sum(comparison.seconds[0] for comparison in compared)) / len(compared):.1f}",
                f"{(less := sum(comparison.seconds[1] for comparison in compared)) / len(compared):.1f}",
                f"{full / less:.2f}",
            )
            for name, compared in comparisons.items()
        ],
    )


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f})"


if __name__ == "__main__":
    run(app)
