"""The attribution classifier: which of four manipulations a FaceForensics++ frame was made with, or none."""

from pathlib import Path

import timm
import torch

from common.errors import InputError
from detectors.base import Detector
from detectors.loading.checkpoints import Checkpoint, read
from detectors.loading.class_names import BINARY
from detectors.loading.conventions import Conventions
from detectors.loading.reading import Defaults, own_detector, read_foreign
from detectors.loading.saving import model_in
from detectors.loading.timm_source import outputs_in
from detectors.loading.weight_loading import fits
from detectors.timm_network import TimmConfig

_WEIGHTS = Path(__file__).resolve().parents[1] / "attribution_model" / "weights"
DEMO_WEIGHTS = _WEIGHTS / "demo.safetensors"
"""Weights trained on the demo faces, part of the repository."""
HARDENED_WEIGHTS = _WEIGHTS / "demo-hardened.safetensors"
"""The same, after adversarial training on the demo faces."""


def build_ff_attribution(checkpoint: Checkpoint | None, conventions: Conventions) -> Detector:
    """The published classifier's network with a checkpoint's weights: the published file or one of our own."""
    if checkpoint is None:
        raise InputError(
            "detector ff_attribution needs a checkpoint: the published one, or one that "
            "`python -m attribution_model train` made; `demo` needs none"
        )
    if model_in(checkpoint) is not None:
        return own_detector(checkpoint, conventions)
    settings, outputs = TimmConfig(), outputs_in(checkpoint, TimmConfig.network)
    names = {1: BINARY, settings.outputs: settings.class_names}.get(outputs)
    defaults = Defaults(
        settings.network, outputs, names, settings.input_size, settings.mean, settings.std, "the attribution classifier"
    )
    return read_foreign(defaults, checkpoint, conventions)


def demo(checkpoint: Checkpoint | None, conventions: Conventions) -> Detector:
    """The published classifier's network with the demo weights, which know the demo faces only."""
    return _included("demo", DEMO_WEIGHTS, checkpoint, conventions)


def hardened(checkpoint: Checkpoint | None, conventions: Conventions) -> Detector:
    """The published classifier's network with the hardened demo weights."""
    return _included("demo-hardened", HARDENED_WEIGHTS, checkpoint, conventions)


def _included(name: str, weights: Path, checkpoint: Checkpoint | None, conventions: Conventions) -> Detector:
    if checkpoint is not None:
        raise InputError(f"detector {name} has its own weights and takes no checkpoint; use ff_attribution for yours")
    return build_ff_attribution(read(weights), conventions)


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether a file's keys and shapes are the published classifier's."""
    with torch.device("meta"):
        network = timm.create_model(TimmConfig.network, num_classes=TimmConfig.outputs)
    return fits(checkpoint.state_dict, network)
