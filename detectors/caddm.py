"""CADDM, a detector of two classes that also looks for artifacts in parts of the face (Dong et al., CVPR 2023)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from common.errors import InputError
from detectors.base import REAL, Reading
from detectors.caddm_network import CaddmNetwork, CaddmOutputs
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.class_names import BINARY
from detectors.loading.conventions import Conventions
from detectors.loading.published_keys import efficientnet_pytorch, renamed_modules
from detectors.loading.reading import agreed_classes, none_said, stated_classes
from detectors.loading.saving import MAX_INPUT, Config, NetworkDetector, config_in, model_in
from detectors.loading.weight_loading import fits, load_into

PUBLISHED_BACKBONES = {1536: "tf_efficientnet_b3", 1792: "tf_efficientnet_b4", 512: "resnet34"}
"""By the channels of their feature map, in which the published files differ.

The authors' EfficientNets pad every convolution for the input size of their name (300 or 380 pixels), timm's for the
input that comes. At 224 pixels this is the same: the inputs of all strided convolutions have even sides either way.
"""

_HEADS = ("base_model._fc.", "base_model.fc.")
"""The backbone's own last layer, left over from ImageNet, which CADDM never uses."""

_MEAN, _STD = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
"""In place of a normalisation, the published networks take BGR in [0, 255]."""

_MODULES = {
    **{f"artifacts.{index}": f"adm.adm_extra_layers.{index}.0" for index in range(3)},
    "artifacts.3": "adm.adm_extra_layers.3",
    "offsets": "adm.multi_scale_detection_module.ms_dets",
    "confidences": "adm.multi_scale_detection_module.ms_cls",
    "classifier": "fc",
}
"""Beside the backbone, our modules and the published ones."""


@dataclass(frozen=True)
class CaddmConfig(Config):
    """All that makes a CADDM of its weights.

    Attributes:
        backbone: timm's name for it; published are tf_efficientnet_b3, tf_efficientnet_b4 and resnet34.
        input_size: the side in pixels of the square input, at which the backbone's feature map must be 7x7.
    """

    model: ClassVar[str] = "caddm"

    backbone: str = "tf_efficientnet_b3"
    input_size: int = 224

    def __post_init__(self) -> None:
        if not 1 <= self.input_size <= MAX_INPUT:
            raise InputError(f"unusable backbone or input size: {self.backbone}, {self.input_size}")

    @property
    def title(self) -> str:
        """CADDM and its backbone."""
        return f"CADDM on {self.backbone}"


class CaddmDetector(NetworkDetector):
    """CADDM behind its own normalisation: the published networks take BGR in [0, 255].

    `pretrained` downloads the backbone's weights. Raises InputError for a backbone that gives no 7x7 feature map.
    """

    config: CaddmConfig
    network: CaddmNetwork

    class_names: tuple[str, ...] = BINARY
    real = 0
    colour_order = "BGR"
    mean = (0.0, 0.0, 0.0)
    std = (1.0, 1.0, 1.0)

    def __init__(self, config: CaddmConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.input_size = config.input_size
        self.network = CaddmNetwork(config.backbone, config.input_size, pretrained)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2) of images (N, 3, S, S) RGB in [0, 1]."""
        return self.network(_bgr_bytes(images))

    def outputs(self, images: Tensor) -> CaddmOutputs:
        """Logits, and what each anchor says, of images (N, 3, S, S) RGB in [0, 1]."""
        return self.network.outputs(_bgr_bytes(images))


def _bgr_bytes(images: Tensor) -> Tensor:
    return images.flip(1) * 255


def build_caddm(checkpoint: Checkpoint | None, conventions: Conventions) -> CaddmDetector:
    """CADDM with a checkpoint's weights: a published file, whose shapes show its backbone, or one of our own.

    Of a published file, the user may say the order of the classes; the rest is CADDM's own.
    """
    if checkpoint is None:
        raise InputError(
            "detector caddm needs a checkpoint: a published one (github.com/megvii-research/CADDM), or one that "
            "`python -m detectors train --model caddm` made"
        )
    if model_in(checkpoint) is not None:
        return from_own_file(checkpoint, conventions)
    none_said(replace(conventions, classes=None, positive=None), "CADDM")
    detector = CaddmDetector(_published_config(checkpoint) or CaddmConfig())
    used = replace(checkpoint, state_dict=_without_unused(checkpoint.state_dict))
    load_into(detector.network, used, detector.config.title, published_names(detector.network))
    stated = stated_classes(len(BINARY), checkpoint.metadata, str(checkpoint.path), conventions)
    detector.class_names = stated or BINARY
    detector.real = detector.class_names.index(REAL)
    text = (f"classes {', '.join(detector.class_names)}",)
    said = text if stated is not None and conventions.labels is not None else ()
    detector.reading = Reading(_MEAN, _STD, said, text if stated is None else (), "CADDM")
    return detector


def from_own_file(checkpoint: Checkpoint, conventions: Conventions) -> CaddmDetector:
    """The detector of one of our own files; InputError for any other, and where the user contradicts it."""
    none_said(replace(conventions, classes=None, positive=None), str(checkpoint.path))
    agreed_classes(BINARY, len(BINARY), checkpoint, conventions)
    detector = CaddmDetector(config_in(checkpoint, CaddmConfig))
    load_into(detector.network, checkpoint, detector.config.title)
    return detector


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether a file's keys and shapes are those of a published CADDM, on any of its backbones."""
    config = _published_config(checkpoint)
    if config is None:
        return False
    with torch.device("meta"):
        network = CaddmNetwork(config.backbone, config.input_size)
    return fits(_without_unused(checkpoint.state_dict), network, published_names(network))


def published_names(network: CaddmNetwork) -> dict[str, str]:
    """A network's keys to those of the published files, whose EfficientNets are efficientnet_pytorch's."""
    keys = network.backbone.state_dict()
    efficientnet = any(key.startswith("conv_stem.") for key in keys)
    theirs = efficientnet_pytorch(network.backbone) if efficientnet else {key: key for key in keys}
    backbone = {f"backbone.{key}": f"base_model.{name}" for key, name in theirs.items()}
    return {**renamed_modules(network, _MODULES), **backbone}


def _published_config(checkpoint: Checkpoint) -> CaddmConfig | None:
    """What the width of the artifact detection module says; None where there is no such module."""
    for key, tensor in checkpoint.state_dict.items():
        if key.endswith("adm.adm_extra_layers.3.conv1.bias") and tensor.numel() in PUBLISHED_BACKBONES:
            return CaddmConfig(PUBLISHED_BACKBONES[tensor.numel()])
    return None


def _without_unused(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state_dict.items() if not any(head in key for head in _HEADS)}
