"""Seconds and forwards of region attacks, beside torchattacks itself.

Run as `python -m benchmarks.attacks`. The ratio is an attack's time over (its forwards x the best time per
forward that this machine was measured to reach with this detector): 1.00 is an attack that does nothing but ask.
Speed does not depend on the weights, so without --detector they are random; "Real" is then the class that the
network finds least likely, which no attack reaches soon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torchattacks
import typer
from torch import Tensor

import attacks
import detectors
from benchmarks.common import BatchSizeOption, Clock, ClockOption, ImageOption, ThreadsOption, best_seconds, picture
from common.console import application, progress, run, say, table
from common.errors import InputError
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.optimise import optimise
from detectors.options import CheckpointOption, DeviceOption
from detectors.queries import gradient_batch
from detectors.timm_network import TimmConfig, TimmDetector

app = application(__doc__ or "")

SIDE = 32  # 1024 pixels, a fiftieth of an image of 224 x 224: about one segment


@dataclass(frozen=True)
class AttackTiming:
    """What one way of attacking took.

    Attributes:
        name: as the table shows it.
        seconds: on the clock that was chosen.
        forwards: images passed to the detector.
        flipped: how many pairs flipped, or None where nobody judged.
    """

    name: str
    seconds: float
    forwards: int
    flipped: int | None


@app.command()
def measure_attacks(
    image: ImageOption = None,
    detector: Annotated[str | None, typer.Option(help="As in evaluate.py; by default random weights.")] = None,
    checkpoint: CheckpointOption = None,
    regions: Annotated[int, typer.Option(help="How many regions of the frame.")] = 4,
    steps: Annotated[int, typer.Option(help="NES's steps; 50 is the published setting.")] = 50,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 2,
    clock: ClockOption = Clock.WALL,
) -> None:
    """Attacks regions of one frame, together and one by one, and prints what each way took."""
    clock.check(resolve_device(device))
    torch.set_num_threads(threads)
    keep_freed_memory()
    model = _random(device) if detector is None else detectors.load(detector, checkpoint, device)
    prepared = model.prepare(picture(image))
    if detector is None:
        model.real = int(Queries(model).logits(prepared[None]).argmin())
    images = prepared.expand(regions, -1, -1, -1)
    bench = Bench(model, images, _squares(regions, model.input_size), batch_size, clock)
    best, size = best_seconds(model, clock)
    rows = []
    with progress() as bar:
        jobs = bench.jobs(steps)
        task = bar.add_task("measuring", total=len(jobs))
        for job in jobs:
            rows.append(job())
            bar.advance(task)
    best, size = min((best, size), best_seconds(model, clock))
    say(f"best time per forward: {best * 1e3:.2f} ms, {size} images at a time, {threads} threads, {device}")
    say(f"seconds are {clock} time")
    _print(rows, best, regions, steps)


@dataclass(frozen=True)
class Bench:
    """Pairs and the ways to attack them."""

    detector: Detector
    images: Tensor
    regions: Tensor
    batch_size: int
    clock: Clock

    def jobs(self, steps: int) -> list[Callable[[], AttackTiming]]:
        """Every way to attack, in the order of the table."""
        nes = attacks.build_attack("nes", overrides={"steps": steps})
        pgd, fgsm = attacks.build_attack("pgd"), attacks.build_attack("fgsm")
        everywhere = torch.ones_like(self.regions)
        return [
            lambda: self.together("NES, together", nes, self.regions),
            lambda: self.one_by_one("NES, one by one", nes),
            lambda: self.together("PGD, together", pgd, self.regions),
            lambda: self.together("PGD, whole", pgd, everywhere),
            lambda: self.torchattacks_pgd("torchattacks' PGD, whole"),
            lambda: self.together("FGSM, together", fgsm, self.regions),
        ]

    def together(self, name: str, attack: attacks.RegionAttack, regions: Tensor) -> AttackTiming:
        """All pairs in one call."""
        started = self.clock.read()
        result = attack(self.detector, self.images, regions, range(len(regions)), self.batch_size)
        seconds = self.clock.read() - started
        return AttackTiming(name, seconds, int(result.forwards.sum()), int(result.flipped.sum()))

    def one_by_one(self, name: str, attack: attacks.RegionAttack) -> AttackTiming:
        """A call for each pair."""
        started, forwards, flipped = self.clock.read(), 0, 0
        for pair in range(len(self.regions)):
            one = slice(pair, pair + 1)
            result = attack(self.detector, self.images[one], self.regions[one], [pair], self.batch_size)
            forwards, flipped = forwards + int(result.forwards), flipped + int(result.flipped)
        return AttackTiming(name, self.clock.read() - started, forwards, flipped)

    def torchattacks_pgd(self, name: str) -> AttackTiming:
        """The library as its users call it, in batches of the same size as ours."""
        attack = torchattacks.PGD(self.detector, eps=16 / 255, alpha=4 / 255, steps=10)
        attack.set_mode_targeted_by_label(quiet=True)
        device = Queries(self.detector).device
        size = gradient_batch(self.batch_size)
        started = self.clock.read()
        for images in self.images.to(device).split(size):
            attack(images, torch.full((len(images),), self.detector.real, device=device)).cpu()
        return AttackTiming(name, self.clock.read() - started, 10 * len(self.images), None)


def _random(device: str) -> Detector:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return optimise(TimmDetector(TimmConfig())).to(resolve_device(device))


def _squares(count: int, size: int) -> Tensor:
    """Squares of SIDE on a grid over the image, (count, size, size) bool."""
    per_row = size // SIDE
    if not 1 <= count <= per_row**2:
        raise InputError(f"--regions must be between 1 and {per_row**2} for images of {size} pixels, got {count}")
    regions = torch.zeros(count, size, size, dtype=torch.bool)
    for number, region in enumerate(regions):
        row, column = divmod(number * per_row**2 // count, per_row)
        region[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = True
    return regions


def _print(rows: list[AttackTiming], best: float, regions: int, steps: int) -> None:
    say("a pass backward counts as a forward; it takes longer than one")
    table(
        f"{regions} regions of {SIDE} x {SIDE} pixels; NES: {steps} steps of 40 pairs; PGD: at most 40 steps",
        ("attack", "seconds", "forwards", "ms/forward", "ratio", "flipped"),
        [
            (
                row.name,
                f"{row.seconds:.2f}",
                f"{row.forwards}",
                f"{row.seconds / row.forwards * 1e3:.2f}",
                f"{row.seconds / (row.forwards * best):.2f}",
                "" if row.flipped is None else f"{row.flipped}",
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    run(app)
