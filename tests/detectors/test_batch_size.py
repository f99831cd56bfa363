"""The batch size that is measured is the fastest, and among equals the smallest."""

import time

import pytest
import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import Detector
from detectors.batch_size import AUTO, choose, fastest, read_batch_size, usual


@pytest.mark.parametrize(
    ("taken", "best"),
    [
        ({4: 4.0, 8: 3.0, 16: 2.0, 32: 1.0}, 32),
        ({4: 1.0, 8: 2.0, 16: 3.0, 32: 4.0}, 4),
        ({4: 3.0, 8: 1.02, 16: 1.0, 32: 1.0}, 8),  # what twice the memory gains is not worth it
        ({4: 3.0, 8: 1.04, 16: 1.0, 32: 0.99}, 16),
        ({4: 1.0}, 4),
    ],
)
def test_the_smallest_of_the_fastest_is_chosen(taken: dict[int, float], best: int) -> None:
    assert choose(taken.__getitem__, list(taken)) == best


@pytest.mark.parametrize(("most", "best"), [(1000, 64), (63, 32), (16, 16), (9, 8), (7, 4), (1, 1)])
def test_what_memory_does_not_hold_is_not_chosen(most: int, best: int) -> None:
    def seconds(size: int) -> float:
        if size > most:
            raise torch.OutOfMemoryError("out of memory")
        return 1 / size

    assert choose(seconds, (8, 16, 32, 64)) == best


def test_other_errors_and_no_memory_at_all_are_told() -> None:
    def fail(size: int) -> float:
        raise RuntimeError("broken") if size == 16 else torch.OutOfMemoryError("out of memory")

    with pytest.raises(RuntimeError, match="broken"):
        choose(fail, (16, 32))
    with pytest.raises(torch.OutOfMemoryError):
        choose(fail, (8, 16))


class Slow(Detector):
    """Takes the same time for any number of images up to 16, and very long for more."""

    class_names, real, input_size = ("Real", "Fake"), 0, 8

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        time.sleep(0.01 if len(images) <= 16 else 0.1)
        return images.flatten(1)[:, :2]


def test_a_detector_is_timed() -> None:
    detector = Slow()
    assert fastest(detector, torch.device("cpu")) == 16
    assert set(detector.sizes) == {4, 8, 16, 32}


def test_batch_sizes_are_read() -> None:
    assert [read_batch_size(text) for text in ("1", "64", "auto", None)] == [1, 64, AUTO, None]
    for text in ("0", "-3", "1.5", "many", ""):
        with pytest.raises(InputError, match="--batch-size"):
            read_batch_size(text)


def test_a_cpu_has_a_fixed_number_and_a_gpu_is_measured() -> None:
    assert isinstance(usual(torch.device("cpu")), int)
    assert usual(torch.device("cuda")) == AUTO
