"""Any network of timm as a detector: its settings, and its weights from a file."""

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from data.frames import CLASS_NAMES
from detectors.base import REAL
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.saving import MAX_INPUT, Config, NetworkDetector, config_in
from detectors.loading.weight_loading import load_into


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
        padding: pixels that each convolution of stride 2 pads in all, from the first on, half of them (rounded down) at
            the left and top; empty for timm's own padding.
    """

    model: ClassVar[str] = "timm"

    network: str = "tf_efficientnetv2_b0"
    class_names: tuple[str, ...] = CLASS_NAMES
    outputs: int = len(CLASS_NAMES)
    input_size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    antialias: bool = False
    padding: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.class_names.count(REAL) != 1 or len(set(self.class_names)) != len(self.class_names):
            raise InputError(f"class names must differ and hold {REAL!r} once, got {', '.join(self.class_names)}")
        if self.outputs != len(self.class_names) and (self.outputs, len(self.class_names)) != (1, 2):
            raise InputError(f"{self.outputs} logits cannot stand for {len(self.class_names)} classes")
        if not 1 <= self.input_size <= MAX_INPUT or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError(f"unusable input size or normalisation: {self.input_size}, {self.mean}, {self.std}")
        if self.padding and not 0 <= min(self.padding) <= max(self.padding) <= MAX_INPUT:
            raise InputError(f"unusable padding: {self.padding}")

    def as_metadata(self) -> dict[str, Any]:
        """The settings as plain values; without the padding where it is timm's own, as files have always been."""
        values = super().as_metadata()
        return values if self.padding else {key: value for key, value in values.items() if key != "padding"}

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
        self.config = config
        self.class_names = config.class_names
        self.real = config.class_names.index(REAL)
        self.network = create_network(config.network, config.outputs, pretrained, config.input_size)
        if config.padding:
            pad_strided(self.network, config.padding)
        scale = 1 / torch.tensor(config.std)
        self._scale: Tensor
        self._shift: Tensor
        self.register_buffer("_scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("_shift", (-torch.tensor(config.mean) * scale).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, S, S) in [0, 1]."""
        logits = self.network(torch.addcmul(self._shift, images, self._scale))
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if self.config.outputs == 1 else logits


def create_network(name: str, outputs: int, pretrained: bool = False, size: int | None = None) -> nn.Module:
    """timm's network `name` with `outputs` logits; `pretrained` downloads its weights, all or all but the head.

    `size` is the side of its input in pixels, which some networks (vision transformers) are made for. Raises InputError
    for a name that timm does not know, a size that it cannot be made for, and weights that cannot be downloaded.
    """
    check_known(name)
    own = None if name.startswith("hf-hub:") else timm.get_pretrained_cfg(name)
    fixed = own is not None and own.fixed_input_size and own.input_size[-1] != size
    made_for: dict[str, Any] = {"img_size": size} if fixed and size is not None else {}
    try:
        with downloading(name):
            return timm.create_model(name, pretrained=pretrained, num_classes=outputs, **made_for)
    except (TypeError, ValueError, AssertionError) as error:
        if not made_for:
            raise
        raise InputError(f"{name} cannot be made for {size} pixels ({error})") from error


def pad_strided(network: nn.Module, padding: Sequence[int]) -> None:
    """Gives a network's convolutions of stride 2, in order, a padding of so many pixels in all, whatever comes.

    Raises InputError where there are more or fewer of them.
    """
    strided = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2) and module.kernel_size != (1, 1)
    ]
    if len(strided) != len(padding):
        raise InputError(f"a padding of {len(padding)} convolutions, where the network has {len(strided)} of stride 2")
    for name, pixels in zip(strided, padding, strict=True):
        network.set_submodule(name, PaddedConv2d.of(network.get_submodule(name), pixels))


class PaddedConv2d(nn.Conv2d):
    """A convolution that pads by fixed numbers of pixels, which may differ between two sides."""

    pads: tuple[int, int, int, int]

    @classmethod
    def of(cls, layer: nn.Module, pixels: int) -> "PaddedConv2d":
        """A convolution with the weights of `layer` that pads `pixels` in all, the odd one at the right and below."""
        assert isinstance(layer, nn.Conv2d)  # noqa: S101 - the caller looked for them
        kernel, stride, dilation = ((pair[0], pair[1]) for pair in (layer.kernel_size, layer.stride, layer.dilation))
        made = cls(
            layer.in_channels, layer.out_channels, kernel, stride, 0, dilation, layer.groups, layer.bias is not None,
            device="meta",
        )  # fmt: skip
        made.weight, made.bias = layer.weight, layer.bias
        first, last = pixels // 2, pixels - pixels // 2
        made.pads = (first, last, first, last)
        return made

    def forward(self, features: Tensor) -> Tensor:
        """The convolution of maps (N, C, h, w)."""
        return super().forward(functional.pad(features, self.pads))


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
    config: TimmConfig,
    checkpoint: Checkpoint,
    names: Callable[[nn.Module], Mapping[str, str]] | None = None,
    title: str | None = None,
    unused: Sequence[str] = (),
) -> TimmDetector:
    """The detector with a checkpoint's weights, our own or a foreign file's; InputError where they do not fit.

    Args:
        config: all of the detector but its weights.
        checkpoint: the file.
        names: gives what the file calls the network's keys, where it calls them otherwise.
        title: what messages call the network; None for timm's name.
        unused: beginnings of keys of the file that its network does not need for a verdict.
    """
    detector = TimmDetector(config)
    load_into(
        detector.network, checkpoint, title or config.title, None if names is None else names(detector.network), unused
    )
    return detector


def count(outputs: int) -> str:
    """A network's number of logits in words."""
    return "one logit" if outputs == 1 else f"{outputs} classes"
