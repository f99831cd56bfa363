"""SAM, against its closed form on a quadratic and a plain twin, alone and in Lightning's automatic optimisation."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from detectors.training.sharpness import SharpnessAware

CURVATURE = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
START = torch.tensor([1.0, -2.0])


def quadratic(weights: nn.Parameter, optimizer: torch.optim.Optimizer) -> Callable[[], Tensor]:
    """The loss w'Hw / 2, whose gradient is Hw."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * weights @ CURVATURE @ weights
        loss.backward()
        return loss

    return closure


def closed_form(
    weights: Tensor, velocity: Tensor, rate: float, momentum: float, radius: float
) -> tuple[Tensor, Tensor]:
    gradient = CURVATURE @ weights
    worst = weights + radius * gradient / gradient.norm()
    velocity = momentum * velocity + CURVATURE @ worst
    return weights - rate * velocity, velocity


def test_steps_on_a_quadratic_are_the_closed_form() -> None:
    weights = nn.Parameter(START.clone())
    optimizer = SharpnessAware([weights], 0.1, momentum=0.9, radius=0.5)
    expected, velocity = START, torch.zeros(2)
    for _ in range(3):
        before = 0.5 * expected @ CURVATURE @ expected
        expected, velocity = closed_form(expected, velocity, 0.1, 0.9, 0.5)
        torch.testing.assert_close(optimizer.step(quadratic(weights, optimizer)), before)
        torch.testing.assert_close(weights.data, expected)


def test_a_tiny_radius_is_sgd() -> None:
    weights, plain = nn.Parameter(START.clone()), nn.Parameter(START.clone())
    sharp, sgd = SharpnessAware([weights], 0.1, radius=1e-6), torch.optim.SGD([plain], 0.1, 0.9)
    for _ in range(3):
        sharp.step(quadratic(weights, sharp))
        sgd.step(quadratic(plain, sgd))
    torch.testing.assert_close(weights, plain, atol=1e-5, rtol=0)


def test_a_saved_state_continues_with_its_momentum() -> None:
    weights = nn.Parameter(START.clone())
    optimizer = SharpnessAware([weights], 0.1)
    optimizer.step(quadratic(weights, optimizer))
    other = nn.Parameter(weights.detach().clone())
    resumed = SharpnessAware([other], 0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    optimizer.step(quadratic(weights, optimizer))
    resumed.step(quadratic(other, resumed))
    assert torch.equal(weights, other)
    assert resumed.state_dict()["state"][0].keys() == {"momentum_buffer"}


def test_a_schedule_reaches_the_step_also_after_loading() -> None:
    weights = nn.Parameter(START.clone())
    saved = SharpnessAware([weights], 0.1).state_dict()
    optimizer = SharpnessAware([weights], 0.1)
    optimizer.load_state_dict(saved)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)
    optimizer.step(quadratic(weights, optimizer))
    schedule.step()
    assert torch.equal(weights.data, START), "a learning rate of zero moves nothing"


def test_without_gradients_nothing_moves() -> None:
    weights = nn.Parameter(START.clone())
    assert SharpnessAware([weights], 0.1).step(lambda: None) is None
    assert torch.equal(weights.data, START)


def test_a_step_needs_a_closure() -> None:
    with pytest.raises(ValueError, match="closure"):
        SharpnessAware([nn.Parameter(START.clone())], 0.1).step()


class Regression(LightningModule):
    """One linear layer on two batches; the second batch has nothing to learn from."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1, bias=False)
        nn.init.constant_(self.layer.weight, 1.0)
        self.calls = 0

    def training_step(self, batch: Tensor, index: int) -> Tensor | None:
        self.calls += 1
        return self.layer(batch).square().mean() if index != 1 else None

    def configure_optimizers(self) -> Any:
        optimizer = SharpnessAware(self.parameters(), 0.1, radius=0.3)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@pytest.mark.filterwarnings("ignore")
def test_lightning_s_automatic_optimisation_makes_the_same_steps() -> None:
    batches = torch.tensor([[[1.0, 2.0], [0.5, -1.0]], [[1.0, 1.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, 1.0]]])
    module = Regression()
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(list(batches), batch_size=None))

    weights, velocity = torch.ones(2), torch.zeros(2)
    for batch in [batches[0], batches[2]] * 2:
        hessian = 2 * batch.T @ batch / 2
        gradient = hessian @ weights
        velocity = 0.9 * velocity + hessian @ (weights + 0.3 * gradient / gradient.norm())
        weights = weights - 0.1 * velocity
    torch.testing.assert_close(module.layer.weight.data[0], weights)
    assert module.calls == 2 * (2 + 1 + 2), "two passes for each batch with a loss, one for the other"
    assert trainer.global_step == 6
