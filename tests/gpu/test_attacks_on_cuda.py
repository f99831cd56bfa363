"""Attacks on CUDA do what they do on the CPU, up to rounding, and their results come back."""

import dataclasses

import pytest
import torch

from attacks import RegionAttack, build_attack
from tests.attacks.nets import ConvDetector, everywhere, some_images, squares

pytestmark = pytest.mark.gpu

SEEDS = [21, 22, 23, 24]
REGIONS = torch.cat([squares((0, 0), (9, 14), (20, 20)), everywhere(1)])
ATTACKS = {
    "nes, exact": build_attack("nes", overrides={"steps": 12}),
    "nes, finite": build_attack("nes", overrides={"steps": 12, "derivatives": "finite"}),
    "pgd": build_attack("pgd"),
    "fgsm": build_attack("fgsm"),
    "torchattacks:MIFGSM": build_attack("torchattacks:MIFGSM"),
}
TURNED = 0.01  # the share of pixels whose step may have another sign, where the estimate is as good as zero


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_results_equal_the_cpus_up_to_rounding(cuda: torch.device, attack: RegionAttack) -> None:
    images = some_images(4, seed=3, spread=0.6)
    here = attack(ConvDetector(), images, REGIONS, SEEDS)
    there = attack(ConvDetector().to(cuda), images, REGIONS, SEEDS)
    assert (here.steps > 0).all()
    assert all(getattr(there, part.name).device.type == "cpu" for part in dataclasses.fields(there))
    for name in ("flipped", "steps", "forwards", "queries"):
        assert torch.equal(getattr(here, name), getattr(there, name)), name
    moved = (here.images - there.images).abs()
    assert (moved[REGIONS[:, None].expand_as(moved)] > 1e-6).float().mean() < TURNED
    assert torch.allclose(here.logits.log_softmax(1), there.logits.log_softmax(1), atol=0.02)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_images_on_cuda_are_taken_as_those_on_the_cpu(cuda: torch.device, attack: RegionAttack) -> None:
    images, detector = some_images(4, seed=3, spread=0.6), ConvDetector().to(cuda)
    here, there = (attack(detector, pixels, REGIONS, SEEDS) for pixels in (images, images.to(cuda)))
    assert torch.equal(here.images, there.images)
    assert torch.equal(here.logits, there.logits)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_same_attack_twice_is_the_same_and_draws_nothing_from_the_devices_generator(
    cuda: torch.device, attack: RegionAttack
) -> None:
    images, detector, results = some_images(4, seed=3, spread=0.6), ConvDetector().to(cuda), []
    for seed in (1, 2):
        torch.cuda.manual_seed(seed)
        before = torch.cuda.get_rng_state(cuda)
        results.append(attack(detector, images, REGIONS, SEEDS).images)
        assert torch.equal(torch.cuda.get_rng_state(cuda), before)
    assert torch.equal(*results)


def test_the_original_comes_back_outside_the_region(cuda: torch.device) -> None:
    images = some_images(4, seed=3, spread=0.6)
    result = ATTACKS["nes, exact"](ConvDetector().to(cuda), images, REGIONS, SEEDS)
    outside = ~REGIONS[:, None].expand_as(images)
    assert torch.equal(result.images[outside], images[outside])
    assert not torch.equal(result.images, images)
