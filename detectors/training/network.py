"""The network to be trained: new, with downloaded weights, or starting from an earlier one."""

from dataclasses import replace

import detectors
from common.errors import InputError
from detectors.timm_network import TimmDetector
from detectors.timm_source import published_config


def network_to_train(
    network: str, class_names: tuple[str, ...], size: int | None, pretrained: bool, init: str | None
) -> TimmDetector:
    """A detector in training mode whose weights take gradients.

    `init` (a detector's name or a checkpoint) gives network, classes and weights; else `network` is timm's name,
    with random weights or, where `pretrained`, timm's downloaded ones under a new last layer. `size` is the side of
    the input in pixels; None keeps the start's own, 224 for a new network.

    Raises InputError where `init` is not a timm network of these classes.
    """
    if init is None:
        config = replace(published_config(network, class_names), input_size=size or 224)
        return TimmDetector(config, pretrained).train()
    start = detectors.load(init, optimise=False)
    if not isinstance(start, TimmDetector):
        raise InputError(f"--init {init}: only timm networks can be trained here, this is a {type(start).__name__}")
    if start.class_names != class_names:
        raise InputError(
            f"--init {init}: its classes are {', '.join(start.class_names)}; expected {', '.join(class_names)}"
        )
    detector = TimmDetector(replace(start.config, input_size=size or start.input_size))
    detector.network.load_state_dict(start.network.state_dict())
    return detector.train()
