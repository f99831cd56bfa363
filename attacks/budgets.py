"""L-infinity budgets: read, written, and given to an attack."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from attacks.base import RegionAttack
from attacks.pgd import PGD
from attacks.torchattacks_bridge import TorchAttack
from common.console import warn
from common.errors import InputError
from common.settings import override

WIDE = 0.5
"""The budget from which on it is taken for one in levels of 8 bits, with a remark."""

PGD_REACH = 2.5  # how many budgets PGD could walk in all its steps (Madry et al. 2018)


@dataclass(frozen=True)
class _Budget:
    epsilon: float = 0.0


def read_budget(text: str, option: str = "--epsilon") -> float:
    """An L-infinity budget as a command line gives it, "2/255" or "0.01". Raises InputError outside (0, 1]."""
    value = override(_Budget(), {"epsilon": text}, option).epsilon
    if not 0 < value <= 1:
        raise InputError(f"{option} {text}: a budget is in pixel units and lies in (0, 1], as 2/255")
    if value >= WIDE:
        meant = "" if "/" in text else f"; where a level of 8 bits is meant, write {text}/255"
        warn(f"{option} {text}: a budget of {fraction(value)}, by which nearly any picture becomes any other{meant}")
    return value


def fraction(epsilon: float) -> str:
    """A budget as people write it: "2/255"."""
    return f"{float(f'{epsilon * 255:.4g}'):g}/255"


def pgd_at(epsilon: float, steps: int) -> RegionAttack:
    """PGD of so many steps, each of 2.5 budgets / steps."""
    return PGD(epsilon=epsilon, steps=steps, alpha=PGD_REACH * epsilon / steps)


def with_budget(attack: RegionAttack, epsilon: float) -> RegionAttack:
    """The same attack with another budget; step sizes of PGD and torchattacks keep their proportion to it."""
    names = ("alpha",) if isinstance(attack, PGD) else attack.step_sizes if isinstance(attack, TorchAttack) else ()
    changes: dict[str, Any] = {name: getattr(attack, name) * epsilon / attack.epsilon for name in names}
    return dataclasses.replace(attack, epsilon=epsilon, **changes)
