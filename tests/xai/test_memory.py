"""Memory does not grow with the samples of an explanation, nor with the frames explained."""

import gc

import pytest
import torch

import xai
from benchmarks.common import peak, reset_peak
from tests.xai.helpers import SmallNetwork, photo

SIZE = 64
MORE = 6000  # images of 48 KiB, masks of 16 KiB: kept, they would take 380 MiB
ROOM = 80  # MiB: what linear algebra keeps for itself, and the allocator
SETTINGS = {
    "LIME": ({"samples": 500}, {"samples": 500 + MORE}),
    "SHAP": ({"evaluations": 500}, {"evaluations": 500 + MORE}),
    "SOBOL": ({"designs": 8}, {"designs": 128}),  # 66 forwards each
    "RISE": ({"samples": 500}, {"samples": 500 + MORE}),
}


def most(method: str, settings: dict[str, int], frames: int = 1) -> float:
    """The highest resident memory, in MiB, while frames are explained."""
    detector = SmallNetwork(SIZE)
    gc.collect()
    reset_peak()
    for number in range(frames):
        frame = xai.FrameExplanations(
            detector, photo(SIZE, number), 2, xai.build_settings("published", {method: settings})
        )
        assert frame.explain(method).forwards > 400
    found = peak()
    if found is None:
        pytest.skip("the system does not tell how much memory a process takes")
    return found


@pytest.mark.parametrize("method", SETTINGS)
def test_memory_is_flat_in_samples_and_frames(method: str) -> None:
    few, many = SETTINGS[method]
    torch.set_num_threads(1)
    most(method, few)  # what libraries load and compile once
    base = most(method, few)
    assert most(method, many) - base < ROOM
    assert most(method, few, frames=12) - base < ROOM
