"""Metrics as a user would write them, named on the command line as package.module:Name."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from scoring.metrics import About, Case, Value


@dataclass(frozen=True)
class Peak:
    """The largest saliency."""

    about: ClassVar[About] = About("The largest saliency.", (Value("peak", -np.inf, np.inf, None),), "saliency", "none")

    factor: float = 1.0

    def __call__(self, case: Case) -> dict[str, float]:
        return {"peak": self.factor * float(case.saliency.max())}


@dataclass(frozen=True)
class Silent(Peak):
    """One that gives NaN and does not say why."""

    def __call__(self, case: Case) -> dict[str, float]:
        return {"peak": float("nan")}


@dataclass(frozen=True)
class Chatty(Peak):
    """One that gives more than it says."""

    def __call__(self, case: Case) -> dict[str, float]:
        return {"peak": 1.0, "depth": 2.0}


@dataclass(frozen=True)
class Shy:
    """One that does not say what it is."""

    def __call__(self, case: Case) -> dict[str, float]:
        return {}


@dataclass(frozen=True)
class Unset:
    """One whose setting has no default."""

    wanted: int
    about: ClassVar[About] = Peak.about

    def __call__(self, case: Case) -> dict[str, float]:
        return {"peak": 0.0}


@dataclass(frozen=True)
class Bigger(Peak):
    """One whose value is better where it is "bigger"."""

    about: ClassVar[About] = replace(Peak.about, values=(Value("peak", 0.0, 1.0, "bigger"),))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Descends(Peak):
    """One whose value lies from 1 to 0."""

    about: ClassVar[About] = replace(Peak.about, values=(Value("peak", 1.0, 0.0, "higher"),))


@dataclass(frozen=True)
class Boundless(Peak):
    """One whose value has no bounds, said by None."""

    about: ClassVar[About] = replace(Peak.about, values=(Value("peak", None, None, "higher"),))  # type: ignore[arg-type]


def function(case: Case) -> dict[str, float]:
    """Not a class."""
    return {}
