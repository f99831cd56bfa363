"""The bridge against torchattacks itself and against naive loops."""

import random

import numpy as np
import pytest
import torch
import torchattacks
from torch import Tensor

from attacks import Batch, build_attack
from attacks.torchattacks_bridge import BATCHED, FGSM, PGD, TorchAttack, torch_attack
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries
from tests.attacks.nets import EPSILON, SIZE, ConvDetector, everywhere, some_images, squares
from tests.toys import LinearDetector, PatchDetector

SEEDS = [21, 22, 23]
CORNERS = ((0, 0), (9, 14), (20, 20))


def start_of(seed: int) -> int:
    """The seed that the bridge gives the library for a pair."""
    return int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(seed)))


def reference(name: str, detector: Detector, image: Tensor, seed: int, **settings: object) -> Tensor:
    """What torchattacks itself makes of one whole image, targeted at Real."""
    attack = getattr(torchattacks, name)(detector, **settings)
    attack.set_mode_targeted_by_label(quiet=True)
    with torch.random.fork_rng([]):
        torch.manual_seed(start_of(seed))
        return attack(image[None], torch.tensor([detector.real]))[0]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("PGD", {"eps": EPSILON, "alpha": 4 / 255, "steps": 10, "random_start": True}),
        ("FGSM", {"eps": EPSILON}),
        ("MIFGSM", {"eps": EPSILON, "alpha": 4 / 255}),
        ("RFGSM", {"eps": EPSILON, "alpha": 4 / 255}),
        ("PGDL2", {"eps": 1.0}),
    ],
)
def test_on_the_whole_image_it_is_torchattacks_itself(name: str, settings: dict[str, object]) -> None:
    detector, images = ConvDetector(), some_images(3)
    result = build_attack(f"torchattacks:{name}")(detector, images, everywhere(3), SEEDS)
    for image, seed, found in zip(images, SEEDS, result.images, strict=True):
        expected = reference(name, detector, image, seed, **settings)
        expected = expected.clamp(image - EPSILON, image + EPSILON)  # only PGDL2 leaves the L-infinity ball
        assert torch.allclose(found, expected, atol=1e-6)
        assert (expected - image).abs().max() > 1 / 255


def masked_pgd(detector: Detector, image: Tensor, region: Tensor, seed: int, steps: int, alpha: float) -> Tensor:
    """Projected gradient descent towards Real inside a region, written out."""
    start = torch.empty(1, *image.shape).uniform_(
        -EPSILON, EPSILON, generator=torch.Generator().manual_seed(start_of(seed))
    )[0]
    now = (image + start * region).clamp(0, 1)
    for _ in range(steps):
        now = now.detach().requires_grad_()
        log_p = detector(now[None]).log_softmax(1)[0, detector.real]
        (slope,) = torch.autograd.grad(log_p, now)
        moved = now.detach() + alpha * slope.sign() * region
        now = torch.maximum(torch.minimum(moved, image + EPSILON), image - EPSILON).clamp(0, 1)
    return now.detach()


def test_inside_a_region_it_is_a_naive_masked_pgd() -> None:
    detector, images, regions = ConvDetector(), some_images(3), squares(*CORNERS)
    result = PGD()(detector, images, regions, SEEDS)
    for pair, seed in enumerate(SEEDS):
        expected = masked_pgd(detector, images[pair], regions[pair], seed, steps=10, alpha=4 / 255)
        assert torch.allclose(result.images[pair], expected, atol=1e-6)
    outside = ~regions[:, None].expand_as(images)
    assert torch.equal(result.images[outside], images[outside])


def test_inside_a_region_fgsm_takes_one_step_of_the_whole_budget() -> None:
    detector, images, regions = ConvDetector(), some_images(3), squares(*CORNERS)
    result = FGSM()(detector, images, regions, SEEDS)
    x = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(detector(x).log_softmax(1)[:, 0].sum(), x)
    expected = (images + EPSILON * slope.sign() * regions[:, None]).clamp(0, 1)
    assert torch.allclose(result.images, expected, atol=1e-6)
    assert result.steps.tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", sorted(BATCHED))
def test_batched_attacks_treat_every_pair_as_if_alone(name: str) -> None:
    detector, images, regions = ConvDetector(), some_images(3), squares(*CORNERS)
    attack = torch_attack(name)()
    together = attack(detector, images, regions, SEEDS)
    for pair, seed in enumerate(SEEDS):
        alone = attack(detector, images[pair : pair + 1], regions[pair : pair + 1], [seed])
        assert torch.allclose(together.images[pair], alone.images[0], atol=1e-6)
        assert together.forwards[pair] == alone.forwards[0]


@pytest.mark.parametrize("name", ["PGD", "FGSM", "APGD", "Square", "CW", "Pixle", "SPSA"])
def test_global_generators_neither_matter_nor_change(name: str) -> None:
    overrides = {"Square": {"n_queries": 10}, "Pixle": {"restarts": 2}}.get(name, {})
    attack = build_attack(f"torchattacks:{name}", overrides=overrides)
    detector, images, regions = PatchDetector(SIZE, slice(8, 16), slice(8, 16), 0.2), some_images(2), everywhere(2)
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the state under test
        random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        runs.append(attack(detector, images, regions, [1, 2]).images)
        after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
    assert torch.equal(*runs)


def test_a_detector_that_draws_numbers_is_attacked_pair_by_pair() -> None:
    class Jittered(PatchDetector):
        """Draws one number per call: which pair would it belong to?"""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images + 0.01 * torch.rand(()))

    detector = Jittered(SIZE, slice(8, 16), slice(8, 16), 0.2)
    images, regions = some_images(2, spread=0.2), everywhere(2)
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        runs.append(PGD()(detector, images, regions, [1, 2]))
        alone = PGD()(detector, images[1:], regions[1:], [2])
        assert torch.equal(runs[-1].images[1], alone.images[0])
    assert torch.equal(runs[0].images, runs[1].images)


def test_forwards_are_counted() -> None:
    detector = PatchDetector(SIZE, slice(8, 16), slice(8, 16), 0.1)
    for name, spent in (("pgd", 10), ("fgsm", 1), ("torchattacks:VMIFGSM", 60), ("torchattacks:GN", 1)):
        result = build_attack(name)(detector, some_images(3), everywhere(3), SEEDS, batch_size=8)
        # GN asks nothing, but going away from a class needs the class; then there are the two verdicts
        assert result.forwards.tolist() == [spent + 2] * 3, name
    assert build_attack("torchattacks:Square", overrides={"n_queries": 40})(
        detector, some_images(1), everywhere(1), [0]
    ).forwards.tolist() == [45]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("APGD", {"steps": 20}),
        ("Square", {"n_queries": 200}),
        ("CW", {"c": 10.0}),
        ("PGDL2", {"eps": 3.0}),
        ("FAB", {}),
        ("DeepFool", {}),
        ("PIFGSM", {}),
        ("TIFGSM", {}),
        ("EOTPGD", {}),
    ],
)
def test_attacks_of_all_kinds_flip_a_patch_and_stay_in_bounds(name: str, overrides: dict[str, object]) -> None:
    detector = PatchDetector(SIZE, slice(8, 16), slice(8, 16), threshold=0.485)
    images, regions = some_images(2, spread=0.1), squares((6, 6), (18, 18))
    result = build_attack(f"torchattacks:{name}", overrides=overrides)(detector, images, regions, [0, 1])
    assert result.flipped.tolist() == [True, False]
    change = (result.images - images).abs()
    assert change.max() <= EPSILON + 1e-6
    assert change[~regions[:, None].expand_as(change)].max() == 0


def test_epsilon_is_the_attacks_own_budget() -> None:
    detector, images = PatchDetector(SIZE, slice(0, 32), slice(0, 32), 0.1), some_images(1, spread=0.5)
    for name in ("PGD", "FGSM", "PIFGSM", "APGD", "SPSA"):
        seen: list[float] = []

        class Spy(getattr(torchattacks, name)):  # type: ignore[misc]
            def forward(self, inputs: Tensor, labels: Tensor, seen: list[float] = seen) -> Tensor:
                seen.append(getattr(self, "eps", None) or self.max_epsilon)
                return super().forward(inputs, labels)

        attack = torch_attack(name)(epsilon=4 / 255)
        object.__setattr__(attack, "algorithm", Spy)
        result = TorchAttack.propose(attack, Queries(detector), one_pair(images))
        assert seen == [4 / 255]
        assert (result - images).abs().max() <= 4 / 255 + 1e-6


def one_pair(images: Tensor) -> Batch:
    return Batch(images, images, everywhere(1)[:, None], [torch.Generator().manual_seed(0)])


def test_a_detector_without_gradients_gives_one_clear_error() -> None:
    class Closed(LinearDetector):
        @torch.no_grad()
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images)

    detector = Closed(torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)), bias=999.0)
    for name in ("pgd", "fgsm", "torchattacks:CW", "torchattacks:DeepFool", "torchattacks:APGD"):
        with pytest.raises(InputError, match=r"Closed gives no gradient.*attack with nes"):
            build_attack(name)(detector, some_images(1), everywhere(1), [0])
    build_attack("torchattacks:Square", overrides={"n_queries": 5})(detector, some_images(1), everywhere(1), [0])


def test_attacks_that_need_more_classes_say_so() -> None:
    detector = LinearDetector(torch.zeros(3, SIZE, SIZE), bias=5.0)
    for name, overrides in (("APGDT", {}), ("AutoAttack", {}), ("APGD", {"loss": "dlr"})):
        with pytest.raises(InputError, match=r"at least [34] classes, this one has 2"):
            build_attack(f"torchattacks:{name}", overrides=overrides)(detector, some_images(1), everywhere(1), [0])


def test_few_images_at_a_time_where_gradients_are_kept() -> None:
    sizes = []

    class Watching(PatchDetector):
        def forward(self, images: Tensor) -> Tensor:
            if images.requires_grad:
                sizes.append(len(images))
            return super().forward(images)

    detector = Watching(SIZE, slice(8, 16), slice(8, 16), 0.1)
    FGSM()(detector, some_images(7), everywhere(7), range(7), batch_size=8)
    assert sizes == [2, 2, 2, 1]
