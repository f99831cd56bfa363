"""`--logger`: a training's curves in TensorBoard or Weights & Biases, by Lightning's loggers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from common.errors import InputError, described
from common.extras import extra

TENSORBOARD, WANDB = "tensorboard", "wandb"
PROJECT = "flipscope"
STEPS = 10  # from one logged step to the next

LoggerOption = Annotated[
    str | None,
    typer.Option(
        "--logger",
        metavar="tensorboard|wandb[:NAME]",
        help="Also log the curves there; NAME is the run's there, by default that of the folder.",
    ),
]


@contextlib.contextmanager
def training_logger(text: str | None, out: Path, first: bool = True) -> Iterator[Logger | None]:
    """The logger that a text names, which is closed in the end; None for None.

    TensorBoard's files go to `out`/tensorboard/NAME, those of Weights & Biases to `out`/wandb and from there to its
    service, unless WANDB_MODE says otherwise. A training that is resumed goes on in TensorBoard's folder, and is a new
    run at Weights & Biases.

    Args:
        text: "tensorboard" or "wandb", with ":NAME" or without.
        out: the folder of the training.
        first: whether this is the only process of the training, or the first of several: the others log nothing.

    Raises:
        InputError: the text is none of these, the library is not installed, or Weights & Biases refuses the run.
    """
    if text is None:
        yield None
        return
    kind, _, named = text.partition(":")
    name = named or out.resolve().name
    if kind not in (TENSORBOARD, WANDB):
        raise InputError(f"unknown --logger {text!r}; known: {TENSORBOARD}, {WANDB}, each also with :NAME")
    if name in (".", "..") or Path(name).name != name:
        raise InputError(f"--logger {text}: the name is not one of a folder")
    library = extra(kind, kind, f"--logger {kind}")
    if kind == TENSORBOARD:
        files = TensorBoardLogger(out, name=TENSORBOARD, version=name, default_hp_metric=False)
        yield files
        files.finalize("success")
        return
    out.mkdir(parents=True, exist_ok=True)  # else it writes elsewhere
    logger = WandbLogger(name=name, save_dir=out, project=PROJECT, log_model=False)
    if not first:
        yield logger
        return
    try:
        run = logger.experiment
    except library.Error as error:
        raise InputError(f"--logger wandb: {described(error)}; run `wandb login`, or set WANDB_MODE=offline") from error
    try:
        yield logger
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
