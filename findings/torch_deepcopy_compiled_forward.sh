#!/usr/bin/env bash
# torch 2.15.0: a copy of a network whose forward was compiled by `net.forward = torch.compile(net.forward)` answers
# with the weights of the original, and so does torch.optim.swa_utils.AveragedModel of it.
#
# The line is a usual way to compile only what a network computes. What it sets is a function of the original network;
# copy.deepcopy copies the weights and shares the function. One would expect a deep copy to be another network, as it is
# for `net.compile()` and for `torch.compile(net)`. Averages of weights (EMA, SWA), teachers that are copies, and sanity
# checks of explanations that draw a copy's weights anew then all judge the original, without a word.
#
# Seen, of a layer whose copy has all weights 0 and which itself has all weights 1, asked about three ones: copies answer
# 0 where the network is plain, compiled in place or wrapped, and 4 where its forward is compiled; a new average of it
# answers 4, as the original does by then, and the others what the original answered when they were made. The script
# fails where that changes.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import copy

import torch
from torch.optim.swa_utils import AveragedModel

PICTURE = torch.ones(1, 3)


def asked(network):
    with torch.no_grad():
        return round(float(network(PICTURE)), 4)


def found(how):
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    if how == "forward":
        network.forward = torch.compile(network.forward, backend="eager")
    elif how == "in place":
        network.compile(backend="eager")
    elif how == "wrapped":
        network = torch.compile(network, backend="eager")
    before = asked(network)
    other, average = copy.deepcopy(network), AveragedModel(network)
    for parameter in other.parameters():
        parameter.data.zero_()
    for parameter in network.parameters():
        parameter.data.fill_(1.0)
    return asked(other), asked(average) == before


results = {how: found(how) for how in ("plain", "in place", "wrapped", "forward")}
print("what a copy of zeros answers, and whether an average answers as before:", results)
sound = all(results[how] == (0.0, True) for how in ("plain", "in place", "wrapped"))
if not sound or results["forward"] != (4.0, False):
    raise SystemExit("changed: a copy with a compiled forward is another network, or others are none")
PYTHON
echo "as described"
