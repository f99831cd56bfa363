"""Weights of an unknown network are recognised by their keys and their tensors' shapes."""

import json
from pathlib import Path

import pytest
import timm
import torch

from detectors.loading.nearest_network import looks_like, nearest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ff_attribution", "a timm EfficientNet (by its shapes timm:tf_efficientnetv2_b0)"),
        ("caddm", "CADDM"),
        ("sbi", "an EfficientNet of efficientnet_pytorch (by its shapes timm:tf_efficientnet_b4)"),
        ("xception", "Xception (by its shapes timm:legacy_xception)"),
    ],
)
def test_published_architectures_are_told_apart(reference: Path, name: str, words: str) -> None:
    shapes = json.loads((reference / f"{name}.json").read_text())["state_dict"]
    assert looks_like({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}) == words


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_shapes_alone_find_a_network_under_any_names_and_classes(name: str) -> None:
    with torch.device("meta"):
        weights = timm.create_model(name, num_classes=3).state_dict()
    renamed = {f"part.{number}": tensor for number, tensor in enumerate(weights.values())}
    assert nearest(renamed, "resnet") == name


def test_what_is_near_nothing() -> None:
    odd = {f"w.{number}": torch.zeros(number + 1, 7) for number in range(40)}
    assert nearest(odd, "resnet") is None
    assert looks_like({"first.weight": torch.zeros(1)}) == "another network (its first key is first.weight)"
