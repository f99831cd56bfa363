"""Adversarial training: the penalty's value and gradient, the attack inside it, and what it makes of a network."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import detectors
from common.errors import InputError
from data.source import open_frames
from detectors import Detector
from detectors.training.adversarial import Adversarial, gradient_penalty, log_odds, real_heavier
from detectors.training.classification import Classification
from detectors.training.loop import TrainingSettings, train
from detectors.training.models import MODELS, Wanted, model, new_detector
from detectors.training.recipe import TrainingBatch
from detectors.training.training_frames import class_weights, labelled
from tests.detectors.training.small_frames import write_small_frames
from tests.toys import LinearDetector


class Small(Detector):
    """Two convolutions, smooth, so that second derivatives are everywhere."""

    input_size, class_names, real = 8, ("Real", "Fake"), 0

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(3)
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 6)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(self.first(images).tanh()).flatten(1)


def test_the_penalty_of_a_linear_network_is_its_squared_weight() -> None:
    weight = torch.randn(2, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
    images = torch.rand(5, 3, 4, 4).requires_grad_()
    labels = torch.tensor([0, 1, 1, 0, 1])

    def margins() -> Tensor:
        return log_odds(images.flatten(1) @ weight.T, labels)

    penalty = gradient_penalty(margins(), images)
    slope = weight[1] - weight[0]  # what the verdict depends on; of their sum it does not
    assert torch.allclose(penalty, slope.square().sum(), rtol=1e-6)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(gradient, 2 * torch.stack([-slope, slope]), rtol=1e-5)
    cubed = gradient_penalty(margins(), images, exponent=3)
    assert torch.allclose(cubed, slope.norm() ** 3, rtol=1e-5)


def test_of_one_logit_the_penalty_is_the_published_one() -> None:
    images, labels = torch.rand(4, 3, 8, 8).requires_grad_(), torch.tensor([0, 1, 1, 0])
    z = Small()(images)[:, 1].exp()  # any smooth function
    shown = torch.stack([torch.zeros_like(z), z], dim=1)
    (gradient,) = torch.autograd.grad(shown.sum(), images, retain_graph=True)  # the published sum of the logits
    published = gradient.flatten(1).square().sum(dim=1).mean()
    assert torch.allclose(gradient_penalty(log_odds(shown, labels), images), published, rtol=1e-5)


def test_log_odds_are_those_of_the_probabilities() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 2])
    p = logits.softmax(dim=1)[range(6), labels]
    assert torch.allclose(log_odds(logits, labels), (p / (1 - p)).log())


def test_the_penalty_of_a_convolutional_network_is_that_of_finite_differences() -> None:
    network = Small().double()
    images = torch.rand(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def naive() -> Tensor:
        """Image by image, with torch's own Jacobian."""
        slopes = [
            torch.autograd.functional.jacobian(lambda x: network(x[None])[0], each, create_graph=True)
            for each in images
        ]
        return torch.stack([(slope[1] - slope[0]).square().sum() for slope in slopes]).mean()

    inputs = images.clone().requires_grad_()
    penalty = gradient_penalty(log_odds(network(inputs), torch.tensor([0, 1, 1])), inputs)
    assert torch.allclose(penalty, naive(), rtol=1e-10)
    weights = list(network.parameters())
    found = torch.autograd.grad(penalty, weights, allow_unused=True)
    step = 1e-6
    for weight, gradient in zip(weights[:1], found[:1], strict=True):
        assert gradient is not None
        place = (1, 2, 0, 1)
        with torch.no_grad():
            weight[place] += step
        above = naive()
        with torch.no_grad():
            weight[place] -= 2 * step
        assert float((above - naive()).detach() / (2 * step)) == pytest.approx(float(gradient[place]), rel=1e-5)


def test_the_attack_stays_in_its_ball_and_raises_the_loss() -> None:
    network, recipe = Small(), Adversarial(epsilon=8 / 255, steps=4)
    network.train()
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    images[0, :, :4] = 0.0
    batch = TrainingBatch(images, torch.tensor([0, 1, 0, 1, 0, 1]), [])
    attacked = recipe.attacked(network, batch)
    assert network.training
    assert (attacked - images).abs().max() <= 8 / 255 + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    losses = [nn.functional.cross_entropy(network(x), batch.labels, reduction="none") for x in (images, attacked)]
    assert (losses[1] > losses[0]).all()
    near_corner = ((attacked - images).abs() > 7.9 / 255).float().mean()
    assert near_corner > 0.5  # 40 steps that never advance would leave a random start's distance in most pixels


def test_the_loss_is_that_of_the_attacked_images_and_the_penalty() -> None:
    network = Small()
    images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 1, 0])
    base = Classification(balanced=False, label_smoothing=0.0)
    torch.manual_seed(0)
    attacked = Adversarial(base).attacked(network, TrainingBatch(images, labels, []))
    plain = nn.functional.cross_entropy(network(attacked), labels)
    inputs = attacked.clone().requires_grad_()
    penalty = gradient_penalty(log_odds(network(inputs), labels), inputs)
    for weight in (0.0, 10.0):
        torch.manual_seed(0)
        found = Adversarial(base, lipschitz=weight).loss(network, TrainingBatch(images, labels, []), torch.ones(2))
        assert torch.allclose(found, plain + weight * penalty, rtol=1e-5)


def test_clean_images_have_their_part_in_the_loss() -> None:
    network, base = Small(), Classification(balanced=False, label_smoothing=0.0)
    batch = TrainingBatch(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 1, 0]), [])
    torch.manual_seed(0)
    attacked = Adversarial(base).attacked(network, batch)
    inside, outside = (nn.functional.cross_entropy(network(x), batch.labels) for x in (attacked, batch.images))
    torch.manual_seed(0)
    found = Adversarial(base, lipschitz=0.0, clean=0.25).loss(network, batch, torch.ones(2))
    assert torch.allclose(found, 0.75 * inside + 0.25 * outside, rtol=1e-5)


def test_where_only_fakes_are_attacked_they_are_led_to_real() -> None:
    weight = torch.zeros(3, 3, 8, 8)
    weight[1, 0], weight[2, 1] = 1.0, 1.0  # what is red is of class 1, what is green of class 2

    class Colours(Detector):
        input_size, class_names, real = 8, ("Real", "Red", "Green"), 0

        def forward(self, images: Tensor) -> Tensor:
            return torch.einsum("nchw,kchw->nk", images - 0.5, weight)

    batch = TrainingBatch(torch.full((3, 3, 8, 8), 0.5), torch.tensor([0, 1, 2]), [])
    batch.images[1, 0] += 0.02
    batch.images[2, 1] += 0.02
    moved = Adversarial(epsilon=8 / 255, steps=5, victims="fakes").attacked(Colours(), batch) - batch.images
    assert not moved[0].any()
    assert (moved[1, :2] < 0).all(), "away from red alone would have led to green"
    assert (moved[2, :2] < 0).all()
    assert moved.abs().max() <= 8 / 255 + 1e-6


def test_where_only_fakes_are_attacked_both_classes_weigh_alike() -> None:
    """Four fakes to a real frame, as in FaceForensics++: unweighted, to call everything fake would defend best."""
    network, base = Small(), Classification(balanced=False, label_smoothing=0.0)
    batch = TrainingBatch(torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 1, 1, 1]), [])
    weights = class_weights(batch.labels.tolist(), classes=2)
    for victims, expected in (("fakes", weights), ("all", None)):
        recipe = Adversarial(base, lipschitz=0.0, victims=victims)
        torch.manual_seed(0)
        attacked = recipe.attacked(network, batch)
        torch.manual_seed(0)
        found = recipe.loss(network, batch, weights)
        assert torch.allclose(found, nn.functional.cross_entropy(network(attacked), batch.labels, expected), rtol=1e-5)


def test_the_real_class_weighs_between_one_class_and_all_others() -> None:
    weights = class_weights([0, 0, 1, 2, 2, 2, 3, 4], classes=6)
    heavier = real_heavier(weights, 0)
    totals = heavier * torch.tensor([2.0, 1.0, 3.0, 1.0, 1.0, 0.0])
    assert torch.allclose(totals[0], (totals[1] * totals[1:].sum()).sqrt())
    assert torch.equal(heavier[1:], weights[1:])
    binary = class_weights([0, 1, 1], classes=2)
    assert torch.equal(real_heavier(binary, 0), binary)


class Centred(LinearDetector):
    """Linear in the values about mid-grey, so that gradient steps find what is faint."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images - 0.5)


def _clear_and_faint(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 8, 8) in which one value tells the class, right 19 times in 20, and all else hints at it faintly.

    As in Tsipras et al. (ICLR 2019): the hints together tell more than that value, and a budget of twice their size
    turns every one of them.
    """
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=draws)
    sign = (2.0 * labels - 1).view(-1, 1, 1, 1)
    images = 0.5 + 0.02 * sign + 0.05 * torch.randn(count, 3, 8, 8, generator=draws)
    right = torch.where(torch.rand(count, 1, 1, 1, generator=draws) < 0.95, 1.0, -1.0)
    images[:, :1, :1, :1] = 0.5 + 0.3 * sign * right
    return images.clamp(0, 1), labels


def _shares(recipe: Classification | Adversarial) -> tuple[float, float]:
    """What a linear detector trained by a recipe tells right of unseen images, as they are and after PGD's 40 steps."""
    detector = Centred(torch.zeros(3, 8, 8))
    images, labels = _clear_and_faint(512, 0)
    torch.manual_seed(0)  # of PGD's random start
    optimiser = recipe.optimizer(detector)
    for _ in range(10):
        for some in torch.arange(512).split(64):
            loss = recipe.loss(detector, TrainingBatch(images[some], labels[some], []), torch.ones(2))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    unseen, labels = _clear_and_faint(256, 1)
    attacked = Adversarial(epsilon=0.04, steps=40).attacked(detector, TrainingBatch(unseen, labels, []))
    with torch.no_grad():
        clean, robust = (float((detector(each).argmax(1) == labels).float().mean()) for each in (unseen, attacked))
    return clean, robust


def test_adversarial_training_makes_a_detector_hard_to_attack() -> None:
    base = Classification(learning_rate=0.03, balanced=False, label_smoothing=0.0, weight_decay=0.0)
    clean, robust = _shares(base)
    assert clean > 0.97
    assert robust < 0.2, "without it the detector must be easy to attack, or the test would show nothing"
    clean, robust = _shares(Adversarial(base, epsilon=0.04, steps=3, lipschitz=0.0))
    assert clean > 0.9
    assert robust > 0.9


def test_the_penalty_alone_makes_slopes_gentle() -> None:
    base = Classification(learning_rate=0.03, balanced=False, label_smoothing=0.0, weight_decay=0.0)
    robust = [_shares(Adversarial(base, epsilon=1e-6, steps=1, lipschitz=weight))[1] for weight in (0.0, 0.1)]
    assert robust[1] > robust[0] + 0.3


def test_a_network_is_trained_on_attacked_frames_and_remembers_it(tmp_path: Path) -> None:
    start = new_detector(MODELS["attribution"], Wanted("test_efficientnet", 32), None)
    chosen, _ = labelled(open_frames(write_small_frames(tmp_path, people=3), split="train"), start)
    recipe = Adversarial(Classification(5e-3), epsilon=1 / 255, steps=2, lipschitz=0.1)
    weights = train(start, recipe, chosen, chosen, tmp_path / "out", TrainingSettings(epochs=2, batch_size=8))
    assert not (tmp_path / "out" / "best.ckpt").exists(), "the lowest loss without an attack is not the hardest network"
    assert detectors.load(str(weights)).class_names == start.class_names
    weaker = Adversarial(Classification(5e-3), epsilon=1 / 255, steps=2, lipschitz=0.2)
    with pytest.raises(InputError, match=r"was made with lipschitz=0.1, not 0.2"):
        train(start, weaker, chosen, None, tmp_path / "out", TrainingSettings(epochs=2, batch_size=8), resume=True)


def test_xception_has_one_logit_and_the_published_schedule() -> None:
    kind = model("xception")
    recipe = kind.recipe(None)
    assert (kind.epochs, kind.batch_size, recipe.learning_rate) == (20, 32, 1e-4)
    assert [recipe.rate(done) for done in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0], abs=1e-12)
    detector = new_detector(kind, Wanted("test_efficientnet", 32), None).eval()
    images, labels = torch.rand(2, 3, 32, 32), torch.tensor([0, 1])
    with torch.no_grad():
        z = detector(images)[:, 1]
        loss = recipe.loss(detector, TrainingBatch(images, labels, []), torch.ones(2))
    assert torch.allclose(loss, nn.functional.binary_cross_entropy_with_logits(z, labels.float()))
    group = recipe.optimizer(detector).param_groups
    assert {each["weight_decay"] for each in group} == {0.0}  # AdamW without decay is Adam


@pytest.mark.parametrize(
    "values",
    [{"epsilon": 0.0}, {"steps": 0}, {"lipschitz": -1.0}, {"lipschitz": math.nan}, {"exponent": 0.5}],
)
def test_unusable_settings(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Adversarial(**values)  # type: ignore[arg-type]
