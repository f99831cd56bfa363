"""Bulk queries: where memory runs out they go on with fewer images, and what does not fit at all is told."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from detectors.base import Detector
from detectors.checks.contract import check_contract
from detectors.memory import ran_out
from detectors.queries import Queries, counting

CPU_WORDS = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to ..."


class Cramped(Detector):
    """Refuses more than `most` images at a time; its logits are sums of pixels."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 4

    def __init__(self, most: int, error: RuntimeError) -> None:
        super().__init__()
        self.most, self.error = most, error

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            raise self.error
        return images.flatten(1).cumsum(1)[:, [11, 47]]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("out of memory"), RuntimeError(CPU_WORDS)])
def test_where_memory_runs_out_the_batch_is_halved(error: RuntimeError, capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.rand(21, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    detector = Cramped(7, error)
    queries = Queries(detector, 16)
    with counting(detector) as meter:
        logits = queries.logits(images)
    assert torch.equal(logits, Queries(Cramped(32, error), 4).logits(images))
    assert (queries.images, queries.calls, queries.batch_size) == (21, 6, 4)  # 16 and 8 do not fit
    assert (meter.images, meter.calls) == (21, 6)
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": going on")[0] for line in told] == [
        "warning: 16 images at a time do not fit into memory",
        "warning: 8 images at a time do not fit into memory",
    ]
    Queries(detector, 16).logits(images)
    assert capsys.readouterr().err == ""  # it remembers, for queries to come
    assert Queries(detector, 2).batch_size == 2


class Turning(Cramped):
    """Asks itself about pictures and about their mirror images, as test-time augmentation may be written."""

    def forward(self, images: Tensor, turned: bool = True) -> Tensor:
        return self(images, False) + self(images.flip(-1), False) if turned else super().forward(images)


def test_passes_that_a_detector_makes_of_itself_are_part_of_one() -> None:
    images = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    detector = Turning(8, RuntimeError())
    with counting(detector) as meter:
        detector(images).sum().backward()
        Queries(detector, 4).logits(images)
    assert (meter.images, meter.calls, meter.backward) == (18, 4, 6)


def test_one_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Queries(Cramped(0, torch.OutOfMemoryError("out of memory")), 8).logits(torch.zeros(3, 3, 4, 4))


def test_other_errors_are_not_taken_for_it() -> None:
    detector = Cramped(2, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        Queries(detector, 8).logits(torch.zeros(3, 3, 4, 4))
    assert detector.most_images is None


def test_what_torch_raises_on_a_cpu_without_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out(raised.value)


def test_logits_come_in_the_order_of_the_images() -> None:
    images = torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    detector = Cramped(64, RuntimeError("never"))
    for size in (1, 3, 10, 32):
        assert torch.equal(Queries(detector, size).logits(images), detector(images))
    assert Queries(detector, 3).logits(images[:0]).shape == (0, 2)


def test_freed_memory_is_kept_for_the_next_forward_pass() -> None:
    """In a process of its own, as nothing undoes it: after the first one, passes take no new pages."""
    script = """
import resource, torch
from detectors.memory import keep_freed_memory
kept = keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        x = [torch.ones(48, 2**18) for _ in range(3)]  # three of 48 MiB, more than glibc keeps
        del x
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults() if kept else "not glibc")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    if "not glibc" in done.stdout:
        pytest.skip("the C library is not glibc")
    assert int(done.stdout) < 500  # of 10 x 36864 pages


class ByItsGradient(Detector):
    """Its logit is 3 s + |ds/dx| of the images' mean square s, by a gradient that its forward takes itself."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = 4

    def forward(self, images: Tensor) -> Tensor:
        with torch.enable_grad():
            given = images if images.requires_grad else images.detach().requires_grad_()
            score = given.square().mean(dim=(1, 2, 3))
            (slope,) = torch.autograd.grad(score.sum(), given, create_graph=True)
        logit = 3 * score + slope.flatten(1).norm(dim=1)
        return torch.stack([torch.zeros_like(logit), logit], dim=1)


def test_a_forward_may_take_gradients_of_its_own() -> None:
    images = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    detector = ByItsGradient()
    logits = Queries(detector, 2).logits(images)
    norm = images.flatten(1).norm(dim=1)
    assert torch.allclose(logits[:, 1], 3 * norm.square() / 48 + 2 * norm / 48)
    assert not logits.requires_grad
    check_contract(detector, "ByItsGradient")
