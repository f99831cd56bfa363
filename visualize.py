"""Looks at one frame: what the detector says of it, and what each explanation points at."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common import console
from common.errors import InputError
from detectors.batch_size import read_batch_size
from detectors.options import CheckpointOption, DetectorOption, DeviceOption, PositiveOption
from scoring.look import choose, describe, file_name, look, save, show, with_fills
from scoring.options import (
    BatchSizeOption,
    FramesOption,
    ImagesOption,
    PrecisionOption,
    PresetOption,
    SaliencyOption,
    SeedOption,
    SetOption,
    SplitOption,
)
from scoring.protocol import NONE
from scoring.setup import Options, prepare

app = console.application("Looks at one frame.")


class Mask(StrEnum):
    """Which fill of a method to look at."""

    YES = "Yes"
    NO = "No"
    BOTH = "Both"


FILLS = {Mask.YES: (True,), Mask.NO: (False,), Mask.BOTH: (False, True)}


@app.command()
def visualize(
    method: Annotated[
        list[str] | None,
        typer.Option(help="LIME, SHAP, SOBOL, RISE, captum:NAME, cam:NAME, your own, or All (default); repeatable."),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every method on one picture: all explainers, both fills, and those of --method."),
    ] = False,
    saliency: SaliencyOption = None,
    adversarial_mask: Annotated[
        Mask, typer.Option(help="Hide pixels by the adversarial image (Yes), the usual fill (No), or look at both.")
    ] = Mask.BOTH,
    index: Annotated[str, typer.Option(help="Which frame of --frames: its number from 0, or random.")] = "0",
    image: Annotated[Path | None, typer.Option(help="A picture to look at, instead of --frames.")] = None,
    frames: FramesOption = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    detector: DetectorOption = None,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: results/visualize/, named after the frame.")
    ] = None,
    display: Annotated[bool, typer.Option("--show", help="Also open the picture in a window.")] = False,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
    precision: PrecisionOption = "float32",
    preset: PresetOption = None,
    override: SetOption = None,
) -> None:
    """Looks at one frame: what the detector says of it, and what each explanation points at.

    Saves a picture of the frame, each method's saliency map with its three best regions, the adversarial image with
    its difference, and the true manipulation where it is known. Without --frames, --image and --detector it looks at
    a demo face.
    """
    if image is not None and frames is not None:
        raise InputError("give --image or --frames, not both")
    named = [*(method or ()), *(f"saliency:{folder}" for folder in saliency or ())]
    if every:
        named, adversarial_mask = ["All", *named], Mask.BOTH
    options = Options(
        methods=with_fills(named or ("All",), FILLS[adversarial_mask]),
        frames=image or frames,
        images=images,
        detector=detector,
        checkpoint=checkpoint,
        positive=positive,
        attacks=(),
        split=split,
        seed=seed,
        device=device,
        batch_size=read_batch_size(batch_size),
        precision=precision,
        preset=preset,
        overrides=override or (),
        arms=(NONE,),
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
