"""Any network of timm as a detector: its settings, and its weights from a file."""

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import timm
import torch
from torch import Tensor, nn

from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors.base import REAL
from detectors.checkpoints import Checkpoint, load_into
from detectors.saving import MAX_INPUT, Config, NetworkDetector, config_in


@dataclass(frozen=True)
class TimmConfig(Config):
    """All that makes a detector of a timm network's weights.

    Attributes:
        network: timm's name for it.
        class_names: one per class, "Real" among them; of a one-logit network two, the second being what its logit
            stands for: ("Real", "Fake") where a high logit means fake, ("Fake", "Real") where it means real.
        outputs: how many logits the network itself has: 1, or one per class.
        input_size: the side in pixels of its square input.
        mean: RGB in [0, 1], subtracted from the image.
        std: RGB, divides it then.
        antialias: whether frames are smoothed before they are shrunk.
    """

    model: ClassVar[str] = "timm"

    network: str = "tf_efficientnetv2_b0"
    class_names: tuple[str, ...] = CLASS_NAMES
    outputs: int = len(CLASS_NAMES)
    input_size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    antialias: bool = False

    def __post_init__(self) -> None:
        if self.class_names.count(REAL) != 1 or len(set(self.class_names)) != len(self.class_names):
            raise InputError(f"class names must differ and hold {REAL!r} once, got {', '.join(self.class_names)}")
        if self.outputs != len(self.class_names) and (self.outputs, len(self.class_names)) != (1, 2):
            raise InputError(f"{self.outputs} logits cannot stand for {len(self.class_names)} classes")
        if not 1 <= self.input_size <= MAX_INPUT or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError(f"unusable input size or normalisation: {self.input_size}, {self.mean}, {self.std}")

    @property
    def title(self) -> str:
        """timm's name and the number of logits."""
        return f"{self.network} with {count(self.outputs)}"


class TimmDetector(NetworkDetector):
    """A timm network behind its normalisation; a single logit z is presented as the two classes [0, z]."""

    config: TimmConfig

    def __init__(self, config: TimmConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.input_size = config.input_size
        self.mean, self.std = config.mean, config.std
        self.antialias = config.antialias
        self._name_classes(config)
        self.network = create_network(config.network, config.outputs, pretrained)
        scale = 1 / torch.tensor(config.std)
        self._scale: Tensor
        self._shift: Tensor
        self.register_buffer("_scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("_shift", (-torch.tensor(config.mean) * scale).view(3, 1, 1), persistent=False)

    def take_positive(self, positive: str) -> None:
        """Says what the network's single logit stands for: "fake" or "real"; InputError where it has several."""
        if positive not in ("fake", "real"):
            raise InputError(f"what a single logit stands for is fake or real, got {positive!r}")
        if self.config.outputs != 1:
            raise InputError(f"{self.config.title} has no single logit that could stand for {positive}")
        names = self.config.class_names
        if (names[1] == REAL) != (positive == "real"):
            self._name_classes(replace(self.config, class_names=names[::-1]))

    def _name_classes(self, config: TimmConfig) -> None:
        self.config = config
        self.class_names = config.class_names
        self.real = config.class_names.index(REAL)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, S, S) in [0, 1]."""
        logits = self.network(torch.addcmul(self._shift, images, self._scale))
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if self.config.outputs == 1 else logits


def create_network(name: str, outputs: int, pretrained: bool = False) -> nn.Module:
    """timm's network `name` with `outputs` logits; `pretrained` downloads its weights, all or all but the head.

    Raises InputError for a name that timm does not know and where the weights cannot be downloaded.
    """
    check_known(name)
    with downloading(name):
        return timm.create_model(name, pretrained=pretrained, num_classes=outputs)


def from_own_file(checkpoint: Checkpoint) -> TimmDetector:
    """The detector of one of our own files; InputError for any other."""
    return from_checkpoint(config_in(checkpoint, TimmConfig), checkpoint)


@contextlib.contextmanager
def downloading(network: str) -> Iterator[None]:
    """Turns what the hub and urllib raise without a connection into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the weights of timm:{network} cannot be downloaded ({type(error).__name__}): check the connection, or "
            "pass a checkpoint"
        ) from error


def check_known(name: str) -> None:
    """Raises InputError, with the nearest names, where timm knows no network `name`."""
    if name.startswith("hf-hub:") or timm.is_model(name):
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; timm.list_models() lists them"
    raise InputError(f"timm has no network {name!r}{hint}")


def from_checkpoint(
    config: TimmConfig, checkpoint: Checkpoint, names: Callable[[nn.Module], Mapping[str, str]] | None = None
) -> TimmDetector:
    """The detector with a checkpoint's weights, our own or a foreign file's; InputError where they do not fit.

    `names` gives what the file calls the network's keys, where it calls them otherwise.
    """
    detector = TimmDetector(config)
    load_into(detector.network, checkpoint, config.title, None if names is None else names(detector.network))
    return detector


def count(outputs: int) -> str:
    """A network's number of logits in words."""
    return "one logit" if outputs == 1 else f"{outputs} classes"
