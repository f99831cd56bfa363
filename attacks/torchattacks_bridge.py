"""Any attack of the torchattacks library (Kim 2020) on a region: it attacks a model that only the region enters."""

import difflib
import functools
import inspect
from contextlib import suppress
from dataclasses import dataclass, field, fields, make_dataclass
from enum import Enum
from typing import Any, ClassVar

import torch
import torchattacks
from torch import Tensor

from attacks.base import UNKNOWN, Batch, Proposal, RegionAttack
from attacks.draws import PairDraws
from attacks.torchattacks_model import AllFlippedError, ShownModel, View
from common.errors import InputError
from common.global_generators import isolated
from detectors.base import Detector
from detectors.memory import total_memory
from detectors.queries import Queries

BATCHED = frozenset({"FGSM", "BIM", "PGD", "RFGSM", "FFGSM", "MIFGSM", "NIFGSM"})
"""Attacks that ask about every image of a batch alike and mix nothing between them; others run pair by pair."""

WITHOUT_GRADIENTS = frozenset({"Square", "SPSA", "OnePixel", "Pixle", "GN", "VANILA"})
"""Attacks that only ask."""

JSMA_BYTES = 32
"""What JSMA takes at its height for every two of an image's values: measured, and eight numbers in its tables."""


class Aim(Enum):
    """Where an attack leads, and how it is told."""

    TARGET = "to Real, its target"
    AWAY_FROM_NOT_REAL = "to Real: away from the other of two classes that it is shown, Real and not"
    AWAY = "away from the class that the detector says, which need not lead to Real"
    NOWHERE = "nowhere in particular"


_TWO_CLASSES = frozenset({"APGD", "PIFGSM", "DeepFool", "SparseFool", "FAB"})  # FAB takes a target for the true class
_AWAY = frozenset({"APGDT", "AutoAttack"})  # their loss compares four classes
UNAIMED = {
    "TPGD": "It moves away from its own softmax, so a fake may as well become more fake.",
    "GN": "It adds noise and asks nothing.",
    "VANILA": "It changes nothing.",
}
"""Attacks that cannot be aimed at Real, and what they do instead."""

_LIFTED = frozenset({"CW", "EADL1", "EADEN"})  # and UPGD's margin: see ShownModel
_LIFTED_TWO = frozenset({"Jitter"})  # divides by the largest logit, and adds noise that drowns one class of several

_L2 = frozenset({"PGDL2", "PGDRSL2"})  # their `eps` is an L2 radius: a setting of its own, not the budget
_GIVEN = frozenset({"model", "max_epsilon", "norm", "seed", "n_classes", "verbose"})  # by the bridge, not settings
_STEP_SIZES = {"SPSA": "lr"}  # else `alpha`
_MADE_FOR = {"SPSA": 8 / 255}  # the budget that its documentation states, and its paper has; its code says 0.3
_DEFAULTS = {("SPSA", "nb_iter"): 8}  # the library's 1 would end after one step, at 5.1/255 of 16/255
_STEPS = ("steps", "num_iter_set", "nb_iter")  # what the library calls the number of steps
_ELASTIC_NET = frozenset({"EADL1", "EADEN"})


@dataclass(frozen=True)
class TorchAttack(RegionAttack):
    """One attack of torchattacks on regions; `torch_attack(NAME)` makes the class, its fields the attack's arguments.

    The library sees a model that takes an image x and answers for `where(region, x, original)`. Every such image is
    judged: a pair's proposal is the first that the detector calls Real, and the library stops once all pairs of a
    batch have one; else it is the best by log p(Real) of those asked about and the library's result. What lies outside
    the L-infinity ball counts only projected, and only as a result: attacks in another norm (CW, JSMA, Pixle, ...) are
    judged by what the projection leaves of them.

    `aim` says where the attack leads. It is targeted at Real where it can be; of those that can only go away from a
    class, some are shown a detector of two classes, Real and not. What remains: APGDT, AutoAttack and the loss "dlr"
    compare at least three or four classes and go away from the verdict, from one manipulation to another too; TPGD, GN
    and VANILA cannot be aimed (docs/methods.md has what they reach).

    An argument `eps` or `max_epsilon` that is an L-infinity budget is `epsilon`, `norm` is "Linf", `seed` comes from
    the pair, `n_classes` from the detector; the others are settings, at the library's defaults. Only `step_sizes` keep
    their proportion to the budget: the library's 2/255 for 8/255 is 4/255 for our 16/255. SPSA takes 8 steps: the
    library's one would leave two thirds of the ball out of reach. A pair's random numbers are those of the library
    after `torch.manual_seed(s)`, s drawn from the pair's generator, whoever else is in the batch; no global generator
    changes.

    Raises InputError where the attack needs gradients and the detector gives none, more classes than the detector has,
    or more memory than the machine has.
    """

    algorithm: ClassVar[type[torchattacks.attack.Attack]]

    def __post_init__(self) -> None:
        super().__post_init__()
        early, most = getattr(self, "abort_early", False), getattr(self, "max_iterations", 10)
        if self.algorithm.__name__ in _ELASTIC_NET and early and most < 10:
            raise InputError(
                f"torchattacks:{self.algorithm.__name__} looks ten times whether to stop early, so max_iterations must "
                f"be at least 10, got {most}; with abort_early=false it may be less"
            )

    @property
    def rounds(self) -> int:
        """One: the library iterates by itself."""
        return 1

    def steps_taken(self, rounds: int) -> int:
        """The library's number of steps, or 1 for an attack that has none; a pair that flips early takes fewer."""
        return rounds * next((int(getattr(self, name)) for name in _STEPS if hasattr(self, name)), 1)

    def queries_per_round(self, forwards: int) -> int:
        """What was passed, for attacks that only ask."""
        return forwards if self.algorithm.__name__ in WITHOUT_GRADIENTS else UNKNOWN

    @property
    def one_by_one(self) -> bool:
        """True for all attacks but those known to treat a batch's images alike."""
        return self.algorithm.__name__ not in BATCHED

    @property
    def step_sizes(self) -> tuple[str, ...]:
        """The settings that are steps in pixel units, which keep their proportion to the L-infinity budget."""
        return tuple(setting.name for setting in fields(self) if setting.name == _step_size(self.algorithm))

    @property
    def aim(self) -> Aim:
        """Where the attack leads."""
        name = self.algorithm.__name__
        if name in UNAIMED:
            return Aim.NOWHERE
        if name in _AWAY or getattr(self, "loss", None) == "dlr":
            return Aim.AWAY
        return Aim.AWAY_FROM_NOT_REAL if name in _TWO_CLASSES else Aim.TARGET

    @property
    def view(self) -> View:
        """What the library is shown of the detector's logits."""
        if self.aim is Aim.AWAY_FROM_NOT_REAL:
            return View.REAL_OR_NOT
        if self.algorithm.__name__ in _LIFTED_TWO:
            return View.LIFTED_REAL_OR_NOT
        lifted = self.algorithm.__name__ in _LIFTED or getattr(self, "loss", None) == "margin"
        return View.LIFTED if lifted else View.CLASSES

    def propose(self, queries: Queries, batch: Batch) -> Proposal:
        """The best of what the library asks about and makes of the pairs, some at a time."""
        seeds = [int(torch.randint(2**31, (), generator=generator)) for generator in batch.generators]
        size = queries.gradient_batch
        images, forwards = list[Tensor](), list[int]()
        for start in range(0, len(seeds), size):
            part = slice(start, start + size)
            for model in self._attack(queries, batch.originals[part], batch.regions[part], seeds[part]):
                images.append(model.images)
                forwards += model.forwards
        return Proposal(torch.cat(images), forwards)

    def check(self, detector: Detector) -> None:
        """Raises InputError where the loss compares more classes than the detector has, or the memory cannot do."""
        name, classes = self.algorithm.__name__, len(detector.class_names)
        least = 4 if name in _AWAY else 3 if self.aim is Aim.AWAY else 2
        if classes < least:
            raise InputError(
                f"torchattacks:{name}{' with the loss dlr' if name not in _AWAY and self.aim is Aim.AWAY else ''} "
                f"needs a detector of at least {least} classes, this one has {classes}: attack with torchattacks:APGD "
                "and the loss ce, or with torchattacks:Square"
            )
        size = detector.input_size
        needed, most = JSMA_BYTES * (3 * size**2) ** 2, total_memory(Queries(detector).device)
        if name == "JSMA" and needed > most:
            raise InputError(
                f"torchattacks:JSMA makes tables of every two values of an image, {needed / 2**30:.0f} GiB at {size} x "
                f"{size} pixels, and there are {most / 2**30:.0f} GiB of memory: attack with another, as "
                "torchattacks:OnePixel"
            )

    def _attack(self, queries: Queries, originals: Tensor, regions: Tensor, seeds: list[int]) -> list[ShownModel]:
        """The attacked pairs; pair by pair where numbers were drawn that belong to no single one."""
        model = ShownModel(queries, originals, regions, self.epsilon, self.view)
        with isolated(seeds[0]):
            if len(seeds) == 1:
                self._run(model, seeds[0])
                return [model]
            before = _global_state(originals.device)
            with PairDraws(seeds, originals.device):
                self._run(model, seeds[0])
            if torch.equal(before, _global_state(originals.device)):
                return [model]
        alone = (slice(pair, pair + 1) for pair in range(len(seeds)))
        return [self._attack(queries, originals[pair], regions[pair], seeds[pair])[0] for pair in alone]

    def _run(self, model: ShownModel, seed: int) -> None:
        """Runs the library on a model, which keeps what it finds."""
        attack = self.algorithm(model, **self._arguments(model.detector, seed))
        if self.aim is Aim.TARGET:
            attack.set_mode_targeted_by_label(quiet=True)
        with suppress(AllFlippedError):
            result: Tensor = attack(model.originals.clone(), self._labels(model))
            model.settle(result.detach())

    def _labels(self, model: ShownModel) -> Tensor:
        """The classes to reach, or for an attack that can only go away, to leave."""
        if self.aim is Aim.AWAY:
            with torch.no_grad():
                return model(model.originals).argmax(dim=1)
        of_two = {View.REAL_OR_NOT: 0, View.LIFTED_REAL_OR_NOT: 1}  # to leave, to reach
        label = of_two.get(self.view, model.detector.real)
        return torch.full((len(model.originals),), label, device=model.where.device)

    def _arguments(self, detector: Detector, seed: int) -> dict[str, Any]:
        """The library's arguments: the settings, and what the bridge gives."""
        classes = 2 if self.view in (View.REAL_OR_NOT, View.LIFTED_REAL_OR_NOT) else len(detector.class_names)
        given = {"norm": "Linf", "seed": seed, "n_classes": classes, "verbose": False}
        given |= {"eps": self.epsilon, "max_epsilon": self.epsilon}
        given |= {setting.name: getattr(self, setting.name) for setting in fields(self) if setting.name != "epsilon"}
        return {name: given[name] for name in inspect.signature(self.algorithm).parameters if name in given}


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
    doc = " ".join(filter(None, [f"torchattacks.{name} on regions; see TorchAttack.", UNAIMED.get(name)]))
    namespace = {"algorithm": algorithm, "__doc__": doc, "__module__": __name__}
    return make_dataclass(name, settings, bases=(TorchAttack,), namespace=namespace, frozen=True)


def _step_size(algorithm: Any) -> str | None:
    """The argument that is a step size for an L-infinity budget."""
    name, arguments = algorithm.__name__, inspect.signature(algorithm).parameters
    return None if name in _L2 or "eps" not in arguments else _STEP_SIZES.get(name, "alpha")


def _default_of(argument: inspect.Parameter, algorithm: Any) -> Any:
    """The library's default, with a step size made for the library's budget scaled to ours."""
    name = algorithm.__name__
    if argument.name != _step_size(algorithm):
        return _DEFAULTS.get((name, argument.name), argument.default)
    budget = _MADE_FOR.get(name, inspect.signature(algorithm).parameters["eps"].default)
    return argument.default * RegionAttack.epsilon / budget


def _type_of(argument: inspect.Parameter, algorithm: Any) -> Any:
    """The type of an argument: its default's, or float where the library documents one and writes 1 for 1.0."""
    if isinstance(argument.default, tuple):
        return tuple[int, ...] if all(isinstance(part, int) for part in argument.default) else tuple[float, ...]
    kind = type(argument.default)
    return float if kind is int and f"{argument.name} (float)" in (algorithm.__doc__ or "") else kind
