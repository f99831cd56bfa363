#!/usr/bin/env bash
# torchattacks 3.5.1 (torch 2.15.0): CW attacks another network when the same number is added to all logits.
#
# A softmax, and so every verdict and probability, does not see a constant added to all logits, and the margin of Carlini and
# Wagner's loss (their function f6) does not either: it is a difference of logits. The library takes the maxima of that
# margin over `one_hot * outputs` and `(1 - one_hot) * outputs`, where every other entry is 0 and takes part. Where the wanted
# class has a negative logit the maximum is that 0: its gradient is zero, so the attack cannot raise the wanted class; it can
# only lower the others. One would expect the same adversarial image for the same classifier, whatever its logits' origin.
# Networks with negative logits everywhere are common: log-softmax outputs have no others.
#
# Seen, on a linear classifier of three classes (seed 0) that is attacked towards class 1: with 20 added to every logit, log
# p(class 1) rises by 1.45; with 20 taken off every logit, the same verdicts and probabilities, the attack changes nothing at
# all, as both maxima are 0. The script fails where the two images agree.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 torchattacks==3.5.1
"$folder/environment/bin/python" - <<'PYTHON'
import torch
import torchattacks
from torch import nn


class Shifted(nn.Module):
    """A linear classifier with a constant added to all its logits."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.constant = nn.Linear(3 * 8 * 8, 3), constant
        nn.init.normal_(self.layer.weight, std=0.2)

    def forward(self, images):
        return self.layer(images.flatten(1)) + self.constant


torch.manual_seed(1)
image = 0.3 + 0.4 * torch.rand(1, 3, 8, 8)
target, attacked = torch.tensor([1]), []
for constant in (20.0, -20.0):
    network = Shifted(constant).eval()
    attack = torchattacks.CW(network, c=1, kappa=0, steps=50, lr=0.01)
    attack.set_mode_targeted_by_label(quiet=True)
    logits = network(image)
    changed = attack(image, target)
    rise = network(changed).log_softmax(1)[0, 1] - logits.log_softmax(1)[0, 1]
    attacked.append(changed)
    print(f"logits {[round(z, 1) for z in logits[0].tolist()]}: log p(class 1) rises by {float(rise.detach()):.2f}, "
          f"largest change of a pixel {float((changed - image).abs().max()):.3f}")
if torch.allclose(attacked[0], attacked[1], atol=1e-4):
    raise SystemExit("changed: a constant added to all logits makes no difference")
PYTHON
echo "as described"
