"""The filter of 2D-Malafide: what it computes, its coefficients in training, and what is kept of it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torch.nn.utils.parametrizations import weight_norm

from attacks.malafide.convolution import EDGE, convolve
from attacks.malafide.fidelity import Fidelity
from attacks.malafide.whitening import Whitening
from common.errors import InputError

IMAGE, BATCH = "image", "batch"
RANGES = (IMAGE, BATCH)
LARGEST = 1023  # of the sizes; memory grows with its square


@dataclass(frozen=True)
class FilterSpec:
    """What kind of filter: its size, and what keeps its output in the range of images.

    Attributes:
        size: k of its 3 x 3 x k x k coefficients, odd; 3, 9, 27 and 81 are published.
        range: "image" rescales each filtered image to the range, from least to greatest value, that it had before;
            "batch", as the published code, rescales all images of a batch by the batch's least and greatest value to
            [0, 1], so that a result depends on its neighbours.
        fidelity: None, or the bound on each image's change. Then the coefficients at the filter's centre stay those
            of the identity, from which training starts, values are clamped to [0, 1] instead of rescaled, and beyond
            the border an image's outermost pixels go on: zeros would make an edge there, which takes most of what a
            large filter may change.
    """

    size: int = 9
    range: str = IMAGE
    fidelity: Fidelity | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST or self.size % 2 == 0:
            raise InputError(
                f"a filter's size must be odd, so that it has a centre, and from 1 to {LARGEST}; got {self.size}"
            )
        if self.range not in RANGES:
            raise InputError(f"unknown range {self.range!r}; known: {', '.join(RANGES)}")
        if self.fidelity is not None and self.range == BATCH:
            raise InputError("a filter with a fidelity bounds each image's change and cannot have the range of a batch")
        if self.fidelity is not None and self.size == 1:
            raise InputError("a filter of size 1 is all centre, which a fidelity keeps: nothing could change")

    @property
    def label(self) -> str:
        """A short name for folders and tables: "9", "9-batch", "9-psnr30", "9-linf8_255"."""
        if self.fidelity is not None:
            return f"{self.size}-{str(self.fidelity).replace(':', '').replace('/', '_')}"
        return str(self.size) if self.range == IMAGE else f"{self.size}-{BATCH}"

    def apply(self, images: Tensor, weight: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1] filtered by coefficients (3, 3, k, k): the same shape and range.

        Computed as the image plus what the coefficients add to the identity's, so that the identity changes nothing,
        bit for bit, however convolutions round (with the range of a batch: where the batch fills [0, 1]).
        """
        added = self.kept(weight) - identity(self.size).to(weight)
        if self.fidelity is not None:
            return (images + self.fidelity.project(convolve(images, added, EDGE))).clamp(0.0, 1.0)
        change = convolve(images, added)
        return _rescaled(images + change, images) if self.range == IMAGE else _normalised(images + change)

    def kept(self, weight: Tensor) -> Tensor:
        """The coefficients, with the centre's replaced by the identity's where a fidelity asks for it."""
        if self.fidelity is None:
            return weight
        centre = torch.zeros(self.size, self.size, dtype=torch.bool, device=weight.device)
        centre[self.size // 2, self.size // 2] = True
        return torch.where(centre, identity(self.size).to(weight), weight)


@dataclass(frozen=True, eq=False)
class Filter:
    """A filter ready to be used: call it with images (N, 3, H, W) in [0, 1] of any size to have them filtered.

    Attributes:
        spec: what kind.
        weight: (3, 3, k, k) float32, its coefficients: output channel, input channel, row, column.
    """

    spec: FilterSpec
    weight: Tensor

    def __post_init__(self) -> None:
        expected = (3, 3, self.spec.size, self.spec.size)
        if tuple(self.weight.shape) != expected or self.weight.dtype != torch.float32:
            raise InputError(
                f"a filter of size {self.spec.size} has float32 coefficients {expected}, "
                f"not {str(self.weight.dtype).removeprefix('torch.')} {tuple(self.weight.shape)}"
            )
        if not bool(self.weight.isfinite().all()):
            raise InputError("the filter's coefficients are not all finite")

    def __call__(self, images: Tensor) -> Tensor:
        return self.spec.apply(images, self.weight.to(images.device))


class Coefficients(nn.Module):
    """The coefficients of a filter in training, as published: weight-normalised per output channel, random at first.

    Length and direction of each output channel's coefficients are learned apart (Salimans and Kingma 2016), and they
    start as a convolution's in PyTorch do, drawn from `generator`.
    """

    def __init__(self, spec: FilterSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.spec = spec
        convolution = skip_init(nn.Conv2d, 3, 3, spec.size, bias=False)  # which would draw from the global generator
        bound = (3 * spec.size**2) ** -0.5  # that of nn.Conv2d
        with torch.no_grad():
            convolution.weight.uniform_(-bound, bound, generator=generator)
        self.convolution = weight_norm(convolution)

    @property
    def weight(self) -> Tensor:
        """(3, 3, k, k), differentiable."""
        return self.convolution.weight


class BoundedCoefficients(nn.Module):
    """The coefficients in training of a filter with a fidelity: at first the identity's, then that and a whitened part.

    The Euclidean length of `added` is the root mean square by which the filter changes images. There is no weight
    normalisation, as the projection onto the bound makes that length irrelevant already.
    """

    def __init__(self, spec: FilterSpec, whitening: Whitening) -> None:
        super().__init__()
        self.spec, self.whitening = spec, whitening
        self.added = nn.Parameter(torch.zeros(3, 3, spec.size, spec.size))

    @property
    def weight(self) -> Tensor:
        """(3, 3, k, k), differentiable."""
        return self.spec.kept(identity(self.spec.size).to(self.added) + self.whitening(3**0.5 * self.added))


def identity(size: int) -> Tensor:
    """The coefficients (3, 3, size, size) of the filter that changes nothing."""
    weight = torch.zeros(3, 3, size, size)
    weight[range(3), range(3), size // 2, size // 2] = 1.0
    return weight


def _rescaled(filtered: Tensor, images: Tensor) -> Tensor:
    """Each filtered image moved and scaled to its own image's least and greatest value; a constant one to the least.

    Where the range is the same already, the scale is exactly 1 and the shift exactly 0.
    """
    low, high = filtered.amin(dim=(1, 2, 3), keepdim=True), filtered.amax(dim=(1, 2, 3), keepdim=True)
    least, greatest = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
    scale = _quotient(greatest - least, high - low)
    return (filtered * scale + (least - low * scale)).clamp(0.0, 1.0)


def _normalised(filtered: Tensor) -> Tensor:
    """All filtered images moved and scaled together to [0, 1], as the published code does."""
    low, high = filtered.amin(), filtered.amax()
    scale = _quotient(torch.ones_like(low), high - low)
    return (filtered * scale - low * scale).clamp(0.0, 1.0)


def _quotient(over: Tensor, under: Tensor) -> Tensor:
    """over / under, and 0 where under is 0."""
    divisible = under > 0
    return torch.where(divisible, over / torch.where(divisible, under, torch.ones_like(under)), torch.zeros_like(over))
