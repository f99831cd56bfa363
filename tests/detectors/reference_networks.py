"""The published detectors' networks, filled with the reference folder's deterministic weights."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Reference:
    """What a published detector computes: `state_dict` in, `images` (N, 3, S, S) in, `logits` (N, C) out."""

    state_dict: dict[str, Tensor]
    images: Tensor
    logits: Tensor
    spec: dict[str, Any]


def reference_network(folder: Path, name: str) -> Reference:
    """The reference of one detector, its weights and inputs made by the folder's own recipe."""
    deterministic = recipe(folder)
    spec = json.loads((folder / f"{name}.json").read_text())
    weights = deterministic.state_dict(spec["state_dict"], spec["gain"])
    images = deterministic.images(spec["input"]["name"], spec["input"]["batch"], spec["input"]["size"])
    return Reference(weights, images, torch.tensor(spec["logits"]), spec)


def relative_error(logits: Tensor, expected: Tensor) -> float:
    """The largest |difference| / |expected| over all logits."""
    return float(((logits - expected).abs() / expected.abs()).max())


def recipe(folder: Path) -> Any:
    """The folder's module that makes weights and images: `tensor`, `state_dict` and `images`."""
    module_spec = importlib.util.spec_from_file_location("deterministic", folder / "deterministic.py")
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module
