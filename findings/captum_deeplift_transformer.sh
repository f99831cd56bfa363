#!/usr/bin/env bash
# captum 0.9.0 (torch 2.15.0, timm 1.0.31): DeepLift takes a vision transformer without a word and breaks its promise
# there.
#
# DeepLift promises summation to delta: attributions add up to the score of the input less that of the baseline. captum
# replaces the gradient of modules that it has a rule for (ReLU, softmax, max pooling, ...) and passes the plain gradient
# through all else. In a transformer all that bends is of that kind: the GELUs, the layer norms, the softmax inside the
# fused attention, the product of attention and values; what is left is gradient times input. One would expect an error
# or a warning, as where a module is used twice; `return_convergence_delta=True` would tell, and is off by default.
#
# Seen (ViT tiny, random weights, seed 0, an image of noise): the scores differ by -0.676, DeepLift's attributions sum
# to -0.049; integrated gradients with its 50 steps sum to -0.676. The script fails where DeepLift is within 5 % of
# what is due.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 captum==0.9.0 timm==1.0.31 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import timm
import torch
from captum.attr import DeepLift, IntegratedGradients

torch.manual_seed(0)
image = torch.rand(1, 3, 64, 64) * 4 - 2  # normalised
baseline = torch.zeros_like(image)
network = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=64).eval()
with torch.no_grad():
    due = float((network(image) - network(baseline))[0, 1])
for method in (IntegratedGradients, DeepLift):
    total = float(method(network).attribute(image.clone().requires_grad_(), baseline, target=1).detach().sum())
    print(f"{method.__name__}: the attributions sum to {total:.3f} where {due:.3f} is due")
if abs(total - due) < 0.05 * abs(due):
    raise SystemExit("changed: DeepLift's attributions add up")
PYTHON
echo "as described"
