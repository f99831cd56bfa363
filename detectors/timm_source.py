"""The detector `timm:NETWORK`: what its weights' files do not say is taken from timm and from the weights."""

from typing import Any

import timm
import torch
from timm.models import load_model_config_from_hf

from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors.base import REAL, Detector
from detectors.checkpoints import Checkpoint, aligned, looks_like
from detectors.saving import config_in, model_in
from detectors.timm_network import (
    TimmConfig,
    TimmDetector,
    check_known,
    count,
    downloading,
    from_checkpoint,
)

_HUB = "hf-hub:"
BINARY = (REAL, "Fake")
_NAMES_BY_OUTPUTS = {1: BINARY, 2: BINARY, len(CLASS_NAMES): CLASS_NAMES}


def build_timm(network: str, checkpoint: Checkpoint | None) -> Detector:
    """A timm network with a checkpoint's weights, else with its published ones, if those distinguish Real from fake.

    Raises InputError for an unknown network, a checkpoint of another one, and published weights whose classes are
    not a detector's (ImageNet's).
    """
    check_known(network)
    if checkpoint is None:
        published = _published(network)
        outputs = int(published.get("num_classes", 0))
        return TimmDetector(_config(network, outputs, published, f"timm:{network} without a checkpoint"), True)
    own = config_in(checkpoint, TimmConfig) if model_in(checkpoint) is not None else None
    config = own if own is not None and own.network == network else config_for(network, checkpoint)
    return from_checkpoint(config, checkpoint)


def config_for(network: str, checkpoint: Checkpoint) -> TimmConfig:
    """The settings of `network` with a foreign file's weights: size and normalisation as timm's, classes by number.

    One or two logits are (Real, Fake), five the attribution classes. Raises InputError for any other number.
    """
    check_known(network)
    return _config(network, outputs_in(checkpoint, network), _published(network), str(checkpoint.path))


def published_config(network: str, class_names: tuple[str, ...]) -> TimmConfig:
    """The settings of a new detector: timm's size and normalisation for `network`, one logit per class."""
    check_known(network)
    published = {**_published(network), "label_names": class_names}
    return _config(network, len(class_names), published, f"timm:{network}")


def outputs_in(checkpoint: Checkpoint, network: str) -> int:
    """How many logits a file's weights for `network` give: the rows of its last layer; InputError without one."""
    with torch.device("meta"):
        empty = timm.create_model(network)
    wanted = empty.state_dict()
    tensors = aligned(checkpoint.state_dict, wanted)
    heads = _published(network).get("classifier", "head")
    key = f"{heads if isinstance(heads, str) else heads[0]}.weight"
    if key not in tensors or tensors[key].ndim == 0:
        raise InputError(
            f"{checkpoint.path} does not fit {network}: it looks like {looks_like(checkpoint.state_dict)} and has no "
            f"last layer {key}; expected keys such as {next(iter(wanted))}"
        )
    return int(tensors[key].shape[0])


def names_for(outputs: int, where: str) -> tuple[str, ...]:
    """The classes that a number of logits stands for; InputError, naming `where`, for any but 1, 2 and 5."""
    if outputs not in _NAMES_BY_OUTPUTS:
        raise InputError(
            f"{where} tells {count(outputs)} without saying which is {REAL!r}: train it first "
            "(python -m detectors train --model timm:NETWORK), or wrap it as your own package.module:Name"
        )
    return _NAMES_BY_OUTPUTS[outputs]


def _config(network: str, outputs: int, published: dict[str, Any], where: str) -> TimmConfig:
    labels = tuple(published.get("label_names") or ())
    names = labels if REAL in labels else names_for(outputs, where)
    size = published.get("test_input_size") or published.get("input_size") or (3, 224, 224)
    return TimmConfig(
        network,
        names,
        outputs,
        int(size[-1]),
        tuple(published.get("mean", TimmConfig.mean)),
        tuple(published.get("std", TimmConfig.std)),
    )


def _published(network: str) -> dict[str, Any]:
    """What timm says of a network's published weights: size, normalisation, classes, the last layer's name."""
    if network.startswith(_HUB):
        with downloading(network):
            return dict(load_model_config_from_hf(network.removeprefix(_HUB))[0])
    published = timm.get_pretrained_cfg(network)
    return {} if published is None else published.to_dict()
