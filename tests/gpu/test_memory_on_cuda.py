"""Where a GPU's memory runs out, fewer images pass at a time, and what is computed stays."""

import pytest
import torch
from torch import Tensor

from attacks import build_attack
from detectors import load
from detectors.batch_size import TRIED, fastest
from detectors.queries import Queries
from tests.attacks.nets import ConvDetector, everywhere, some_images

pytestmark = pytest.mark.gpu

MIB_PER_IMAGE = 96  # so that 8 images fit into one GiB and 16 do not


class Hungry(ConvDetector):
    """Takes 96 MiB for an image while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        taken = images.new_empty(len(images), MIB_PER_IMAGE * 2**18)
        self.sizes.append(len(images))
        return super().forward(images) + 0 * taken[:, :1].zero_()


def test_queries_go_on_with_half(small_memory: torch.device, capsys: pytest.CaptureFixture[str]) -> None:
    images, detector = some_images(40), Hungry().to(small_memory)
    queries = Queries(detector, batch_size=64)
    found = queries.logits(images)
    assert detector.most_images == 8
    assert max(detector.sizes) == detector.most_images
    assert queries.images == 40
    assert torch.allclose(found, Queries(ConvDetector()).logits(images), atol=1e-4)
    assert "images at a time do not fit into memory" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nes", "pgd"])
def test_attacks_go_on_with_half(small_memory: torch.device, name: str) -> None:
    images, attack = some_images(24, spread=0.6), build_attack(name, overrides={"steps": 3})
    detector, seeds = Hungry().to(small_memory), range(24)
    found = attack(detector, images, everywhere(24), seeds, batch_size=96)
    assert detector.most_images is not None
    assert detector.most_images < 96
    expected = attack(ConvDetector(), images, everywhere(24), seeds, batch_size=96)
    assert torch.equal(found.flipped, expected.flipped)
    assert torch.equal(found.forwards, expected.forwards)
    assert torch.allclose(found.logits, expected.logits, atol=0.02)


def test_batch_size_auto_takes_no_more_than_fits(small_memory: torch.device) -> None:
    assert fastest(Hungry().to(small_memory), small_memory) <= 8


def test_batch_size_auto_is_one_of_those_tried(cuda: torch.device) -> None:
    assert fastest(load("demo", device="cuda"), cuda) in TRIED
