"""Reading checkpoint files of any wrapping into plain state dicts, without ever running code from them."""

import os
import re
import struct
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from common.console import some
from common.errors import InputError
from common.files import sha256
from detectors.loading.class_names import LABEL_KEYS, same_order
from detectors.loading.foreign_files import refuse_foreign
from detectors.loading.statements import DEEPEST, Statement, is_holder, statements_in, tensor_statements

_WRAPPERS = ("state_dict", "model", "network", "net", "model_state_dict", "weights")
"""Keys under which files keep the state dict: Lightning, SBI, CADDM, and what training scripts call it."""

_AVERAGED = ("state_dict_ema", "model_ema")
"""Keys under which timm's training script keeps the moving average of the weights, and looks for them first."""

_DESCRIPTIONS = ("args", "hyper_parameters")
"""Keys under which files keep the options of the training: timm's script, Lightning."""

_BESIDE = ("arch", *LABEL_KEYS, "mean", "std")
"""Plain entries beside the state dict that say what the network is and how it is read."""

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

_PLAIN: list[Any] = [*_NUMPY_NUMBERS, Namespace]
"""What torch may make beside tensors: those numbers, and a script's options, of which only the values are set."""

_CHUNK = 2**22  # bytes read at a time
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
        metadata: what the file says beside: a Lightning file's `hyper_parameters`, the `args` and `arch` of timm's
            training script, the names of the classes, a safetensors file's metadata (strings), or nothing.
        sha256: of the file's bytes, in hexadecimal.
        remarks: what was chosen or left out in reading it, each in words.
        statements: what it says beside the weights, under whatever name, tensors among it
            (`detectors.loading.statements`).
    """

    path: Path
    state_dict: dict[str, Tensor]
    metadata: dict[str, Any]
    sha256: str
    remarks: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()


def read(path: str | Path) -> Checkpoint:
    """Reads a checkpoint: safetensors, or torch's zip or older format, recognised by their first bytes.

    Torch files are read with `weights_only=True`: a file whose pickle asks for anything but tensors and plain
    values is refused, and nothing in it is run. Raises InputError, in one line, for that and for a file that is
    missing, truncated, not a checkpoint (`foreign_files` knows several by their bytes), or without tensors.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"checkpoint {path}: there is no such file")
    refuse_foreign(path)
    with path.open("rb") as file:
        start = file.read(9)
    content: Any
    said: Any
    if start[8:9] == b"{":  # eight bytes of length, then JSON
        content, metadata = _read_safetensors(path)
        said = metadata
    elif start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):  # a zip, or a pickle's protocol
        content = read_torch(path)
        metadata, said = _described(content, path), content
    else:
        raise InputError(f"{path} is not a checkpoint: neither safetensors nor a torch file")
    tensors, remarks = _unwrap(content, path)
    statements = dict((*tensor_statements(tensors), *statements_in(said)))
    return Checkpoint(path, tensors, metadata, sha256(path), remarks, tuple(statements.items()))


def _described(content: Any, path: Path) -> dict[str, Any]:
    """What a torch file says beside its tensors. Raises InputError where it orders the classes in two ways."""
    if not isinstance(content, Mapping):
        return {}
    said = {key: content[key] for key in _BESIDE if isinstance(content.get(key), (str, list, tuple, Mapping))}
    for key, options in content.items():
        values = vars(options) if isinstance(options, Namespace) else options
        if not isinstance(values, Mapping):
            continue
        if is_holder(key):
            for name, labels in _labels_inside(values, DEEPEST - 1):
                if same_order(said.setdefault(name, labels), labels) is False:
                    raise InputError(
                        f"checkpoint {path}: it says {name} twice, in other orders: save a file that says one of them"
                    )
        if key in _DESCRIPTIONS:
            said |= {str(name): value for name, value in values.items()}
    return said


def _labels_inside(values: Mapping[Any, Any], deeper: int) -> Iterator[tuple[str, Any]]:
    """What a description says of the names of the classes, by the key."""
    yield from ((name, values[name]) for name in LABEL_KEYS if name in values)
    for key, options in values.items() if deeper else ():
        inner = vars(options) if isinstance(options, Namespace) else options
        if isinstance(inner, Mapping) and is_holder(key):
            yield from _labels_inside(inner, deeper - 1)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, *_DAMAGED) as error:
        raise InputError(f"checkpoint {path} is damaged or truncated ({error}): get it again") from error


def read_torch(path: Path) -> Any:
    """What a torch file holds: tensors on the CPU and plain values. Raises InputError as `read` does."""
    try:
        _require_sound_zip(path)
        with torch.serialization.safe_globals(_PLAIN), path.open("rb") as file:  # of a path, its ending counts
            return torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except UnpicklingError as error:
        raise InputError(f"checkpoint {path} is refused: {_refusal(str(error))}") from error
    except _DAMAGED as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].strip()
        raise InputError(
            f"checkpoint {path} is damaged, truncated or no checkpoint ({reason}): get it again"
        ) from error


def _require_sound_zip(path: Path) -> None:
    """Raises InputError for a zip that unpacks to more than it is, as torch stores records as they are, or is damaged.

    torch does not compare the checksums that it writes.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        unpacked = sum(record.file_size for record in file.infolist())
        if unpacked > path.stat().st_size:
            raise InputError(
                f"checkpoint {path} is refused: it unpacks to {unpacked:,} bytes, which no file of torch does; get it "
                "again"
            )
        for record in (each for each in file.infolist() if each.CRC):  # 0 where torch was told to write none
            _require_checksum(file, record, path)


def _require_checksum(file: zipfile.ZipFile, record: zipfile.ZipInfo, path: Path) -> None:
    try:
        with file.open(record) as part:
            while part.read(_CHUNK):
                pass
    except zipfile.BadZipFile as error:
        raise InputError(f"checkpoint {path} is damaged ({error}): get it again") from error


def _refusal(message: str) -> str:
    """Why torch would not unpickle a file, in one sentence, with the first thing that it asked for."""
    asked = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", message)
    if asked is None:
        return "it is a damaged file or a plain pickle; expected what torch.save(model.state_dict(), FILE) writes"
    return (
        f"its pickle asks for {asked.group(1)}, more than weights, and nothing in it was run; where you trust "
        "its origin, save only model.state_dict() from the code that made it"
    )


def _unwrap(content: Any, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The state dict in a file's content, and what was chosen or left out on the way to it."""
    remarks: list[str] = []
    while isinstance(content, Mapping):
        averaged = [key for key in _AVERAGED if isinstance(content.get(key), Mapping)]
        inner = [key for key in (*averaged, *_WRAPPERS) if isinstance(content.get(key), Mapping)]
        if inner:
            if averaged:
                remarks.append(f"its {inner[0]}, the moving average of the weights, is taken, as timm does")
            remarks += _copies_beside(content, inner[0])
            content = content[inner[0]]
            continue
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if not tensors or any(isinstance(value, Mapping) for value in content.values()):
            break
        if others := [str(key) for key in content if str(key) not in tensors]:
            remarks.append(f"{some(others)} beside the weights: no tensors, left unused")
        return _without_parallel(_plain(tensors, path)), tuple(remarks)
    keys = f"its keys are {', '.join(map(str, list(content)[:6]))}" if isinstance(content, Mapping) and content else ""
    raise InputError(
        f"checkpoint {path} holds no state dict{f' ({keys})' if keys else ''}: expected tensors by name, as they are "
        f"or under one of {', '.join(_WRAPPERS)}"
    )


def _copies_beside(content: Mapping[Any, Any], taken: str) -> list[str]:
    """Remarks where a file has other weights of the same names or shapes beside those taken: an average, say."""
    wanted, shapes = _tensor_keys(content[taken]), _shapes(content[taken])
    wanted |= _without_shared_prefix(wanted)  # of a Lightning module, whose network's own names follow it
    others = {str(key): value for key, value in content.items() if key != taken}
    named = [key for key, value in others.items() if wanted & _tensor_keys(value)]
    listed = [key for key, value in others.items() if any(_lists_weights(of, shapes) for of in _lists(value))]
    found = (("names", named), ("shapes, in a list", [key for key in listed if key not in named]))
    return [
        f"{some(keys)} beside {taken}: other weights of the same {what}, left unused" for what, keys in found if keys
    ]


def _shapes(content: Any) -> Counter[tuple[int, ...]]:
    """How often nested mappings hold a tensor of each shape."""
    if isinstance(content, Tensor):
        return Counter([tuple(content.shape)])
    return sum(map(_shapes, content.values()), Counter()) if isinstance(content, Mapping) else Counter()


def _lists(content: Any) -> Iterator[Sequence[Any]]:
    """The lists in nested mappings, also in those of a list, as optimisers' states are."""
    if isinstance(content, (list, tuple)):
        yield content
        for value in content:
            yield from _lists(value) if isinstance(value, Mapping) else ()
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _lists(value)


def _lists_weights(listed: Sequence[Any], shapes: Counter[tuple[int, ...]]) -> bool:
    """Whether a list is of a network's weights, perhaps without its statistics: each has a shape of its own there."""
    if not all(isinstance(value, Tensor) for value in listed):
        return False
    own = Counter(tuple(value.shape) for value in listed)
    return own <= shapes and 3 * own.total() >= shapes.total()


def _tensor_keys(content: Any) -> set[str]:
    """The names of all tensors in nested mappings, without what wrappers put before them."""
    if not isinstance(content, Mapping):
        return set()
    own = {
        re.sub(r"^((module|_orig_mod)\.)+", "", str(key)) for key, value in content.items() if isinstance(value, Tensor)
    }
    return own.union(*map(_tensor_keys, content.values()))


def _without_shared_prefix(names: set[str]) -> set[str]:
    """Names of a layer and its tensor without the parts, up to a dot, that all names begin with."""
    parts = [name.split(".") for name in names]
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*parts, strict=False)))
    return {".".join(name[shared:]) for name in parts if len(name) > shared + 1}


def _plain(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors. Raises InputError for one that is not dense, real numbers of 16 bits and more."""
    for key, tensor in tensors.items():
        dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        eight_bits = tensor.is_floating_point() and tensor.element_size() == 1  # whose scale lies elsewhere
        if not dense or tensor.is_complex() or eight_bits:
            kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device.type}"
            raise InputError(f"checkpoint {path} is refused: {key} is no plain array of weights ({kind})")
    return tensors


def _without_parallel(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PARALLEL:
        if all(key.startswith(prefix) for key in tensors):
            return _without_parallel({key.removeprefix(prefix): tensor for key, tensor in tensors.items()})
    return tensors
