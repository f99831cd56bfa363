"""What a checkpoint may leave unsaid: which output is which class, how the image is normalised, and its size."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Annotated

import typer

from common.console import warn
from common.errors import InputError
from detectors.loading.class_names import BINARY, class_name

Colour = tuple[float, float, float]

NORMALISATIONS: Mapping[str, tuple[Colour, Colour]] = MappingProxyType(
    {
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    }
)
"""Mean and standard deviation, RGB in [0, 1], by name."""


@dataclass(frozen=True)
class Conventions:
    """What the user says of a network, where its file does not; None where the user says nothing.

    Attributes:
        classes: names of the outputs in their order, with commas.
        positive: the earlier spelling for a network of one logit: what a high one means, "fake" or "real".
        normalise: the name of a normalisation.
        mean: RGB in [0, 1] with commas, subtracted from the image.
        std: RGB with commas, divides it then.
        input_size: the side of the square input in pixels.
    """

    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="NAMES",
            help="The network's outputs in order, as Fake,Real, where its file does not say; of one logit, what a "
            "high one means.",
        ),
    ] = None
    positive: Annotated[str | None, typer.Option("--positive", hidden=True)] = None
    normalise: Annotated[
        str | None,
        typer.Option(
            "--normalise", metavar="|".join(NORMALISATIONS), help="The network's normalisation, where none is said."
        ),
    ] = None
    mean: Annotated[str | None, typer.Option("--mean", metavar="R,G,B", help="Or its mean in [0, 1], with --std.")] = (
        None
    )
    std: Annotated[str | None, typer.Option("--std", metavar="R,G,B", help="Or its standard deviation.")] = None
    input_size: Annotated[
        int | None, typer.Option("--size", metavar="N", min=1, help="The side of its input in pixels, likewise.")
    ] = None

    @property
    def silent(self) -> bool:
        """Whether the user says nothing."""
        return all(getattr(self, option.name) is None for option in fields(self))

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the outputs. Raises InputError for an empty one, and for two options that say it."""
        if self.positive is not None:
            if self.classes is not None:
                raise InputError("--positive is the earlier spelling of --classes: give --classes alone")
            meant = class_name(self.positive)
            if meant not in BINARY:
                raise InputError(f"what a high logit means is fake or real, got {self.positive!r}; write --classes")
            return (meant,)
        if self.classes is None:
            return None
        labels = tuple(label.strip() for label in self.classes.split(","))
        if not all(labels):
            raise InputError(f"--classes {self.classes!r}: expected names with commas between them, as Fake,Real")
        return labels

    @property
    def normalisation(self) -> tuple[Colour, Colour] | None:
        """Mean and standard deviation. Raises InputError for an unknown name, half of a pair, and for both ways."""
        if self.normalise is not None:
            if self.mean is not None or self.std is not None:
                raise InputError("--normalise and --mean with --std say the same: give one of them")
            if self.normalise not in NORMALISATIONS:
                raise InputError(f"unknown --normalise {self.normalise!r}; known: {', '.join(NORMALISATIONS)}")
            return NORMALISATIONS[self.normalise]
        if (self.mean is None) != (self.std is None):
            given, other = ("--mean", "--std") if self.std is None else ("--std", "--mean")
            raise InputError(f"{given} needs {other}: the network takes (image - mean) / std")
        if self.mean is None or self.std is None:
            return None
        mean, std = _colour("--mean", self.mean), _colour("--std", self.std)
        if max(mean) > 1 or min(std) == 0:
            raise InputError(
                f"--mean {self.mean} --std {self.std}: the image is RGB in [0, 1], so that the mean is from 0 to 1 and "
                "the std above 0 (divide by 255 what is meant for bytes)"
            )
        return mean, std

    def remark(self) -> None:
        """Says on stderr how an earlier spelling is written now."""
        if self.positive is not None and self.labels is not None:
            names = BINARY if self.labels == BINARY[1:] else BINARY[::-1]
            warn(f"--positive {self.positive} is now written --classes {','.join(names)}")


NOTHING_SAID = Conventions()


def _colour(option: str, text: str) -> Colour:
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text!r}: expected three numbers with commas, as 0.485,0.456,0.406") from error
    if not all(0 <= value < float("inf") for value in (red, green, blue)):
        raise InputError(f"{option} {text!r}: expected numbers from 0")
    return red, green, blue
