"""Scores explanation methods: explains every verdict, attacks the top regions, and reports which can be trusted."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from common import console, log
from common.commands import refuse_given, with_options
from common.config_file import ConfigOption, SaveConfigOption, save_config
from common.errors import InputError
from reporting.detector_comparison import short_names, show_detector_comparison, write_detector_comparison
from reporting.products import RunResults, write_products
from reporting.replication import compare_with_published, doubts, show_replication, write_replication
from reporting.run_comparison import show_run_comparison
from reporting.terminal import introduce_run, show_black_masks, show_missing, show_results
from runs.drift import ask_about_first, keep_drift
from runs.first_given import keep_given
from runs.replication import OF_REPLICATION, PUBLISHED, replicated_runs
from runs.run import WHOLE_RUN, score_frames
from runs.run_folder import RunFolder, Shard
from runs.run_names import files_name, folder_name, run_name
from runs.run_options import EvaluationOptions, ResultsOption
from runs.score_table import ScoreTable
from runs.setup import RunSetup, prepare_run, settled
from runs.stored_run import read_stored_run
from runs.workers.ray_cluster import LOCAL
from runs.workers.start import WorkerOptions, worker_pool
from scoring.scored import Drift

app = console.application("Scores explanations of a deepfake detector.")


@app.command("compare")
def compare_runs(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run, as results/demo.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another.")],
    seed: Annotated[int, typer.Option("--seed", help="Of every random draw.")] = 0,
) -> None:
    """Two runs side by side: what changed in their configurations, and which scores moved beyond chance."""
    show_run_comparison(read_stored_run(first), read_stored_run(second), seed)


@app.command("replicate")
@with_options(options=OF_REPLICATION, pool={"threads": None})
def replicate(
    context: typer.Context,
    options: EvaluationOptions,
    pool: WorkerOptions,
    name: Annotated[
        str, typer.Option("--run", help="Name of the folder of all its runs; the same command again continues them.")
    ] = "replication",
    results: ResultsOption = Path("results"),
    config: ConfigOption = None,
    saved_config: SaveConfigOption = None,
) -> None:
    """The published evaluation, and what each of its differences does to its table.

    Scores the eight methods as published, then without one difference at a time, on the same frames and draws, and says
    which difference moves which column and whether the order of the methods changes.
    """
    save_config(context, saved_config)
    workers = replace(pool, threads=options.threads)
    torch.set_num_threads(workers.threads_each())
    folder, runs = results / folder_name(name), replicated_runs(options)
    setups: dict[str, RunSetup] = {}
    for run, own in runs.items():  # mistakes come first
        setups[run] = prepare_run(own, folder=folder / run, like=setups.get(PUBLISHED))
    setups[PUBLISHED].require_same_in_fresh_process()
    scores: dict[str, ScoreTable] = {}
    in_doubt: list[str] = []
    for run, own in runs.items():
        console.say(f"{run}, {len(scores) + 1} of {len(runs)}")
        found = score_detector(setups.pop(run), own, folder / run, WHOLE_RUN, workers, shown=False)
        if found is None:
            raise InputError(f"{folder / run}: not every frame could be scored, so the runs cannot be compared")
        scores[run.removeprefix("without-")] = found.rows
        in_doubt += doubts(run, found)
    compared = compare_with_published(scores.pop(PUBLISHED), scores, options.seed)
    for sentence in in_doubt:
        console.paragraph(sentence)
    show_replication(compared)
    files = write_replication(folder, compared)
    console.say(f"Files in {folder}: {', '.join(path.name for path in files)}")


@app.callback(invoke_without_command=True)
@with_options(options={"detector": None}, pool={"threads": None})
def evaluate(
    context: typer.Context,
    options: EvaluationOptions,
    pool: WorkerOptions,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            help="Name, timm:NETWORK, hf:FOLDER, hf:OWNER/NAME, onnx:FILE, package.module:Name, or a checkpoint file; "
            "repeatable. Default: the demo's.",
        ),
    ] = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Score only part I of N, so that N processes can share a run.")
    ] = "1/1",
    name: Annotated[
        str | None, typer.Option("--run", help="Name of the run's folder; the same command again continues it.")
    ] = None,
    results: ResultsOption = Path("results"),
    config: ConfigOption = None,
    saved_config: SaveConfigOption = None,
) -> None:
    """Which explanation of a deepfake detector can be trusted?

    Explains every fake verdict with each method, attacks only the regions that the method calls important, and
    reports how often that makes the detector say Real. Tables and a picture go to the run's folder. Without --frames
    and --detector it runs on demo faces.
    """
    if context.invoked_subcommand is not None:
        refuse_given(context)
        return
    save_config(context, saved_config)
    workers = replace(pool, threads=options.threads)
    torch.set_num_threads(workers.threads_each())
    part, folder = Shard.parse(shard), results / run_name(name, options)
    if detectors is None or len(detectors) == 1:
        options = replace(options, detector=detectors[0] if detectors else None)
        setup = prepare_run(options, folder=folder)
        setup.require_same_in_fresh_process()
        score_detector(setup, options, folder, part, workers)
    else:
        score_detectors(detectors, options, folder, part, workers)


def score_detectors(
    detectors: Sequence[str], options: EvaluationOptions, folder: Path, part: Shard, workers: WorkerOptions
) -> None:
    """Scores several detectors, each in a folder of its own, and compares them.

    Args:
        detectors: names or checkpoint files, two or more.
        options: of every run; `checkpoint` must be None.
        folder: of the comparison; each detector's run has a folder in it.
        part: the frames that are scored here.
        workers: that score them.

    Raises:
        InputError: a checkpoint is given, a detector is given twice, or as for `score_detector`.
    """
    if options.checkpoint is not None:
        raise InputError("--checkpoint goes with one --detector; give several as files, or as your own module:Name")
    folders = {short: folder / short for short in short_names(detectors)}
    own = {short: replace(options, detector=detector) for short, detector in zip(folders, detectors, strict=True)}
    setups = {short: prepare_run(own[short], folder=folders[short]) for short in folders}  # mistakes come first
    for setup in setups.values():  # now that all are made, as one may change what another is made of
        setup.require_same_in_fresh_process()
    scored = {short: score_detector(setups[short], own[short], folders[short], part, workers) for short in folders}
    finished = {short: results for short, results in scored.items() if results is not None}
    if len(finished) == len(scored):
        show_detector_comparison(finished, options.seed)
        paths = write_detector_comparison(folder, files_name(options.every_method), finished, options.seed)
        console.say(f"Files in {folder}: {', '.join(path.name for path in paths)}")


def score_detector(
    setup: RunSetup, options: EvaluationOptions, folder: Path, part: Shard, workers: WorkerOptions, shown: bool = True
) -> RunResults | None:
    """Scores one detector in its folder and reports it; nothing is returned where frames are still missing.

    Args:
        setup: the run, ready to start.
        options: that it was made from, for the workers to do the same.
        folder: of the run; made where it does not exist.
        part: the frames that are scored here.
        workers: that score them.
        shown: whether the terminal says what is about to be scored and what came of it.

    Raises:
        InputError: as `runs.run.score_frames`, or another process works in the folder.
    """
    log.open_in(folder)
    if shown:
        introduce_run(setup, folder)
    run_folder, selection = RunFolder(folder), setup.selection
    with worker_pool(workers, setup, settled(options, setup), folder) as pool, run_folder.locked(part):
        run_folder.bind(setup.configuration)
        if setup.given is not None:
            keep_given(run_folder, setup.given, selection.keys, part.whole)
        if drift := ask_about_first(run_folder, selection, setup.scorer.detector):
            keep_drift(run_folder, drift)
        outcome = score_frames(run_folder, setup.configuration, selection, setup.scorer, part, pool)
        if pool is None:
            keep_what_changed(setup, run_folder)
        if outcome.missing:
            show_missing(outcome.missing, len(selection.keys))
            return None
        configuration = json.loads(setup.configuration.to_json())
        results = write_products(run_folder, setup.name, configuration, outcome.finished, outcome.failures)
    if shown:
        show_results(results, setup.configuration.seed, folder)
        show_black_masks(results, selection)
    return results


def keep_what_changed(setup: RunSetup, folder: RunFolder) -> None:
    """Warns of a detector of which a later frame has made another one, and keeps that with the run in its folder."""
    try:
        setup.require_same_in_fresh_process()
    except InputError as error:
        keep_drift(folder, Drift(setup.selection.keys[-1], "", 0.0, str(error)))


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app, console.with_default(sys.argv[1:], "--ray", LOCAL))
