"""A network's tensors are found under any prefix; what is missing or left over is named, part by part."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.checkpoints import read
from detectors.weight_loading import align, fits, load_into


class Small(nn.Module):
    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, outputs)


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, path)
    return path


def test_loading_drops_shared_prefixes_and_widens_halves(tmp_path: Path) -> None:
    source, target = Small(), Small()
    tensors = {f"model.net.{key}": value.half() if value.is_floating_point() else value
               for key, value in source.state_dict().items()}  # fmt: skip
    load_into(target, read(saved(tmp_path / "half.pt", tensors)), "a small network")
    for key, value in target.state_dict().items():
        assert value.dtype == source.state_dict()[key].dtype
        assert torch.equal(value, source.state_dict()[key].half().to(value.dtype))


def test_loading_files_from_before_batches_were_counted(tmp_path: Path) -> None:
    tensors = {key: value for key, value in Small().state_dict().items() if not key.endswith("tracked")}
    target = Small()
    load_into(target, read(saved(tmp_path / "old.pt", tensors)), "a small network")
    assert torch.equal(target.head.weight, tensors["head.weight"])


def test_another_architecture_is_named_with_its_first_differences(tmp_path: Path) -> None:
    tensors = {**Small(3).state_dict(), "extra.weight": torch.zeros(1)}
    del tensors["stem.0.bias"]
    checkpoint = read(saved(tmp_path / "other.pt", tensors))
    target = Small()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(InputError) as refused:
        load_into(target, checkpoint, "a small network")
    message = str(refused.value)
    assert "other.pt does not fit a small network: it looks like another network (its first key is stem.0." in message
    assert "missing: stem.0.bias, not expected: extra.weight" in message
    assert "of another shape: head.weight (3, 4) instead of (2, 4), head.bias (3,) instead of (2,)" in message
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_fits() -> None:
    weights = Small().state_dict()
    assert fits({f"model.{key}": value for key, value in weights.items()}, Small())
    assert not fits(weights, Small(3))


def test_aligned_keeps_a_prefix_that_the_network_has() -> None:
    assert aligned({"a.b.c": torch.zeros(1)}, {"b.c": torch.zeros(1)}).keys() == {"b.c"}
    assert aligned({"a.b.c": torch.zeros(1)}, {"a.b.c": torch.zeros(1)}).keys() == {"a.b.c"}


