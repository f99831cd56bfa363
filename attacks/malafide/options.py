"""The options that the commands of 2D-Malafide share, as typer reads them."""

from pathlib import Path
from typing import Annotated

import typer

OUT = Path("results/malafide")

FramesOption = Annotated[Path, typer.Option("--frames", help="Index of the frames (CSV).")]
SomeFramesOption = Annotated[Path | None, typer.Option("--frames", help="Index of the frames (CSV).")]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="LMDB store or folder. Default: the index's folder.")
]
VideosOption = Annotated[
    Path | None,
    typer.Option("--videos", help="A video, or a folder of them, instead of --frames; faces are cropped."),
]
DetectorOption = Annotated[
    str, typer.Option("--detector", help="Name, timm:NETWORK, package.module:Name, or a checkpoint file.")
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The detector's name in the results. Default: that of --detector.")
]
FaceDetectorOption = Annotated[
    str, typer.Option("--face-detector", help="For --videos: haar, yunet:MODEL.onnx, or your package.module:Name.")
]
ManipulationOption = Annotated[
    list[str] | None, typer.Option("--manipulation", help="Only this family; repeatable. Default: all in the index.")
]
SizeOption = Annotated[
    list[int] | None, typer.Option("--size", metavar="K", help="Of the filter, odd; repeatable. Published: 3 9 27 81.")
]
FilterOption = Annotated[
    list[Path] | None, typer.Option("--filter", help="This filter's file; repeatable. Default: those in --out.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many frames of each family, evenly spread.")
]
CountOption = Annotated[int, typer.Option("--count", min=1, help="Fakes of each manipulation to show.")]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images in a forward pass.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads. Default: torch's choice.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the results.")]
