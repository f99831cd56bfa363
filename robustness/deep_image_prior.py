"""Deep image prior: an untrained network draws the frame anew, and stops before it has learned the perturbation."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from common.global_generators import isolated
from common.seeds import derive_seed
from detectors.queries import exact_float32

_LEAST_SIDE = 4  # of the coarsest feature map
_WIDEST = 4  # how many times the channels of full resolution the coarse feature maps have at most

DIP = "dip"
"""The name of the defence."""


@dataclass(frozen=True)
class DeepImagePrior:
    """Reconstructs one image with a network that is fitted to it alone, from fixed noise (Ulyanov et al., CVPR 2018).

        min over theta of |f_theta(z + n) - x|^2,   n ~ N(0, jitter^2) anew in every iteration

    f is a convolutional encoder-decoder with random weights, z fixed noise, x the image as it was attacked. Such a
    network learns smooth and repeated structure first and noise last, so its output after few iterations is the image
    with less of the perturbation. Gandhi and Jain (IJCNN 2020) put it before a deepfake detector as a defence against
    adversarial examples. The network here is smaller than theirs (16 channels at full
    resolution, 64 at most, in place of 128; four levels in place of five), as it is to run on a CPU.

    Attributes:
        iterations: after how many the reconstruction is taken: fewer remove more of the perturbation and of the face.
        channels: of the feature maps.
        skip_channels: of what is handed from encoder to decoder at each level.
        levels: how often the resolution is halved at most; fewer for a small image.
        noise_channels: of the fixed noise.
        jitter: the standard deviation of the noise added to it in every iteration.
        learning_rate: of Adam.
    """

    iterations: int = 500
    channels: int = 16
    skip_channels: int = 4
    levels: int = 4
    noise_channels: int = 8
    jitter: float = 1 / 30
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("iterations", "channels", "skip_channels", "levels", "noise_channels", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"deep image prior: {name} must be above 0, got {getattr(self, name)}")
        if not self.jitter >= 0:
            raise InputError(f"deep image prior: jitter must be 0 or more, got {self.jitter}")

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        """The early reconstruction, (3, H, W) float32 in [0, 1] on the CPU, of an image (3, H, W) in [0, 1].

        It runs on the image's device and depends on (image, seed, settings) alone. Raises ValueError for another
        shape and for a side below 8 pixels.
        """
        if image.ndim != 3 or len(image) != 3 or min(image.shape[1:]) < 2 * _LEAST_SIDE:
            raise ValueError(f"expected (3, H, W) with sides of at least {2 * _LEAST_SIDE}, got {tuple(image.shape)}")
        with isolated(derive_seed(seed, "network")), torch.inference_mode(False):
            network = self._network(min(image.shape[1:])).to(image.device)
        with torch.inference_mode(False), torch.enable_grad(), exact_float32():
            return self._fitted(network, image.detach().clone()[None], seed)

    def _network(self, side: int) -> nn.Module:
        levels = min(self.levels, int(math.log2(side / _LEAST_SIDE)))
        return _EncoderDecoder(self.noise_channels, self.channels, self.skip_channels, levels)

    def _fitted(self, network: nn.Module, target: Tensor, seed: int) -> Tensor:
        draws = torch.Generator().manual_seed(derive_seed(seed, "noise"))
        shape = (1, self.noise_channels, *target.shape[2:])
        noise = 0.1 * torch.rand(shape, generator=draws)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        for _ in range(self.iterations):
            jittered = noise + self.jitter * torch.randn(shape, generator=draws)
            loss = functional.mse_loss(network(jittered.to(target.device)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            drawn: Tensor = network(noise.to(target.device))
        return drawn[0].cpu()


class _EncoderDecoder(nn.Module):
    """Noise (1, C, H, W) to an image (1, 3, H, W) in [0, 1], with narrow skips at every resolution."""

    def __init__(self, inputs: int, channels: int, skip_channels: int, levels: int) -> None:
        super().__init__()
        widths = [channels * min(2**level, _WIDEST) for level in range(levels + 1)]
        entering = [inputs, *widths[1:-1]]
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(wide, out, 3, stride=2), _convolution(out, out, 3))
            for wide, out in zip(entering, widths[1:], strict=True)
        )
        self.skip = nn.ModuleList(_convolution(wide, skip_channels, 1) for wide in entering)
        self.narrow = nn.ModuleList(
            nn.Conv2d(deep, wide, 1) for deep, wide in zip(widths[1:], widths[:-1], strict=True)
        )
        self.up = nn.ModuleList(_convolution(wide + skip_channels, wide, 3) for wide in widths[:-1])
        self.last = nn.Conv2d(channels, 3, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """The image that the weights draw."""
        features, skipped = noise, []
        for down, skip in zip(self.down, self.skip, strict=True):
            skipped.append(skip(features))
            features = down(features)
        for narrow, up, side in zip(reversed(self.narrow), reversed(self.up), reversed(skipped), strict=True):
            wide = functional.interpolate(narrow(features), side.shape[2:], mode="bilinear", align_corners=False)
            features = up(torch.cat([wide, side], dim=1))
        return torch.sigmoid(self.last(features))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect", bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )


@dataclass(frozen=True)
class DipDefence:
    """The deep image prior before the detector.

    Attributes:
        prior: its settings.
        frames: on how many fakes, and as many real frames.
        epsilon: the budget of the attacks that it meets.
    """

    prior: DeepImagePrior
    frames: int
    epsilon: float
