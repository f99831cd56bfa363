"""Region attacks: what changes only inside a region, inside an L-infinity ball, and may flip the verdict."""

from attacks.base import AttackResult, RegionAttack
from attacks.nes import NES

__all__ = ["NES", "AttackResult", "RegionAttack"]
