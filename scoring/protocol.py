"""What is attacked in a frame besides the methods' best regions, and how finely: settings with presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.errors import InputError
from scoring.baselines.table import BASELINES, BOTTOM, RANDOM_MODEL
from xai.regions import Depth

EVERY, NONE = "All", "none"

BUDGET, FRACTION = "budget", "fraction"
THRESHOLDS = (BUDGET, FRACTION)


@dataclass(frozen=True)
class Protocol:
    """How explanations are put to the test.

    Attributes:
        baselines: which, of BASELINES.
        depths: of the attacked regions (`xai.regions.Depth`).
        draws: random rankings a frame.
        area_draws: contiguous random regions for each region of a method and of an uninformed baseline.
        oracle_pool: whether the oracle joins only segments that some ranking puts among its best three, instead of any;
            it joins segments only where nothing else flips the verdict.
        random_model_share: of the methods' queries, in (0, 1], with which a detector with random weights is explained:
            there is little to find, and what it costs is the explanations' price once more.
        flip_thresholds: which are found, of THRESHOLDS; "none" for none.
        threshold_draws: random draws whose thresholds are found, of `draws` and of `area_draws` each: they cost most.
        threshold_steps: of the PGD that they use, at most; it stops at the first flip.
        budget_rounds: of the bisection for the smallest budget, so 2^rounds - 1 budgets, evenly spaced in their
            logarithm, from 1/64 of the attack's to the whole of it.
        fraction_budget: the L-infinity budget at which segments are added until the verdict flips.
    """

    baselines: tuple[str, ...] = tuple(BASELINES)
    depths: tuple[str, ...] = ("1", "2", "3", "2%", "5%", "10%", "20%")
    draws: int = 20
    area_draws: int = 3
    oracle_pool: bool = False
    random_model_share: float = 0.25
    flip_thresholds: tuple[str, ...] = THRESHOLDS
    threshold_draws: int = 5
    threshold_steps: int = 20
    budget_rounds: int = 6
    fraction_budget: float = 4 / 255

    def __post_init__(self) -> None:
        for name, known in (("baselines", tuple(BASELINES)), ("flip_thresholds", (*THRESHOLDS, NONE))):
            unknown = [value for value in getattr(self, name) if value not in known]
            if unknown:
                raise ValueError(f"{name} has {unknown[0]!r}; known: {', '.join(known)}")
        for name in ("draws", "area_draws", "threshold_draws", "threshold_steps", "budget_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.random_model_share <= 1:
            raise ValueError(f"random_model_share must lie in (0, 1], got {self.random_model_share}")
        if self.budget_rounds > 10:
            raise ValueError(f"budget_rounds must be at most 10, got {self.budget_rounds}")
        if not 0 < self.fraction_budget <= 1:
            raise ValueError(f"fraction_budget is in pixel units and must lie in (0, 1], got {self.fraction_budget}")
        if not self.depths:
            raise ValueError("depths must name at least one region")
        depths = [Depth.parse(depth) for depth in self.depths]
        if len(set(depths)) < len(depths):
            raise ValueError(f"depths name a region twice ({', '.join(self.depths)}); keep one of each")

    @property
    def finds_thresholds(self) -> bool:
        """Whether any flip threshold is wanted."""
        return any(name in self.flip_thresholds for name in THRESHOLDS)

    def has(self, baseline: str) -> bool:
        """Whether the baseline is wanted."""
        return baseline in self.baselines


PRESETS: Mapping[str, Protocol] = {
    "published": Protocol(),
    "efficient": Protocol(),  # spares samples of explanations, not what is attacked
    "quick": Protocol(
        baselines=tuple(baseline for baseline in BASELINES if baseline not in (BOTTOM, RANDOM_MODEL)),
        depths=("1", "2", "3"),
        draws=1,
        area_draws=1,
        oracle_pool=True,
        flip_thresholds=(),
    ),
}


def chosen_baselines(names: Sequence[str], preset: str) -> tuple[str, ...]:
    """The baselines that are named, in the order of BASELINES: the preset's where none is given.

    Raises InputError for an unknown name.
    """
    if not names:
        return PRESETS[preset].baselines
    if list(names) == [NONE]:
        return ()
    wanted = {baseline for name in names for baseline in (BASELINES if name == EVERY else (name,))}
    unknown = sorted(wanted - set(BASELINES))
    if unknown:
        raise InputError(f"unknown baseline {unknown[0]!r}; known: {EVERY}, {NONE}, {', '.join(BASELINES)}")
    return tuple(baseline for baseline in BASELINES if baseline in wanted)
