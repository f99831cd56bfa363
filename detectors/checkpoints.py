"""Reading checkpoint files of any wrapping into plain state dicts, without ever running code from them."""

import os
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from common.errors import InputError
from common.files import sha256

_WRAPPERS = ("state_dict", "model", "network", "net", "model_state_dict", "weights")
"""Keys under which files keep the state dict: Lightning, SBI, CADDM, and what training scripts call it."""

_PARALLEL = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every key."""

_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_NUMBERS: list[Any] = [
    np.dtype,
    _NUMPY_SCALAR,
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),  # as numpy 1 names it
    *(type(np.dtype(code)) for code in "?bBhHiIlLqQefd"),
]
"""Plain numbers that training scripts keep beside the weights (an accuracy, an epoch): no code in them."""

_DAMAGED = (
    RuntimeError, OSError, EOFError, LookupError, ValueError, ArithmeticError, TypeError, AttributeError,
    AssertionError, MemoryError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What torch's reader raises on bytes that are not a checkpoint, or not all of one, or that claim absurd sizes."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: the file.
        state_dict: key to tensor, on the CPU, without wrappers and without a DataParallel prefix.
        metadata: a Lightning file's `hyper_parameters`, a safetensors file's metadata (strings), or empty.
        sha256: of the file's bytes, in hexadecimal.
    """

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, Any]
    sha256: str


def read(path: str | Path) -> Checkpoint:
    """Reads a checkpoint: safetensors, or torch's zip or older format, recognised by their first bytes.

    Torch files are read with `weights_only=True`: a file whose pickle asks for anything but tensors and plain
    values is refused, and nothing in it is run. Raises InputError, in one line, for that and for a file that is
    missing, truncated, not a checkpoint, or without tensors.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"checkpoint {path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(9)
    content: Any
    if start[8:9] == b"{":  # eight bytes of length, then JSON
        content, metadata = _read_safetensors(path)
    elif start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):  # a zip, or a pickle's protocol
        content = read_torch(path)
        hyper_parameters = content.get("hyper_parameters") if isinstance(content, Mapping) else None
        metadata = dict(hyper_parameters) if isinstance(hyper_parameters, Mapping) else {}
    else:
        raise InputError(f"{path} is not a checkpoint: neither safetensors nor a torch file")
    return Checkpoint(path, _unwrap(content, path), metadata, sha256(path))


def load_into(
    network: nn.Module, checkpoint: Checkpoint, expected: str, names: Mapping[str, str] | None = None
) -> None:
    """Copies a checkpoint's tensors into a network, key by key; half precision becomes the network's own.

    Prefixes that all keys share (`model.` in a Lightning file) are dropped where the network has none.

    Args:
        network: what the tensors are copied into.
        checkpoint: as `read` returns it.
        expected: what the message calls the network.
        names: from the network's keys to the file's, where they differ.

    Raises:
        InputError: keys or shapes differ.
    """
    wanted = _as_the_file_calls_it(network, names)
    tensors = aligned(checkpoint.state_dict, wanted)
    for key, tensor in wanted.items():  # files from before batch norm counted its batches
        if key.endswith("num_batches_tracked"):
            tensors.setdefault(key, torch.zeros_like(tensor, device="cpu"))
    difference = _difference(tensors, wanted)
    if difference:
        guess = looks_like(checkpoint.state_dict)
        raise InputError(f"{checkpoint.path} does not fit {expected}: it looks like {guess}; {difference}")
    network.load_state_dict({key: tensors[(names or {}).get(key, key)] for key in network.state_dict()})


def fits(state_dict: Mapping[str, Tensor], network: nn.Module, names: Mapping[str, str] | None = None) -> bool:
    """Whether a state dict has exactly a network's keys and shapes, shared prefixes aside; `names` as above."""
    wanted = _as_the_file_calls_it(network, names)
    return not _difference(aligned(state_dict, wanted), wanted)


def _as_the_file_calls_it(network: nn.Module, names: Mapping[str, str] | None) -> dict[str, Tensor]:
    return {(names or {}).get(key, key): tensor for key, tensor in network.state_dict().items()}


def aligned(state_dict: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without those leading parts, shared by all its keys, that `wanted` does not have."""
    candidates = [dict(state_dict)]
    while (prefix := _shared_prefix(candidates[-1])) is not None:
        candidates.append({key.removeprefix(prefix): tensor for key, tensor in candidates[-1].items()})
    return max(candidates, key=lambda tensors: len(tensors.keys() & wanted.keys()))


def looks_like(state_dict: Mapping[str, Tensor]) -> str:
    """A guess, in words, at the architecture that a state dict's keys belong to."""
    signatures = {
        "CADDM": ("adm.", "base_model."),
        "an EfficientNet of efficientnet_pytorch": ("_conv_stem.", "_blocks."),
        "Xception": ("block1.rep.", "block12.rep."),
        "a timm EfficientNet": ("conv_stem.", "blocks."),
        "a vision transformer": ("patch_embed.", "attn."),
        "a ResNet": ("layer1.0.conv1.", "layer4."),
        "a ConvNeXt": ("stages.", "conv_dw."),
    }
    for name, parts in signatures.items():
        if all(any(part in key for key in state_dict) for part in parts):
            return name
    return f"another network (its first key is {next(iter(state_dict))})"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, *_DAMAGED) as error:
        raise InputError(f"checkpoint {path} is damaged or truncated ({error}): get it again") from error


def read_torch(path: Path) -> Any:
    """What a torch file holds: tensors on the CPU and plain values. Raises InputError as `read` does."""
    try:
        _refuse_packed(path)
        with torch.serialization.safe_globals(_NUMPY_NUMBERS), path.open("rb") as file:  # of a path, its ending counts
            return torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except UnpicklingError as error:
        raise InputError(f"checkpoint {path} is refused: {_refusal(str(error))}") from error
    except _DAMAGED as error:
        if "TorchScript" in str(error):
            raise InputError(
                f"checkpoint {path} is refused: it is a TorchScript program; save the network's state dict instead"
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].strip()
        raise InputError(
            f"checkpoint {path} is damaged, truncated or no checkpoint ({reason}): get it again"
        ) from error


def _refuse_packed(path: Path) -> None:
    """Raises InputError for a zip that unpacks to more than it is: torch stores records as they are."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        unpacked = sum(record.file_size for record in file.infolist())
    if unpacked > path.stat().st_size:
        raise InputError(
            f"checkpoint {path} is refused: it unpacks to {unpacked:,} bytes, which no file of torch does; get it again"
        )


def _refusal(message: str) -> str:
    """Why torch would not unpickle a file, in one sentence, with the first thing that it asked for."""
    asked = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", message)
    if asked is None:
        return "it is a damaged file or a plain pickle; expected what torch.save(model.state_dict(), FILE) writes"
    return (
        f"its pickle asks for {asked.group(1)}, more than weights, and nothing in it was run; where you trust "
        "its origin, save only model.state_dict() from the code that made it"
    )


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return _without_parallel(_plain({str(key): value for key, value in content.items()}, path))
        inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    keys = f"its keys are {', '.join(map(str, list(content)[:6]))}" if isinstance(content, Mapping) and content else ""
    raise InputError(
        f"checkpoint {path} holds no state dict{f' ({keys})' if keys else ''}: expected tensors by name, as they are "
        f"or under one of {', '.join(_WRAPPERS)}"
    )


def _plain(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors. Raises InputError for one that is not dense, real numbers in memory."""
    for key, tensor in tensors.items():
        dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not dense or tensor.is_complex():
            kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device.type}"
            raise InputError(f"checkpoint {path} is refused: {key} is no plain array of weights ({kind})")
    return tensors


def _without_parallel(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PARALLEL:
        if all(key.startswith(prefix) for key in tensors):
            return _without_parallel({key.removeprefix(prefix): tensor for key, tensor in tensors.items()})
    return tensors


def _shared_prefix(tensors: Mapping[str, Tensor]) -> str | None:
    first, dot, rest = next(iter(tensors), "").partition(".")
    prefix = first + dot
    return prefix if rest and all(key.startswith(prefix) for key in tensors) else None


def _difference(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What keeps `found` from being loaded as `wanted`, in words; empty where nothing does."""
    parts = [
        _named("missing", [key for key in wanted if key not in given]),
        _named("not expected", [key for key in given if key not in wanted]),
        _named(
            "of another shape",
            [
                f"{key} {tuple(given[key].shape)} instead of {tuple(tensor.shape)}"
                for key, tensor in wanted.items()
                if key in given and given[key].shape != tensor.shape
            ],
        ),
    ]
    return ", ".join(part for part in parts if part)


def _named(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return f"{what}: {', '.join(keys[:2])}{more}"
