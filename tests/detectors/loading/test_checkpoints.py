"""Checkpoints of every wrapping are read, and nothing in them is ever run."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from common.errors import InputError
from detectors.loading.checkpoints import read

WEIGHTS = {"first.weight": torch.arange(6.0).reshape(2, 3), "first.bias": torch.tensor([1.0, -1.0])}


def same(found: dict[str, Tensor], expected: dict[str, Tensor] = WEIGHTS) -> bool:
    return list(found) == list(expected) and all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "hyper_parameters": {"model_name": "x"}, "epoch": 3},
        {"model": WEIGHTS, "optimizer": {"state": {}}, "epoch": 3},
        {"network": WEIGHTS},
        {f"module.{key}": value for key, value in WEIGHTS.items()},
        {"model": {f"module._orig_mod.{key}": value for key, value in WEIGHTS.items()}},
    ],
    ids=["plain", "lightning", "model", "network", "parallel", "parallel and compiled"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_published_wrappings(tmp_path: Path, content: object, zipped: bool) -> None:
    path = tmp_path / "file.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    checkpoint = read(path)
    assert same(checkpoint.state_dict)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    expected = {"model_name": "x"} if isinstance(content, dict) and "hyper_parameters" in content else {}
    assert checkpoint.metadata == expected


def test_safetensors_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    save_file(WEIGHTS, path, {"format": "pt", "note": "mine"})
    checkpoint = read(path)
    assert checkpoint.metadata == {"format": "pt", "note": "mine"}
    assert checkpoint.state_dict.keys() == WEIGHTS.keys()
    assert all(torch.equal(checkpoint.state_dict[key], WEIGHTS[key]) for key in WEIGHTS)


def test_numbers_that_scripts_keep_beside_weights_are_read(tmp_path: Path) -> None:
    torch.save({"model": WEIGHTS, "accuracy": np.float64(0.5), "epoch": np.int64(3)}, tmp_path / "file.pth")
    assert same(read(tmp_path / "file.pth").state_dict)


class Hostile:
    """Unpickled without care, it creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("writer", ["torch", "legacy", "pickle"])
def test_hostile_pickle_is_refused_and_not_run(tmp_path: Path, writer: str) -> None:
    marker, path = tmp_path / "pwned", tmp_path / "hostile.ckpt"
    content = {"state_dict": WEIGHTS, "callbacks": Hostile(marker)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(InputError, match=r"hostile\.ckpt is refused: .*") as refused:
        read(path)
    assert "\n" not in str(refused.value)
    if writer != "pickle":
        assert "posix.system" in str(refused.value)
        assert "state_dict()" in str(refused.value)
    assert not marker.exists()
    if writer == "pickle":  # the test's own teeth: the same bytes do act when unpickled without care
        pickle.loads(path.read_bytes())
        assert marker.exists()


def damaged_files(folder: Path) -> dict[str, bytes]:
    torch.save(WEIGHTS, folder / "zip")
    torch.save(WEIGHTS, folder / "legacy", _use_new_zipfile_serialization=False)
    save_file(WEIGHTS, folder / "safe")
    whole = {name: (folder / name).read_bytes() for name in ("zip", "legacy", "safe")}
    cut = {
        f"{name} cut at {part}": data[: int(len(data) * part)] for name, data in whole.items() for part in (0.3, 0.9)
    }
    return {
        **cut,
        "empty": b"",
        "text": b"hello, this is text\n",
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
        "other zip": b"PK\x03\x04" + bytes(40),
        "length without header": (64).to_bytes(8, "little") + b"{",
    }


def test_damaged_files_give_one_line(tmp_path: Path) -> None:
    for name, data in damaged_files(tmp_path).items():
        path = tmp_path / "damaged.ckpt"
        path.write_bytes(data)
        with pytest.raises(InputError) as refused:
            read(path)
        assert "damaged.ckpt" in str(refused.value), name
        assert "\n" not in str(refused.value), name


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": {}}, {"state_dict": {"a": 1}}])
def test_a_file_without_tensors(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(InputError, match="holds no state dict"):
        read(tmp_path / "file.pt")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(InputError, match="there is no such file"):
            read(path)


def test_other_weights_of_the_same_names_are_named(tmp_path: Path) -> None:
    other = {f"module.{key}": value + 1 for key, value in WEIGHTS.items()}
    torch.save(
        {"model": WEIGHTS, "ema": {"module": other}, "optimizer": {"state": {0: torch.ones(1)}}}, tmp_path / "a.pt"
    )
    checkpoint = read(tmp_path / "a.pt")
    assert same(checkpoint.state_dict)
    assert checkpoint.remarks == ("ema beside model: other weights of the same names, left unused",)


def test_other_weights_of_the_same_shapes_in_a_list_are_named(tmp_path: Path) -> None:
    average = {"decay": 0.999, "shadow_params": [value + 1 for value in WEIGHTS.values()]}  # as torch_ema keeps it
    steps = {"state": {0: {"exp_avg": torch.ones(2, 3)}}, "param_groups": [{"params": [0, 1]}]}
    shuffled = [torch.ones(7), torch.ones(2)]
    torch.save({"model": WEIGHTS, "ema": average, "optimizer": steps, "losses": shuffled}, tmp_path / "a.pt")
    checkpoint = read(tmp_path / "a.pt")
    assert same(checkpoint.state_dict)
    assert checkpoint.remarks == ("ema beside model: other weights of the same shapes, in a list, left unused",)


def test_an_average_is_named_wherever_lightning_keeps_it(tmp_path: Path) -> None:
    """In a callback, by the network's own names, or in the state of an optimiser."""
    names = ("stem.weight", "stem.bias", "head.weight")
    own = {name: torch.full((2, 3), float(at)) for at, name in enumerate(names)}
    module = {f"net.{name}": value for name, value in own.items()}
    steps = {"state": {0: {"exp_avg": torch.ones(2, 3)}}, "param_groups": [{"params": [0, 1, 2]}]}
    average = [value + 1 for value in own.values()]
    kept = {"callbacks": {"Averages": {"average": {name: value + 1 for name, value in own.items()}}}}
    kept |= {"optimizer_states": [steps | {"ema": tuple(average)}], "lr_schedulers": [steps]}
    torch.save({"state_dict": module, **kept}, tmp_path / "a.pt")
    assert read(tmp_path / "a.pt").remarks == (
        "callbacks beside state_dict: other weights of the same names, left unused",
        "optimizer_states beside state_dict: other weights of the same shapes, in a list, left unused",
    )


def test_weights_of_eight_bits_are_refused(tmp_path: Path) -> None:
    small = {**WEIGHTS, "first.weight": WEIGHTS["first.weight"].to(torch.float8_e4m3fn)}
    torch.save(small, tmp_path / "a.pt")
    save_file(small, tmp_path / "b.safetensors")
    for name in ("a.pt", "b.safetensors"):
        with pytest.raises(InputError, match=rf"{name} is refused: first.weight is no plain array of weights .*float8"):
            read(tmp_path / name)
