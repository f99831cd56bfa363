"""Files of our own: a detector's weights and the settings that make it, which `detectors.load` reads by itself."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors.torch import save as safetensors_bytes
from torch import nn

from common.errors import InputError
from common.files import atomic_write, parse_json
from common.settings import from_json
from detectors.base import Detector
from detectors.loading.checkpoints import Checkpoint

METADATA_KEY = "flipscope"
"""Where a file keeps the settings: in a Lightning file's hyper_parameters, or a safetensors file's metadata."""

MAX_INPUT = 1024
"""The largest side in pixels of a detector's input that a file may ask for: memory grows with its square."""

_MODEL_KEY = "model"
"""Which kind of detector the settings are of."""


@dataclass(frozen=True)
class Config(ABC):
    """The settings that, with weights, make a detector: numbers, strings and tuples of them.

    Attributes:
        model: the kind of detector, as files name it.
    """

    model: ClassVar[str]

    @property
    @abstractmethod
    def title(self) -> str:
        """The network in words, for messages."""

    def as_metadata(self) -> dict[str, Any]:
        """The settings as plain values that JSON and `weights_only` reading take."""
        return {_MODEL_KEY: self.model, **json.loads(json.dumps(asdict(self)))}


class NetworkDetector(Detector):
    """A detector whose weights are those of one network and whose other settings are its config.

    Attributes:
        config: the settings.
        network: the module with all weights; the keys in a file are its own.
    """

    config: Config
    network: nn.Module


C = TypeVar("C", bound=Config)


def model_in(checkpoint: Checkpoint) -> str | None:
    """The kind of detector that one of our own files is for, or None for any other file."""
    stored = _stored(checkpoint)
    return None if stored is None else str(stored.get(_MODEL_KEY, "timm"))  # files from before there were others


def config_in(checkpoint: Checkpoint, kind: type[C]) -> C:
    """The settings that one of our own files carries.

    Raises InputError where they are of another kind of detector, cannot be used, or are not there.
    """
    model, values = model_in(checkpoint), _stored(checkpoint)
    if values is None or model != kind.model:
        raise InputError(f"{checkpoint.path} holds {'no' if model is None else model} settings, not {kind.model}'s")
    values.pop(_MODEL_KEY, None)
    return from_json(kind, values, f"{checkpoint.path}: its description of the network cannot be read")


def save(detector: NetworkDetector, path: str | Path, half: bool = False) -> None:
    """Writes a detector's weights and settings as one safetensors file that `detectors.load` reads by itself.

    `half` stores float16, half the size, except batch norms' statistics and weights whose range float16 does not hold.
    """
    tensors = {
        key: tensor.detach().cpu().contiguous().to(_stored_type(key, tensor, half))
        for key, tensor in detector.network.state_dict().items()
    }
    described = {METADATA_KEY: json.dumps(detector.config.as_metadata())}  # one key: safetensors shuffles several
    with atomic_write(path, "wb") as file:
        file.write(safetensors_bytes(tensors, described))


def _stored(checkpoint: Checkpoint) -> dict[str, Any] | None:
    stored = checkpoint.metadata.get(METADATA_KEY)
    if stored is None:
        return None
    try:
        values = parse_json(stored) if isinstance(stored, str) else stored
    except ValueError as error:
        raise _unreadable(checkpoint, error) from error
    if not isinstance(values, dict):
        raise _unreadable(checkpoint, InputError("expected settings by name"))
    return dict(values)


def _unreadable(checkpoint: Checkpoint, error: Exception) -> InputError:
    return InputError(f"{checkpoint.path}: its description of the network cannot be read ({error})")


def _stored_type(key: str, tensor: torch.Tensor, half: bool) -> torch.dtype:
    statistic = key.endswith(("running_mean", "running_var"))
    if not half or tensor.dtype != torch.float32 or statistic:
        return tensor.dtype
    return torch.float16 if bool(tensor.half().isfinite().all()) else tensor.dtype
