"""The base projects, asks, counts and judges, whatever an attack does."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from attacks import NES, AttackResult, Batch, RegionAttack, build_attack
from attacks.pgd import PGD
from detectors.base import Detector
from detectors.queries import Queries
from tests.attacks.nets import EPSILON, SIZE, ConvDetector, everywhere, some_images, squares
from tests.toys import LinearDetector, PatchDetector


@dataclass(frozen=True)
class Scripted(RegionAttack):
    """Proposes what `act` says and remembers how many pairs it was given."""

    act: Callable[[Queries, Batch], Tensor] = lambda queries, batch: batch.images
    times: int = 3
    alone: bool = False
    seen: list[int] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        return self.times

    @property
    def one_by_one(self) -> bool:
        return self.alone

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        self.seen.append(len(batch.images))
        return self.act(queries, batch)


class AlwaysReal(Detector):
    class_names = ("Real", "Fake")
    real = 0
    input_size = SIZE

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).expand(len(images), 2)


def patch_detector(threshold: float = 0.45) -> PatchDetector:
    return PatchDetector(SIZE, slice(8, 16), slice(8, 16), threshold)


def assert_contained(result: AttackResult, images: Tensor, regions: Tensor, epsilon: float = EPSILON) -> None:
    change = result.images - images
    assert torch.equal(result.images[~regions[:, None].expand_as(images)], images[~regions[:, None].expand_as(images)])
    assert change.abs().max() <= epsilon + 1e-6
    assert result.images.min() >= 0
    assert result.images.max() <= 1
    assert result.images.isfinite().all()


def wild(queries: Queries, batch: Batch) -> Tensor:
    """Writes everywhere, far outside the ball and [0, 1], and spoils all it is given."""
    batch.images.fill_(7.0)
    batch.originals.fill_(-3.0)
    batch.regions.fill_(True)
    queries.detector = AlwaysReal()
    return torch.full_like(batch.images, -8.0)


def test_a_malicious_attack_is_contained() -> None:
    images, regions = some_images(3), squares((0, 0), (10, 10), (20, 20))
    before = images.clone()
    detector = PatchDetector(SIZE, slice(0, 32), slice(0, 32), threshold=-1.0)  # Real is darker than black
    result = Scripted(act=wild)(detector, images, regions, [1, 2, 3])
    assert torch.equal(images, before)
    assert_contained(result, images, regions)
    inside = regions[:, None].expand_as(images)
    assert torch.allclose(result.images[inside], (images[inside] - EPSILON).clamp(min=0.0))
    assert not result.flipped.any()
    assert result.steps.tolist() == [3, 3, 3]


def test_the_verdict_is_of_the_projected_image() -> None:
    images = some_images(1, spread=0.0)
    black = Scripted(act=lambda queries, batch: torch.zeros_like(batch.images))
    reachable, out_of_reach = 0.5 - EPSILON + 0.005, 0.5 - EPSILON - 0.005
    for threshold, flips in ((reachable, True), (out_of_reach, False)):
        result = black(patch_detector(threshold), images, everywhere(1), [0])
        assert result.flipped.tolist() == [flips]
        assert result.steps.tolist() == [1 if flips else 3]
        says = Queries(patch_detector(threshold)).logits(result.images).argmax(1)
        assert (says == 0).tolist() == [flips]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_counts_as_no_change(bad: float) -> None:
    def act(queries: Queries, batch: Batch) -> Tensor:
        proposal = batch.images - 0.01
        proposal[:, :, 10, :] = bad
        return proposal

    images = some_images(1, spread=0.2)
    result = Scripted(act=act, times=2)(patch_detector(0.1), images, squares((8, 8)), [0])
    assert_contained(result, images, squares((8, 8)))
    assert torch.equal(result.images[0, :, 10], images[0, :, 10])
    assert torch.allclose(result.images[0, :, 9, 8:20], images[0, :, 9, 8:20] - 0.02, atol=1e-6)


def test_a_flipped_pair_leaves_the_batch_and_an_empty_region_never_enters() -> None:
    darker = Scripted(act=lambda queries, batch: batch.images - 1 / 255, times=10)
    images = torch.stack([torch.full((3, SIZE, SIZE), level) for level in (0.47, 0.455, 0.40, 0.47, 0.60)])
    regions = everywhere(5)
    regions[3] = False
    result = darker(patch_detector(0.45), images, regions, range(5))
    # 0.02 / (1/255) = 5.1 and 0.005 / (1/255) = 1.3 steps; Real from the start; empty; out of reach
    assert result.steps.tolist() == [6, 2, 0, 0, 10]
    assert result.flipped.tolist() == [True, True, True, False, False]
    assert result.forwards.tolist() == [7, 3, 1, 1, 11]
    assert darker.seen == [3, 3, 2, 2, 2, 2, 1, 1, 1, 1]
    assert torch.equal(result.images[2:4], images[2:4])


def test_the_next_pair_takes_the_place_of_one_that_is_done() -> None:
    darker = Scripted(act=lambda queries, batch: batch.images - 1 / 255, times=4)
    levels = (0.60, 0.452, 0.40, 0.456, 0.452, 0.60)  # never, 1 step, Real from the start, 2 steps, 1 step, never
    images = torch.stack([torch.full((3, SIZE, SIZE), level) for level in levels])
    result = darker(patch_detector(0.45), images, everywhere(6), range(6), batch_size=2)
    assert result.steps.tolist() == [4, 1, 0, 2, 1, 4]
    assert result.flipped.tolist() == [False, True, True, True, True, False]
    assert result.forwards.tolist() == [5, 2, 1, 3, 2, 5]
    assert darker.seen == [2, 2, 2, 2, 1, 1, 1, 1]  # pairs 0 1, 0 3, 0 3, 0 4, and 5 alone
    assert torch.equal(result.logits, Queries(patch_detector(0.45)).logits(result.images))


class Watching(PatchDetector):
    """Notes how many images it is asked about at a time."""

    def __init__(self, size: int, rows: slice, columns: slice, threshold: float) -> None:
        super().__init__(size, rows, columns, threshold)
        self.asked: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.asked.append(len(images))
        return super().forward(images)


@pytest.mark.parametrize(("derivatives", "batch_size", "passes"), [("finite", 4, 50), ("exact", 16, 5)])
def test_passes_stay_full_while_pairs_wait(derivatives: str, batch_size: int, passes: int) -> None:
    detector = Watching(SIZE, slice(8, 16), slice(8, 16), 0.49)
    images = some_images(1, spread=0.1).expand(9, -1, -1, -1)
    corners = [(6, 6), (16, 16), (4, 8), (8, 6), (20, 20), (7, 7), (0, 0), (5, 6), (6, 5)]
    attack = build_attack("nes", overrides={"pairs": 6, "steps": 6, "step": 0.01, "derivatives": derivatives})
    result = attack(detector, images, squares(*corners), range(9), batch_size)
    assert 0 < result.flipped.sum() < 9
    assert len(set(result.steps.tolist())) > 2
    assert detector.asked.count(4) > passes
    assert sum(size < 4 for size in detector.asked[1:]) <= 6  # verdicts on the last three pairs, at most one a round
    alone = [attack(detector, images[[i]], squares(corners[i]), [i], batch_size) for i in range(9)]
    assert torch.equal(result.images, torch.cat([each.images for each in alone]))
    assert torch.equal(result.logits, torch.cat([each.logits for each in alone]))
    assert result.forwards.tolist() == [int(each.forwards) for each in alone]


def test_an_image_that_all_pairs_share_is_asked_about_once() -> None:
    detector = Watching(SIZE, slice(8, 16), slice(8, 16), 0.1)
    image = some_images(1, spread=0.2)
    still = Scripted(times=1)
    shared = still(detector, image.expand(5, -1, -1, -1), everywhere(5), range(5))
    assert detector.asked == [1, 5]
    copies = still(detector, image.repeat(5, 1, 1, 1), everywhere(5), range(5))
    assert detector.asked == [1, 5, 5, 5]
    for name in ("images", "logits", "flipped", "steps", "forwards"):
        assert torch.equal(getattr(shared, name), getattr(copies, name))


class Cramped(ConvDetector):
    """Has memory for so many images, and with gradients for half as many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.refused = most, 0

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > (self.most // 2 if torch.is_grad_enabled() else self.most):
            self.refused += 1
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(images)


@pytest.mark.parametrize("name", ["nes", "pgd", "torchattacks:APGD"])
def test_an_attack_goes_on_with_fewer_images_where_memory_runs_out(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attack = build_attack(name, overrides={"steps": 2} | ({"pairs": 9} if name == "nes" else {}))
    images, regions, seeds = some_images(9), squares(*[(2 * i, i) for i in range(9)]), range(9)
    expected = attack(ConvDetector(), images, regions, seeds, 32)
    detector = Cramped(5)
    result = attack(detector, images, regions, seeds, 32)
    assert detector.refused > 0
    assert detector.most_images is not None
    changed = (expected.images - images).abs() > 0
    differing = (result.images - expected.images).abs() > 1e-6
    assert differing.sum() <= 0.01 * changed.sum()  # the sign of a slope of nearly 0 follows the rounding of a batch
    assert torch.equal(result.forwards, expected.forwards)
    told = capsys.readouterr().err
    assert "do not fit into memory" in told
    assert f"going on with {detector.most_images}." in " ".join(told.split())
    attack(detector, images, regions, seeds, 32)
    assert capsys.readouterr().err == ""  # it remembers


@dataclass(frozen=True)
class Hungry(RegionAttack):
    """One whose own tables take more than there is, whatever the number of images."""

    @property
    def rounds(self) -> int:
        return 1

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e10 bytes"
        )


def test_memory_that_no_smaller_batch_frees_changes_nothing_for_others(capsys: pytest.CaptureFixture[str]) -> None:
    detector = ConvDetector()
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        Hungry()(detector, some_images(2), squares((0, 4), (2, 4)), [0, 1], 32)
    assert detector.most_images is None
    assert capsys.readouterr().err == ""


def test_no_memory_for_gradients_leaves_passes_forward_alone(capsys: pytest.CaptureFixture[str]) -> None:
    detector = Cramped(7)  # seven forward, three with gradients
    images = some_images(6)
    PGD(steps=2, random_start=False)(detector, images, squares(*[(2 * i, i) for i in range(6)]), range(6), 16)
    assert (detector.most_images, detector.most_gradient_images) == (None, 2)
    warned = capsys.readouterr().err
    assert "4 images at a time, forward and backward, do not fit into memory: going on with 2" in " ".join(
        warned.split()
    )
    with pytest.raises(torch.OutOfMemoryError):
        PGD(steps=2)(Cramped(1), images[:1], everywhere(1), [0])


def test_no_memory_for_a_single_image_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        NES(steps=1)(Cramped(0), some_images(2), everywhere(2), [0, 1])


def test_no_pairs_at_all() -> None:
    result = NES()(patch_detector(), some_images(0), everywhere(0), [])
    assert result.images.shape == (0, 3, SIZE, SIZE)
    assert len(result.flipped) == len(result.steps) == len(result.forwards) == 0


def test_what_an_attack_spends_is_counted_by_the_base() -> None:
    def spend(queries: Queries, batch: Batch) -> Tensor:
        for _ in range(4):
            queries.logits(batch.images)
        queries.detector(batch.images)  # past the counter of the queries
        return batch.images

    result = Scripted(act=spend)(patch_detector(0.1), some_images(2), everywhere(2), [0, 1])
    assert result.forwards.tolist() == [1 + 3 * 6] * 2


def test_unequal_spending_needs_one_by_one() -> None:
    def spend(queries: Queries, batch: Batch) -> Tensor:
        bright = batch.originals.mean(dim=(1, 2, 3)) > 0.5
        queries.logits(batch.images[bright])
        return batch.images

    images = torch.stack([torch.full((3, SIZE, SIZE), level) for level in (0.48, 0.6)])
    with pytest.raises(RuntimeError, match="one_by_one"):
        Scripted(act=spend)(patch_detector(0.1), images, everywhere(2), [0, 1])
    alone = Scripted(act=spend, alone=True)
    assert alone(patch_detector(0.1), images, everywhere(2), [0, 1]).forwards.tolist() == [4, 7]
    assert set(alone.seen) == {1}


def state(detector: nn.Module) -> list[object]:
    modes = [module.training for module in detector.modules()]
    weights = [(weight.requires_grad, weight.grad, weight.detach().clone()) for weight in detector.parameters()]
    return [modes, weights, [buffer.clone() for buffer in detector.buffers()]]


def same(left: list[object], right: list[object]) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else same(a, b) if isinstance(a, (list, tuple)) else a is b
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("name", ["nes", "pgd", "fgsm", "torchattacks:CW", "torchattacks:DeepFool"])
def test_the_detector_is_as_it_was(name: str) -> None:
    detector = ConvDetector()
    detector.train()
    detector.features[1].eval()
    detector.head.weight.requires_grad_(False)
    detector.head.bias.grad = torch.ones(5)
    before = state(detector)
    build_attack(name, overrides={} if name == "fgsm" else {"steps": 1})(
        detector, some_images(2), everywhere(2), [0, 1]
    )
    assert same(before, state(detector))
    assert not detector._forward_hooks


def test_the_detector_is_as_it_was_after_an_error() -> None:
    def fail(queries: Queries, batch: Batch) -> Tensor:
        raise KeyError("broken")

    detector = ConvDetector().train()
    before = state(detector)
    with pytest.raises(KeyError):
        Scripted(act=fail)(detector, some_images(1), everywhere(1), [0])
    assert same(before, state(detector))
    assert not detector._forward_hooks


class Ascends(Scripted):
    """Goes up the gradient that it is given."""

    @property
    def uses_gradients(self) -> bool:
        return True


def test_an_attack_that_switches_gradients_off_is_given_its_next_all_the_same() -> None:
    def ascended(enabled: bool) -> Tensor:
        def ascend(queries: Queries, batch: Batch) -> Tensor:
            torch.set_grad_enabled(enabled)
            return batch.images + 0.01 * batch.gradients.sign()

        return Ascends(act=ascend)(ConvDetector(), some_images(2), everywhere(2), [0, 1]).images

    torch.testing.assert_close(ascended(False), ascended(True), rtol=0, atol=0)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["nes", "pgd"])
def test_the_callers_autograd_and_autocast_do_not_matter(name: str) -> None:
    detector, images, regions = ConvDetector(), some_images(2), squares((4, 4), (12, 12))
    attack = build_attack(name, overrides={"steps": 1})
    plain = attack(detector, images, regions, [0, 1])
    with torch.no_grad():
        assert torch.equal(attack(detector, images, regions, [0, 1]).images, plain.images)
    with torch.inference_mode():
        assert torch.equal(attack(detector, images.clone(), regions, [0, 1]).images, plain.images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attack(detector, images, regions, [0, 1]).images, plain.images)


@pytest.mark.parametrize("name", ["nes", "pgd", "fgsm", "torchattacks:RFGSM", "torchattacks:Square"])
def test_a_pair_does_not_depend_on_its_neighbours(name: str) -> None:
    settings = {"torchattacks:Square": {"n_queries": 20}, "nes": {"pairs": 12, "steps": 12, "step": 0.01}}.get(name, {})
    attack = build_attack(name, overrides=settings)
    detector, images = patch_detector(0.47), some_images(4, spread=0.1)
    regions, seeds = squares((6, 6), (16, 16), (4, 8), (8, 6)), [11, 12, 13, 14]
    together = attack(detector, images, regions, seeds, 32)
    assert together.flipped.any()
    assert not together.flipped.all()
    for order in ([0], [1], [3, 1], [2, 3, 0, 1]):
        part = attack(detector, images[order], regions[order], [seeds[i] for i in order], 32)
        assert torch.equal(part.images, together.images[order])
        assert torch.equal(part.steps, together.steps[order])
        assert torch.equal(part.forwards, together.forwards[order])


@pytest.mark.parametrize("name", ["nes", "pgd", "torchattacks:APGD"])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_batch_size_changes_no_draw(name: str, batch_size: int) -> None:
    detector, images, regions = patch_detector(0.47), some_images(3, spread=0.1), squares((6, 6), (16, 16), (4, 8))
    attack = build_attack(name, overrides={"steps": 3} | ({"pairs": 9} if name == "nes" else {}))
    expected = attack(detector, images, regions, [1, 2, 3], 32)
    assert torch.equal(attack(detector, images, regions, [1, 2, 3], batch_size).images, expected.images)


def test_another_seed_is_another_attack() -> None:
    detector, images = patch_detector(0.3), some_images(2, spread=0.0)
    for name in ("nes", "pgd"):
        result = build_attack(name, overrides={"steps": 1})(detector, images, squares((6, 6), (6, 6)), [1, 2])
        assert not torch.equal(result.images[0], result.images[1])


@pytest.mark.parametrize(
    ("images", "regions", "seeds", "words"),
    [
        (torch.zeros(2, 3, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool), [0, 1], "N seeds"),
        (torch.zeros(2, 3, 8, 8), torch.ones(2, 8, 9, dtype=torch.bool), [0, 1], "N seeds"),
        (torch.zeros(2, 3, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool), [0], "N seeds"),
        (torch.zeros(3, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool), [0], "N seeds"),
        (torch.zeros(1, 3, 8, 8), torch.ones(1, 8, 8), [0], "bool regions"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.ones(1, 8, 8, dtype=torch.bool), [0], "float32"),
        (torch.full((1, 3, 8, 8), 255.0), torch.ones(1, 8, 8, dtype=torch.bool), [0], r"\[0, 1\]"),
        (torch.full((1, 3, 8, 8), float("nan")), torch.ones(1, 8, 8, dtype=torch.bool), [0], r"\[0, 1\]"),
    ],
)
def test_wrong_inputs_are_refused(images: Tensor, regions: Tensor, seeds: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NES()(LinearDetector(torch.ones(3, 8, 8)), images, regions, seeds)


def test_a_proposal_of_another_shape_is_refused() -> None:
    attack = Scripted(act=lambda queries, batch: batch.images[:, :, :4])
    with pytest.raises(ValueError, match=r"Scripted.propose returned \(1, 3, 4, 32\)"):
        attack(patch_detector(), some_images(1), everywhere(1), [0])


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 16.0, float("nan")])
def test_a_budget_outside_pixel_units_is_refused(epsilon: float) -> None:
    with pytest.raises(ValueError, match="pixel units"):
        NES(epsilon=epsilon)


def test_an_attack_that_differentiates_by_itself_has_no_count_of_queries() -> None:
    def follow(queries: Queries, batch: Batch) -> Tensor:
        images = batch.images.requires_grad_()
        (gradient,) = torch.autograd.grad(queries.detector(images).log_softmax(1)[:, 0].sum(), images)
        return images.detach() + 0.001 * gradient.sign()

    result = Scripted(act=follow)(patch_detector(0.1), some_images(2), everywhere(2), [0, 1])
    assert result.queries.tolist() == [-1, -1]
    assert result.forwards.tolist() == [1 + 3 * 3] * 2
    asking = Scripted(act=lambda queries, batch: batch.images)(
        patch_detector(0.1), some_images(2), everywhere(2), [0, 1]
    )
    assert asking.queries.tolist() == asking.forwards.tolist() == [4, 4]
