"""The networks of these tests are tiny: one thread is faster than two that wait for each other."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(1)
