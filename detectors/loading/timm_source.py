"""The detector `timm:NETWORK`: what its weights' files do not say is taken from timm and from the weights."""

from typing import Any

import timm
import torch
from timm.models import get_deprecated_models, load_model_config_from_hf

from common.errors import InputError
from detectors.base import Detector
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.class_names import BINARY, order_unknown
from detectors.loading.conventions import Colour, Conventions
from detectors.loading.nearest_network import looks_like
from detectors.loading.reading import Defaults, check_own, network_in, read_foreign, stated_classes
from detectors.loading.saving import config_in, model_in
from detectors.loading.weight_loading import align, difference
from detectors.timm_network import TimmConfig, TimmDetector, check_known, downloading, from_checkpoint

_HUB = "hf-hub:"


def build_timm(network: str, checkpoint: Checkpoint | None, conventions: Conventions) -> Detector:
    """A timm network with a checkpoint's weights, else with its published ones, if those distinguish Real from fake.

    Raises InputError for an unknown network, a checkpoint of another one, one that does not say which output is Real
    where the user does not either, and published weights whose classes are not a detector's (ImageNet's).
    """
    check_known(network)
    if checkpoint is None:
        return _published_detector(network, conventions)
    if model_in(checkpoint) is None:
        return from_foreign_file(network, checkpoint, conventions)
    own = config_in(checkpoint, TimmConfig)
    if own.network != network:
        raise InputError(f"{checkpoint.path} says itself that it is of {own.network}, not {network}: give it alone")
    check_own(own, checkpoint, conventions)
    return from_checkpoint(own, checkpoint)


def from_foreign_file(network: str, checkpoint: Checkpoint, conventions: Conventions) -> TimmDetector:
    """The detector of `network` with a foreign file's weights: size and normalisation, if nobody says them, as timm's.

    A single logit is taken to mean fake. Raises InputError as `build_timm` does.
    """
    check_known(network)
    named = network_in(checkpoint.metadata)
    if named is not None and timm.is_model(named) and _plain_name(named) != _plain_name(network):
        raise InputError(
            f"{checkpoint.path} says itself that it is of {named}, not {network}, even where their weights have the "
            f"same names and shapes: give it as --detector timm:{named}, or the file alone"
        )
    outputs, published = outputs_in(checkpoint, network), _published(network)
    names = BINARY if outputs == 1 else None
    size, mean, std = _input(published)
    defaults = Defaults(network, outputs, names, size, mean, std, f"timm's {network}")
    return read_foreign(defaults, checkpoint, conventions)


def _plain_name(network: str) -> str:
    """timm's present name of a network, without the tag of its weights."""
    return str(get_deprecated_models().get(network, network)).partition(".")[0]


def _published_detector(network: str, conventions: Conventions) -> TimmDetector:
    """A network with its published weights, whose description may name the classes."""
    published, who = _published(network), f"timm:{network} without a checkpoint"
    outputs = int(published.get("num_classes", 0))
    names = stated_classes(outputs, published, who, conventions)
    if names is None:
        raise order_unknown(outputs, who)
    size, mean, std = _input(published)
    if conventions.normalisation is not None or conventions.input_size is not None:
        raise InputError(f"{who} says itself how it is read; leave out --normalise, --mean, --std and --size")
    return TimmDetector(TimmConfig(network, names, outputs, size, mean, std), True)


def published_config(network: str, class_names: tuple[str, ...]) -> TimmConfig:
    """The settings of a new detector: timm's size and normalisation for `network`, one logit per class."""
    check_known(network)
    size, mean, std = _input(_published(network))
    return TimmConfig(network, class_names, len(class_names), size, mean, std)


def outputs_in(checkpoint: Checkpoint, network: str) -> int:
    """How many logits a file's weights for `network` give: the rows of its last layer; InputError without one."""
    with torch.device("meta"):
        empty = timm.create_model(network)
    wanted = empty.state_dict()
    tensors = align(checkpoint.state_dict, wanted).tensors
    heads = _published(network).get("classifier", "head")
    key = f"{heads if isinstance(heads, str) else heads[0]}.weight"
    if key not in tensors or tensors[key].ndim == 0:
        raise InputError(
            f"{checkpoint.path} does not fit {network}: it looks like {looks_like(checkpoint.state_dict)}; "
            f"{difference(checkpoint.state_dict, empty)}"
        )
    return int(tensors[key].shape[0])


def _input(published: dict[str, Any]) -> tuple[int, Colour, Colour]:
    """The side of the input in pixels, and the normalisation, of published weights."""
    size = published.get("test_input_size") or published.get("input_size") or (3, 224, 224)
    mean, std = published.get("mean", TimmConfig.mean), published.get("std", TimmConfig.std)
    return int(size[-1]), (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _published(network: str) -> dict[str, Any]:
    """What timm says of a network's published weights: size, normalisation, classes, the last layer's name."""
    if network.startswith(_HUB):
        with downloading(network):
            return dict(load_model_config_from_hf(network.removeprefix(_HUB))[0])
    published = timm.get_pretrained_cfg(network)
    return {} if published is None else published.to_dict()
