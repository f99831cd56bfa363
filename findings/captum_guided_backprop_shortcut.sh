#!/usr/bin/env bash
# captum 0.9.0 (torch 2.15.0): GuidedBackprop and Deconvolution change the gradient of a shortcut that begins before a
# ReLU, which no ReLU lies on.
#
# Guided backpropagation lets no negative gradient pass a ReLU backwards; a branch beside the ReLU keeps its own.
# captum puts its hook on the tensor that goes into the nn.ReLU module. Where something else reads the same tensor, as
# the shortcuts of pre-activation residual units do (Xception), the gradients of all its readers arrive there together,
# and their sum is clamped. A copy of the tensor in front of the ReLU, which changes no output, gives what is due.
#
# Seen: y = relu(a) * (1, -1) + a * (2, -3), a = (1, 1). Through the ReLU (1, 0) is due, through the shortcut (2, -3),
# together (3, -3). GuidedBackprop gives (3, 0), as it clamps the sum; Deconvolution gives (1, 0), as it puts the ReLU's
# gradient in place of the sum. With the copy both give (3, -3). Nothing is said. The script fails where the two ways to
# write the network give the same.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 captum==0.9.0 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn


class Unit(nn.Module):
    """A ReLU and a shortcut that both read what one layer gives."""

    def __init__(self, copies):
        super().__init__()
        self.copies = copies
        self.layer = nn.Linear(2, 2, bias=False)
        self.relu = nn.ReLU()
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(2))

    def forward(self, point):
        before = self.layer(point)
        after = self.relu(before.clone() if self.copies else before)
        return (after * torch.tensor([1.0, -1.0]) + before * torch.tensor([2.0, -3.0])).sum(1, keepdim=True)


point = torch.ones(1, 2)
for method in (GuidedBackprop, Deconvolution):
    as_written, with_copy = (method(Unit(copies)).attribute(point, target=0)[0].tolist() for copies in (False, True))
    print(f"{method.__name__}: {as_written}; {with_copy} with a copy in front of the ReLU")
    if as_written == with_copy:
        raise SystemExit(f"changed: {method.__name__} leaves the shortcut alone")
PYTHON
echo "as described"
