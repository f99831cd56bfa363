"""The evidence that a method's region decides this very verdict: against random regions, and against the best."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.statistics.permutation import holm
from attacks.pgd import PGD
from common.seeds import generator
from examination.areas import best_region
from examination.moves import RegionMoves, strength
from scoring.flip_threshold import THRESHOLD_DEPTH, FlipThresholdSearch
from scoring.protocol import BUDGET, Protocol
from scoring.region_attacker import RegionAttacker
from xai.regions import ALL, RankedRegion, Ranking

LEVEL = 0.05
"""A corrected p-value up to this is called evidence."""
FEWEST = 99
"""Random regions at least: so that a p-value can be 0.01."""
WHOLE, BEST = "whole picture", "best region"
_ROUNDING = 1e-5  # of log-odds, relative: what differs by less is tied
_SEARCH = Protocol(flip_thresholds=(BUDGET,), threshold_draws=1, threshold_steps=10, budget_rounds=5)


@dataclass(frozen=True)
class Evidence:
    """What attacking one method's region does to one verdict.

    Attributes:
        move: how much lower it brings the log-odds of the picture being manipulated, at least 0.
        p: the share of the random regions and itself that move it at least as much: ties count against the method.
        p_corrected: that by Holm over the methods.
        p_exact: with ties parted by lot, uniform where the method is one of the random regions.
        rank: of its move among those of all random regions and itself, 1 the largest, parted likewise.
        share: of the move of the best region that is known, in [0, 1]; NaN where nothing moves it.
        budget: the smallest L-infinity budget on the region that flips the verdict, in (0, 1]; None where the largest
            does not, or it was not looked for.
    """

    move: float
    p: float
    p_corrected: float
    p_exact: float
    rank: int
    share: float
    budget: float | None


@dataclass(frozen=True, eq=False)
class FrameEvidence:
    """The evidence of all methods on one picture.

    Attributes:
        methods: by name.
        strength: the log-odds of the picture being manipulated, before any attack.
        area: of every region, in pixels.
        random_moves: (n,) of the random regions.
        best_move: of the best region known.
        best_region: (H, W) bool.
        budgets: the smallest that flips by attacking the best region and the whole picture; None as in `Evidence`.
        budgets_sought: whether smallest budgets were looked for.
    """

    methods: Mapping[str, Evidence]
    strength: float
    area: int
    random_moves: np.ndarray
    best_move: float
    best_region: np.ndarray
    budgets: Mapping[str, float | None]
    budgets_sought: bool


def regions_needed(methods: int) -> int:
    """How many random regions, so that the smallest p-value stays evidence when it is corrected over the methods."""
    return max(FEWEST, math.ceil(methods / LEVEL / 100) * 100 - 1)


def rank_p(move: float, others: np.ndarray, lot: np.random.Generator, tie: float = 0.0) -> tuple[float, float, int]:
    """Ranks a region's move among those of random regions: the p-value, the exact p-value and the rank.

    If the region is drawn as the others are, every rank is as likely, however the detector is made. The p-value counts
    ties against the region: it is never too small. The exact one parts them by lot, and is uniform on 1/(n+1) .. 1.

    Args:
        move: of the region.
        others: (n,) of the random regions.
        lot: draws its place among ties.
        tie: what differs by no more is tied.
    """
    ahead = int((others > move + tie).sum())
    tied = int((np.abs(others - move) <= tie).sum())
    rank = 1 + ahead + int(lot.integers(tied + 1))
    return (1 + ahead + tied) / (len(others) + 1), rank / (len(others) + 1), rank


def find_evidence(
    segments: np.ndarray,
    regions: Mapping[str, np.ndarray],
    moved: RegionMoves,
    drawn: np.ndarray,
    attacker: RegionAttacker,
) -> FrameEvidence:
    """Attacks the methods' regions, random ones of their area, every segment, and what the strongest of them make.

    Args:
        segments: (S, S) labels 0..K-1, of which the best region is joined.
        regions: by method, (S, S) bool, all of one area.
        moved: attacks each region of the image, which is called manipulated; its attack should not draw.
        drawn: (n, S, S) bool, random regions of that area.
        attacker: finds what flips; its seed and key are those of all draws.

    Raises:
        InputError: as the attack does.
    """
    seed, key, attack = attacker.seed, attacker.key, moved.attack
    names = list(regions)
    area = int(regions[names[0]].sum())
    own, random_moves = np.stack([regions[name] for name in names]), moved(drawn)
    own_moves = moved(own)
    proposed = _proposed(segments, moved, area)
    candidates = np.concatenate([own, drawn, proposed])
    candidate_moves = np.concatenate([own_moves, random_moves, moved(proposed)])
    at = int(candidate_moves.argmax())
    best, best_move = candidates[at], float(candidate_moves[at])
    before = strength(moved.detector, moved.image, attacker.batch_size)
    tie = _ROUNDING * max(1.0, abs(before))
    ranks = {
        name: rank_p(float(move), random_moves, generator(seed, key, "ties", name), tie)
        for name, move in zip(names, own_moves, strict=True)
    }
    corrected = dict(zip(names, holm(np.array([ranks[name][0] for name in names])), strict=True))
    sought = isinstance(attack, PGD)
    budgets = _budgets(attacker, segments, {**regions, BEST: best}, attack.epsilon) if sought else {}
    return FrameEvidence(
        methods={
            name: Evidence(
                move=float(move),
                p=ranks[name][0],
                p_corrected=float(corrected[name]),
                p_exact=ranks[name][1],
                rank=ranks[name][2],
                share=float(move) / best_move if best_move > tie else float("nan"),
                budget=budgets.get(name),
            )
            for name, move in zip(names, own_moves, strict=True)
        },
        strength=before,
        area=area,
        random_moves=random_moves,
        best_move=best_move,
        best_region=best,
        budgets={name: budgets.get(name) for name in (BEST, WHOLE)},
        budgets_sought=sought,
    )


def _proposed(segments: np.ndarray, moved: Callable[[np.ndarray], np.ndarray], area: int) -> np.ndarray:
    """Regions that may be the best, (2, H, W): of the segments that alone move most, in all and by the pixel."""
    alone = moved(np.stack([segments == label for label in range(int(segments.max()) + 1)]))
    by_pixel = alone / np.bincount(segments.ravel())
    return np.stack([best_region(segments, np.argsort(-values, kind="stable"), area) for values in (alone, by_pixel)])


def _budgets(
    attacker: RegionAttacker, segments: np.ndarray, regions: Mapping[str, np.ndarray], most: float
) -> dict[str, float | None]:
    """By name of the region and for the whole picture, the smallest budget that flips; None where `most` does not."""
    nothing = np.zeros(0, dtype=np.int64)
    ranked = [RankedRegion(Ranking(nothing, name), THRESHOLD_DEPTH, 0, region) for name, region in regions.items()]
    ranked.append(RankedRegion(Ranking(nothing, WHOLE), ALL, 0, np.ones(segments.shape, dtype=bool)))
    found = FlipThresholdSearch(attacker, segments, _SEARCH, most)(ranked)
    return {ranking.method: value if flipped else None for ranking, _, _, value, flipped in found}
