"""Where the weights of a user's own detector are from: what of its checkpoint it does not have, and what it draws."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from common.console import count, some
from common.errors import FAILED, InputError
from common.global_generators import other_seeds
from detectors.base import Detector
from detectors.loading.checkpoints import read


@dataclass(frozen=True)
class Origin:
    """Where the weights of a user's own detector are from.

    Attributes:
        remarks: what is to be said of it, a sentence each.
        draws: whether some are others each time that it is made.
    """

    remarks: tuple[str, ...] = ()
    draws: bool = False


def origin_of(
    detector: Detector,
    name: str,
    make: Callable[[], object],
    checkpoint: str | Path | None,
    left: Sequence["Left"] = (),
) -> Origin:
    """Which tensors of the checkpoint are not in the detector, and which weights are drawn when it is made, in words.

    `load_state_dict(strict=False)` leaves out what it does not know, and a head that no file has is drawn anew each
    time. Where not all of the detector's weights are in the file, it is made once more, and both are compared; where it
    has a file, also by other seeds than it sets, as what is drawn by a seed is not of the file either.

    Args:
        detector: of a user's own class, before it is asked anything.
        name: what messages call it.
        make: makes it again.
        checkpoint: the file that it was made from; None for none. Nothing is said of one in a format of its own.
        left: by loads while it was made (`watched_loads`).
    """
    drawn, remarks = _drawn(detector, name, make, checkpoint)
    others = ([] if remarks else [_left_remark(detector, name, left)]) + [_unseen_remark(detector, name)]
    return Origin((*remarks, *filter(None, others)), drawn)


def _drawn(
    detector: Detector, name: str, make: Callable[[], object], checkpoint: str | Path | None
) -> tuple[bool, list[str]]:
    """Whether weights are drawn when the detector is made, and what is to be said of its file and of that."""
    weights = dict(_weights(detector.state_dict()))
    if not weights:
        return False, []
    stored = _stored(checkpoint)
    in_detector, in_file = set(map(_digest, weights.values())), set(map(_digest, stored.values()))
    unused = [key for key, tensor in stored.items() if _digest(tensor) not in in_detector]
    is_of_file = all(_digest(tensor) in in_file for tensor in weights.values())
    drawn = [] if is_of_file else _differing(weights, make)
    seeded = list[str]()
    if stored and not (is_of_file or drawn):
        with other_seeds():
            seeded = _differing(weights, make)
    statistics = _other_statistics(weights, stored, in_file)
    remarks = list[str]()
    if unused:  # else they are computed of the file's, as where batch norms are folded
        there = f"{len(unused)} of {count(len(stored), 'tensor')} of {checkpoint} ({some(unused)})"
        if drawn or seeded:
            remarks.append(
                f"detector {name} does not have {there}: load_state_dict(strict=False) leaves out what has another "
                "name, such as a prefix"
            )
        elif is_of_file:
            remarks.append(
                f"detector {name} leaves {there} out: where these are parts of the network, it is another one without "
                "them"
            )
        elif all(key in unused or not _varies(tensor) for key, tensor in stored.items()):
            remarks.append(f"detector {name} has none of the tensors of {checkpoint}: it loads another file, or none")
        elif statistics:
            others = count(len(statistics), "other mean or variance", "other means or variances")
            remarks.append(
                f"detector {name} has {others} of batch norms than {checkpoint} ({some(statistics)}): they are "
                "buffers, which copying parameters leaves out"
            )
    if drawn:
        remarks.append(
            f"detector {name} draws {len(drawn)} of {count(len(weights), 'weight')} when it is made ({some(drawn)}): "
            "each command judges by another network; load them from a file, or seed what draws"
        )
    if seeded:
        remarks.append(
            f"detector {name} draws {len(seeded)} of {count(len(weights), 'weight')} by a seed when it is made "
            f"({some(seeded)}): they are not of {checkpoint}"
        )
    return bool(drawn), remarks


def _other_statistics(weights: Mapping[str, Tensor], stored: Mapping[str, Tensor], in_file: set[bytes]) -> list[str]:
    """The means and variances of batch norms that a detector and its file have, under a prefix or none, and differ."""
    there = {tail for key in stored for tail in _tails(key)}
    return [
        key
        for key, tensor in weights.items()
        if key.endswith(("running_mean", "running_var")) and _digest(tensor) not in in_file and there & _tails(key)
    ]


def _tails(key: str) -> set[str]:
    """A key, and without the first and the first two of its parts, with at least two left."""
    parts = key.split(".")
    return {".".join(parts[start:]) for start in range(min(3, len(parts) - 1))}


def _unseen_remark(detector: nn.Module, name: str) -> str | None:
    """That the batch norms of a detector have the statistics of a network that has seen no picture; else None.

    A file of parameters alone (`named_parameters`) leaves them out.
    """
    counted = [layer for layer in detector.modules() if isinstance(layer, _BatchNorm) and _has_statistics(layer)]
    if not counted or any(layer.running_mean.any() or (layer.running_var != 1).any() for layer in counted):  # type: ignore[union-attr]
        return None
    return (
        f"detector {name} has {count(len(counted), 'batch norm')} whose statistics are those of a network that has "
        "seen no picture (mean 0, variance 1): a file of parameters alone leaves them out, or it is not trained"
    )


def _has_statistics(layer: _BatchNorm) -> bool:
    return layer.running_mean is not None and layer.running_var is not None and _has_values(layer.running_mean)


@dataclass(frozen=True, eq=False)
class Left:
    """A tensor that a load left as it was: its key, and the `_digest` of its values."""

    tensor: Tensor
    digest: bytes
    key: str


@contextlib.contextmanager
def watched_loads() -> Iterator[list[Left]]:
    """What `load_state_dict(strict=False)` leaves out while it lasts.

    Only parameters and the statistics of batch norms: other buffers (a mean of pictures) need not be in a file.
    """
    left, original = list[Left](), nn.Module.load_state_dict

    def watched(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        state = self.state_dict(keep_vars=True)
        for key in found.missing_keys:
            tensor = state.get(key)
            is_weight = isinstance(tensor, nn.Parameter) or key.endswith(("running_mean", "running_var"))
            if tensor is not None and is_weight:
                left.extend(Left(each, _digest(each), name) for name, each in _weights({key: tensor}))
        return found

    nn.Module.load_state_dict = watched  # type: ignore[method-assign]
    try:
        yield left
    finally:
        nn.Module.load_state_dict = original  # type: ignore[method-assign]


def _left_remark(detector: nn.Module, name: str, left: Sequence[Left]) -> str | None:
    """Which of a detector's tensors `watched_loads` saw left out and nothing has filled since; None for none."""
    state = {id(tensor): tensor for tensor in detector.state_dict(keep_vars=True).values()}
    same = [each for each in left if id(each.tensor) in state and _digest(each.tensor) == each.digest]
    keys = {id(each.tensor): each.key for each in same}
    if not keys:
        return None
    total = sum(1 for _ in _weights(detector.state_dict()))
    return (
        f"detector {name} has {len(keys)} of {count(total, 'weight')} that no file gave it "
        f"({some(list(keys.values()))}): load_state_dict(strict=False) leaves out what has another name in the file, "
        "such as a prefix"
    )


def _differing(weights: Mapping[str, Tensor], make: Callable[[], object]) -> list[str]:
    """The names of the weights that are others when the detector is made again; none where it cannot be."""
    try:
        again = make()
    except FAILED:
        return []
    others = dict(_weights(again.state_dict())) if isinstance(again, Detector) else {}
    return [key for key, tensor in weights.items() if key in others and _digest(others[key]) != _digest(tensor)]


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


def _varies(tensor: Tensor) -> bool:
    """Whether a tensor is not the same everywhere, as biases of zero are in every file."""
    return bool((tensor != tensor.flatten()[0]).any())


def _has_values(tensor: Tensor) -> bool:
    """Whether a tensor is none that is made at the first call, without data, or sparse."""
    return not is_lazy(tensor) and not tensor.is_meta and tensor.layout is torch.strided


def _digest(tensor: Tensor) -> bytes:
    """Of a tensor's shape and values, in float32."""
    values = tensor.detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(f"{tuple(values.shape)}".encode() + values.numpy().tobytes()).digest()
