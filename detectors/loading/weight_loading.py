"""Copying a checkpoint's tensors into a network: under which names they stand there, what is missing, what is left."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.console import count, some, warn
from common.errors import InputError
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.nearest_network import looks_like

CLASSIFIER = "classifier"


@dataclass(frozen=True, eq=False)
class Alignment:
    """Which of a file's tensors belong to a network.

    Attributes:
        tensors: those under the prefix that the network's keys share in the file, by their names behind it.
        outside: the file's other keys, which the network has no part in.
    """

    tensors: dict[str, Tensor]
    outside: tuple[str, ...]


def load_into(
    network: nn.Module,
    checkpoint: Checkpoint,
    expected: str,
    names: Mapping[str, str] | None = None,
    unused: Sequence[str] = (),
) -> None:
    """Copies a checkpoint's tensors into a network, key by key; half precision becomes the network's own.

    The prefix that the network's keys share in the file (`model.` in a Lightning file) is dropped. Entries outside it
    (`criterion.weight`, metrics) are left unused and named in a warning, as are those of the `unused` parts.

    Args:
        network: what the tensors are copied into.
        checkpoint: as `read` returns it.
        expected: what the message calls the network.
        names: from the network's keys to the file's, where they differ.
        unused: beginnings of the file's keys, behind the prefix, that the verdict does not depend on.

    Raises:
        InputError: keys or shapes differ, weights are not finite, or the file holds the network twice, with other
            weights.
    """
    wanted = _as_the_file_calls_it(network, names)
    _refuse_two(checkpoint, wanted)
    alignment = align(checkpoint.state_dict, wanted)
    tensors, left = _without(alignment.tensors, unused)
    differing = _difference(tensors, network, names)
    if differing:
        guess = looks_like(checkpoint.state_dict)
        raise InputError(f"{checkpoint.path} does not fit {expected}: it looks like {guess}; {differing}")
    for key, tensor in wanted.items():  # files from before batch norm counted its batches
        if key.endswith("num_batches_tracked"):
            tensors.setdefault(key, torch.zeros_like(tensor, device="cpu"))
    real = [key for key, tensor in wanted.items() if tensor.is_floating_point()]
    if whole := [key for key in real if not tensors[key].is_floating_point()]:
        kind = str(tensors[whole[0]].dtype).removeprefix("torch.")
        raise InputError(
            f"{checkpoint.path}: its weights are {kind}, of which nothing says the scale ({some(whole)}): save them in "
            "floating point"
        )
    tensors = {key: tensor.to(wanted[key].dtype) if key in wanted else tensor for key, tensor in tensors.items()}
    require_usable({key: tensors[key] for key in wanted}, str(checkpoint.path))
    stated = [name for name, _ in checkpoint.statements]  # compared with what the detector does, elsewhere
    if outside := [key for key in (*alignment.outside, *left) if key not in stated]:
        warn(f"{checkpoint.path}: left unused, being no part of the network that judges: {_by_part(outside)}")
    network.load_state_dict({key: tensors[(names or {}).get(key, key)] for key in network.state_dict()})


def require_usable(weights: Mapping[str, Tensor], where: str) -> None:
    """Refuses weights that no training leaves.

    Args:
        weights: by the network's or the file's names, in the type that they are computed in.
        where: whose they are, for messages.

    Raises:
        InputError: some are NaN or infinite, or variances of batch norms are below 0.
    """
    if broken := [key for key, tensor in weights.items() if not bool(tensor.isfinite().all())]:
        raise InputError(f"{where}: its weights hold NaN or infinity ({some(broken)}); get the file again")
    variances = {key: tensor for key, tensor in weights.items() if key.endswith("running_var")}
    if negative := [key for key, tensor in variances.items() if bool((tensor < 0).any())]:
        raise InputError(f"{where}: variances of its batch norms are below 0 ({some(negative)}); get the file again")


def fits(
    state_dict: Mapping[str, Tensor],
    network: nn.Module,
    names: Mapping[str, str] | None = None,
    unused: Sequence[str] = (),
) -> bool:
    """Whether a state dict holds exactly a network's keys and shapes behind one prefix; the rest as for `load_into`."""
    tensors, _ = _without(align(state_dict, _as_the_file_calls_it(network, names)).tensors, unused)
    return not _difference(tensors, network, names)


def difference(state_dict: Mapping[str, Tensor], network: nn.Module) -> str:
    """What a file's tensors differ in from a network's, in words: parts that are missing first; empty for nothing."""
    return _difference(align(state_dict, network.state_dict()).tensors, network, None)


def missing_parts(state_dict: Mapping[str, Tensor], network: nn.Module) -> str:
    """What of a network a file does not have, in words; empty where it has all, or nothing, by its name."""
    tensors = align(state_dict, network.state_dict()).tensors
    return ", ".join(filter(None, _missing(tensors, network, None))) if tensors.keys() & network.state_dict() else ""


def align(state_dict: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Alignment:
    """A network's tensors in a file: those behind the prefix, maybe none, under which most of `wanted` stand."""
    prefix = _prefixes(state_dict, wanted)[0]
    return Alignment(_behind(prefix, state_dict), tuple(key for key in state_dict if not key.startswith(prefix)))


def _prefixes(state_dict: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """The prefixes under which most of `wanted` stand, the shortest first."""
    found = Counter(key[: len(key) - len(rest)] for key in state_dict for rest in _endings(key) if rest in wanted)
    most = max(found.values(), default=0)
    return sorted((prefix for prefix, number in found.items() if number == most), key=len) or [""]


def _refuse_two(checkpoint: Checkpoint, wanted: Mapping[str, Tensor]) -> None:
    """Raises InputError where a file holds all of a network under two prefixes, with other weights."""
    prefixes = _prefixes(checkpoint.state_dict, wanted)
    copies = [_behind(prefix, checkpoint.state_dict) for prefix in prefixes]
    for prefix, copy in zip(prefixes[1:], copies[1:], strict=True):
        if copy.keys() >= wanted.keys() and any(not torch.equal(copy[key], copies[0][key]) for key in wanted):
            raise InputError(
                f"{checkpoint.path} holds the network twice, under {prefixes[0] or 'no prefix'} and under {prefix}, "
                "with other weights; save a file of the one that is meant"
            )


def _behind(prefix: str, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in state_dict.items() if key.startswith(prefix)}


def _endings(key: str) -> Iterable[str]:
    """The key, and what is left of it without its first parts."""
    while key:
        yield key
        key = key.partition(".")[2]


def _as_the_file_calls_it(network: nn.Module, names: Mapping[str, str] | None) -> dict[str, Tensor]:
    return {(names or {}).get(key, key): tensor for key, tensor in network.state_dict().items()}


def _without(tensors: Mapping[str, Tensor], unused: Sequence[str]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors but for those of the `unused` parts, and the keys of these."""
    left = [key for key in tensors if key.startswith(tuple(unused))]
    return {key: tensor for key, tensor in tensors.items() if key not in left}, left


def _difference(given: Mapping[str, Tensor], network: nn.Module, names: Mapping[str, str] | None) -> str:
    """What keeps tensors from being a network's, in words; empty where nothing does."""
    wanted = _as_the_file_calls_it(network, names)
    shapes = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    unknown = [key for key in given if key not in wanted]
    if len(unknown) == len(given):
        return "none of its tensors is there by its name"
    parts = [
        *_missing(given, network, names),
        f"not expected: {some(unknown)}" if unknown else "",
        f"of another shape: {some(shapes)}" if shapes else "",
    ]
    return ", ".join(part for part in parts if part)


def _missing(given: Mapping[str, Tensor], network: nn.Module, names: Mapping[str, str] | None) -> list[str]:
    """What a file lacks, part by part of the network: all of it, or some of its tensors."""
    parts: dict[str, list[str]] = {}
    for key in network.state_dict():
        if not key.endswith("num_batches_tracked"):
            parts.setdefault(_part(key, network), []).append((names or {}).get(key, key))
    lacking = {part: [key for key in keys if key not in given] for part, keys in parts.items()}
    whole = [part for part, keys in parts.items() if len(lacking[part]) == len(keys)]
    some_of = [key for part, keys in lacking.items() if part not in whole for key in keys]
    return [
        *(f"no {part} ({some(lacking[part])})" for part in whole[:2]),
        f"no {some(whole[2:])}" if whole[2:] else "",
        f"missing: {some(some_of)}" if some_of else "",
    ]


def _part(key: str, network: nn.Module) -> str:
    """The part of a network that a key belongs to: its classifier, or a module's name."""
    config = getattr(network, "pretrained_cfg", None) or {}
    heads = config.get("classifier") or ()
    if any(key.startswith(f"{head}.") for head in ([heads] if isinstance(heads, str) else heads)):
        return CLASSIFIER
    return key.partition(".")[0]


def _by_part(keys: Sequence[str]) -> str:
    """The first parts of keys, each with its number of tensors."""
    parts = Counter(key.rpartition(".")[0] or key for key in keys)
    return some([f"{part} ({count(number, 'tensor')})" for part, number in parts.items()], 6)
