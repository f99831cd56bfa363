"""The options that evaluate, visualize and efficiency share, as typer reads them."""

from pathlib import Path
from typing import Annotated

import typer

from detectors.batch_size import ON_CPU

FramesOption = Annotated[
    Path | None, typer.Option("--frames", help="Index of frames (CSV), or a folder of pictures. Default: demo faces.")
]
ImagesOption = Annotated[
    Path | None,
    typer.Option("--images", help="The index's images: LMDB store or folder. Default: the index's folder."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Only frames of this split of the index.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Where the runs' folders are.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of every random draw.")]
BatchSizeOption = Annotated[
    str | None,
    typer.Option(
        "--batch-size",
        metavar="N|auto",
        help=f"Images in a forward pass, or auto: measured at the start. Default: {ON_CPU} on a CPU, auto elsewhere.",
    ),
]
PrecisionOption = Annotated[
    str, typer.Option("--precision", help="Of explanations: float32 or bfloat16; attacks use float32.")
]
PresetOption = Annotated[
    str | None,
    typer.Option("--preset", help="Settings: quick (default on the demo) or published (default on your frames)."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="COMPONENT.FIELD=VALUE", help="Override a setting, as RISE.samples=500; repeatable."),
]
SaliencyOption = Annotated[
    list[Path] | None,
    typer.Option("--saliency", help="Also judge the maps in this folder: NPY files by frame key; repeatable."),
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads. Default: torch's choice.")]
