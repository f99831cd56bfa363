"""Looks at one frame: what the detector says of it, and what each explanation points at."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common import console
from common.errors import InputError
from scoring.look import choose, describe, file_name, look, save, show, with_fills
from scoring.setup import Options, prepare

app = console.application(
    "Looks at one frame: prints what the detector says of it, and saves a picture of the frame, each method's saliency "
    "map with its three best regions, the adversarial image, and the true manipulation where it is known. Without "
    "--frames, --image and --detector it looks at a demo face."
)


class Mask(StrEnum):
    """Which fill of a method to look at."""

    YES = "Yes"
    NO = "No"
    BOTH = "Both"


FILLS = {Mask.YES: (True,), Mask.NO: (False,), Mask.BOTH: (False, True)}


@app.command()
def visualize(
    method: Annotated[
        list[str] | None, typer.Option(help="LIME, SHAP, SOBOL, RISE, your own, or All (default); repeatable.")
    ] = None,
    adversarial_mask: Annotated[
        Mask, typer.Option(help="Hide pixels by the adversarial image (Yes), the usual fill (No), or look at both.")
    ] = Mask.BOTH,
    index: Annotated[str, typer.Option(help="Which frame of --frames: its number from 0, or random.")] = "0",
    image: Annotated[Path | None, typer.Option(help="A picture to look at, instead of --frames.")] = None,
    frames: Annotated[Path | None, typer.Option(help="Index (CSV) or folder of pictures. Default: demo faces.")] = None,
    images: Annotated[Path | None, typer.Option(help="The index's images: LMDB store or folder.")] = None,
    split: Annotated[str | None, typer.Option(help="Only frames of this split of the index.")] = None,
    detector: Annotated[str | None, typer.Option(help="Detector's name or checkpoint. Default: the demo's.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights of a detector given by name.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: results/visualize/, named after the frame.")
    ] = None,
    display: Annotated[bool, typer.Option("--show", help="Also open the picture in a window.")] = False,
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
) -> None:
    """Explains one frame, prints what is seen and saves a picture of it."""
    if image is not None and frames is not None:
        raise InputError("give --image or --frames, not both")
    options = Options(
        methods=with_fills(method or ("All",), FILLS[adversarial_mask]),
        frames=image or frames,
        images=images,
        detector=detector,
        checkpoint=checkpoint,
        attacks=(),
        split=split,
        seed=seed,
        device=device,
        batch_size=batch_size,
        precision=precision,
        preset=preset,
        overrides=override or (),
        control=False,
    )
    setup = prepare(options, keep_real=True)
    seen = look(choose(setup.selection, "0" if image else index, seed), setup.scorer)
    for line in describe(seen):
        console.say(line)
    path = out or Path("results") / "visualize" / file_name(seen.frame)
    save(seen, path)
    console.say(f"Picture: {path}")
    if display:
        show(seen)


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
