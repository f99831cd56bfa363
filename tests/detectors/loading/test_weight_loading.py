"""A network's tensors are found under any prefix; what is missing or left over is named, part by part."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.loading.checkpoints import read
from detectors.loading.weight_loading import align, fits, load_into


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


def test_the_prefix_is_what_the_networks_keys_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in Lightning files, where a criterion and metrics stand beside the model."""
    source, target = Small(), Small()
    tensors = {f"model.{key}": value for key, value in source.state_dict().items()}
    tensors |= {"criterion.weight": torch.ones(2), "train_auc.preds": torch.zeros(3), "train_auc.target": torch.ones(3)}
    load_into(target, read(saved(tmp_path / "last.ckpt", tensors)), "a small network")
    assert torch.equal(target.head.weight, source.head.weight)
    message = capsys.readouterr().err
    assert "last.ckpt: left unused, being no part of the network that judges" in message
    assert "criterion (1 tensor), train_auc (2 tensors)" in message


def test_what_the_network_itself_does_not_have_is_refused(tmp_path: Path) -> None:
    tensors = {f"model.{key}": value for key, value in Small().state_dict().items()}
    tensors["model.attention.weight"] = torch.ones(4)
    with pytest.raises(InputError, match=r"not expected: attention\.weight"):
        load_into(Small(), read(saved(tmp_path / "x.pt", tensors)), "a small network")


def test_two_copies_of_a_network_must_be_the_same(tmp_path: Path) -> None:
    first, second, target = Small(), Small(), Small()
    both = {f"{name}.{key}": value for name, network in (("student", first), ("teacher", second))
            for key, value in network.state_dict().items()}  # fmt: skip
    with pytest.raises(InputError, match=r"x\.pt holds the network twice, under student\. and under teacher\."):
        load_into(target, read(saved(tmp_path / "x.pt", both)), "a small network")
    both = {key: first.state_dict()[key.partition(".")[2]] for key in both}
    load_into(target, read(saved(tmp_path / "x.pt", both)), "a small network")
    assert torch.equal(target.head.weight, first.head.weight)


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (("fc.",), "no classifier (fc.weight, fc.bias)"),
        (("layer2.", "fc.bias"), "no layer2 (layer2.0.conv1.weight, layer2.0.bn1.weight and "),
        (("conv1.1.weight",), "missing: conv1.1.weight"),
        (("",), "none of its tensors is there by its name"),
    ],
)
def test_what_is_missing_is_named_by_its_part(tmp_path: Path, without: tuple[str, ...], words: str) -> None:
    network = timm.create_model("resnet26t", num_classes=2)
    tensors = {key: value for key, value in network.state_dict().items() if not key.startswith(without)}
    with pytest.raises(InputError) as refused:
        load_into(network, read(saved(tmp_path / "x.pt", tensors or {"other.weight": torch.ones(1)})), "a ResNet")
    assert words in str(refused.value)


def test_aligned_keeps_a_prefix_that_the_network_has() -> None:
    assert align({"a.b.c": torch.zeros(1)}, {"b.c": torch.zeros(1)}).tensors.keys() == {"b.c"}
    assert align({"a.b.c": torch.zeros(1)}, {"a.b.c": torch.zeros(1)}).tensors.keys() == {"a.b.c"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    tensors = Small().state_dict()
    tensors["head.bias"][1] = value
    with pytest.raises(
        InputError, match=r"broken.pt: its weights hold NaN or infinity \(head.bias\); get the file again"
    ):
        load_into(Small(), read(saved(tmp_path / "broken.pt", tensors)), "a small network")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("head.weight", torch.ones(2, 4, dtype=torch.int8), r"its weights are int8, of which nothing says the scale"),
        ("head.weight", torch.ones(2, 4, dtype=torch.bool), r"its weights are bool, of which nothing says the scale"),
        ("head.weight", torch.full((2, 4), 1e300, dtype=torch.float64), r"hold NaN or infinity \(head.weight\)"),
        ("stem.1.running_var", torch.tensor([1.0, -1e-6, 1.0, 1.0]), r"batch norms are below 0 \(stem.1.running_var\)"),
    ],
)
def test_weights_that_no_training_leaves_are_refused(tmp_path: Path, key: str, value: Tensor, words: str) -> None:
    checkpoint = read(saved(tmp_path / "x.pt", {**Small().state_dict(), key: value}))
    with pytest.raises(InputError, match=words):
        load_into(Small(), checkpoint, "a small network")
