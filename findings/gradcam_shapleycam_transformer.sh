#!/usr/bin/env bash
# grad-cam 1.5.7 (torch 2.15.0, timm 1.0.31): ShapleyCAM fails on transformers, by the fused attention and then by
# its own `reshape_transform`.
#
# It needs the product of the Hessian with the activations, so it differentiates a gradient. PyTorch's fused attention
# kernels have no second derivative, and timm's transformers use them wherever they can, on CPUs as well. Whoever asks
# for the mathematical kernel, which gives the same numbers and can be differentiated twice, meets the next: the
# activations, kept in the graph here, are not passed through `reshape_transform` before they are weighted, as they are
# for every other method. One would expect a map where GradCAM gives one, on the same network and layer.
#
# Seen (ViT tiny, random weights): GradCAM gives a map; ShapleyCAM a RuntimeError, "derivative for
# aten::_scaled_dot_product_flash_attention_for_cpu_backward is not implemented", and inside
# `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)` a ValueError, "Invalid activation shape. Get 3". The script fails
# where one of the two errors is gone.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 grad-cam==1.5.7 timm==1.0.31 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
from contextlib import nullcontext

import timm
import torch
from pytorch_grad_cam import GradCAM, ShapleyCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch.nn.attention import SDPBackend, sdpa_kernel

torch.manual_seed(0)
network = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=64).eval()
image = torch.rand(1, 3, 64, 64)


def patches(tokens):
    return tokens[:, 1:].reshape(len(tokens), 4, 4, -1).permute(0, 3, 1, 2)


def made(method):
    cam = method(network, [network.blocks[-2].norm1], reshape_transform=patches)
    return cam(image, [ClassifierOutputTarget(1)])


print(f"GradCAM: a map of {made(GradCAM).shape}")
errors = {}
for kernel in ("fused", "mathematical"):
    try:
        with sdpa_kernel(SDPBackend.MATH) if kernel == "mathematical" else nullcontext():
            print(f"ShapleyCAM, {kernel} attention: a map of {made(ShapleyCAM).shape}")
    except (RuntimeError, ValueError) as error:
        errors[kernel] = type(error).__name__
        print(f"ShapleyCAM, {kernel} attention: {type(error).__name__}: {str(error).splitlines()[0]}")
if errors != {"fused": "RuntimeError", "mathematical": "ValueError"}:
    raise SystemExit(f"changed: {errors}")
PYTHON
echo "as described"
