#!/usr/bin/env bash
# torchattacks 3.5.1 (torch 2.15.0): Jitter does not move a network whose two logits are 0 and z, or -z and z, though its
# gradient is perfectly good: PGD raises the same probability.
#
# Jitter (Schwinn et al. 2021) takes a softmax of the logits divided by the largest of them by absolute value. A network
# with one output, written as the two logits 0 and z, gives 0 and 1 or -1 after that division, whatever z is, and with -z
# and z it is the same: the loss is constant as long as z keeps its sign, and its gradient is rounding. What is left of
# the attack is its random start and its noise. No error and no warning says so. With two independent logits it works.
#
# Seen (targeted, 8/255, ten steps, without Jitter's own noise; the mean rise of log p of the target): logits 0 and z 0.00,
# -z and z 0.02 (PGD 0.33 for both), two independent logits 0.40 (PGD 0.43). The script fails where Jitter follows the
# first two.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 torchattacks==3.5.1 numpy==2.4.6 requests
"$folder/environment/bin/python" - <<'PYTHON'
import torch
import torchattacks
from torch import nn


class Network(nn.Module):
    """A linear score of a picture, written as two logits in one of three ways."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(3 * 16 * 16, 1)
        self.other = nn.Linear(3 * 16 * 16, 1)

    def forward(self, images):
        z, other = self.score(images.flatten(1)) - 1.5, self.other(images.flatten(1))
        return torch.cat({"0, z": [0 * z, z], "-z, z": [-z / 2, z / 2], "two": [other, z]}[self.kind], dim=1)


for kind in ("0, z", "-z, z", "two"):
    torch.manual_seed(0)
    network, images, target = Network(kind).eval(), torch.rand(4, 3, 16, 16), torch.ones(4, dtype=torch.long)
    before, rises = network(images).log_softmax(1)[:, 1], []
    for attack in (
        torchattacks.Jitter(network, eps=8 / 255, alpha=2 / 255, steps=10, std=0, random_start=False),
        torchattacks.PGD(network, eps=8 / 255, alpha=2 / 255, steps=10, random_start=False),
    ):
        attack.set_mode_targeted_by_label(quiet=True)
        rises.append(float((network(attack(images, target)).log_softmax(1)[:, 1] - before).mean().detach()))
    print(f"logits {kind}: log p rises by {rises[0]:.2f} under Jitter, by {rises[1]:.2f} under PGD")
    assert rises[1] > 0.1
    assert (rises[0] > 0.5 * rises[1]) == (kind == "two"), "Jitter follows other logits now"
PYTHON
