"""How far other seeds move LIME's and RISE's importance of segments, by the way their samples are drawn.

Run as `python -m benchmarks.designs`. Every way explains the same frames, segments and fills with as many samples; the
variance over seeds is the mean over segments, beside that of plain draws of the same frame.
"""

from dataclasses import replace
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
from detectors import Queries
from detectors.batch_size import ON_CPU
from detectors.memory import keep_freed_memory
from xai.designs import DRAWS, PLAIN
from xai.explanation import FrameExplanations
from xai.lime import LIME
from xai.rise import RISE

app = application(__doc__ or "")


@app.command()
def measure_designs(
    frames: Annotated[int, typer.Option(min=1, help="How many demo forgeries.")] = 3,
    seeds: Annotated[int, typer.Option(min=2, help="Runs of each way on each frame.")] = 20,
    samples: Annotated[int, typer.Option(min=2, help="Of each run.")] = 256,
    size: Annotated[int, typer.Option(help="Pixels of the demo network's input, 64 to 224; fewer are faster.")] = 224,
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 2,
) -> None:
    """Explains demo frames again and again and prints the variance of plain draws over that of each design."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    model = detectors.load("demo", None, "cpu")
    model.input_size = size
    explainers: dict[str, LIME | RISE] = {"LIME": LIME(samples), "RISE": RISE(samples, centred=True)}
    source = DemoFrames(frames, families=FAMILIES)
    found: dict[tuple[str, str], list[float]] = {(name, draws): [] for name in explainers for draws in DRAWS}
    with progress() as bar:
        task = bar.add_task("re-running", total=frames * len(found))
        for index in range(frames):
            prepared = model.prepare(source[index].image)
            target = xai.explained_class(Queries(model).probabilities(prepared[None])[0], model.real)
            for name, draws in found:
                explainer = replace(explainers[name], draws=draws)
                settings = replace(xai.build_settings("published"), explainers={name: explainer})
                runs = [
                    FrameExplanations(model, prepared, target, settings, seed, source[index].key, batch_size)
                    .explain(name)
                    .importance
                    for seed in range(seeds)
                ]
                found[name, draws].append(float(np.var(runs, axis=0, ddof=1).mean()))
                bar.advance(task)
    say(f"{frames} demo frames at {size} pixels, {samples} samples, {seeds} seeds")
    lines = []
    for name in explainers:
        plain = np.array(found[name, PLAIN])
        gains = [plain / np.array(found[name, draws]) for draws in DRAWS]
        lines.append((name, *(f"{gain.mean():.1f} ({gain.min():.1f} to {gain.max():.1f})" for gain in gains)))
    table("variance of plain draws over that of each: mean (least to largest frame)", ("method", *DRAWS), lines)


if __name__ == "__main__":
    run(app)
