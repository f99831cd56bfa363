"""The options of a run: what `evaluate`, `visualize`, `efficiency` and `robustness` share, and what an evaluation adds.

Each is declared once, here, with its help; `common.commands.with_options` makes command-line options of the fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer

from detectors.batch_size import ON_CPU
from detectors.loading.conventions import Conventions
from detectors.options import CheckpointOption, DetectorOption, DeviceOption
from scoring.baselines.table import BASELINES
from scoring.protocol import EVERY, NONE

ResultsOption = Annotated[Path, typer.Option("--results", help="Where the runs' folders are.")]


@dataclass(frozen=True)
class RunOptions:
    """The frames of a run, and how it runs on them; None stands for the default.

    Attributes:
        frames: an index file or a folder of pictures; None for the demo's frames.
        images: the store or folder that the index's images are in.
        split: of the index.
        limit: how many frames at most.
        seed: of every draw.
        device: auto, cpu, cuda, cuda:N or mps.
        batch_size: images in a forward pass, a number as text, or "auto" for the number that is measured to be
            fastest; None for "auto" on a GPU, and a fixed number on a CPU.
        threads: CPU threads; None for as many as torch takes.
    """

    frames: Annotated[
        Path | None,
        typer.Option("--frames", help="Index of frames (CSV), or a folder of pictures. Default: demo faces."),
    ] = None
    images: Annotated[
        Path | None,
        typer.Option("--images", help="The index's images: LMDB store or folder. Default: the index's folder."),
    ] = None
    split: Annotated[
        str | None, typer.Option("--split", help="Only frames of this split of the index; all for every frame.")
    ] = None
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many frames, spread over the index.")
    ] = None
    seed: Annotated[int, typer.Option("--seed", help="Of every random draw.")] = 0
    device: DeviceOption = "auto"
    batch_size: Annotated[
        str | None,
        typer.Option(
            "--batch-size",
            metavar="N|auto",
            help=f"Images in a forward pass, or auto: measured at the start. "
            f"Default: {ON_CPU} on a CPU, auto elsewhere.",
        ),
    ] = None
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads. Default: torch's choice.")] = (
        None
    )


DEFAULT_ATTACKS = ("nes", "pgd")
"""Two, as trust needs an attack that did not make the explanation's fill; the second is left out where the detector
gives no gradient."""


@dataclass(frozen=True)
class EvaluationOptions(RunOptions, Conventions):
    """What is explained, and how it is put to the test; None or nothing stands for the default.

    What is said of the detector, where its file does not, are the fields of `Conventions`.

    Attributes:
        methods: "All", or names of methods.
        saliency: folders of maps that were made elsewhere, each judged as a method of its own.
        detector: a detector's name or checkpoint file; None for the demo's.
        checkpoint: the weights of a detector given by name.
        attacks: names of attacks, the main one first.
        budgets: L-infinity budgets of every attack, as "8/255" or "0.03"; nothing for their own.
        baselines: names of baselines, "All" or "none"; nothing for the preset's.
        metrics: names of standard metrics, "All", or nothing.
        segments: ways to divide frames, as `xai.segments.parse_segments` reads them; nothing for the settings' own.
        survives: transforms of pictures, as `data.picture_transforms.parse_transforms` reads them: whether a flip is
            still one after each.
        seeds: how many trials, each with new draws.
        precision: of the explanations' forward passes.
        preset: of the settings; None for "quick" on the demo's frames, "published" on others.
        until_stable: the probability of the same best segments at which sampling stops; None for the preset's.
        overrides: COMPONENT.FIELD=VALUE, each.
        as_published: differences from the published evaluation that are brought back, of
            `runs.as_published.DIFFERENCES`, or "All".
    """

    methods: Annotated[
        Sequence[str],
        typer.Option(
            "--method",
            help="All (default), LIME, SHAP, SOBOL, RISE, LIME_adv, captum:NAME, cam:NAME, vit:NAME, or your own; "
            "repeatable.",
        ),
    ] = (EVERY,)
    saliency: Annotated[
        Sequence[str],
        typer.Option("--saliency", help="Also judge the maps in this folder: NPY files by frame key; repeatable."),
    ] = ()
    detector: DetectorOption = None
    checkpoint: CheckpointOption = None
    attacks: Annotated[
        Sequence[str],
        typer.Option(
            "--attack",
            help="nes, pgd (default: both), fgsm, malafide[:FILTER], torchattacks:NAME, ...; repeatable, the first is "
            "the main. APGDT, AutoAttack and losses dlr leave the verdict for any class, TPGD its own softmax; GN is "
            "noise; others aim at Real.",
        ),
    ] = DEFAULT_ATTACKS
    budgets: Annotated[
        Sequence[str],
        typer.Option(
            "--budget",
            help="L-infinity budget of the attacks, as 8/255; repeatable, for a sweep; the first is the main.",
        ),
    ] = ()
    baselines: Annotated[
        Sequence[str],
        typer.Option(
            "--baseline",
            "--arm",
            help=f"What to compare with: {', '.join(BASELINES)}, {EVERY} or {NONE}; repeatable. Default: the preset's.",
        ),
    ] = ()
    metrics: Annotated[
        Sequence[str],
        typer.Option(
            "--metric", help="Standard metrics beside the attacks: deletion, insertion, irof, ..., or All; repeatable."
        ),
    ] = ()
    segments: Annotated[
        Sequence[str],
        typer.Option(
            "--segments",
            help="Divide frames into so many segments (100), or grid, grid-100; repeatable, for a sweep.",
        ),
    ] = ()
    survives: Annotated[
        Sequence[str],
        typer.Option(
            "--survives",
            metavar="jpeg75,half,...",
            help="Also say how many flips outlive what happens to pictures: jpegQ, half (and back), png; repeatable.",
        ),
    ] = ()
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeat everything so often with new draws.")] = 1
    precision: Annotated[
        str, typer.Option("--precision", help="Of explanations: float32 or bfloat16; attacks use float32.")
    ] = "float32"
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Settings: quick, published or efficient. Default: quick on the demo and of examine, else published.",
        ),
    ] = None
    until_stable: Annotated[
        float | None,
        typer.Option(
            "--until-stable",
            metavar="P",
            help="Stop LIME, SOBOL, RISE when all samples would leave the best three segments with probability P "
            "(efficient: 0.95; 1: take all).",
        ),
    ] = None
    overrides: Annotated[
        Sequence[str],
        typer.Option(
            "--set", metavar="COMPONENT.FIELD=VALUE", help="Override a setting, as RISE.samples=500; repeatable."
        ),
    ] = ()
    as_published: Annotated[
        Sequence[str],
        typer.Option(
            "--as-published",
            metavar="DIFFERENCE",
            help="Bring back a difference from the published evaluation, to see what it does, or All; repeatable. The "
            "attack is NES alone where none is named.",
        ),
    ] = ()

    @property
    def said_of_detector(self) -> Conventions:
        """What is said of the detector, where its file does not."""
        return Conventions(**{field.name: getattr(self, field.name) for field in fields(Conventions)})

    @property
    def every_method(self) -> tuple[str, ...]:
        """The methods, with those whose maps are read from folders."""
        return (*self.methods, *(f"saliency:{folder}" for folder in self.saliency))


EXPLAINING_ONLY = {
    "attacks": (), "budgets": (), "baselines": (NONE,), "metrics": (), "segments": (), "survives": (), "seeds": 1,
    "as_published": (),
}  # fmt: skip
"""The options of a run that explains and attacks nothing, as `visualize` and `efficiency` are."""
