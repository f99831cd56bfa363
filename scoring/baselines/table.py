"""The baselines by name: what each attacks, in words, and how strong it is expected to be.

The one table that the protocol, the statistics and the report read. Its order is that of the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

RANDOM, RANDOM_AREA, BOTTOM, RANDOM_MODEL = "random", "random-area", "bottom-k", "random-model"
CENTRE, EDGES, MASK, ORACLE, WHOLE = "face-centre", "edges", "mask", "oracle", "whole"


@dataclass(frozen=True)
class Baseline:
    """A ranking or a region that no explanation made.

    Attributes:
        words: what is attacked, for people.
        rank: among the baselines when they are sorted by strength, from 0, the strongest.
        owned: whether every method has one of its own, which follows from the method's ranking or areas.
    """

    words: str
    rank: int
    owned: bool = False


BASELINES: Mapping[str, Baseline] = {
    RANDOM: Baseline("random segments", 6),
    RANDOM_AREA: Baseline("connected random regions as large as those of a ranking", 5, owned=True),
    BOTTOM: Baseline("the segments that the explanation ranks last", 7, owned=True),
    CENTRE: Baseline("the segments nearest to the middle of the face", 2),
    EDGES: Baseline("the segments with the strongest edges", 3),
    WHOLE: Baseline("the whole frame: the most that an attack can reach", 8),
    ORACLE: Baseline("the best that any region of the frame does, the whole of it included", 0),
    MASK: Baseline("the segments that were truly manipulated", 1),
    RANDOM_MODEL: Baseline("the explanation of a detector with random weights", 4, owned=True),
}
"""Every baseline by name, in the order of the tables."""

UNINFORMED = (CENTRE, EDGES)
"""Baselines that know nothing of the detector, nor of the forgery: what an explanation must beat, beside chance."""

STRONGEST_FIRST: tuple[str, ...] = tuple(sorted(BASELINES, key=lambda name: BASELINES[name].rank))
"""The names in the order in which people read them: from the ceiling down."""
