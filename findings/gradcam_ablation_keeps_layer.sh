#!/usr/bin/env bash
# grad-cam 1.5.7 (torch 2.15.0): AblationCAM changes the network that it explains, and changes it back only where every
# forward pass succeeds.
#
# It swaps the target layer of the user's own model for an AblationLayer, scores batches with it, and puts the layer back
# at the end, without a `finally`. Where a batch fails on the way (memory runs out, say), the exception comes up, and the
# model keeps the AblationLayer: it goes on answering, with other numbers. A caller who catches the error and tries a
# smaller batch, as one does, then explains and scores a network that is no longer his. One would expect the model to be as
# it was, as `with GradCAM(...)` promises to release what it hooked; leaving the context does not mend it either.
#
# Seen: the model's layer is an AblationLayer after the failed call, and its output on the same input differs by 0.06
# (random weights, seed 0). The script fails where the layer is back after the failure.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 grad-cam==1.5.7 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import torch
from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn


class Network(nn.Module):
    """A small classifier that cannot take more than so many images at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)
        self.room = 4

    def forward(self, images):
        if len(images) > self.room:
            raise RuntimeError(f"no room for {len(images)} images")
        return self.head(self.features(images).relu().mean(dim=(2, 3)))


torch.manual_seed(0)
network, image = Network().eval(), torch.rand(1, 3, 16, 16)
before = network(image).detach()
layer = network.features

with AblationCAM(network, [layer]) as cam:
    cam.batch_size = 8  # more than there is room for; its default is 32
    try:
        cam(image, [ClassifierOutputTarget(1)])
        raise SystemExit("the call did not fail, so nothing was tried")
    except RuntimeError as error:
        print(f"the call failed, as it must: {error}")

print(f"the layer afterwards: {type(network.features).__name__}, it was {type(layer).__name__}")
change = float((network(image).detach() - before).abs().max())
print(f"the output on the same image differs by {change:.2f}")
if network.features is layer:
    raise SystemExit("changed: the layer is back after a failed call")
PYTHON
echo "as described"
