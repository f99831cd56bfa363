"""The evidence of one picture, held to planted detectors and, where there is nothing to find, to the uniform law."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from attacks.pgd import PGD
from common.seeds import generator
from detectors import Detector
from examination.areas import best_region, common_area, random_regions
from examination.evidence import BEST, WHOLE, FrameEvidence, find_evidence, rank_p, regions_needed
from examination.moves import RegionMoves
from scoring.region_attacker import RegionAttacker, Verdict
from tests.toys import LinearDetector, PatchDetector
from xai.segments import Segments

SIZE = 48
ATTACK = PGD(epsilon=8 / 255, alpha=5 / 255, steps=4, random_start=False)


class Deaf(Detector):
    """Ignores its input: every answer is drawn anew."""

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self, size: int, seed: int) -> None:
        super().__init__()
        self.input_size = size
        self.draws = torch.Generator().manual_seed(seed)

    def forward(self, images: Tensor) -> Tensor:
        drawn = torch.randn(len(images), generator=self.draws) + 0.0 * images.flatten(1).sum(1)
        return torch.stack([torch.zeros_like(drawn), drawn], dim=1)


def evidence(detector: Detector, image: Tensor, regions: Mapping[str, np.ndarray], count: int = 99) -> FrameEvidence:
    chances = detector(image[None]).softmax(dim=1)[0].detach()
    attacker = RegionAttacker(detector, image, Verdict(chances, int(chances.argmax()), 1, -1), 0, "a", 32)
    segments = Segments(count=64, kind="grid")(image)
    drawn = random_regions(segments, common_area(segments), count, 0, "a")
    moved = RegionMoves(detector, image, ATTACK, 0, "a", 32)
    return find_evidence(segments, regions, moved, drawn, attacker)


def test_a_method_that_points_at_the_planted_patch_has_evidence_and_another_has_none() -> None:
    detector = PatchDetector(SIZE, slice(18, 24), slice(12, 30), threshold=0.49)  # three of the 6 x 6 segments
    image = torch.full((3, SIZE, SIZE), 0.5)
    segments = Segments(count=64, kind="grid")(image)
    order = np.argsort(-np.bincount(segments.ravel(), detector_patch(detector).ravel()), kind="stable")
    area = common_area(segments)
    regions = {"good": best_region(segments, order, area), "bad": best_region(segments, order[::-1], area)}
    found = evidence(detector, image, regions, regions_needed(2))
    good, bad = found.methods["good"], found.methods["bad"]
    assert good.p <= 0.01
    assert good.p_corrected <= 0.02
    assert good.share >= 0.9
    others = 3 * np.exp(-4.0)  # of the three classes that never move
    dark = 0.4 - detector.gain * ATTACK.epsilon  # all of the patch darker by epsilon
    assert good.move == pytest.approx(np.log(np.exp(0.4) + others) - np.log(np.exp(dark) + others), rel=1e-3)
    assert good.budget == pytest.approx(0.01, rel=0.25)  # the patch is 0.01 above the threshold; budgets are a grid
    assert (bad.move, bad.p, bad.share, bad.budget) == (0.0, 1.0, 0.0, None)
    assert found.budgets[BEST] is not None
    assert found.budgets[WHOLE] == found.budgets[BEST]
    assert found.strength == pytest.approx(0.4 + np.log(1 + 3 * np.exp(-4.4)), rel=1e-3)


def detector_patch(detector: PatchDetector) -> np.ndarray:
    patch = np.zeros((SIZE, SIZE))
    patch[detector.rows, detector.columns] = 1
    return patch


def test_the_move_of_a_linear_detector_is_the_budget_times_the_weights() -> None:
    weight = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1))
    detector, image = LinearDetector(weight, bias=300.0), torch.full((3, 16, 16), 0.5)
    regions = np.random.default_rng(0).random((5, 16, 16)) < 0.3
    found = RegionMoves(detector, image, ATTACK, 0, "a", 4)(regions)
    expected = [ATTACK.epsilon * weight[:, torch.from_numpy(region)].abs().sum() for region in regions]
    assert found == pytest.approx(np.array(expected), rel=2e-3)


@pytest.mark.parametrize("steepness", [1, 100])
def test_a_move_does_not_end_where_the_verdict_flips(steepness: int) -> None:
    weight = torch.full((3, 16, 16), float(steepness))
    detector, image = LinearDetector(weight, bias=0.1 - 0.5 * 768 * steepness), torch.full((3, 16, 16), 0.5)
    small, large = np.zeros((2, 16, 16), dtype=bool)
    small[:4], large[:8] = True, True
    found = RegionMoves(detector, image, ATTACK, 0, "a", 4)(np.stack([small, large]))
    expected = ATTACK.epsilon * 768 * steepness * np.array([0.25, 0.5])
    assert found == pytest.approx(expected, rel=1e-2)  # either flips it


def test_p_values_are_uniform_for_a_detector_that_ignores_its_input() -> None:
    """Kolmogorov and Smirnov over 200 toys, with a fixed region as the method's, whose draws no region shares."""
    segments = Segments(count=16, kind="grid")(torch.zeros(3, 8, 8))
    own = best_region(segments, np.arange(16), common_area(segments))[None]
    attack, found = PGD(epsilon=8 / 255, alpha=8 / 255, steps=1, random_start=False), []
    for toy in range(200):
        regions = np.concatenate([own, random_regions(segments, int(own.sum()), 99, toy, "toy")])
        all_moves = RegionMoves(Deaf(8, toy), torch.full((3, 8, 8), 0.5), attack, toy, "toy", 128)(regions)
        found.append(rank_p(all_moves[0], all_moves[1:], generator(toy, "lot"))[:2])
    safe, exact = np.array(found).T
    assert kstest(exact - 0.005, "uniform").pvalue > 0.01  # the middle of each of the hundred steps
    assert all((safe <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 200) for level in (0.01, 0.05, 0.2))


def test_ties_count_against_a_method_and_are_parted_by_lot_in_the_exact_p_value() -> None:
    constant = [rank_p(0.0, np.zeros(99), generator(seed, "lot")) for seed in range(400)]
    assert {p for p, _, _ in constant} == {1.0}  # a detector that never moves gives no evidence
    assert kstest([exact - 0.005 for _, exact, _ in constant], "uniform").pvalue > 0.01
    assert rank_p(3.0, np.array([5.0, 3.0, 1.0]), generator(0))[0] == 3 / 4
    assert rank_p(3.0, np.array([5.0, 4.0, 1.0]), generator(0)) == (3 / 4, 3 / 4, 3)


def test_enough_regions_are_drawn_for_evidence_after_correction() -> None:
    assert [regions_needed(methods) for methods in (1, 5, 6, 8, 12)] == [99, 99, 199, 199, 299]
    assert all(methods / (regions_needed(methods) + 1) <= 0.05 for methods in range(1, 60))
