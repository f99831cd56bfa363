"""Compares what explanations cost: forwards and seconds of each method, plain against adversarial."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from analysis.method_costs import mean_costs
from common import console, log
from common.commands import with_options
from common.errors import InputError
from reporting.efficiency_report import show_costs, write_cost_report
from runs.cost_run import measure_costs
from runs.run_folder import RunFolder, Shard
from runs.run_names import folder_name
from runs.run_options import EXPLAINING_ONLY, EvaluationOptions, ResultsOption
from runs.setup import prepare_run

app = console.application("Compares what explanations cost.")


@app.command()
@with_options(options={**EXPLAINING_ONLY, "limit": None})
def efficiency(
    options: EvaluationOptions,
    frame_count: Annotated[int, typer.Option("--limit", min=1, help="How many frames, spread over the index.")] = 5,
    name: Annotated[
        str, typer.Option("--run", help="Name of the folder; the same command continues it.")
    ] = "efficiency",
    results: ResultsOption = Path("results"),
) -> None:
    """What does an explanation cost?

    Explains a few frames with each method, with its usual fill and with the adversarial one, and compares forwards
    (images passed, forward and backward), calls (passes) and seconds. Prints a table; CSVs and a bar chart go to the
    run's folder. Without --frames and --detector it runs on demo faces.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    folder = RunFolder(results / folder_name(name))
    setup = prepare_run(replace(options, limit=frame_count), folder=folder.path)
    setup.require_same_in_fresh_process()
    log.open_in(folder.path)
    with folder.locked(Shard()):
        measured = measure_costs(folder, setup)
        methods = mean_costs(measured.costs, setup.scorer.methods)
        if not methods:
            reason = next(
                iter(measured.failures.values()), "the detector calls every frame Real, so nothing is explained"
            )
            raise InputError(f"nothing could be measured: {reason}")
        files = [*write_cost_report(folder.path, setup.name, methods), folder.path / "costs.csv"]
    show_costs(methods)
    failures, parts = measured.failures, {part.key for part in measured.missing}
    if failures:
        console.say(f"Failed: {len(failures)}; failures.csv says why, and the same command tries them again.")
    if parts:
        frames = console.count(len(parts), "frame")
        console.say(f"Measured in part: {frames}; failures.csv says why, and the same command tries them again.")
    console.say(f"Files in {folder.path}: {', '.join(path.name for path in files)}")


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
