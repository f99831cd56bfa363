"""Detectors of published benchmarks, recognised by how their code wraps a network: names, classes, normalisation.

Facts are from the authors' code: DeepfakeBench (Yan et al., NeurIPS 2023, github.com/SCLBD/DeepfakeBench, with
efficientnet_pytorch 0.7.1) and the DFDC detectors of ISPL (Bonettini et al., ICPR 2020,
github.com/polimi-ispl/icpr2020dfdc, made when efficientnet_pytorch was at 0.6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from detectors.loading.checkpoints import Checkpoint
from detectors.loading.class_names import BINARY
from detectors.loading.conventions import NORMALISATIONS, Conventions
from detectors.loading.published_keys import efficientnet_pytorch, renamed_modules
from detectors.loading.reading import Defaults, read_foreign
from detectors.loading.weight_loading import fits
from detectors.timm_network import TimmDetector, create_network

_XCEPTION, _B4 = "legacy_xception", "tf_efficientnet_b4"

_DEEPFAKEBENCH_PADDING = (0, 1, 4, 1, 3)
"""DeepfakeBench's EfficientNet-B4: its own first convolution does not pad; the others pad for 380 pixels of input,
whatever comes (190, 95, 48 and 24 pixels where their stride is 2)."""


@dataclass(frozen=True)
class Wrapper:
    """How the code of a publication wraps a network of timm.

    Attributes:
        title: what messages call it.
        network: timm's name for the network.
        outputs: how many logits it has.
        trunk: what the keys of all but the last layer begin with.
        head: the last layer.
        marks: beginnings of keys that only these files have.
        normalisation: by name.
        input_size: the side in pixels of its square input.
        unused: parts in the file that its verdicts do not need.
        padding: as in `TimmConfig`.
    """

    title: str
    network: str
    outputs: int
    trunk: str
    head: str
    marks: tuple[str, ...]
    normalisation: str
    input_size: int
    unused: tuple[str, ...] = ()
    padding: tuple[int, ...] = ()

    def marked(self, checkpoint: Checkpoint) -> bool:
        """Whether a file has the keys that only these files have."""
        return all(any(f".{mark}" in f".{key}" for key in checkpoint.state_dict) for mark in self.marks)

    def recognises(self, checkpoint: Checkpoint) -> bool:
        """Whether a file's keys and shapes are those of such a network."""
        if not self.marked(checkpoint):
            return False
        with torch.device("meta"):
            network = create_network(self.network, self.outputs)
        return fits(checkpoint.state_dict, network, self.names(network), self.unused)

    def build(self, checkpoint: Checkpoint, conventions: Conventions) -> TimmDetector:
        """The detector with a file's weights. Raises InputError where they do not fit, or the user contradicts it."""
        mean, std = NORMALISATIONS[self.normalisation]
        defaults = Defaults(self.network, self.outputs, BINARY, self.input_size, mean, std, self.title, self.padding)
        return read_foreign(defaults, checkpoint, conventions, self.names, self.unused, self.title)

    def names(self, network: nn.Module) -> dict[str, str]:
        """The network's keys to the file's."""
        theirs = _KEYS[self.network](network)
        last = {"fc", "classifier"}
        return {
            key: f"{self.head}.{key.rpartition('.')[2]}" if key.partition(".")[0] in last else f"{self.trunk}{name}"
            for key, name in theirs.items()
        }


_KEYS: Mapping[str, Callable[[nn.Module], dict[str, str]]] = {
    _XCEPTION: lambda network: renamed_modules(network, {}),
    _B4: efficientnet_pytorch,
}
"""What both publications call the keys of a network's trunk."""

WRAPPERS = (
    Wrapper(
        title="DeepfakeBench's Xception",
        network=_XCEPTION,
        outputs=2,
        trunk="backbone.",
        head="backbone.last_linear",
        marks=("backbone.block12.rep.", "backbone.adjust_channel."),
        normalisation="half",
        input_size=256,
        unused=("backbone.adjust_channel.",),
    ),
    Wrapper(
        title="DeepfakeBench's EfficientNet-B4",
        network=_B4,
        outputs=2,
        trunk="backbone.efficientnet.",
        head="backbone.last_layer",
        marks=("backbone.efficientnet._conv_stem.",),
        normalisation="half",
        input_size=256,
        unused=("backbone.adjust_channel.",),
        padding=_DEEPFAKEBENCH_PADDING,
    ),
    Wrapper(
        title="ISPL's Xception",
        network=_XCEPTION,
        outputs=1,
        trunk="xception.",
        head="xception.last_linear",
        marks=("xception.block12.rep.",),
        normalisation="imagenet",
        input_size=224,
    ),
    Wrapper(  # at 224 pixels, timm pads as efficientnet_pytorch before 0.7, with which it was published
        title="ISPL's EfficientNet-B4",
        network=_B4,
        outputs=1,
        trunk="efficientnet.",
        head="classifier",
        marks=("efficientnet._conv_stem.",),
        normalisation="imagenet",
        input_size=224,
    ),
)


def wrapper_of(checkpoint: Checkpoint) -> Wrapper | None:
    """The publication whose file this is, by its keys and shapes; None for any other file."""
    return next((wrapper for wrapper in WRAPPERS if wrapper.recognises(checkpoint)), None)


def nearest_wrapper(checkpoint: Checkpoint) -> Wrapper | None:
    """The publication whose marks a file has, though something may be missing or new; None for any other file."""
    return next((wrapper for wrapper in WRAPPERS if wrapper.marked(checkpoint)), None)
