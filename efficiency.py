"""Compares what explanations cost: forwards and seconds of each method, plain against adversarial."""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from common import console, log
from detectors.batch_size import read_batch_size
from detectors.options import CheckpointOption, DetectorOption, DeviceOption, PositiveOption
from scoring.efficiency import measure, show
from scoring.options import (
    BatchSizeOption,
    FramesOption,
    ImagesOption,
    PrecisionOption,
    PresetOption,
    ResultsOption,
    SeedOption,
    SetOption,
    SplitOption,
    ThreadsOption,
)
from scoring.protocol import NONE
from scoring.setup import Options, folder_name, prepare

app = console.application("Compares what explanations cost.")


@app.command()
def efficiency(
    method: Annotated[
        list[str] | None, typer.Option(help="All (default), LIME, LIME_adv, SHAP, ..., your own; repeatable.")
    ] = None,
    frames: FramesOption = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many frames, spread over the index.")] = 5,
    detector: DetectorOption = None,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    name: Annotated[
        str, typer.Option("--run", help="Name of the folder; the same command continues it.")
    ] = "efficiency",
    results: ResultsOption = Path("results"),
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
    precision: PrecisionOption = "float32",
    preset: PresetOption = None,
    override: SetOption = None,
    threads: ThreadsOption = None,
) -> None:
    """What does an explanation cost?

    Explains a few frames with each method, with its usual fill and with the adversarial one, and compares forwards
    (images passed to the detector), calls (forward passes) and seconds. Prints a table; CSVs and a bar chart go to the
    run's folder. Without --frames and --detector it runs on demo faces.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    options = Options(
        methods=method or ("All",),
        frames=frames,
        images=images,
        detector=detector,
        checkpoint=checkpoint,
        positive=positive,
        attacks=(),
        split=split,
        limit=limit,
        seed=seed,
        device=device,
        batch_size=read_batch_size(batch_size),
        precision=precision,
        preset=preset,
        overrides=override or (),
        arms=(NONE,),
    )
    folder = results / folder_name(name)
    setup = prepare(options, folder=folder)
    log.open_in(folder)
    found = measure(folder, setup)
    show(found)
    if found.failures:
        console.say(f"Failed: {len(found.failures)}; failures.csv says why, and the same command tries them again.")
    console.say(f"Files in {folder}: {', '.join(path.name for path in found.files)}")


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
