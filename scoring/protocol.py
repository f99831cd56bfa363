"""What is attacked in a frame besides the methods' best regions, and how finely: settings with presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.errors import InputError
from scoring.regions import Depth

RANDOM, RANDOM_AREA, BOTTOM, RANDOM_MODEL = "random", "random-area", "bottom-k", "random-model"
CENTRE, EDGES, MASK, ORACLE, WHOLE = "face-centre", "edges", "mask", "oracle", "whole"
ARMS = (RANDOM, RANDOM_AREA, BOTTOM, CENTRE, EDGES, WHOLE, ORACLE, MASK, RANDOM_MODEL)
"""The reference arms, in the order of the tables."""
EVERY, NONE = "All", "none"

BUDGET, FRACTION = "budget", "fraction"
GRADES = (BUDGET, FRACTION)


@dataclass(frozen=True)
class Protocol:
    """How explanations are put to the test.

    Attributes:
        arms: the references, of ARMS.
        depths: of the attacked regions (`scoring.regions.Depth`).
        draws: random rankings a frame.
        area_draws: contiguous random regions for each region of a method.
        oracle_pool: whether the oracle tries only the segments that some ranking puts among its best three, instead of
            all of them: cheaper, and a little lower than the ceiling.
        grades: which graded scores, of GRADES.
        grade_steps: of the PGD that they use.
        budget_rounds: of the bisection for the smallest budget, so 2^rounds - 1 budgets, evenly spaced in their
            logarithm, from 1/64 of the attack's to the whole of it.
        fraction_budget: the L-infinity budget at which segments are added until the verdict flips.
    """

    arms: tuple[str, ...] = ARMS
    depths: tuple[str, ...] = ("1", "2", "3", "2%", "5%", "10%", "20%")
    draws: int = 20
    area_draws: int = 3
    oracle_pool: bool = False
    grades: tuple[str, ...] = GRADES
    grade_steps: int = 10
    budget_rounds: int = 6
    fraction_budget: float = 4 / 255

    def __post_init__(self) -> None:
        for name, known in (("arms", ARMS), ("grades", GRADES)):
            unknown = [each for each in getattr(self, name) if each not in known]
            if unknown:
                raise ValueError(f"{name} has {unknown[0]!r}; known: {', '.join(known)}")
        for name in ("draws", "area_draws", "grade_steps", "budget_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.budget_rounds > 10:
            raise ValueError(f"budget_rounds must be at most 10, got {self.budget_rounds}")
        if not 0 < self.fraction_budget <= 1:
            raise ValueError(f"fraction_budget is in pixel units and must lie in (0, 1], got {self.fraction_budget}")
        if not self.depths:
            raise ValueError("depths must name at least one region")
        for depth in self.depths:
            Depth.parse(depth)

    def has(self, arm: str) -> bool:
        """Whether the arm is wanted."""
        return arm in self.arms


PRESETS: Mapping[str, Protocol] = {
    "published": Protocol(),
    "quick": Protocol(
        arms=tuple(arm for arm in ARMS if arm not in (BOTTOM, RANDOM_MODEL)),
        depths=("1", "2", "3"),
        draws=2,
        area_draws=2,
        oracle_pool=True,
        grades=(BUDGET,),
        grade_steps=4,
        budget_rounds=3,
    ),
}


def chosen_arms(names: Sequence[str], preset: str) -> tuple[str, ...]:
    """The arms that the names stand for, in the order of ARMS: the preset's where none is given.

    Raises InputError for an unknown name.
    """
    if not names:
        return PRESETS[preset].arms
    if list(names) == [NONE]:
        return ()
    wanted = {each for name in names for each in (ARMS if name == EVERY else (name,))}
    unknown = sorted(wanted - set(ARMS))
    if unknown:
        raise InputError(f"unknown reference arm {unknown[0]!r}; known: {EVERY}, {NONE}, {', '.join(ARMS)}")
    return tuple(arm for arm in ARMS if arm in wanted)
