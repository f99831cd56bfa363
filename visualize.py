"""Looks at one frame: what the detector says of it, and what each explanation points at."""

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from common import console
from common.commands import with_options
from common.errors import InputError
from detectors.checks.fresh_process import require_same_in_fresh_process
from examination.faces import FaceChoice, without_surroundings
from reporting.frame_inspection import (
    describe_inspection,
    file_name,
    has_display,
    pick_frame,
    save_inspection,
    show_inspection,
    with_fills,
)
from runs.run_options import EXPLAINING_ONLY, EvaluationOptions
from runs.setup import prepare_run
from scoring.inspection import inspect_frame
from scoring.protocol import EVERY

app = console.application("Looks at one frame.")


class Mask(StrEnum):
    """Which fill of a method is shown."""

    YES = "Yes"
    NO = "No"
    BOTH = "Both"


FILLS = {Mask.YES: (True,), Mask.NO: (False,), Mask.BOTH: (False, True)}


@app.command()
@with_options(options={**EXPLAINING_ONLY, "methods": (), "limit": None})
def visualize(
    options: EvaluationOptions,
    method: Annotated[
        list[str] | None,
        typer.Option(help="LIME, SHAP, SOBOL, RISE, captum:NAME, cam:NAME, your own, or All (default); repeatable."),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every method on one picture: all explainers, both fills, and those of --method."),
    ] = False,
    adversarial_mask: Annotated[
        Mask, typer.Option(help="Hide pixels by the adversarial image (Yes), the usual fill (No), or look at both.")
    ] = Mask.BOTH,
    index: Annotated[
        str | None, typer.Option(help="Which frame of --frames: its number from 0 (the default), or random.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="A picture to look at, instead of --frames.")] = None,
    face: Annotated[
        str | None, typer.Option(help="Of --image: which face, where it shows several: its number from 1.")
    ] = None,
    crop: Annotated[
        bool | None,
        typer.Option("--crop/--no-crop", help="Of --image: cut the face out where the picture shows more (default)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: results/visualize/, named after the frame.")
    ] = None,
    display: Annotated[bool, typer.Option("--show", help="Also open the picture in a window.")] = False,
) -> None:
    """Looks at one frame: what the detector says of it, and what each explanation points at.

    Saves a picture of the frame, each method's saliency map with its three best regions, the adversarial image with
    its difference, and the true manipulation where it is known. Without --frames, --image and --detector it looks at
    a demo face.
    """
    if image is not None and options.frames is not None:
        raise InputError("give --image or --frames, not both")
    if image is not None and index is not None:
        raise InputError("--index is of --frames; --image is one picture")
    chosen_face = FaceChoice.parse(face)
    if face is not None and (image is None or crop is False or chosen_face.number == 0):
        raise InputError("--face N is of --image, and of one face; it needs the crop")
    if image is None and crop is not None:
        raise InputError("--crop and --no-crop are of --image; those of --frames are crops")
    if out is not None and out.suffix.lower() != ".png":
        raise InputError(f"--out {out}: the picture is a PNG file, so its name must end in .png")
    if display and not has_display():
        console.warn("--show needs a display, and there is none here: the picture is saved, and no window opens")
        display = False
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    named = [*([EVERY] if every else []), *(method or ()), *options.every_method]
    fills = FILLS[Mask.BOTH if every else adversarial_mask]
    asked = replace(options, methods=with_fills(named or (EVERY,), fills), saliency=(), frames=image or options.frames)
    setup = prepare_run(asked, keep_real=True)
    frame = pick_frame(setup.selection, "0" if index is None else index, options.seed)
    if image is not None and crop is not False:
        frame, remark = without_surroundings(frame, chosen_face)
        console.say(f"Note: {remark}")
    require_same_in_fresh_process(setup.scorer.detector, 1, lambda _: frame.image)
    inspection = inspect_frame(frame, setup.scorer)
    for line in describe_inspection(inspection):
        console.say(line)
    path = out or Path("results") / "visualize" / file_name(inspection.frame)
    save_inspection(inspection, path)
    console.say(f"Picture: {path}")
    if display:
        show_inspection(inspection)


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
