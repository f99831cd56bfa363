"""Any network of timm as a detector: its settings, and the files that carry weights and settings."""

import contextlib
import difflib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from common.errors import InputError
from common.files import atomic_write
from data.frames import CLASS_NAMES
from detectors.base import REAL, Detector
from detectors.checkpoints import Checkpoint, load_into

METADATA_KEY = "flipscope"
"""Where our own files keep a TimmConfig: in a Lightning file's hyper_parameters, or a safetensors file's metadata."""


@dataclass(frozen=True)
class TimmConfig:
    """All that makes a detector of a timm network's weights.

    Attributes:
        network: timm's name for it.
        class_names: one per class, "Real" among them; of a one-logit network two, the second being what its logit
            stands for.
        outputs: how many logits the network itself has: 1, or one per class.
        input_size: the side in pixels of its square input.
        mean: RGB in [0, 1], subtracted from the image.
        std: RGB, divides it then.
        antialias: whether frames are smoothed before they are shrunk.
    """

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
        if self.input_size < 1 or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InputError(f"unusable input size or normalisation: {self.input_size}, {self.mean}, {self.std}")

    def as_metadata(self) -> dict[str, Any]:
        """The settings as plain values that JSON and `weights_only` reading take."""
        return json.loads(json.dumps(asdict(self)))


class TimmDetector(Detector):
    """A timm network behind its normalisation; a single logit z is presented as the two classes [0, z]."""

    def __init__(self, config: TimmConfig, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.input_size = config.input_size
        self.class_names = config.class_names
        self.real = config.class_names.index(REAL)
        self.mean = config.mean
        self.antialias = config.antialias
        self.network = create_network(config.network, config.outputs, pretrained)
        scale = 1 / torch.tensor(config.std)
        self._scale: Tensor
        self._shift: Tensor
        self.register_buffer("_scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("_shift", (-torch.tensor(config.mean) * scale).view(3, 1, 1), persistent=False)

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


def config_in(checkpoint: Checkpoint) -> TimmConfig | None:
    """The settings that one of our own files carries, or None; InputError where they cannot be used."""
    stored = checkpoint.metadata.get(METADATA_KEY)
    if stored is None:
        return None
    try:
        values = json.loads(stored) if isinstance(stored, str) else dict(stored)
        known = {field.name for field in fields(TimmConfig)}
        unknown = values.keys() - known
        if unknown:
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return TimmConfig(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{checkpoint.path}: its description of the network cannot be read ({error})") from error


def from_checkpoint(config: TimmConfig, checkpoint: Checkpoint) -> TimmDetector:
    """The detector with a checkpoint's weights, our own or a foreign file's; InputError where they do not fit."""
    detector = TimmDetector(config)
    load_into(detector.network, checkpoint, f"{config.network} with {count(config.outputs)}")
    return detector


def save(detector: TimmDetector, path: str | Path, half: bool = False) -> None:
    """Writes a detector's weights and settings as one safetensors file that `detectors.load` reads by itself.

    `half` stores float16, half the size, except batch norms' statistics, whose range float16 may not hold.
    """
    tensors = {
        key: tensor.detach().cpu().contiguous().to(_stored(key, tensor, half))
        for key, tensor in detector.network.state_dict().items()
    }
    metadata = {METADATA_KEY: json.dumps(detector.config.as_metadata())}  # one key: safetensors shuffles several
    with atomic_write(path, "wb") as file:
        file.write(safetensors_bytes(tensors, metadata))


def _stored(key: str, tensor: Tensor, half: bool) -> torch.dtype:
    statistic = key.endswith(("running_mean", "running_var"))
    return torch.float16 if half and tensor.dtype == torch.float32 and not statistic else tensor.dtype


def count(outputs: int) -> str:
    """A network's number of logits in words."""
    return "one logit" if outputs == 1 else f"{outputs} classes"
