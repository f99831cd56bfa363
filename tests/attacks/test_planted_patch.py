"""End to end: attacking the patch that decides the verdict flips it, attacking elsewhere does not."""

import pytest
import torch

from attacks import build_attack
from detectors.queries import Queries
from tests.attacks.nets import EPSILON, SIZE, some_images, squares
from tests.toys import PatchDetector

ATTACKS = ["nes", "pgd", "fgsm", "torchattacks:APGD", "torchattacks:MIFGSM"]
PATCH = slice(8, 16), slice(10, 18)
ON, CORNER, BELOW, PARTLY = (8, 10), (0, 0), (20, 20), (14, 16)


@pytest.mark.parametrize("preset", ["published", "quick"])
@pytest.mark.parametrize("name", ATTACKS)
def test_only_the_region_on_the_patch_flips(name: str, preset: str) -> None:
    detector = PatchDetector(SIZE, *PATCH, threshold=0.48)
    images = some_images(1, spread=0.3).expand(4, -1, -1, -1).contiguous()
    regions = squares(ON, CORNER, BELOW, PARTLY, side=8)
    assert (Queries(detector).logits(images).argmax(1) == 3).all()
    result = build_attack(name, preset)(detector, images, regions, [1, 2, 3, 4])
    assert result.flipped.tolist() == [True, False, False, False]
    assert (Queries(detector).logits(result.images).argmax(1) == 0).tolist() == [True, False, False, False]
    change = (result.images - images).abs()
    assert change.max() <= EPSILON + 1e-6
    assert torch.equal(change.amax(dim=1) > 0, (change.amax(dim=1) > 0) & regions)


@pytest.mark.parametrize("name", ["pgd", "fgsm", "torchattacks:APGD"])
def test_the_budget_decides_exactly(name: str) -> None:
    """Every pixel of the patch can darken by epsilon and no more, so the threshold tells where it must flip."""
    images, regions = torch.full((1, 3, SIZE, SIZE), 0.5), squares(ON, side=8)
    for epsilon in (4 / 255, EPSILON):
        for margin, flips in ((-0.001, True), (0.001, False)):
            detector = PatchDetector(SIZE, *PATCH, threshold=0.5 - epsilon - margin)
            result = build_attack(name, overrides={"epsilon": epsilon})(detector, images, regions, [1])
            assert result.flipped.tolist() == [flips], (epsilon, margin)


def test_quick_nes_costs_little_and_flips_most_of_what_the_published_flips() -> None:
    count = 6
    images = some_images(count, spread=0.3)
    regions = squares(*[ON] * count, side=8)
    thresholds = torch.linspace(0.47, 0.50, count).tolist()
    flips = {}
    for preset in ("published", "quick"):
        results = [
            build_attack("nes", preset)(
                PatchDetector(SIZE, *PATCH, threshold), images[i : i + 1], regions[i : i + 1], [i]
            )
            for i, threshold in enumerate(thresholds)
        ]
        flips[preset] = sum(int(result.flipped) for result in results)
        cost = max(int(result.forwards) for result in results)
        assert cost <= {"published": 1 + 50 * 81, "quick": 400}[preset]
    assert flips["published"] >= 5
    assert flips["quick"] >= 0.6 * flips["published"]
