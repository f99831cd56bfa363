"""The bridge against torchattacks itself and against naive loops."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchattacks
from torch import Tensor

from attacks import Batch, build_attack
from attacks.base import UNKNOWN, AttackResult
from attacks.registry import unusable
from attacks.torchattacks_bridge import BATCHED, WITHOUT_GRADIENTS, Aim, TorchAttack, torch_attack
from attacks.torchattacks_model import AllFlippedError, ShownModel, View
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries
from tests.attacks.nets import EPSILON, SIZE, ConvDetector, everywhere, some_images, squares
from tests.toys import LinearDetector, PatchDetector

SEEDS = [21, 22, 23]
CORNERS = ((0, 0), (9, 14), (20, 20))
PGD, FGSM = torch_attack("PGD"), torch_attack("FGSM")


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
    for name, spent in (("PGD", 20), ("FGSM", 2), ("VMIFGSM", 120), ("GN", 0)):  # forward and backward
        result = torch_attack(name)()(detector, some_images(3), everywhere(3), SEEDS, batch_size=8)
        # the verdicts: on the input, on the library's result, and on what was proposed
        assert result.forwards.tolist() == [spent + 3] * 3, name
        assert result.queries.tolist() == ([3] * 3 if name == "GN" else [UNKNOWN] * 3)
    result = build_attack("torchattacks:Square", overrides={"n_queries": 40})(
        detector, some_images(1), everywhere(1), [0]
    )
    assert result.forwards.tolist() == result.queries.tolist() == [46]


def steps_of_pgd(detector: Detector, image: Tensor, region: Tensor, seed: int, alpha: float) -> list[Tensor]:
    """The random start of PGD and where each of ten steps leads."""
    return [masked_pgd(detector, image, region, seed, steps, alpha) for steps in range(11)]


def log_p(detector: Detector, images: Tensor) -> Tensor:
    """log p(Real), (N,)."""
    return detector(images).log_softmax(1)[:, detector.real].detach()


def test_the_first_image_that_the_detector_calls_real_is_the_result_in_a_batch_as_alone() -> None:
    detector, images, regions = ConvDetector(real_bias=-0.5), some_images(3), everywhere(3)
    result = PGD()(detector, images, regions, SEEDS)
    flips = []
    for pair, seed in enumerate(SEEDS):
        way = torch.stack(steps_of_pgd(detector, images[pair], regions[pair], seed, 4 / 255))
        real = (detector(way).argmax(1) == detector.real).nonzero()[:, 0].tolist()
        assert real, "this pair is to flip"
        flips.append(real[0])
        assert torch.allclose(result.images[pair], way[real[0]], atol=1e-6)
        # the input's verdict, a pass forward and backward for each step before, one forward for the flip, the judge's
        assert result.forwards[pair] == (1 + 2 * real[0] + 1 + 1 if real[0] < 10 else 1 + 20 + 1 + 1)
        alone = PGD()(detector, images[pair : pair + 1], regions[pair : pair + 1], [seed])
        assert torch.allclose(alone.images[0], result.images[pair], atol=1e-6)
        assert alone.forwards[0] == result.forwards[pair]
    assert len(set(flips)) > 1
    assert result.flipped.all()


def test_without_a_flip_the_best_image_that_was_asked_about_is_the_result() -> None:
    detector, images, regions = Hill(), some_images(2, spread=0.1), everywhere(2)
    result = PGD()(detector, images, regions, [0, 1])
    for pair, seed in enumerate([0, 1]):
        way = torch.stack(steps_of_pgd(detector, images[pair], regions[pair], seed, 4 / 255))
        heights = log_p(detector, way)
        assert heights.argmax() < 10, "the last image is not to be the best"
        assert torch.allclose(result.images[pair], way[heights.argmax()], atol=1e-6)
    assert not result.flipped.any()


class Hill(Detector):
    """Never says Real, most nearly so where the image is 0.03 brighter than grey on average: steps walk past it."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIZE

    def forward(self, images: Tensor) -> Tensor:
        fake = 1 + 10 * (images.mean(dim=(1, 2, 3)) - 0.53).abs()
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


def shown(detector: Detector, images: Tensor, view: View = View.CLASSES) -> ShownModel:
    return ShownModel(Queries(detector), images, everywhere(len(images))[:, None], EPSILON, view)


def test_an_image_outside_the_ball_or_the_range_does_not_count() -> None:
    detector, images = PatchDetector(SIZE, slice(0, SIZE), slice(0, SIZE), 0.3), some_images(1, spread=0.1)
    model = shown(detector, images)
    for far in (images - 0.3, images.clone().fill_(-0.02)):
        assert model(far).argmax() == detector.real
        assert model.flipped == [False]
        assert torch.equal(model.images, images)
    near = images - EPSILON
    model(near - 1e-7)  # rounding is allowed for
    assert torch.allclose(model.images, near)
    assert (model.images - images).abs().max() <= EPSILON + 1e-7
    assert model.forwards == [3]


def test_of_several_candidates_of_a_pair_the_first_that_is_real_else_the_best_counts() -> None:
    detector, images = PatchDetector(SIZE, slice(0, SIZE), slice(0, SIZE), 0.47), some_images(1, spread=0.01)
    model = shown(detector, images)
    darker = torch.stack([images[0] - shift for shift in (0.01, 0.02, 0.015)])
    model(darker)
    assert torch.allclose(model.images[0], darker[1])
    assert (model.flipped, model.forwards) == ([False], [3])
    enough = torch.stack([images[0] - shift for shift in (0.01, 0.04, 0.05)])
    with pytest.raises(AllFlippedError):
        model(enough)
    assert torch.allclose(model.images[0], enough[1])
    assert (model.flipped, model.forwards) == ([True], [6])


def test_a_pair_that_has_flipped_is_passed_no_more() -> None:
    sizes = []

    class Watching(PatchDetector):
        def forward(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return super().forward(images)

    detector, images = Watching(SIZE, slice(0, SIZE), slice(0, SIZE), 0.48), some_images(3, spread=0.01)
    model = shown(detector, images)
    model(images - torch.tensor([0.0, 0.03, 0.0]).view(3, 1, 1, 1))
    x = images.clone().requires_grad_()
    model(x).log_softmax(1)[:, 0].sum().backward()
    assert sizes == [3, 2]
    assert (model.flipped, model.forwards) == ([False, True, False], [3, 1, 3])
    assert x.grad is not None
    assert (x.grad.abs().amax(dim=(1, 2, 3)) > 0).tolist() == [True, False, True]


class TwoClasses(ConvDetector):
    """The same network with two classes, Real before or after Fake."""

    def __init__(self, real: int = 0, bias: float = -1.0) -> None:
        super().__init__(real_bias=0.0)
        self.real = real
        self.class_names = ("Real", "Fake") if real == 0 else ("Fake", "Real")  # type: ignore[assignment]
        with torch.no_grad():
            self.head.weight = torch.nn.Parameter(self.head.weight[:2])
            self.head.bias = torch.nn.Parameter(self.head.bias[:2])
            self.head.bias[real] += bias


AIMED = ("APGD", "PIFGSM", "DeepFool", "SparseFool", "MIFGSM", "UPGD", "PIFGSMPP", "PGDRS", "PGDL2", "SPSA", "Square")
STRONG = ("APGD", "PIFGSM", "FAB", "UPGD", "MIFGSM")
SMALLER = {"SPSA": {"nb_sample": 32}, "Square": {"n_queries": 100}, "SparseFool": {"steps": 2}}


@pytest.mark.parametrize("make", [ConvDetector, TwoClasses, lambda: TwoClasses(real=1)])
@pytest.mark.parametrize("name", AIMED)
def test_attacks_climb_to_real_whatever_the_number_of_classes(name: str, make: Callable[[], Detector]) -> None:
    detector, images, regions = make(), some_images(2, spread=0.6), everywhere(2)
    result = build_attack(f"torchattacks:{name}", overrides=SMALLER.get(name, {}))(detector, images, regions, [0, 1])
    best = PGD()(detector, images, regions, [0, 1])
    risen, could = (log_p(detector, each.images) - log_p(detector, images) for each in (result, best))
    assert (could > 0.3).all()
    assert (risen > could / 8).all()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", STRONG)
def test_attacks_without_a_target_of_their_own_flip_what_pgd_flips(name: str, classes: int) -> None:
    detector = TwoClasses(bias=-0.3) if classes == 2 else ConvDetector(real_bias=-0.5)
    with torch.no_grad():  # as sure of itself as trained networks are
        detector.head.weight *= 20
        detector.head.bias *= 20
    images, regions = some_images(3, spread=0.6), everywhere(3)
    assert not (detector(images).argmax(1) == detector.real).any()
    assert PGD()(detector, images, regions, SEEDS).flipped.all()
    assert torch_attack(name)()(detector, images, regions, SEEDS).flipped.all()


def test_a_view_of_two_classes_has_the_gradient_of_the_log_odds() -> None:
    detector, images = ConvDetector(), some_images(1)
    model = shown(detector, images, View.REAL_OR_NOT)
    x = images.clone().requires_grad_()
    logits = model(x)
    (slope,) = torch.autograd.grad(logits[0, 1], x)
    y = images.clone().requires_grad_()
    p = detector(y).softmax(1)[0, detector.real]
    odds = p.log() - (1 - p).log()
    (expected,) = torch.autograd.grad(odds, y)
    assert torch.allclose(logits, torch.tensor([[0.0, -1.0]]), atol=1e-5)  # in units of the first image's
    assert torch.allclose(slope * odds.abs().detach(), expected, atol=1e-5)


class OneLogit(ConvDetector):
    """The same network with one logit, which speaks for Fake: that of Real is 0, or its negative."""

    class_names = ("Real", "Fake")  # type: ignore[assignment]

    def __init__(self, symmetric: bool = False) -> None:
        super().__init__(real_bias=0.0)
        self.symmetric = symmetric

    def forward(self, images: Tensor) -> Tensor:
        fake = super().forward(images)[:, 1] + 1.5
        return torch.stack([-fake / 2, fake / 2] if self.symmetric else [torch.zeros_like(fake), fake], dim=1)


@pytest.mark.parametrize("make", [OneLogit, lambda: OneLogit(symmetric=True), TwoClasses, ConvDetector])
def test_a_loss_of_logits_over_the_largest_climbs_to_real_whatever_the_logits(make: Callable[[], Detector]) -> None:
    detector, images, regions = make(), some_images(2, spread=0.6), squares((4, 4), (10, 12), side=16)
    jitter, best = (
        build_attack(f"torchattacks:{name}")(detector, images, regions, [0, 1]) for name in ("Jitter", "PGD")
    )
    risen, could = (log_p(detector, each.images) - log_p(detector, images) for each in (jitter, best))
    assert (could > 0.05).all()
    assert (risen > 0.9 * could).all()


def test_a_very_improbable_real_does_not_stop_an_attack_that_leaves_a_class() -> None:
    detector, images = Steep(), some_images(1, spread=0.2)
    assert log_p(detector, images) < -40
    result = build_attack("torchattacks:APGD", overrides={"steps": 30})(detector, images, everywhere(1), [0])
    assert log_p(detector, result.images) > log_p(detector, images) + 15


class Steep(Detector):
    """Log-odds of Real far below what the exponential of float32's cross-entropy can tell from 0, and curved."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIZE

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(64, 3 * SIZE * SIZE, generator=torch.Generator().manual_seed(1)) / SIZE

    def forward(self, images: Tensor) -> Tensor:
        fake = 20 + 6 * ((images.flatten(1) - 0.5) @ self.weight.T).abs().sum(dim=1)
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


@pytest.mark.parametrize("name", ["CW", "EADL1", "EADEN"])
def test_losses_that_take_0_for_no_class_work_where_real_has_a_negative_logit(name: str) -> None:
    class Negative(PatchDetector):
        """All logits are below 0: of max(0, logit) there is no gradient."""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) - 50

    plain = PatchDetector(SIZE, slice(8, 16), slice(8, 16), threshold=0.485)
    shifted = Negative(SIZE, slice(8, 16), slice(8, 16), threshold=0.485)
    overrides = {"c": 10.0} if name == "CW" else {"initial_const": 10.0, "binary_search_steps": 2}
    attack = build_attack(f"torchattacks:{name}", overrides=overrides)
    images = some_images(1, spread=0.1)
    results: list[AttackResult] = [attack(detector, images, everywhere(1), [0]) for detector in (plain, shifted)]
    assert [bool(result.flipped) for result in results] == [True, True]


def test_what_cannot_be_aimed_says_so() -> None:
    aims = {name: torch_attack(name)().aim for name in ("PGD", "APGD", "APGDT", "AutoAttack", "TPGD", "GN", "VANILA")}
    assert aims == {
        "PGD": Aim.TARGET,
        "APGD": Aim.AWAY_FROM_NOT_REAL,
        "APGDT": Aim.AWAY,
        "AutoAttack": Aim.AWAY,
        "TPGD": Aim.NOWHERE,
        "GN": Aim.NOWHERE,
        "VANILA": Aim.NOWHERE,
    }
    for name in ("APGD", "UPGD"):
        attack = build_attack(f"torchattacks:{name}", overrides={"loss": "dlr"})
        assert isinstance(attack, TorchAttack)
        assert attack.aim is Aim.AWAY
    assert "its own softmax" in (torch_attack("TPGD").__doc__ or "")


def test_a_loss_that_compares_classes_leaves_the_verdict() -> None:
    detector, images = ConvDetector(), some_images(2, spread=0.6)
    for name, overrides in (("APGDT", {}), ("APGD", {"loss": "dlr"}), ("UPGD", {"loss": "dlr"})):
        seen: list[Tensor] = []

        class Watching(ConvDetector):
            def forward(self, images: Tensor, seen: list[Tensor] = seen) -> Tensor:
                logits = super().forward(images)
                seen.append(logits.detach())
                return logits

        build_attack(f"torchattacks:{name}", overrides=overrides)(Watching(), images[:1], everywhere(1), [0])
        verdict = int(detector(images[:1]).argmax())
        margins = torch.cat([each[:, verdict] - each.topk(2).values[:, 1] for each in seen])
        assert margins.min() < margins[0] - 0.1, name


def test_step_sizes_keep_their_proportion_to_the_budget() -> None:
    assert torch_attack("SPSA")().step_sizes == ("lr",)
    assert torch_attack("PGD")().step_sizes == torch_attack("FFGSM")().step_sizes == ("alpha",)
    for name in ("PGDL2", "CW", "FAB", "EADL1", "FGSM", "APGD", "PIFGSM", "JSMA", "GN"):
        assert torch_attack(name)().step_sizes == (), name
    detector, images = PatchDetector(SIZE, slice(0, SIZE), slice(0, SIZE), 0.1), some_images(1, spread=0.5)
    result = build_attack("torchattacks:SPSA", overrides={"nb_sample": 32})(detector, images, everywhere(1), [0])
    assert (result.images - images).abs().max() > 15 / 255  # the library's one step of 0.01 would end at 2.55/255


@pytest.mark.parametrize("name", ["EADL1", "EADEN"])
def test_too_few_iterations_of_the_elastic_net_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match=rf"torchattacks:{name}.*max_iterations must be at least 10, got 9"):
        build_attack(f"torchattacks:{name}", overrides={"max_iterations": 9})
    attack = build_attack(f"torchattacks:{name}", overrides={"max_iterations": 3, "abort_early": False})
    attack(ConvDetector(), some_images(1), everywhere(1), [0])


def test_tables_of_all_pairs_of_pixels_are_refused_where_the_memory_is_too_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("attacks.torchattacks_bridge.total_memory", lambda device: 16 * 2**30)
    detector, attack = LinearDetector(torch.zeros(3, 224, 224), bias=5.0), torch_attack("JSMA")()
    with pytest.raises(InputError, match=r"every two values of an image, 675 GiB at 224 x .* there are 16 GiB"):
        attack.check(detector)
    with pytest.raises(InputError, match=r"675 GiB"):
        attack(detector, torch.rand(1, 3, 224, 224), torch.ones(1, 224, 224, dtype=torch.bool), [0])
    attack.check(LinearDetector(torch.zeros(3, 80, 80), bias=5.0))  # 11 GiB


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

        Spy.__name__ = name
        attack = torch_attack(name)(epsilon=4 / 255)
        object.__setattr__(attack, "algorithm", Spy)
        result = TorchAttack.propose(attack, Queries(detector), one_pair(images))
        assert seen == [4 / 255]
        assert (result.images - images).abs().max() <= 4 / 255 + 1e-6


def one_pair(images: Tensor) -> Batch:
    return Batch(images, images, everywhere(1)[:, None], [torch.Generator().manual_seed(0)])


def test_a_detector_without_gradients_gives_one_clear_error() -> None:
    class Closed(LinearDetector):
        @torch.no_grad()
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images)

    detector = Closed(torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)), bias=999.0)
    for name in torchattacks.__all__:
        if name in ("MultiAttack", "LGV", "APGDT", "AutoAttack"):
            continue
        attack = build_attack(f"torchattacks:{name}", overrides=FEW.get(name, {}))
        if name in WITHOUT_GRADIENTS:
            assert attack(detector, some_images(1), everywhere(1), [0]).queries > 0
            continue
        with pytest.raises(InputError, match=r"Closed gives no gradient.*attack with nes"):
            attack(detector, some_images(1), everywhere(1), [0])


FEW = {"Square": {"n_queries": 5}, "SPSA": {"nb_sample": 4}, "OnePixel": {"steps": 1}, "Pixle": {"restarts": 1}}


def test_attacks_that_need_more_classes_say_so() -> None:
    detector = LinearDetector(torch.zeros(3, SIZE, SIZE), bias=5.0)
    for name, overrides in (("APGDT", {}), ("AutoAttack", {}), ("APGD", {"loss": "dlr"}), ("UPGD", {"loss": "dlr"})):
        attack = build_attack(f"torchattacks:{name}", overrides=overrides)
        with pytest.raises(InputError, match=r"at least [34] classes, this one has 2"):
            attack(detector, some_images(1), everywhere(1), [0])
        every = {f"torchattacks:{name}": attack, "pgd": PGD(), "torchattacks:CW": build_attack("torchattacks:CW")}
        assert len(unusable(every, detector)) == 1


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
