"""Scores explanation methods: explains every verdict, attacks the top regions, and reports which can be trusted."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from attacks.budgets import read_budget
from common import console, log
from common.errors import InputError
from detectors.batch_size import read_batch_size
from detectors.options import CheckpointOption, DeviceOption, PositiveOption
from scoring import comparison, report, stored, versus
from scoring.folder import Shard
from scoring.options import (
    BatchSizeOption,
    FramesOption,
    ImagesOption,
    PrecisionOption,
    PresetOption,
    ResultsOption,
    SaliencyOption,
    SeedOption,
    SetOption,
    SplitOption,
    ThreadsOption,
)
from scoring.products import Results
from scoring.protocol import ARMS
from scoring.run import run
from scoring.setup import Options, Setup, files_name, prepare, run_name
from scoring.workers.cluster import LOCAL
from scoring.workers.hiring import Staff, hired

app = console.application("Scores explanations of a deepfake detector.")


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run, as results/demo.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another.")],
    seed: SeedOption = 0,
) -> None:
    """Two runs side by side: what changed in their configurations, and which scores moved beyond chance."""
    versus.show(stored.read(first), stored.read(second), seed)


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="All (default), LIME, SHAP, SOBOL, RISE, LIME_adv, captum:NAME, cam:NAME, or your own; repeatable."
        ),
    ] = None,
    saliency: SaliencyOption = None,
    frames: FramesOption = None,
    images: ImagesOption = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            help="Name, timm:NETWORK, package.module:Name, or a checkpoint file; repeatable. Default: the demo's."
        ),
    ] = None,
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
    workers: Annotated[
        int | None, typer.Option(min=1, help="Score in so many processes, each with a detector of its own (and a GPU).")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]", help="Score on a Ray cluster: its address, auto, or nothing to start one here."
        ),
    ] = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Score only part I of N, so that N processes can share a run.")
    ] = "1/1",
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help=f"References to compare with: {', '.join(ARMS)}, All or none; repeatable. Default: the preset's."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Standard metrics beside the attacks: deletion, insertion, irof, ..., or All; repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repeat everything so often with new draws.")] = 1,
    segments: Annotated[
        list[str] | None,
        typer.Option(help="Divide frames into so many segments (100), or grid, grid-100; repeatable, for a sweep."),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            help="L-infinity budget of the attacks, as 8/255; repeatable, for a sweep; the first is the main."
        ),
    ] = None,
) -> None:
    """Which explanation of a deepfake detector can be trusted?

    Explains every fake verdict with each method, attacks only the regions that the method calls important, and
    reports how often that makes the detector say Real. Tables and a picture go to the run's folder. Without --frames
    and --detector it runs on demo faces.
    """
    if context.invoked_subcommand is not None:
        return
    staff = Staff(workers, ray, threads)
    torch.set_num_threads(staff.threads_each())
    options = Options(
        methods=(*(method or ("All",)), *(f"saliency:{folder}" for folder in saliency or ())),
        frames=frames,
        images=images,
        checkpoint=checkpoint,
        positive=positive,
        attacks=attack or ("nes",),
        split=split,
        limit=limit,
        seed=seed,
        device=device,
        batch_size=read_batch_size(batch_size),
        precision=precision,
        preset=preset,
        overrides=override or (),
        metrics=metric or (),
        arms=arm or (),
        seeds=seeds,
        segments=segments or (),
        budgets=[read_budget(each, "--budget") for each in budget or ()],
    )
    part, folder = Shard.parse(shard), results / run_name(name, options)
    if detector is None or len(detector) == 1:
        options = replace(options, detector=detector[0] if detector else None)
        score(prepare(options, folder=folder), options, folder, part, staff)
        return
    if checkpoint is not None:
        raise InputError("--checkpoint goes with one --detector; give several as files, or as your own module:Name")
    folders = {each: folder / each for each in comparison.short_names(detector)}
    asked = {short: replace(options, detector=each) for short, each in zip(folders, detector, strict=True)}
    setups = {each: prepare(asked[each], folder=folders[each]) for each in folders}  # a mistake in the last comes first
    found = {each: score(setups[each], asked[each], folders[each], part, staff) for each in folders}
    finished = {each: outcome for each, outcome in found.items() if outcome is not None}
    if len(finished) == len(found):
        comparison.show(finished, seed)
        paths = comparison.write(folder, files_name(options.methods), finished, seed)
        console.say(f"Files in {folder}: {', '.join(path.name for path in paths)}")


def score(setup: Setup, options: Options, folder: Path, part: Shard, staff: Staff) -> Results | None:
    """Scores one detector in its folder and reports it; nothing is returned where frames are still missing."""
    log.open_in(folder)
    report.introduce(setup, folder)
    with hired(staff, replace(options, batch_size=setup.scorer.batch_size), folder) as crew:  # none measures its own
        outcome = run(folder, setup.name, setup.configuration, setup.selection, setup.scorer, part, crew)
    if isinstance(outcome, int):
        report.show_missing(outcome, len(setup.selection.keys))
        return None
    report.show(outcome, setup.configuration.seed, folder)
    return outcome


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app, console.with_default(sys.argv[1:], "--ray", LOCAL))
