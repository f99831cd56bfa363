"""The device of the tests that need CUDA."""

from collections.abc import Iterator

import pytest
import torch

GIB = 2**30


@pytest.fixture
def cuda() -> torch.device:
    """The first CUDA device; skips where torch sees none."""
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return torch.device("cuda")


@pytest.fixture
def small_memory(cuda: torch.device) -> Iterator[torch.device]:
    """A CUDA device of which this process may take one GiB."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(GIB / torch.cuda.get_device_properties(cuda).total_memory, 0)
    try:
        yield cuda
    finally:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0, 0)
