"""Asks a user's own attack about some of a frame's regions once more, each alone: others must not decide what it does.

Its base promises so of every attack (`attacks.RegionAttack`); one that looks at the mean over a batch breaks it.
"""

from collections.abc import Mapping

import numpy as np

from attacks import RegionAttack
from common.errors import InputError
from common.seeds import generator
from scoring.region_attacker import Outcome, RegionAttacker

REGIONS = 4
"""Of a frame, drawn at random of those where the attack changed something."""

LEAST = 2
"""So many of them must fare otherwise, as one may by rounding."""

TOLERANCE = 0.1
"""Of the probability of the verdict: by how much an attack that turns with rounding may do otherwise to a region."""

_MOVED = 1e-3


def require_same_alone(
    name: str,
    attack: RegionAttack,
    regions: Mapping[str, np.ndarray],
    outcomes: Mapping[str, Outcome],
    attacker: RegionAttacker,
) -> None:
    """Attacks REGIONS of a frame once more, one at a time, where more were attacked together; it is in no cost.

    Args:
        name: of the attack.
        attack: a user's own.
        regions: (S, S) bool by digest, all that it attacked together.
        outcomes: what that did, by digest.
        attacker: that attacked them.

    Raises:
        InputError: LEAST of them fare otherwise alone.
    """
    before = float(attacker.verdict.probabilities[attacker.verdict.target])
    moved = [digest for digest in regions if abs(outcomes[digest].after - before) > _MOVED]
    if attack.one_by_one or len(moved) < LEAST:
        return
    draws = generator(attacker.seed, attacker.key, name, "attacked alone")
    digests = draws.permutation(moved)[:REGIONS].tolist()
    alone = [attacker.outcomes(name, attack, {digest: regions[digest]})[0][digest].after for digest in digests]
    together = [outcomes[digest].after for digest in digests]
    apart = [(one, other) for one, other in zip(alone, together, strict=True) if abs(one - other) > TOLERANCE]
    if len(apart) >= LEAST:
        one, other = max(apart, key=lambda pair: abs(pair[0] - pair[1]))
        raise InputError(
            f"attack {name} leaves the verdict a probability of {one:.2f} in a region that is attacked alone, and of "
            f"{other:.2f} where others are attacked with it: it mixes the pairs of a batch (a mean over them, a stop "
            "for all); let it treat each pair by itself, or be `one_by_one`"
        )
