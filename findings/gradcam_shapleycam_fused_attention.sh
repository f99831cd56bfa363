#!/usr/bin/env bash
# grad-cam 1.5.7 (torch 2.15.0, timm 1.0.31): ShapleyCAM fails on every transformer with fused attention.
#
# It needs the product of the Hessian with the activations, so it differentiates a gradient. PyTorch's fused attention
# kernels have no second derivative, and timm's transformers use them wherever they can, on CPUs as well. The package's
# own examples of transformers use timm; GradCAM works on the same network and layer. One would expect it to ask for
# the mathematical kernel, which gives the same numbers and can be differentiated twice, or to say that this is what
# fails.
#
# Seen (ViT tiny, random weights): RuntimeError, "derivative for
# aten::_scaled_dot_product_flash_attention_for_cpu_backward is not implemented"; inside
# `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)` the map comes. The script fails where it comes without.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 grad-cam==1.5.7 timm==1.0.31 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
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
failed = False
try:
    made(ShapleyCAM)
except RuntimeError as error:
    failed = True
    print(f"ShapleyCAM: {str(error).splitlines()[0]}")
with sdpa_kernel(SDPBackend.MATH):
    print(f"ShapleyCAM with the mathematical kernel: a map of {made(ShapleyCAM).shape}")
if not failed:
    raise SystemExit("changed: ShapleyCAM works with the fused attention")
PYTHON
echo "as described"
