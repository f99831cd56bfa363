"""Sound detectors with weights of unusual kinds, and one without values."""

import numpy as np
import torch
from torch import Tensor, nn

from tests.scoring.stand_ins import SIZE, TwoClassPlanted


class Unused(TwoClassPlanted):
    """A layer that would be made at its first call, which never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.LazyLinear(2)


class Sparse(TwoClassPlanted):
    """A sparse buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.eye(3).to_sparse())


class Complex(TwoClassPlanted):
    """A weight of complex numbers, the first of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        pattern = self.pattern
        del self.pattern
        self.filter = nn.Parameter(torch.ones(3, dtype=torch.complex64))
        self.pattern = pattern

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.filter.real[0]


class NumpySize(TwoClassPlanted):
    """Its size is a number of numpy's."""

    def __init__(self) -> None:
        super().__init__()
        self.input_size = np.int64(SIZE)  # type: ignore[assignment]


class WithoutValues(TwoClassPlanted):
    """A buffer without data."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("empty", torch.empty(3, device="meta"))
