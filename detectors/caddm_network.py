"""The network of CADDM: a backbone, the artifact detection module on its feature map, and the verdict on both.

Dong et al., "Implicit Identity Leakage: The Stumbling Block to Improving Deepfake Detection Generalization",
CVPR 2023, section 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from detectors.queries import evaluating
from detectors.timm_network import create_network

SIDES = (7, 5, 3, 1)
"""The sides of the maps on which artifacts are looked for; the first is the backbone's."""

ANCHORS_PER_CELL = 2
CLASSES = 2


@dataclass(frozen=True, eq=False)
class CaddmOutputs:
    """All that the network says of N images.

    The A anchors are two for each cell of each map, in this order: by map from the finest (7x7) to the coarsest
    (1x1), by row, by column, and within a cell the first before the second; so A is 2 (49 + 25 + 9 + 1) = 168.

    Attributes:
        logits: (N, 2), the verdict on the image: Real, Fake.
        offsets: (N, A, 4), from an anchor to the box of an artifact, as SSD encodes it.
        confidences: (N, A, 2), logits of an anchor: nothing there, an artifact.
    """

    logits: Tensor
    offsets: Tensor
    confidences: Tensor


class CaddmNetwork(nn.Module):
    """Images as the backbone takes them, (N, 3, S, S), to verdicts and anchors.

    `backbone` is any timm network whose last feature map is 7x7 at the input's side S: of stride 32 at 224 pixels.
    Raises InputError for another one. `pretrained` downloads the backbone's weights.
    """

    def __init__(self, backbone: str, input_size: int, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = create_network(backbone, 0, pretrained)
        width = _width(self.backbone, backbone, input_size)
        self.artifacts = nn.ModuleList(
            [ResidualBlock(width, 1), ResidualBlock(width, 3), ResidualBlock(width, 3), EndBlock(width)]
        )
        self.offsets = nn.ModuleList([_head(width, side, 4) for side in SIDES])
        self.confidences = nn.ModuleList([_head(width, side, CLASSES) for side in SIDES])
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """The verdict's logits (N, 2) alone."""
        return self._verdict(self._maps(images))

    def outputs(self, images: Tensor) -> CaddmOutputs:
        """The verdict and all anchors."""
        maps = self._maps(images)
        offsets = [_by_anchor(head(features), 4) for head, features in zip(self.offsets, maps[1:], strict=True)]
        confidences = [
            _by_anchor(head(features), CLASSES) for head, features in zip(self.confidences, maps[1:], strict=True)
        ]
        return CaddmOutputs(self._verdict(maps), torch.cat(offsets, 1), torch.cat(confidences, 1))

    def _maps(self, images: Tensor) -> list[Tensor]:
        """The backbone's map, then one of every side in `SIDES`."""
        maps = [self.backbone.forward_features(images)]  # type: ignore[operator]
        for block in self.artifacts:
            maps.append(block(maps[-1]))
        return maps

    def _verdict(self, maps: list[Tensor]) -> Tensor:
        return self.classifier(maps[0].mean((2, 3)) + maps[-1].flatten(1))


class ResidualBlock(nn.Module):
    """Two convolutions with batch norms beside a convolution: (N, W, s, s) to (N, W, s - k + 1, s - k + 1).

    The first convolution and the one beside it have kernel size k and no padding.
    """

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, kernel_size)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Sequential(nn.Conv2d(width, width, kernel_size, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        """The map of artifacts one scale up."""
        inner = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.downsample(features))


class EndBlock(nn.Module):
    """A `ResidualBlock` without batch norms, from (N, W, 3, 3) to (N, W, 1, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3)
        self.conv2 = nn.Conv2d(width, width, 1)
        self.downsample = nn.Conv2d(width, width, 3)

    def forward(self, features: Tensor) -> Tensor:
        """The whole face's artifacts."""
        return functional.relu(self.conv2(functional.relu(self.conv1(features))) + self.downsample(features))


def _head(width: int, side: int, values: int) -> nn.Conv2d:
    """What predicts `values` numbers for each anchor of a map; on a single cell there are no neighbours."""
    size = 1 if side == 1 else 3
    return nn.Conv2d(width, ANCHORS_PER_CELL * values, size, padding=size // 2)


def _by_anchor(values: Tensor, size: int) -> Tensor:
    """Turns (N, anchors * size, s, s) into (N, s * s * anchors, size): by row, column and anchor."""
    return values.permute(0, 2, 3, 1).reshape(len(values), -1, size)


def _width(backbone: nn.Module, name: str, input_size: int) -> int:
    """The channels of a backbone's feature map; InputError where it has none of 7x7."""
    like = next(backbone.parameters())
    with evaluating(backbone), torch.no_grad():
        features = backbone.forward_features(  # type: ignore[operator]
            torch.zeros(1, 3, input_size, input_size, device=like.device)
        )
    if features.ndim != 4 or features.shape[1] != backbone.num_features:
        raise InputError(f"{name} cannot be CADDM's backbone: it gives no feature map, but {tuple(features.shape)}")
    if features.shape[2:] != (SIDES[0], SIDES[0]):
        raise InputError(
            f"CADDM needs a feature map of {SIDES[0]}x{SIDES[0]}; {name} gives {features.shape[2]}x"
            f"{features.shape[3]} at {input_size} pixels: take 224, or another backbone"
        )
    return int(features.shape[1])
