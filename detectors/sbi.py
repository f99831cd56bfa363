"""SBI: EfficientNet-B4 trained on self-blended images (Shiohara and Yamasaki, CVPR 2022), a detector of two classes."""

import torch

from common.errors import InputError
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.class_names import BINARY
from detectors.loading.conventions import Conventions
from detectors.loading.published_keys import efficientnet_pytorch
from detectors.loading.reading import Defaults, own_detector, read_foreign
from detectors.loading.saving import model_in
from detectors.loading.weight_loading import fits
from detectors.timm_network import TimmConfig, TimmDetector, create_network

CONFIG = TimmConfig(
    network="tf_efficientnet_b4",
    class_names=BINARY,
    outputs=2,
    input_size=380,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)
"""The published network takes RGB in [0, 1] as it is.

Its convolutions are TensorFlow's, which pad by the size of their input; so are timm's, at every size.
"""


_PUBLISHED = "net."
"""What the published file's keys begin with: a file without it may be anybody's EfficientNet-B4."""


def build_sbi(checkpoint: Checkpoint | None, conventions: Conventions) -> TimmDetector:
    """The detector with a checkpoint's weights: the published file or one of our own."""
    if checkpoint is None:
        raise InputError(
            "detector sbi needs a checkpoint: the published one (github.com/mapooon/SelfBlendedImages), or one that "
            "`python -m detectors train --model sbi` made"
        )
    if model_in(checkpoint) is not None:
        return own_detector(checkpoint, conventions)
    defaults = Defaults(
        CONFIG.network, CONFIG.outputs, CONFIG.class_names, CONFIG.input_size, CONFIG.mean, CONFIG.std, "SBI"
    )
    return read_foreign(defaults, checkpoint, conventions, efficientnet_pytorch)


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether a file's keys and shapes are the published network's."""
    if not any(f".{_PUBLISHED}_conv_stem." in f".{key}" for key in checkpoint.state_dict):
        return False
    with torch.device("meta"):
        network = create_network(CONFIG.network, CONFIG.outputs)
    return fits(checkpoint.state_dict, network, efficientnet_pytorch(network))
