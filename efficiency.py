"""Compares what explanations cost: forwards and seconds of each method, plain against adversarial."""

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from common import console
from scoring.efficiency import measure, show
from scoring.setup import Options, folder_name, prepare

app = console.application(
    "What does an explanation cost? Explains a few frames with each method, with its usual fill and with the "
    "adversarial one, and compares forwards (images passed to the detector), calls (forward passes) and seconds. "
    "Without --frames and --detector it runs on built-in demo faces."
)


@app.command()
def efficiency(
    method: Annotated[
        list[str] | None, typer.Option(help="All (default), LIME, LIME_adv, SHAP, ..., your own; repeatable.")
    ] = None,
    frames: Annotated[Path | None, typer.Option(help="Index (CSV) or folder of pictures. Default: demo faces.")] = None,
    images: Annotated[Path | None, typer.Option(help="The index's images: LMDB store or folder.")] = None,
    split: Annotated[str | None, typer.Option(help="Only frames of this split of the index.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many frames, spread over the index.")] = 5,
    detector: Annotated[str | None, typer.Option(help="Detector's name or checkpoint. Default: the demo's.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights of a detector given by name.")] = None,
    name: Annotated[
        str, typer.Option("--run", help="Name of the folder; the same command continues it.")
    ] = "efficiency",
    results: Annotated[Path, typer.Option(help="Where the folders of runs are.")] = Path("results"),
    seed: Annotated[int, typer.Option(help="Of every random draw.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a forward pass.")] = 32,
    precision: Annotated[str, typer.Option(help="Of explanations: float32 or bfloat16.")] = "float32",
    preset: Annotated[
        str | None, typer.Option(help="Settings: quick (default on the demo) or published (default on your frames).")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="COMPONENT.FIELD=VALUE", help="Override a setting; repeatable.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: torch's choice.")] = None,
) -> None:
    """Measures the methods on the frames; prints a table and leaves CSVs and a bar chart in the run's folder."""
    if threads is not None:
        torch.set_num_threads(threads)
    options = Options(
        methods=method or ("All",),
        frames=frames,
        images=images,
        detector=detector,
        checkpoint=checkpoint,
        attacks=(),
        split=split,
        limit=limit,
        seed=seed,
        device=device,
        batch_size=batch_size,
        precision=precision,
        preset=preset,
        overrides=override or (),
        control=False,
    )
    setup = prepare(options)
    folder = results / folder_name(name)
    found = measure(folder, setup)
    show(found)
    if found.failures:
        console.say(f"Failed: {len(found.failures)}; failures.csv says why, and the same command tries them again.")
    console.say(f"Files in {folder}: {', '.join(path.name for path in found.files)}")


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
