"""Region attacks: what changes only inside a region, inside an L-infinity ball, and may flip the verdict."""

from attacks.base import AttackResult, RegionAttack
from attacks.nes import NES
from attacks.pairs import Batch, Proposal
from attacks.registry import build_attack, describe_attack

__all__ = ["NES", "AttackResult", "Batch", "Proposal", "RegionAttack", "build_attack", "describe_attack"]
