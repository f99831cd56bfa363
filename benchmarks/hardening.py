"""What a step of adversarial training takes: with and without the gradient penalty, in both memory formats.

Run as `python -m benchmarks.hardening`. A model's network with random weights does the forward and backward passes of
one batch of noise, attacked by PGD inside, turn by turn. The losses stand beside the times: they differ by rounding and
by the attack's random start, which is drawn in the order of memory.
"""

from typing import Annotated

import torch
import typer

from benchmarks.common import Clock, ClockOption, ThreadsOption
from common.console import application, run, say, table
from common.errors import InputError
from common.seeds import derive_seed
from detectors.memory import keep_freed_memory
from detectors.training.adversarial import Adversarial
from detectors.training.classification import Classification
from detectors.training.loop import Training, TrainingSettings
from detectors.training.models import Wanted, model, new_detector
from detectors.training.progress import Budget
from detectors.training.recipe import TrainingBatch

FORMATS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
PENALTIES = {"without": 0.0, "with penalty": 0.01}

app = application(__doc__ or "")


@app.command()
def measure_hardening(
    name: Annotated[str, typer.Option("--model", help="As python -m detectors train has it.")] = "xception",
    images: Annotated[int, typer.Option(min=2, help="In the batch.")] = 8,
    attack_steps: Annotated[int, typer.Option(min=1, help="Of PGD, inside.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="How often; the least time is shown.")] = 3,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "bfloat16",
    clock: ClockOption = Clock.WALL,
    threads: ThreadsOption = 1,
) -> None:
    """Times a training step with and without the gradient penalty, channels last and contiguous."""
    if precision not in ("float32", "bfloat16"):
        raise InputError(f"unknown precision {precision!r}; known: float32, bfloat16")
    torch.set_num_threads(threads)
    keep_freed_memory()
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for penalty, weight in PENALTIES.items():
            for layout, memory_format in FORMATS.items():
                step = Step(name, Adversarial(Classification(), 1 / 255, attack_steps, weight), memory_format)
                taken.setdefault((penalty, layout), []).append(step.measure(images, precision, clock))
    say(f"{name}, {images} images, {attack_steps} steps of PGD, {precision}, {threads} threads, {clock} time")
    table(
        "one step of adversarial training",
        ("gradient penalty", "images lie", "s an image", "loss"),
        [(*what, f"{min(seen)[0]:.3f}", f"{min(seen)[1]:.4f}") for what, seen in taken.items()],
    )


class Step:
    """One step of a training from the same random weights.

    Args:
        name: the model, as `detectors.training.models.model` knows it.
        recipe: the loss.
        memory_format: how network and images lie in memory.
    """

    def __init__(self, name: str, recipe: Adversarial, memory_format: torch.memory_format) -> None:
        torch.manual_seed(derive_seed(0, "weights"))
        self.detector = new_detector(model(name), Wanted(), None)
        weights = torch.ones(len(self.detector.class_names))
        budget = Budget(1, None)
        self.training = Training(
            self.detector, recipe, weights, TrainingSettings(), budget, memory_format=memory_format
        )

    def measure(self, images: int, precision: str, clock: Clock) -> tuple[float, float]:
        """(seconds an image, loss) of a batch of noise, whose classes take turns."""
        torch.manual_seed(derive_seed(0, "noise"))
        noise = torch.rand(images, 3, self.detector.input_size, self.detector.input_size)
        labels = torch.arange(images) % len(self.detector.class_names)
        started = clock.read()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = self.training.training_step(TrainingBatch(noise, labels, []), 0)
        torch.as_tensor(loss).backward()
        return (clock.read() - started) / images, float(torch.as_tensor(loss).detach())


if __name__ == "__main__":
    run(app)
