"""The regions of every reference arm that needs no attack to be known."""

from collections.abc import Callable, Sequence

import numpy as np

from scoring.arms import rankings
from scoring.arms.contiguous import Contiguous
from scoring.explaining import Explained
from scoring.protocol import (
    ARMS,
    BOTTOM,
    CENTRE,
    EDGES,
    MASK,
    RANDOM,
    RANDOM_AREA,
    RANDOM_MODEL,
    WHOLE,
    Protocol,
)
from scoring.regions import ALL, Choice, Ranking, choose, nothing

OWNED = (RANDOM_AREA, BOTTOM, RANDOM_MODEL)
"""Arms that every method has one of its own of."""


def references(
    explained: Explained, protocol: Protocol, seed: int, key: str, untaught: Callable[[], list[Ranking]]
) -> list[Choice]:
    """The regions of the wanted arms but the oracle; `untaught` gives the rankings of "random-model"."""
    segments = explained.segments
    makers: dict[str, Callable[[], list[Ranking]]] = {
        RANDOM: lambda: rankings.random(segments, protocol.draws, seed, key),
        BOTTOM: lambda: [rankings.bottom(each) for each in explained.rankings],
        CENTRE: lambda: [rankings.face_centre(segments)],
        EDGES: lambda: [rankings.edges(segments, explained.image)],
        MASK: lambda: [] if explained.mask is None else [rankings.mask(segments, explained.mask)],
        RANDOM_MODEL: untaught,
    }
    ranked = [ranking for arm in protocol.arms if arm in makers for ranking in makers[arm]()]
    choices = [choice for each in ranked for choice in choose(each, segments, protocol.depths)]
    if RANDOM_AREA in protocol.arms:
        choices += _same_areas(segments, explained.choices, protocol.area_draws, seed, key)
    if WHOLE in protocol.arms:
        order = np.arange(int(segments.max()) + 1)
        choices.append(Choice(Ranking(order, WHOLE), ALL, len(order), np.ones(segments.shape, dtype=bool)))
    return choices


def unexplained(methods: Sequence[tuple[str, str]], protocol: Protocol, shape: tuple[int, ...]) -> list[Choice]:
    """Empty regions of `methods` (name, fill) and arms, for a frame without a fake verdict to explain."""
    named = [Ranking(_NOBODY, name, fill=fill) for name, fill in methods]
    for arm in (arm for arm in ARMS if arm in protocol.arms):
        owners = [name for name, _ in methods] if arm in OWNED else [""]
        named += [Ranking(_NOBODY, arm, of=owner) for owner in owners]
    return [
        choice for each in named for choice in nothing(each, shape, (ALL,) if each.method == WHOLE else protocol.depths)
    ]


_NOBODY = np.zeros(0, dtype=np.int64)


def _same_areas(segments: np.ndarray, choices: Sequence[Choice], draws: int, seed: int, key: str) -> list[Choice]:
    """Contiguous random regions of the area of each region of a method."""
    random = Contiguous(segments, seed, key)
    found = []
    for choice in choices:
        for draw in range(draws):
            region, k = random.region(int(choice.region.sum()), draw)
            ranking = Ranking(_NOBODY, RANDOM_AREA, of=choice.ranking.method, draw=draw)
            found.append(Choice(ranking, choice.depth, k, region))
    return found
