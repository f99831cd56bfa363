#!/usr/bin/env bash
# captum 0.9.0 (torch 2.15.0): LRP of a score made of two outputs is not the relevance of that score.
#
# captum's LRP runs a gradient through rules that divide by what each layer gives, and multiplies by the score in the
# end. That is layer-wise relevance propagation where the score is one output of the last layer. Wrapped so that it gives
# the difference of two logits (the log-odds of a detector of two classes), each of both outputs of the last layer starts
# with the same relevance but for its sign, whatever it says. The map neither adds up to the score nor is LRP's, which
# here, without biases, is gradient times input exactly. For one output captum agrees with that.
#
# Seen (two convolutions with ReLU, random weights without biases, seed 0): one output, a rank correlation with gradient
# times input of 1.00 and a sum equal to the score; the difference of two outputs, a rank correlation of -0.88, and a sum
# of 0.00 where the score is 0.04. The script fails where both agree.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 captum==0.9.0 numpy==2.4.6 scipy==1.17.1
"$folder/environment/bin/python" - <<'PYTHON'
import torch
from captum.attr import LRP
from scipy.stats import spearmanr
from torch import nn


class Score(nn.Module):
    """One output of a small network, or the difference of two."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, bias=False), nn.Conv2d(6, 6, 3, bias=False)
        self.relu, self.other_relu = nn.ReLU(), nn.ReLU()
        self.pool, self.head = nn.AdaptiveAvgPool2d(4), nn.Linear(96, outputs, bias=False)

    def forward(self, images):
        features = self.pool(self.other_relu(self.second(self.relu(self.first(images)))))
        said = self.head(features.flatten(1))
        return said[:, 0] if said.shape[1] == 1 else said[:, 1] - said[:, 0]


for outputs in (1, 2):
    torch.manual_seed(0)
    score, image = Score(outputs).eval(), torch.randn(1, 3, 24, 24)
    found = LRP(score).attribute(image.clone())
    given = image.clone().requires_grad_()
    value = score(given).sum()
    (slope,) = torch.autograd.grad(value, given)
    exact = slope * image
    agreement = float(spearmanr(found.detach().flatten(), exact.flatten()).statistic)
    print(f"{outputs} output(s): rank correlation {agreement:.2f}, the map sums to {float(found.detach().sum()):.4f} "
          f"where the score is {float(value.detach()):.4f}")
    assert (agreement > 0.99) == (outputs == 1), "LRP starts otherwise now"
PYTHON
