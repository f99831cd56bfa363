"""Small random networks of transformers, saved in folders as `save_pretrained` writes them."""

from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")

LABELS = {0: "fake", 1: "real"}
_SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
_VISION = {**_SMALL, "intermediate_size": 32, "image_size": 32, "patch_size": 8}
_TEXT = {**_SMALL, "intermediate_size": 32, "vocab_size": 20}
_SQUARE = {"height": 32, "width": 32}


def _family(name: str) -> tuple[Any, Any]:
    """What makes a family's network of labels, and its preprocessor."""
    t = transformers
    families = {
        "vit": lambda: (
            lambda **labels: t.ViTForImageClassification(t.ViTConfig(**_VISION, **labels)),
            t.ViTImageProcessor(size=_SQUARE),
        ),
        "deit": lambda: (
            lambda **labels: t.DeiTForImageClassification(t.DeiTConfig(**_VISION, **labels)),
            t.DeiTImageProcessor(size={"height": 40, "width": 40}, crop_size=_SQUARE),
        ),
        "swin": lambda: (
            lambda **labels: t.SwinForImageClassification(
                t.SwinConfig(
                    image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4, **labels
                )
            ),
            t.ViTImageProcessor(size=_SQUARE, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
        ),
        "siglip": lambda: (
            lambda **labels: t.SiglipForImageClassification(
                t.SiglipConfig(vision_config=_VISION, text_config=_TEXT, **labels)
            ),
            t.SiglipImageProcessor(size=_SQUARE),
        ),
        "siglip2": lambda: (
            lambda **labels: t.Siglip2ForImageClassification(
                t.Siglip2Config(
                    vision_config={**_SMALL, "intermediate_size": 32, "num_patches": 16, "patch_size": 8},
                    text_config=_TEXT,
                    **labels,
                )
            ),
            t.Siglip2ImageProcessor(patch_size=8, max_num_patches=20),
        ),
        "convnext": lambda: (
            lambda **labels: t.ConvNextForImageClassification(
                t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, **labels)
            ),
            t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
        ),
        "dinov2": lambda: (
            lambda **labels: t.Dinov2ForImageClassification(
                t.Dinov2Config(**_SMALL, image_size=32, patch_size=8, **labels)
            ),
            t.BitImageProcessor(size={"shortest_edge": 40}, crop_size=_SQUARE),
        ),
        "mobilevit": lambda: (
            lambda **labels: t.MobileViTForImageClassification(
                t.MobileViTConfig(
                    image_size=64,
                    hidden_sizes=[8, 8, 8],
                    neck_hidden_sizes=[4, 4, 8, 8, 8, 8, 16],
                    num_attention_heads=2,
                    **labels,
                )
            ),
            t.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
        ),
        "clip": lambda: (
            lambda **labels: t.CLIPForImageClassification(
                t.CLIPConfig(vision_config=_VISION, text_config=_TEXT, **labels)
            ),
            t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=_SQUARE),
        ),
    }
    made: tuple[Any, Any] = families[name]()
    return made


FAMILIES = ("vit", "deit", "swin", "siglip", "siglip2", "convnext", "dinov2", "clip", "mobilevit")


def saved(family: str, folder: Path, labels: dict[int, str] | None = None, seed: int = 0, **more: Any) -> Path:
    """A folder with a small random network of a family, whose outputs have these labels; `more` is of its settings."""
    labels = LABELS if labels is None else labels
    make, preprocessor = _family(family)
    torch.manual_seed(seed)
    transformers.utils.logging.disable_progress_bar()
    network = make(id2label=labels, label2id={name: index for index, name in labels.items()}, **more)
    with torch.no_grad():
        for parameter in network.parameters():  # new ones are so small that pictures make no difference
            parameter.add_(0.1 * torch.randn(parameter.shape))
    network.save_pretrained(folder)
    preprocessor.save_pretrained(folder)
    return folder
