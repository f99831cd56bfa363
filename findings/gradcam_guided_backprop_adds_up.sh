#!/usr/bin/env bash
# grad-cam 1.5.7 (torch 2.15.0): GuidedBackpropReLUModel, asked twice about one tensor, gives the sum of both maps.
#
# One asks for the guided map of one class and then of another, to compare them, and gives the same image both times.
# The call makes the caller's own tensor require a gradient, goes backward, and returns that tensor's `.grad` as the map.
# Nobody sets it to zero between the calls, and torch adds to it: the second map is that of both classes together. What
# was returned first is no copy, but the very memory, so that it changes under its owner's hands into the same sum. One
# would expect two maps, as where the image is cloned for each call. Afterwards the network is not what it was either: all
# its rectifiers are one new module, in training mode, and hooks on those before are gone.
#
# Seen (resnet18 of timm, random weights, seed 0, 64 pixels of noise): the map of class 1 after class 0 differs from its
# own by as much as its own largest value, and is the sum of both to rounding; the map of class 0 has become the same
# array. The script fails where the second map is that of its class.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 timm==1.0.31 grad-cam==1.5.7 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import numpy as np
import timm
import torch
from pytorch_grad_cam import GuidedBackpropReLUModel

torch.manual_seed(0)
network = timm.create_model("resnet18", num_classes=3).eval()
image = torch.rand(1, 3, 64, 64)
guided = GuidedBackpropReLUModel(model=network, device="cpu")
own = [guided(image.clone(), target_category=category).copy() for category in (0, 1)]
first, second = (guided(image, target_category=category) for category in (0, 1))
largest = np.abs(own[1]).max()
apart = np.abs(second - own[1]).max() / largest
summed = np.allclose(second, own[0] + own[1], atol=1e-4 * largest)
print(f"the second map differs from that of its class by {apart:.2f} of its largest value; the sum of both: {summed}")
print(f"the first map is now the second: {np.array_equal(first, second)}")
rectifiers = {id(module) for module in network.modules() if isinstance(module, torch.nn.ReLU)}
print(f"rectifiers left: {len(rectifiers)}, training: {any(module.training for module in network.modules())}")
if not (summed and np.array_equal(first, second)):
    raise SystemExit("changed: the second map is no longer the sum of both")
PYTHON
echo "as described"
