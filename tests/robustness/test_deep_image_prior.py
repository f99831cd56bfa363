"""The deep image prior against what it is for: it draws a face and not the noise on it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import InputError
from robustness.deep_image_prior import DeepImagePrior

SIDE = 32


def smooth() -> Tensor:
    """A shaded ball before a gradient."""
    line = torch.arange(SIDE) / SIDE - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    ball = (0.16 - x**2 - y**2).clamp(min=0).sqrt()
    return torch.stack([0.3 + 0.3 * x + ball, 0.4 + 0.2 * y + ball, 0.5 - 0.2 * x + 0.5 * ball]).clamp(0, 1)


def psnr(image: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels."""
    return float(-10 * torch.log10((image - truth).square().mean()))


def test_it_draws_a_smooth_image() -> None:
    drawn = DeepImagePrior(iterations=120)(smooth(), seed=0)
    assert drawn.shape == (3, SIDE, SIDE)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert psnr(drawn, smooth()) > 32


def test_stopped_early_it_leaves_high_frequencies_out() -> None:
    noise = 0.12 * torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    noisy = (smooth() + noise).clamp(0, 1)
    early = DeepImagePrior(iterations=120)(noisy, seed=0)
    assert psnr(early, smooth()) > psnr(noisy, smooth()) + 8
    late = DeepImagePrior(iterations=350, jitter=0.0, learning_rate=0.03)(noisy, seed=0)
    assert psnr(late, noisy) > psnr(early, noisy) + 3  # going on, it learns the noise too


def test_the_same_seed_draws_the_same_and_leaves_global_generators_alone() -> None:
    prior, image = DeepImagePrior(iterations=3), smooth()
    torch.manual_seed(0)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002 - the state tested
    first = prior(image, seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002
    torch.manual_seed(1)
    assert torch.equal(prior(image, seed=7), first)
    assert not torch.equal(prior(image, seed=8), first)


def test_it_runs_inside_inference_mode_and_on_odd_and_small_sizes() -> None:
    with torch.inference_mode():
        assert DeepImagePrior(iterations=2)(torch.rand(3, 35, 47), seed=0).shape == (3, 35, 47)
    assert DeepImagePrior(iterations=2)(torch.rand(3, 16, 16), seed=0).shape == (3, 16, 16)


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(InputError, match="iterations must be above 0"):
        DeepImagePrior(iterations=0)
    with pytest.raises(InputError, match="jitter"):
        DeepImagePrior(jitter=-1)
    for shape in ((1, 3, 16, 16), (1, 16, 16), (3, 4, 16)):
        with pytest.raises(ValueError, match="expected"):
            DeepImagePrior(iterations=1)(torch.rand(shape), seed=0)
