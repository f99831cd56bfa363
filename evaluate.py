"""Scores explanation methods: explains every verdict, attacks the top regions, and reports which can be trusted."""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from common import console
from detectors.options import CheckpointOption, DetectorOption, DeviceOption, PositiveOption
from scoring import report
from scoring.folder import Shard
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
from scoring.run import run
from scoring.setup import Options, prepare, run_name

app = console.application("Scores explanations of a deepfake detector.")


@app.command()
def evaluate(
    method: Annotated[
        list[str] | None,
        typer.Option(help="All (default), LIME, SHAP, SOBOL, RISE, LIME_adv, ..., or your own; repeatable."),
    ] = None,
    frames: FramesOption = None,
    images: ImagesOption = None,
    detector: DetectorOption = None,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help="nes (default), pgd, fgsm, malafide[:FILTER], torchattacks:NAME, ...; repeatable."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--run", help="Name of the run's folder; the same command again continues it.")
    ] = None,
    results: ResultsOption = Path("results"),
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many frames, spread over the index.")] = None,
    split: SplitOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
    precision: PrecisionOption = "float32",
    preset: PresetOption = None,
    override: SetOption = None,
    threads: ThreadsOption = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Score only part I of N, so that N processes can share a run.")
    ] = "1/1",
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Also score random regions, to compare with.")
    ] = True,
) -> None:
    """Which explanation of a deepfake detector can be trusted?

    Explains every fake verdict with each method, attacks only the regions that the method calls important, and
    reports how often that makes the detector say Real. Tables and a picture go to the run's folder. Without --frames
    and --detector it runs on demo faces.
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
        attacks=attack or ("nes",),
        split=split,
        limit=limit,
        seed=seed,
        device=device,
        batch_size=batch_size,
        precision=precision,
        preset=preset,
        overrides=override or (),
        control=control,
    )
    part = Shard.parse(shard)
    folder = results / run_name(name, options)
    setup = prepare(options, folder=folder)
    report.introduce(setup, folder)
    outcome = run(folder, setup.name, setup.configuration, setup.selection, setup.scorer, part)
    if isinstance(outcome, int):
        report.show_missing(outcome, len(setup.selection.keys))
    else:
        report.show(outcome, seed, folder)


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
