"""What network a file's weights could be of: by the names of its keys, and by the shapes of its tensors."""

from collections import Counter
from collections.abc import Mapping
from functools import cache

import timm
import torch
from torch import Tensor

_ENOUGH = 0.8
"""The share of tensors that must find one of their shape for a network to be called near."""

_FEWEST = 20
"""Files of fewer tensors are of no published network."""

_CADDM = "CADDM"

_SIGNATURES: Mapping[str, tuple[tuple[str, ...], str]] = {
    _CADDM: (("adm.", "base_model."), ""),
    "an EfficientNet of efficientnet_pytorch": (("_conv_stem.", "_blocks."), "tf_efficientnet_b"),
    "Xception": (("block1.rep.", "block12.rep."), "legacy_xception"),
    "a timm EfficientNet": (("conv_stem.", "blocks."), "tf_efficientnet"),
    "a vision transformer": (("patch_embed.", "attn."), "vit"),
    "a ResNet": (("layer1.0.conv1.", "layer4."), "res"),
    "a ConvNeXt": (("stages.", "conv_dw."), "convnext"),
}
"""A family in words: what occurs in its keys, and what its networks' names begin with."""

_KNOWN = (
    *(f"tf_efficientnet_b{size}" for size in range(8)), *(f"tf_efficientnetv2_{size}" for size in ("b0", "s", "m")),
    "legacy_xception", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224", "vit_large_patch14_clip_224",
    "convnext_tiny", "convnext_small", "convnext_base", "swin_tiny_patch4_window7_224", "swin_base_patch4_window7_224",
    "inception_v3", "densenet121", "mobilenetv2_100", "mobilenetv3_large_100", "vgg16", "hrnet_w18",
)  # fmt: skip
"""Networks that detectors are commonly made of, by timm's names."""


def looks_like(state_dict: Mapping[str, Tensor]) -> str:
    """A guess, in words, at the network that weights belong to: its family by the keys, itself by the shapes."""
    family, near = _family(state_dict), nearest(state_dict)
    known = f"by its shapes timm:{near}" if near else ""
    if family is None:
        return known or f"another network (its first key is {next(iter(state_dict))})"
    return f"{family} ({known})" if known else family


def nearest(state_dict: Mapping[str, Tensor], beginning: str | None = None) -> str | None:
    """The common network of timm whose tensors' shapes are nearest to a file's, or None where none is near.

    `beginning` limits the search to networks whose names begin so; by default they are of the family that the keys
    show. The last layer's shape, which follows the number of classes, hardly counts.
    """
    family = _family(state_dict)
    if len(state_dict) < _FEWEST or family == _CADDM:
        return None
    if beginning is None:
        beginning = "" if family is None else _SIGNATURES[family][1]
    given = _shapes(state_dict)
    best, share = None, _ENOUGH
    for name in _KNOWN:
        if name.startswith(beginning):
            theirs = Counter(_network_shapes(name))
            overlap = (given & theirs).total() / max(given.total(), theirs.total())
            if overlap > share:
                best, share = name, overlap
    return best


def _family(state_dict: Mapping[str, Tensor]) -> str | None:
    for name, (parts, _) in _SIGNATURES.items():
        if all(any(part in key for key in state_dict) for part in parts):
            return name
    return None


def _shapes(tensors: Mapping[str, Tensor]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(tensor.shape) for tensor in tensors.values() if tensor.ndim)


@cache
def _network_shapes(name: str) -> tuple[tuple[int, ...], ...]:
    with torch.device("meta"):
        return tuple(_shapes(timm.create_model(name).state_dict()).elements())
