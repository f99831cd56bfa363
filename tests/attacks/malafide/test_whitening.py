"""Whitened coefficients against their definition: equal steps change images equally, at any frequency."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from attacks.malafide.whitening import Whitening, mean_spectrum
from tests.attacks.malafide.toys import some_images


def smooth_images(count: int = 40, size: int = 48) -> Tensor:
    """Coloured noise of little power in high frequencies, red and green nearly alike, as photographs have it."""
    noise = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))
    noise[:, 1] = 0.9 * noise[:, 0] + 0.3 * noise[:, 1]
    down = torch.fft.fftfreq(size)[:, None].square() + torch.fft.rfftfreq(size).square()
    return 0.5 + torch.fft.irfft2(torch.fft.rfft2(noise) / (1 + 2000 * down), s=(size, size))


@pytest.mark.parametrize("size", [3, 4, 9])
def test_the_spectrum_is_the_naive_sum(size: int) -> None:
    image = some_images(1, size)
    expected = torch.zeros(size, size, 3, 3, dtype=torch.complex128)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    spectra = [torch.from_numpy(waves @ channel.double().numpy() @ waves) / size for channel in image[0]]
    for c in range(3):
        for d in range(3):
            expected[:, :, c, d] = spectra[c] * spectra[d].conj()
    assert torch.allclose(mean_spectrum([image], size), expected, atol=1e-6)


def test_its_mean_is_the_mean_square_whatever_the_images_size() -> None:
    for images, size in ((some_images(4, 32), 9), (some_images(4, 16), 27)):
        power = mean_spectrum([images], size).diagonal(dim1=-2, dim2=-1).real.mean()
        assert float(power) == pytest.approx(float(images.double().square().mean()), rel=0.02)


def change(images: Tensor, weight: Tensor) -> float:
    """The mean square over images and the three channels of what a filter gives, where it is inside."""
    return float(functional.conv2d(images, weight).square().mean())


def test_equal_coefficients_change_images_equally() -> None:
    images, size = smooth_images(), 9
    whitening = Whitening(mean_spectrum(images.split(10), size), floor=1e-6)
    found: dict[str, list[float]] = {"plain": [], "whitened": []}
    for u, v in ((0, 1), (2, 2), (4, 4)):
        wave = torch.cos(2 * torch.pi * (u * torch.arange(size)[:, None] + v * torch.arange(size)) / size)
        for channels in ((1.0, 0.0, 0.0), (1.0, -1.0, 0.0)):
            added = torch.zeros(3, 3, size, size)
            added[0] = torch.tensor(channels)[:, None, None] * wave
            added *= 3**0.5 / added.norm()  # one channel of three gets it all
            for name, weight in (("plain", added), ("whitened", whitening(added))):
                found[name].append(change(images, weight))
    plain, whitened = (np.array(found[name]) for name in ("plain", "whitened"))
    assert plain.max() / plain.min() > 500
    assert whitened.max() / whitened.min() < 12
    assert np.median(whitened) == pytest.approx(1.0, rel=0.5)


def test_nothing_is_at_the_centre_and_no_tint_takes_its_place() -> None:
    images, size = smooth_images(), 5
    whitening = Whitening(mean_spectrum(images.split(10), size), floor=1e-3)
    for place in range(8):
        added = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(place))
        weight = whitening(added)
        assert weight[:, :, 2, 2].abs().max() < 1e-4 * weight.abs().max()
        spectra = torch.fft.fft2(added)
        outer = torch.fft.ifft2(torch.einsum("uvci,oiuv->ocuv", whitening.root, spectra)).real
        masked = outer.clone()
        masked[:, :, 2, 2] = 0
        assert change(images, weight) < 1.2 * change(images, outer)
        assert change(images, weight) < 0.5 * change(images, masked)


def test_whitening_is_linear_and_differentiable() -> None:
    whitening = Whitening(mean_spectrum([smooth_images(4)], 5))
    one, two = torch.randn(2, 3, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(whitening(one + 2 * two), whitening(one) + 2 * whitening(two), atol=1e-4)
    assert torch.equal(whitening(torch.zeros(3, 3, 5, 5)), torch.zeros(3, 3, 5, 5))
    leaf = one.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((whitening(leaf) * two).sum(), leaf)
    assert float((gradient * one).sum()) == pytest.approx(float((whitening(one) * two).sum()), rel=1e-4)


def test_no_power_anywhere_is_no_division_by_zero() -> None:
    assert bool(Whitening(mean_spectrum([torch.zeros(1, 3, 16, 16)], 3))(torch.ones(3, 3, 3, 3)).isfinite().all())
