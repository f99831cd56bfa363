"""Fills show the frame where a mask is 1 and its background where it is 0."""

import numpy as np
import pytest
import shap
import torch

from tests.xai.helpers import photo
from xai.fills import Blur, Mean, SegmentMean, Zero, composite

SIZE = 48
IMAGE = photo(SIZE)
SEGMENTS = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) // 7 % 11
MEAN = (0.485, 0.456, 0.406)


def test_masks_of_one_and_zero_are_exact() -> None:
    background = photo(SIZE, seed=1)
    keep = (torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    images = composite(IMAGE, background)(keep)
    assert torch.equal(images, torch.where(keep.bool(), IMAGE, background))


def test_masks_between_blend() -> None:
    background = photo(SIZE, seed=1)
    keep = torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    images = composite(IMAGE, background)(keep)
    for image, mask in zip(images, keep, strict=True):
        assert torch.allclose(image, mask * IMAGE + (1 - mask) * background, atol=1e-6)


def test_zero_is_black_and_mean_is_what_normalises_to_zero() -> None:
    assert not Zero()(IMAGE, SEGMENTS, MEAN).any()
    background = Mean()(IMAGE, SEGMENTS, MEAN)
    assert background.shape == IMAGE.shape
    assert torch.equal(background - torch.tensor(MEAN)[:, None, None], torch.zeros_like(IMAGE))


def test_segment_mean_is_a_naive_loops() -> None:
    expected = IMAGE.clone()
    for label in range(11):
        inside = torch.from_numpy(label == SEGMENTS)
        expected[:, inside] = IMAGE[:, inside].mean(dim=1, keepdim=True)
    assert torch.allclose(SegmentMean()(IMAGE, SEGMENTS, MEAN), expected, atol=1e-6)


@pytest.mark.parametrize("kernel", [128, 9, 1])
def test_blur_is_shaps(kernel: int) -> None:
    pixels = IMAGE.permute(1, 2, 0).contiguous().numpy()
    masker = shap.maskers.Image(f"blur({kernel},{kernel})", pixels.shape)
    (hidden,) = masker(np.zeros(pixels.size, dtype=bool), pixels)
    background = Blur(kernel)(IMAGE, SEGMENTS, MEAN).permute(1, 2, 0)
    assert np.array_equal(background.numpy(), hidden[0])


def test_impossible_blur_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel"):
        Blur(0)
