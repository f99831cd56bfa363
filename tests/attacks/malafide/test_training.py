"""Training against detectors whose best filter is known; resuming; what must not change."""

import copy
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter import FilterSpec, identity
from attacks.malafide.filter_dataset import split
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.optimisers import NormalisedMomentum
from attacks.malafide.prepared_images import PreparedImages
from attacks.malafide.scores import eer, fakeness, score, score_filtered
from attacks.malafide.training import FilterTraining, Trained, write_history
from common.errors import InputError
from tests.attacks.malafide.toys import ChannelDetector, dataset
from tests.attacks.nets import ConvDetector

SETTINGS = FilterTrainingSettings(epochs=4, batch_size=4, learning_rate=0.02, stop=1.0)


def setup(detector: ChannelDetector | None = None) -> tuple[ChannelDetector, PreparedImages, np.ndarray]:
    found, detector = dataset(), detector or ChannelDetector()
    train = split(found.entries).train
    reals = PreparedImages(found, found.of(["Real"], train), detector)
    return detector, PreparedImages(found, found.of(["Deepfakes"], train), detector), score(detector, reals, 8)


def trained(spec: FilterSpec, settings: FilterTrainingSettings = SETTINGS, checkpoint: Path | None = None) -> Trained:
    training = FilterTraining(*setup(), spec, settings, checkpoint)
    list(training)
    return training.result()


def test_training_finds_the_known_best_filter() -> None:
    """Against red less blue the best filter takes from red and gives to blue, whatever else it does."""
    detector, fakes, reals = setup()
    spec = FilterSpec(3, fidelity=Fidelity("psnr", 25.0))
    training = FilterTraining(detector, fakes, reals, spec, replace(SETTINGS, epochs=12))
    rows = list(training)
    result = training.result()
    change = (result.filter.weight - identity(3)).sum(dim=(1, 2, 3))
    assert change[0] < -0.1
    assert change[2] > 0.1
    assert rows[-1]["loss"] < rows[0]["loss"]
    before = eer(score(detector, fakes, 8), reals).rate
    assert before == 0.0
    assert result.eer == max(row["eer"] for row in rows)
    # the best change of 25 dB moves red down and blue up by sqrt(3/2) of the root mean square each, and green not
    found = score_filtered(detector, fakes, result.filter, 4)
    best = 40 * 2 * np.sqrt(1.5) * 10 ** (-25 / 20)
    fallen = (score(detector, fakes, 8) - found.scores).mean()
    assert 0.8 * best < fallen <= best
    assert found.psnr.min() >= 25.0


def test_the_loss_falls_in_every_mode() -> None:
    for spec in (FilterSpec(3), FilterSpec(3, "batch"), FilterSpec(11), FilterSpec(5, fidelity=Fidelity("linf", 0.05))):
        rows = list(FilterTraining(*setup(), spec, SETTINGS))
        assert rows[-1]["batch_loss"] < rows[0]["batch_loss"], spec.label


def test_a_naive_loop_of_adam_gives_the_same_filter() -> None:
    detector, fakes, reals = setup()
    spec, settings = (
        FilterSpec(3),
        FilterTrainingSettings(epochs=3, batch_size=len(fakes), learning_rate=0.01, stop=1.0),
    )
    training = FilterTraining(detector, fakes, reals, spec, settings)
    start = {name: value.detach().clone() for name, value in training.coefficients.named_parameters()}
    list(training)
    norm, direction = (value.requires_grad_() for value in start.values())
    adam = torch.optim.Adam([norm, direction], lr=0.01, weight_decay=1e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=2, eta_min=0.001)
    images = fakes.at(range(len(fakes)))
    for _ in range(3):
        weight = norm * direction / direction.flatten(1).norm(dim=1).view(3, 1, 1, 1)
        raw = torch.nn.functional.conv2d(images, weight, padding=1)
        low, high = (getattr(raw, f"a{end}")(dim=(1, 2, 3), keepdim=True) for end in ("min", "max"))
        least, most = (getattr(images, f"a{end}")(dim=(1, 2, 3), keepdim=True) for end in ("min", "max"))
        filtered = (raw - low) / (high - low) * (most - least) + least
        logits = detector(filtered)
        loss = -logits.log_softmax(1)[:, 0].mean() + 1e-4 * (weight**2).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        cosine.step()
    expected = norm * direction / direction.flatten(1).norm(dim=1).view(3, 1, 1, 1)
    assert torch.allclose(training.coefficients.weight, expected, atol=1e-5)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    spec = FilterSpec(3, fidelity=Fidelity("psnr", 30.0))
    whole = trained(spec)
    first = FilterTraining(*setup(), spec, SETTINGS, tmp_path / "last.ckpt")
    next(iter(first))
    second = FilterTraining(*setup(), spec, SETTINGS, tmp_path / "last.ckpt")
    assert second.epoch == 1
    rows = list(second)
    result = second.result()
    assert torch.equal(result.filter.weight, whole.filter.weight)
    for name in ("epochs", "best_epoch", "eer", "loss", "ended"):
        assert getattr(result, name) == getattr(whole, name)
    assert [row["epoch"] for row in rows] == [2, 3, 4]
    write_history(tmp_path / "history.csv", second.history)
    with (tmp_path / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_a_checkpoint_of_other_settings_or_damaged_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.ckpt"
    trained(FilterSpec(3), replace(SETTINGS, epochs=1), checkpoint)
    with pytest.raises(InputError, match=r"made with epochs=1, not 4; give the same options"):
        trained(FilterSpec(3), SETTINGS, checkpoint)
    with pytest.raises(InputError, match="made with size=3, not 5"):
        trained(FilterSpec(5), replace(SETTINGS, epochs=1), checkpoint)
    FilterTraining(*setup(), FilterSpec(3), replace(SETTINGS, epochs=1, max_minutes=9.0), checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(InputError, match=r"cannot be read .*; remove it to start anew") as caught:
        trained(FilterSpec(3), SETTINGS, checkpoint)
    assert "\n" not in str(caught.value)


def test_training_depends_on_its_seed_alone() -> None:
    spec = FilterSpec(3)
    torch.manual_seed(1)
    one = trained(spec).filter.weight
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(one, trained(spec).filter.weight)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(one, trained(spec, replace(SETTINGS, seed=1)).filter.weight)


def test_it_ends_when_the_training_eer_passes_the_limit_and_keeps_the_best() -> None:
    spec = FilterSpec(3, fidelity=Fidelity("psnr", 15.0))
    training = FilterTraining(*setup(), spec, replace(SETTINGS, epochs=50, stop=0.5))
    rows = list(training)
    assert len(rows) < 50
    assert rows[-1]["eer"] > 0.5
    assert all(row["eer"] <= 0.5 for row in rows[:-1])
    assert (training.ended, training.result().eer) == ("eer", rows[-1]["eer"])
    harmless = FilterTraining(*setup(), FilterSpec(3, fidelity=Fidelity("psnr", 70.0)), SETTINGS)
    losses = [row["loss"] for row in harmless]
    result = harmless.result()
    assert (result.ended, result.eer, result.epochs) == ("epochs", 0.0, 4)
    assert (result.loss, result.best_epoch) == (min(losses), 1 + losses.index(min(losses)))


def test_it_ends_when_the_time_is_up_even_within_an_epoch(tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_minutes=1e-9, epochs=50)
    training = FilterTraining(*setup(), FilterSpec(3), settings, tmp_path / "last.ckpt")
    rows = list(training)
    assert len(rows) == 1
    assert 0 < rows[0]["epoch"] < 1
    result = training.result()
    assert (result.ended, result.epochs) == ("time", 0)
    assert not (tmp_path / "last.ckpt").exists()


def test_the_detector_is_as_it_was() -> None:
    detector = ConvDetector()
    detector.train()
    detector.features[0].eval()
    detector.head.weight.grad = torch.ones_like(detector.head.weight)
    found = dataset(people=3)
    before = copy.deepcopy(detector.state_dict())
    modes = [module.training for module in detector.modules()]
    fakes = PreparedImages(found, found.of(["Deepfakes"], range(len(found.entries))), detector)
    list(FilterTraining(detector, fakes, np.zeros(4), FilterSpec(3), SETTINGS))
    assert all(torch.equal(before[name], value) for name, value in detector.state_dict().items())
    assert [module.training for module in detector.modules()] == modes
    assert all(parameter.requires_grad for parameter in detector.parameters())
    assert torch.equal(detector.head.weight.grad, torch.ones_like(detector.head.weight))
    assert detector.head.bias.grad is None


def test_every_class_but_real_is_fake() -> None:
    logits = torch.tensor([[1.0, 3.0, -2.0], [90.0, 0.0, 0.0]], dtype=torch.float64)
    p = logits.softmax(1)
    for real in range(3):
        expected = torch.log((1 - p[:1, real]) / p[:1, real])
        assert torch.allclose(fakeness(logits, real)[:1], expected)
    assert float(fakeness(logits, 1)[1]) == pytest.approx(90.0)


def test_scores_in_batches_are_scores_of_single_images() -> None:
    detector, fakes, _ = setup()
    kept = trained(FilterSpec(3)).filter
    found = score_filtered(detector, fakes, kept, 4)
    for place in range(len(fakes)):
        logits = detector(kept(fakes.at([place]))).detach().double()
        assert found.scores[place] == pytest.approx(float(fakeness(logits, 0)), abs=1e-4)
    assert found.loss == pytest.approx(float(np.logaddexp(0, found.scores).mean()))


def test_a_detector_without_gradients_gives_one_clear_error() -> None:
    class Closed(ChannelDetector):
        @torch.no_grad()
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images)

    with pytest.raises(InputError, match="Closed gives no gradient"):
        list(FilterTraining(*setup(Closed()), FilterSpec(3), SETTINGS))


@pytest.mark.parametrize(
    "values",
    [{"epochs": 0}, {"batch_size": 0}, {"max_minutes": 0.0}, {"learning_rate": -1.0}, {"stop": 2.0}, {"penalty": -1.0}],
)
def test_impossible_settings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        replace(FilterTrainingSettings(), **values)


def test_the_published_schedule() -> None:
    settings = FilterTrainingSettings()
    published, kept = FilterSpec(3), FilterSpec(3, fidelity=Fidelity("psnr", 30.0))
    assert settings.rate(published, 0) == pytest.approx(1e-4)
    assert settings.rate(published, 99) == pytest.approx(1e-5)
    assert settings.rate(kept, 0) == pytest.approx(10 * settings.rate(kept, 99))
    assert settings.rate(kept, 0) == pytest.approx(0.5 * 10**-1.5)
    assert (settings.epochs, settings.batch_size, settings.weight_decay, settings.penalty) == (100, 32, 1e-4, 1e-4)
    assert (settings.enough(published), settings.enough(kept), replace(settings, stop=0.0).enough(kept)) == (
        0.5,
        0.9,
        0,
    )
    assert settings.rate(FilterSpec(81, fidelity=Fidelity("linf", 0.1)), 0) == pytest.approx(0.05)


def test_a_step_has_the_stated_length_and_the_mean_direction() -> None:
    tensor = torch.zeros(4, requires_grad=True)
    optimiser = NormalisedMomentum([tensor], lr=0.5, momentum=0.75)
    directions = torch.eye(4)
    mean = torch.zeros(4)
    for size, direction in zip((1e-6, 1e6, 3.0), directions, strict=False):
        before = tensor.detach().clone()
        tensor.grad = size * direction
        optimiser.step()
        mean = 0.75 * mean + 0.25 * direction
        assert torch.allclose(tensor - before, -0.5 * mean / mean.norm(), atol=1e-6)
    before = tensor.detach().clone()
    tensor.grad = torch.zeros(4)
    optimiser.step()
    assert torch.equal(tensor.detach(), before)


def test_the_default_rate_spends_half_the_bound_in_the_first_step() -> None:
    detector, fakes, reals = setup()
    spec = FilterSpec(5, fidelity=Fidelity("psnr", 25.0))
    training = FilterTraining(
        detector, fakes, reals, spec, FilterTrainingSettings(epochs=1, batch_size=len(fakes), stop=1.0)
    )
    (row,) = training
    expected = 25.0 - 20 * np.log10(0.5)  # half of the root mean square is 6 dB more
    assert row["psnr"] == pytest.approx(expected, abs=0.3)
