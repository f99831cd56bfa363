"""Weights of an unknown network are recognised by their keys and their tensors' shapes."""

import json
from pathlib import Path

import pytest
import timm
import torch

from detectors.nearest_network import looks_like, nearest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ff_attribution", "a timm EfficientNet"),
        ("caddm", "CADDM"),
        ("sbi", "an EfficientNet of efficientnet_pytorch"),
        ("xception", "Xception"),
    ],
)
def test_published_architectures_are_told_apart(reference: Path, name: str, words: str) -> None:
    keys = json.loads((reference / f"{name}.json").read_text())["state_dict"]
    assert looks_like({key: torch.empty(0) for key in keys}) == words
