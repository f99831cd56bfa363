"""Any attack of the torchattacks library (Kim 2020) on a region: it attacks a composite that only the region enters."""

import difflib
import functools
import inspect
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, ClassVar

import torch
import torchattacks
from torch import Tensor, nn

from attacks.base import Batch, RegionAttack
from attacks.draws import PairDraws
from common.errors import InputError
from common.global_generators import isolated
from detectors.base import Detector
from detectors.queries import Queries

BATCHED = frozenset({"FGSM", "BIM", "PGD", "RFGSM", "FFGSM", "MIFGSM", "NIFGSM"})
"""Attacks that give every image of a batch the same forwards and mix nothing between them; others run pair by pair."""

GRADIENT_SHARE = 4
"""A forward whose gradient is wanted keeps every activation, so it takes this share of `batch_size` at a time."""

_L2 = frozenset({"PGDL2", "PGDRSL2"})  # their `eps` is an L2 radius: a setting of its own, not the budget
_GIVEN = frozenset({"model", "max_epsilon", "norm", "seed", "n_classes", "verbose"})  # by the bridge, not settings
_AWAY_ONLY = frozenset({"FAB"})  # given a target as label, it takes it for the true class and stops at once
_LEAST_CLASSES = {"APGDT": 4, "AutoAttack": 4}  # their loss compares with lower-ranked classes, as "dlr" does


@dataclass(frozen=True)
class TorchAttack(RegionAttack):
    """One attack of torchattacks on regions; `torch_attack(NAME)` makes the class, its fields the attack's arguments.

    The library sees a model that takes an image x and judges `where(region, x, original)`. It is targeted at Real
    (minimising the cross-entropy of Real climbs log p(Real), as NES does) where it can be; an attack that cannot
    (APGD, DeepFool, ...) goes away from the class the detector says, which need not lead to Real. It runs all its
    steps, and the base judges its last image: one that works in another norm (CW, PGDL2, ...) is projected onto
    the L-infinity ball all the same.

    An argument `eps` or `max_epsilon` that is an L-infinity budget is `epsilon`, `norm` is "Linf", `seed` comes from
    the pair, `n_classes` from the detector; the others are settings, at the library's defaults. Only `alpha` keeps its
    proportion to the budget: the library's 2/255 for 8/255 is 4/255 for our 16/255, as steps that are too short for
    the ball would leave PGD's result near its random start. A pair's random numbers are those of the library after
    `torch.manual_seed(s)`, s drawn from the pair's generator, whoever else is in the batch; no global generator
    changes.

    Raises InputError where the attack needs gradients and the detector gives none.
    """

    algorithm: ClassVar[type[torchattacks.attack.Attack]]

    @property
    def rounds(self) -> int:
        """One: the library iterates by itself."""
        return 1

    @property
    def steps_per_round(self) -> int:
        """The library's `steps`, or 1 for an attack that has none."""
        return int(getattr(self, "steps", 1))

    @property
    def one_by_one(self) -> bool:
        """True for all attacks but those known to treat a batch's images alike."""
        return self.algorithm.__name__ not in BATCHED

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """What the library makes of the pairs, some at a time."""
        seeds = [int(torch.randint(2**31, (), generator=generator)) for generator in batch.generators]
        size = max(1, queries.batch_size // GRADIENT_SHARE)
        images = []
        for start in range(0, len(seeds), size):
            part = slice(start, start + size)
            images += self._attack(queries, batch.originals[part], batch.regions[part], seeds[part])
        return torch.stack(images)

    def _attack(self, queries: Queries, originals: Tensor, regions: Tensor, seeds: list[int]) -> list[Tensor]:
        """The attacked image of each pair; pair by pair where numbers were drawn that belong to no single one."""
        composite = _Composite(queries, originals, regions)
        with isolated(seeds[0]):
            if len(seeds) == 1:
                return list(self._run(composite, seeds[0]))
            before = _global_state(originals.device)
            with PairDraws(seeds, originals.device):
                images = self._run(composite, seeds[0])
            if torch.equal(before, _global_state(originals.device)):
                return list(images)
        alone = (slice(pair, pair + 1) for pair in range(len(seeds)))
        return [self._attack(queries, originals[pair], regions[pair], seeds[pair])[0] for pair in alone]

    def _run(self, composite: "_Composite", seed: int) -> Tensor:
        attack = self.algorithm(composite, **self._arguments(composite.detector, seed))
        if "targeted" in attack.supported_mode and self.algorithm.__name__ not in _AWAY_ONLY:
            attack.set_mode_targeted_by_label(quiet=True)
            labels = torch.full((len(composite.originals),), composite.detector.real, device=composite.where.device)
        else:
            with torch.no_grad():
                labels = composite(composite.originals).argmax(dim=1)
        result: Tensor = attack(composite.originals.clone(), labels)
        return result.detach()

    def _arguments(self, detector: Detector, seed: int) -> dict[str, Any]:
        """The library's arguments: the settings, and what the bridge gives."""
        name, classes = self.algorithm.__name__, len(detector.class_names)
        least = 3 if getattr(self, "loss", None) == "dlr" else _LEAST_CLASSES.get(name, 2)
        if classes < least:
            raise InputError(
                f"torchattacks:{name} needs a detector of at least {least} classes, this one has {classes}"
            )
        given = {"norm": "Linf", "seed": seed, "n_classes": classes, "verbose": False}
        given |= {"eps": self.epsilon, "max_epsilon": self.epsilon}
        given |= {setting.name: getattr(self, setting.name) for setting in fields(self) if setting.name != "epsilon"}
        return {name: given[name] for name in inspect.signature(self.algorithm).parameters if name in given}


class _Composite(nn.Module):
    """The detector as the library sees it: x counts inside the regions, the originals elsewhere."""

    def __init__(self, queries: Queries, originals: Tensor, regions: Tensor) -> None:
        super().__init__()
        self.detector, self.batch_size = queries.detector, queries.batch_size
        self.originals, self.regions = originals, regions
        # the library asks a model's first parameter for its device, and some detectors have no parameter
        self.where = nn.Parameter(torch.empty(0, device=originals.device), requires_grad=False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the composites; with one pair, x may hold any number of candidates for it."""
        images = torch.where(self.regions, x, self.originals)
        if images.requires_grad:  # the library calls `view` on gradients
            images.register_hook(lambda gradient: gradient.contiguous())
        images = images.contiguous(memory_format=torch.channels_last)
        logits = torch.cat([self.detector(chunk).float() for chunk in images.split(self.batch_size)])
        if images.requires_grad and not logits.requires_grad:
            raise InputError(
                f"{type(self.detector).__name__} gives no gradient, which this attack needs: "
                "let its forward run without no_grad or detach, or attack with nes"
            )
        return logits


def _global_state(device: torch.device) -> Tensor:
    """What changes when anything is drawn from torch's global generators for the CPU or `device`."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return torch.cat(states)


@functools.cache
def torch_attack(name: str) -> type[TorchAttack]:
    """The region attack that runs `torchattacks.NAME`: a dataclass with that attack's arguments as fields.

    Raises InputError for a name that torchattacks does not have, and for what needs more than a model.
    """
    if name not in torchattacks.__all__:
        near = difflib.get_close_matches(name, torchattacks.__all__, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"torchattacks has no {name!r}{hint}; it has: {', '.join(torchattacks.__all__)}")
    algorithm = getattr(torchattacks, name)
    first, *arguments = inspect.signature(algorithm).parameters.values()
    needed = [argument.name for argument in (first, *arguments) if argument.default is argument.empty]
    if needed != ["model"]:
        raise InputError(f"torchattacks:{name} is not an attack of one model alone: it needs {', '.join(needed)}")
    given = _GIVEN if name in _L2 else _GIVEN | {"eps"}
    chosen = [argument for argument in arguments if argument.name not in given]
    settings = [
        (setting.name, _type_of(setting, algorithm), field(default=_default_of(setting, algorithm)))
        for setting in chosen
    ]
    doc = f"torchattacks.{name} on regions; see TorchAttack."
    namespace = {"algorithm": algorithm, "__doc__": doc, "__module__": __name__}
    return make_dataclass(name, settings, bases=(TorchAttack,), namespace=namespace, frozen=True)


def _default_of(argument: inspect.Parameter, algorithm: Any) -> Any:
    """The library's default, with a step size made for the library's budget scaled to ours."""
    budget = inspect.signature(algorithm).parameters.get("eps")
    if argument.name != "alpha" or budget is None or algorithm.__name__ in _L2:
        return argument.default
    return argument.default * RegionAttack.epsilon / budget.default


def _type_of(argument: inspect.Parameter, algorithm: Any) -> Any:
    """The type of an argument: its default's, or float where the library documents one and writes 1 for 1.0."""
    if isinstance(argument.default, tuple):
        return tuple[int, ...] if all(isinstance(part, int) for part in argument.default) else tuple[float, ...]
    kind = type(argument.default)
    return float if kind is int and f"{argument.name} (float)" in (algorithm.__doc__ or "") else kind


PGD = torch_attack("PGD")
"""Projected gradient descent (Madry et al. 2018): 10 steps of 4/255 = 2.5 epsilon / 10 from a random start."""

FGSM = torch_attack("FGSM")
"""The fast gradient sign method (Goodfellow et al. 2015): one step of the whole budget."""
