"""Attacks by name, with presets and overrides."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attacks.base import RegionAttack
from attacks.budgets import with_budget
from attacks.malafide.region import Malafide, malafide_attack
from attacks.nes import NES
from attacks.pgd import FGSM, PGD
from attacks.torchattacks_bridge import TorchAttack, torch_attack
from common.errors import FAILED, InputError, described
from common.memory import place
from common.registry import make, names_own_code, resolve
from common.settings import override
from detectors.base import Detector
from detectors.memory import ran_out

BUDGET = "epsilon"

ATTACKS: Mapping[str, type[RegionAttack]] = MappingProxyType({"nes": NES, "pgd": PGD, "fgsm": FGSM})
"""The attacks with a name of their own."""

FAMILIES: Mapping[str, Callable[[str], type[RegionAttack]]] = MappingProxyType(
    {"torchattacks": torch_attack, "malafide": malafide_attack}
)
"""Attacks named `family:MEMBER`, by what makes a family's members."""

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "published": {},  # the classes' own defaults
        "efficient": {},
        "quick": {},  # and so here: what a weaker attack cannot flip says nothing
    }
)
"""Settings of each attack that differ from its own defaults, by preset."""


_JUDGES = ("__call__", "_judged_inputs", "_judge", "_round", "_write", "_check_rounds", "_keeps_last", "_project")
"""What of the base no attack of a user's may replace: it would judge itself."""


def build_attack(
    name: str, preset: str = "published", overrides: Mapping[str, Any] = MappingProxyType({})
) -> RegionAttack:
    """The attack of a name: nes, pgd, fgsm, torchattacks:NAME, malafide:FILTER or a user's own package.module:Name.

    `preset` is "published", "quick" or "efficient"; `overrides` are settings by name, on top of it, as strings from a
    command line ("16/255") or as values; step sizes keep their proportion to another budget unless they are given.
    Raises InputError for an unknown name, preset or setting and for a value that the attack refuses.
    """
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    family, _, member = name.partition(":")
    attack = FAMILIES[family](member) if family in FAMILIES else resolve(name, ATTACKS, "attack")
    if not (isinstance(attack, type) and issubclass(attack, RegionAttack) and dataclasses.is_dataclass(attack)):
        raise InputError(f"attack {name!r} is not a dataclass derived from attacks.RegionAttack")
    replaced = [base for base in _JUDGES if getattr(attack, base) is not getattr(RegionAttack, base)]
    if replaced and not attack.__module__.startswith("attacks."):
        raise InputError(
            f"attack {name!r} has {' and '.join(replaced)} of its own, which project and judge what it proposes: leave "
            "them out, and define rounds and propose"
        )
    required = [setting.name for setting in dataclasses.fields(attack) if _is_required(setting)]
    if required:
        raise InputError(f"attack {name!r}: every setting needs a default; missing for {', '.join(required)}")
    built = override(make(attack, name, "attack"), PRESETS[preset].get(name, {}), name)
    if BUDGET in overrides:
        built = with_budget(built, override(built, {BUDGET: overrides[BUDGET]}, name).epsilon)
    return override(built, overrides, name)


def is_own(name: str) -> bool:
    """Whether a name is that of a user's own attack, package.module:Name."""
    return names_own_code(name, FAMILIES)


def unusable(attacks: Mapping[str, RegionAttack], detector: Detector) -> list[str]:
    """What cannot work on a detector, whatever the image: a sentence for each such attack, by name."""
    problems = []
    for name, attack in attacks.items():
        try:
            attack.check(detector)
        except InputError as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
        except FAILED as error:
            if ran_out(error):
                raise
            problems.append(f"attack {name}: its check fails ({described(error)}, at {place(error)})")
    return problems


def describe_attack(attack: RegionAttack) -> dict[str, Any]:
    """What an attack is, for a run's configuration: its name for `build_attack` and every setting."""
    return {"attack": _name_of(type(attack)), **dataclasses.asdict(attack)}


def _name_of(attack: type[RegionAttack]) -> str:
    for name, known in ATTACKS.items():
        if attack is known:
            return name
    if issubclass(attack, TorchAttack):
        return f"torchattacks:{attack.algorithm.__name__}"
    if issubclass(attack, Malafide):
        return f"malafide:{attack.stored.path}"
    return f"{attack.__module__}:{attack.__qualname__}"


def _is_required(setting: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return setting.init and setting.default is missing and setting.default_factory is missing
