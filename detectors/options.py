"""The options of every command that loads a detector, as typer reads them."""

from pathlib import Path
from typing import Annotated

import typer

DetectorOption = Annotated[
    str | None,
    typer.Option(
        "--detector",
        help="Name, timm:NETWORK, hf:FOLDER, hf:OWNER/NAME, onnx:FILE, package.module:Name, or a checkpoint file. "
        "Default: the demo's.",
    ),
]
CheckpointOption = Annotated[Path | None, typer.Option("--checkpoint", help="Weights of a detector given by name.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
