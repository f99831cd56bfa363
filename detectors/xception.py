"""Xception as a detector of fakes (Chollet, CVPR 2017; Roessler et al., ICCV 2019), mostly published with one logit."""

import torch

from common.errors import InputError
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.class_names import BINARY
from detectors.loading.conventions import Conventions
from detectors.loading.published_keys import renamed_modules
from detectors.loading.published_wrappers import wrapper_of
from detectors.loading.reading import Defaults, own_detector, read_foreign
from detectors.loading.saving import model_in
from detectors.loading.weight_loading import fits
from detectors.timm_network import TimmConfig, TimmDetector, create_network

CONFIG = TimmConfig(
    network="legacy_xception",
    class_names=BINARY,
    outputs=1,
    input_size=299,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
"""Its logit stands for fake unless `load`'s `conventions` say otherwise: published files differ, and do not say."""

_HEADS = ("last_linear", "last_linear.1", "fc")
"""What published files call the last layer, which is `fc` in timm; the second follows a dropout layer."""


def build_xception(checkpoint: Checkpoint | None, conventions: Conventions) -> TimmDetector:
    """The detector with a checkpoint's weights: a published file of one or more logits, or one of our own."""
    if checkpoint is None:
        raise InputError(
            "detector xception needs a checkpoint: a published one, or one that "
            "`python -m detectors train --model xception` made"
        )
    if model_in(checkpoint) is not None:
        return own_detector(checkpoint, conventions)
    wrapper = wrapper_of(checkpoint)
    if wrapper is not None and wrapper.network == CONFIG.network:
        return wrapper.build(checkpoint, conventions)
    head, outputs = _head(checkpoint) or (_HEADS[0], CONFIG.outputs)
    names = CONFIG.class_names if outputs == 1 else None
    defaults = Defaults(
        CONFIG.network, outputs, names, CONFIG.input_size, CONFIG.mean, CONFIG.std, "most published Xceptions"
    )
    return read_foreign(defaults, checkpoint, conventions, lambda network: renamed_modules(network, {"fc": head}))


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether a file's keys and shapes are Xception's, with one or two logits."""
    last_layer = _head(checkpoint)
    if last_layer is None or last_layer[1] > 2:
        return False
    head, outputs = last_layer
    with torch.device("meta"):
        network = create_network(CONFIG.network, outputs)
    return fits(checkpoint.state_dict, network, renamed_modules(network, {"fc": head}))


def _head(checkpoint: Checkpoint) -> tuple[str, int] | None:
    """What a file calls the last layer, and how many logits that has; None for another network's file."""
    if not any(key.endswith("block12.rep.5.weight") for key in checkpoint.state_dict):
        return None
    for head in _HEADS:
        for key, tensor in checkpoint.state_dict.items():
            if f".{key}".endswith(f".{head}.weight"):
                return head, tensor.shape[0] if tensor.ndim else 0
    return None
