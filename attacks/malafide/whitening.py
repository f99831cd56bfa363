"""Coordinates for a filter's coefficients in which equal steps change images equally, whatever their frequency."""

from collections.abc import Iterable

import torch
from torch import Tensor

ENOUGH = 256  # images; more hardly change a mean spectrum
_TINY = 1e-12
PER_SIDE = 8  # patches of an image, down and across, at most


def mean_spectrum(images: Iterable[Tensor], size: int) -> Tensor:
    """The mean cross-spectrum of patches: (size, size, 3, 3) complex128, entry (u, v, c, d) = E[X_c(u, v) X_d*(u, v)].

    `images` are batches (n, 3, H, W); patches of size x size are taken evenly, of smaller images the whole. The
    transform is scaled so that the mean of the diagonal over all frequencies is the mean square of a channel.
    """
    total = torch.zeros(size, size, 3, 3, dtype=torch.complex128)
    count = 0
    for batch in images:
        for image in batch.cpu().double():
            patches = _patches(image, size)
            spectra = torch.fft.fft2(patches, s=(size, size)) / patches[0, 0].numel() ** 0.5
            total += torch.einsum("nchw,ndhw->hwcd", spectra, spectra.conj())
            count += len(patches)
        if count >= ENOUGH * PER_SIDE**2:
            break
    return total / count


class Whitening:
    """Maps coefficients v to filters D that change images by as much as v is long: E (D * x)^2 = sum v^2 per channel.

    Images have little power in high frequencies, so a filter that is to change them by little, in the mean square,
    may have much of it there; in plain coefficients the gradient, large where the images' power is, finds only the
    low ones, and the filter becomes a tint. Here D(f) = S(f)^(-1/2) v(f), with S the images' cross-spectrum (a 3 x 3
    matrix over the channels for each frequency), regularised by `floor` times its mean. This is steepest descent
    in the metric of the bound instead of that of the coefficients.
    """

    def __init__(self, spectrum: Tensor, floor: float = 0.03) -> None:
        power = spectrum.diagonal(dim1=-2, dim2=-1).real.mean().clamp_min(_TINY)
        values, vectors = torch.linalg.eigh(spectrum + floor * power * torch.eye(3, dtype=spectrum.dtype))
        self.root = ((vectors * values.rsqrt()[..., None, :]) @ vectors.mH).to(torch.complex64)
        self.spread = _centreless((vectors / values[..., None, :]) @ vectors.mH)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """The filter (3, 3, k, k) of coefficients (3, 3, k, k): output channel, input channel, row, column.

        Nothing is at its centre. It is the nearest such filter in the metric of the images' change, as plainly
        setting the centre to zero would add a tint that the rest was made to avoid.
        """
        spectra = torch.fft.fft2(coefficients)
        whitened = torch.fft.ifft2(torch.einsum("uvci,oiuv->ocuv", self.root.to(spectra.device), spectra)).real
        middle = whitened.shape[-1] // 2
        return whitened - torch.einsum("yxcd,od->ocyx", self.spread.to(whitened), whitened[:, :, middle, middle])


def _centreless(inverse: Tensor) -> Tensor:
    """What to take away for each unit at the centre, so that nothing is there and images change least: (k, k, 3, 3).

    With the inverse spectrum's transform H, the constraint D(centre) = 0 is met by D - H(. - centre) H(0)^(-1)
    D(centre), the projection in the metric of the spectrum.
    """
    response = torch.fft.ifft2(inverse, dim=(0, 1))
    response = response @ torch.linalg.inv(response[0, 0])
    middle = len(response) // 2
    return response.roll((middle, middle), dims=(0, 1)).real.float()


def _patches(image: Tensor, size: int) -> Tensor:
    """Evenly spread patches (n, 3, h, w) of an image (3, H, W); h and w are `size`, or the image's where smaller."""
    for dim in (1, 2):
        side = image.shape[dim]
        width = min(size, side)
        image = image.unfold(dim, width, max(1, size // 2, (side - width) // (PER_SIDE - 1)))
    return image.flatten(1, 2).transpose(0, 1)
