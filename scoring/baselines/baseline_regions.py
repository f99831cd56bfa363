"""The regions of every baseline that needs no attack to be known."""

from collections.abc import Callable, Sequence

import numpy as np

from scoring.baselines import rankings
from scoring.baselines.contiguous import Contiguous
from scoring.baselines.table import (
    BASELINES,
    BOTTOM,
    CENTRE,
    EDGES,
    MASK,
    RANDOM,
    RANDOM_AREA,
    RANDOM_MODEL,
    UNINFORMED,
    WHOLE,
)
from scoring.explaining import Explained
from scoring.protocol import Protocol
from xai.regions import ALL, RankedRegion, Ranking, empty_regions, regions_at

OWNED = (RANDOM_AREA, BOTTOM, RANDOM_MODEL)
"""Baselines of which every method has one of its own; of random regions of their area the uninformed ones, too."""


def baseline_regions(
    explained: Explained, protocol: Protocol, seed: int, key: str, randomised_rankings: Callable[[], list[Ranking]]
) -> list[RankedRegion]:
    """The regions of the protocol's baselines, all but the oracle's.

    Args:
        explained: the frame, explained.
        protocol: which baselines, at what depths, and with how many draws.
        seed: with `key`, of every draw.
        key: the frame's name.
        randomised_rankings: makes the rankings of "random-model"; called only where that is wanted.
    """
    segments = explained.segments
    makers: dict[str, Callable[[], list[Ranking]]] = {
        RANDOM: lambda: rankings.random(segments, protocol.draws, seed, key),
        BOTTOM: lambda: [rankings.bottom(ranking) for ranking in explained.rankings],
        CENTRE: lambda: [rankings.face_centre(segments)],
        EDGES: lambda: [rankings.edges(segments, explained.image)],
        MASK: lambda: [] if explained.mask is None else [rankings.mask(segments, explained.mask)],
        RANDOM_MODEL: randomised_rankings,
    }
    ranked = [ranking for baseline in protocol.baselines if baseline in makers for ranking in makers[baseline]()]
    ranked_regions = [
        ranked_region for ranking in ranked for ranked_region in regions_at(ranking, segments, protocol.depths)
    ]
    if RANDOM_AREA in protocol.baselines:
        compared = [*explained.ranked_regions, *(r for r in ranked_regions if r.ranking.method in UNINFORMED)]
        ranked_regions += _same_areas(segments, compared, protocol.area_draws, seed, key)
    if WHOLE in protocol.baselines:
        order = np.arange(int(segments.max()) + 1)
        ranked_regions.append(RankedRegion(Ranking(order, WHOLE), ALL, len(order), np.ones(segments.shape, dtype=bool)))
    return ranked_regions


def unexplained(
    methods: Sequence[tuple[str, str]], protocol: Protocol, shape: tuple[int, ...], has_mask: bool
) -> list[RankedRegion]:
    """Empty regions of `methods` (name, fill) and baselines, for a frame without a fake verdict to explain.

    Those that the frame would have with such a verdict: "mask" has some only where the frame `has_mask`.
    """
    named = [Ranking(_NOBODY, name, fill=fill) for name, fill in methods]
    for baseline in (name for name in BASELINES if protocol.has(name) and (name != MASK or has_mask)):
        owners = [name for name, _ in methods] if baseline in OWNED else [""]
        if baseline == RANDOM_AREA:
            owners += [name for name in UNINFORMED if protocol.has(name)]
        named += [Ranking(_NOBODY, baseline, of=owner) for owner in owners]
    return [
        ranked_region
        for ranking in named
        for ranked_region in empty_regions(ranking, shape, (ALL,) if ranking.method == WHOLE else protocol.depths)
    ]


_NOBODY = np.zeros(0, dtype=np.int64)


def _same_areas(
    segments: np.ndarray, ranked_regions: Sequence[RankedRegion], draws: int, seed: int, key: str
) -> list[RankedRegion]:
    """Contiguous random regions of the area of each of some regions."""
    random = Contiguous(segments, seed, key)
    drawn = []
    for ranked_region in ranked_regions:
        for draw in range(draws):
            region, k = random.region(int(ranked_region.region.sum()), draw)
            ranking = Ranking(_NOBODY, RANDOM_AREA, of=ranked_region.ranking.method, draw=draw)
            drawn.append(RankedRegion(ranking, ranked_region.depth, k, region))
    return drawn
