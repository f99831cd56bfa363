"""A frame becomes the detector's input exactly as torchvision's published transform makes it."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from detectors import resize


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("side", [3, 60, 223, 224, 225, 256, 500])
def test_square_frames_are_resized_as_by_torchvision(side: int, antialias: bool) -> None:
    frame = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    published = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(224, interpolation=InterpolationMode.BICUBIC, antialias=antialias),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    expected = published(frame)
    found = resize(frame, 224, antialias)
    assert found.shape == (3, 224, 224)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert torch.equal((found * 255).round(), (expected * 255).round())  # byte for byte
    assert torch.allclose(found, expected, atol=1e-7, rtol=0)  # x / 255 against x * (1 / 255)


def test_other_frames_are_stretched() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (100, 60, 3), dtype=np.uint8)
    expected = v2.Resize((32, 32), interpolation=InterpolationMode.BICUBIC, antialias=False)(v2.ToImage()(frame))
    assert torch.equal((resize(frame, 32, False) * 255).round().byte(), expected)


def test_views_and_range() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    turned = frame[::-1, :, ::-1]
    assert torch.equal(resize(turned, 40, False), resize(turned.copy(), 40, False))
    black_and_white = np.zeros((50, 50, 3), np.uint8)
    black_and_white[:, 25:] = 255
    result = resize(black_and_white, 224, False)
    assert result.min() == 0.0
    assert result.max() == 1.0
