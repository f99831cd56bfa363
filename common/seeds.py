"""Randomness that depends only on what it is for: never on order, resuming, sharding or batch size."""

import hashlib

import numpy as np


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2**63) from a run's seed and the parts that name a draw (frame key, method, ...).

    The same arguments give the same seed on every machine; different parts give independent seeds.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator (PCG64) seeded by `derive_seed(seed, *purpose)`."""
    return np.random.default_rng(derive_seed(seed, *purpose))
