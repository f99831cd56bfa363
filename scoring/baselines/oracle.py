"""The oracle: the best ranking that single attacks can find, and so the ceiling of every method's score."""

from collections.abc import Mapping, Sequence

import numpy as np

from scoring.baselines.table import ORACLE
from scoring.region_attacker import Outcome
from xai.regions import Ranking, digest_of

POOL_DEPTH = 3


def candidates(segments: np.ndarray, rankings: Sequence[Ranking], pool: bool) -> list[int]:
    """The segments that the oracle tries: all, or with `pool` those among the best three of some ranking.

    A ranking of a method's own segments says nothing of the frame's.
    """
    if not pool:
        return list(range(int(segments.max()) + 1))
    shared = [ranking for ranking in rankings if ranking.segments is None]
    return sorted({int(label) for ranking in shared for label in ranking.order[:POOL_DEPTH]})


def ranked(segments: np.ndarray, tried: Sequence[int], outcomes: Mapping[str, Outcome]) -> Ranking:
    """The tried segments by what attacking each alone did: flips first, then the lowest p(target) left.

    Joined in that order they make the oracle's regions. Segments that were not tried come last, by label. `outcomes`
    is by region digest.
    """
    alone = {label: outcomes[digest_of(segments == label)] for label in tried}
    best = sorted(alone, key=lambda label: (not alone[label].flipped, alone[label].after, label))
    rest = [label for label in range(int(segments.max()) + 1) if label not in alone]
    return Ranking(np.array([*best, *rest], dtype=np.int64), ORACLE)
