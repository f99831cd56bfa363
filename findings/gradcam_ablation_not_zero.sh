#!/usr/bin/env bash
# grad-cam 1.5.7 (torch 2.15.0, timm 1.0.31): AblationCAM ablates channels to -10,000,000 where a layer gives values
# below 0, as those of EfficientNet do.
#
# Ablation-CAM weighs a channel by what the score loses when the channel is set to zero (Desai and Ramaswamy 2020). The
# package does so only where the least value of the layer's output is exactly 0, as behind ReLU. Behind SiLU, GELU, a
# batch norm or a shortcut it puts the least value minus 10,000,000 in the channel's place, so that the weights say how
# the network answers numbers that it never computes. A comment in its source says that this departs from the paper; its
# documentation does not.
#
# Seen (EfficientNet-B0, random weights, seed 0): the weights have a rank correlation of 0.01 with those of the paper's
# formula (1.00 for the same network with ReLU in place of SiLU), and the largest is 6e12 (0.2 by the formula). The script
# fails where both agree.
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
from pytorch_grad_cam import AblationCAM
from scipy.stats import spearmanr
from torch import nn


def weights(act_layer: type[nn.Module]) -> tuple[np.ndarray, np.ndarray]:
    """The weights of the channels: the package's, and by the paper's formula."""
    torch.manual_seed(0)
    network = timm.create_model("efficientnet_b0", num_classes=2, act_layer=act_layer).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        activations = network.forward_features(image)
        channels = activations.shape[1]
        score = network.forward_head(activations)[0, 1]
        without = activations.repeat(channels, 1, 1, 1)
        without[range(channels), range(channels)] = 0
        paper = ((score - network.forward_head(without)[:, 1]) / score).numpy()
    cam = AblationCAM(network, [network.bn2])
    found = cam.get_cam_weights(image, network.bn2, [lambda output: output[1]], activations.numpy(), None)[0]
    return found, paper


for act_layer in (nn.ReLU, nn.SiLU):
    found, paper = weights(act_layer)
    agreement = float(spearmanr(found, paper).statistic)
    print(f"{act_layer.__name__}: rank correlation {agreement:.2f}, largest {abs(found).max():.3g}, "
          f"by the formula {abs(paper).max():.3g}")
    assert (agreement > 0.99) == (act_layer is nn.ReLU), "channels are ablated otherwise now"
PYTHON
