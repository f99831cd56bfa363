"""Where the weights of a user's own detector are from: what of its checkpoint it does not have, and what it draws."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from common.console import count, some
from common.errors import FAILED, InputError
from detectors.base import Detector
from detectors.checkpoints import read


def weights_remarks(
    detector: Detector, name: str, make: Callable[[], object], checkpoint: str | Path | None
) -> list[str]:
    """Which tensors of the checkpoint are not in the detector, and which weights are drawn when it is made, in words.

    `load_state_dict(strict=False)` leaves out what it does not know, and a head that no file has is drawn anew each
    time. Where not all of the detector's weights are in the file, it is made once more, and both are compared.

    Args:
        detector: of a user's own class, before it is asked anything.
        name: what messages call it.
        make: makes it again.
        checkpoint: the file that it was made from; None for none. Nothing is said of one in a format of its own.
    """
    weights = dict(_weights(detector.state_dict()))
    if not weights:
        return []
    stored = _stored(checkpoint)
    in_detector, in_file = set(map(_digest, weights.values())), set(map(_digest, stored.values()))
    unused = [key for key, tensor in stored.items() if _digest(tensor) not in in_detector]
    if all(_digest(tensor) in in_file for tensor in weights.values()):
        return []
    try:
        again = make()
    except FAILED:
        return []
    others = dict(_weights(again.state_dict())) if isinstance(again, Detector) else {}
    drawn = [key for key, tensor in weights.items() if key in others and _digest(others[key]) != _digest(tensor)]
    remarks = []
    if drawn and unused:  # else they are computed of the file's, as where batch norms are folded
        remarks.append(
            f"detector {name} does not have {len(unused)} of {count(len(stored), 'tensor')} of {checkpoint} "
            f"({some(unused)}): load_state_dict(strict=False) leaves out what has another name, such as a prefix"
        )
    if drawn:
        remarks.append(
            f"detector {name} draws {len(drawn)} of {count(len(weights), 'weight')} when it is made ({some(drawn)}): "
            "each command judges by another network; load them from a file, or seed what draws"
        )
    return remarks


def _stored(checkpoint: str | Path | None) -> Mapping[str, Tensor]:
    """The weights in a checkpoint; none where there is no file, or none that can be read as one."""
    if checkpoint is None:
        return {}
    try:
        return dict(_weights(read(checkpoint).state_dict))
    except InputError:
        return {}


def _weights(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of more than one real number."""
    for key, tensor in tensors.items():
        if isinstance(tensor, Tensor) and _has_values(tensor) and tensor.is_floating_point() and tensor.numel() > 1:
            yield key, tensor


def _has_values(tensor: Tensor) -> bool:
    """Whether a tensor is none that is made at the first call, without data, or sparse."""
    return not is_lazy(tensor) and not tensor.is_meta and tensor.layout is torch.strided


def _digest(tensor: Tensor) -> bytes:
    """Of a tensor's shape and values, in float32."""
    values = tensor.detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(f"{tuple(values.shape)}".encode() + values.numpy().tobytes()).digest()
