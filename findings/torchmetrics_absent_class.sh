#!/usr/bin/env bash
# torchmetrics 1.9.0 (torch 2.15.0): of a class without samples, macro AUROC counts a 0 and macro average precision
# nothing.
#
# A test set that lacks one of the classes is common: one manipulation was left out, or a fold is small. Both metrics
# are curves of each class against the rest, and undefined for such a class.
# `multiclass_average_precision(average="macro")` leaves it out of the mean and warns so;
# `multiclass_auroc(average="macro")` takes 0 for it, below what a coin gets, and warns only of "meaningless" values.
# One would expect the two to agree: a perfect classifier has 1 and 1.
#
# Seen: of a perfect classifier of three classes, tested on two of them, AUROC is 0.667 and average precision 1.0. The
# script fails where the two agree.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchmetrics==1.9.0 numpy==2.4.6
"$folder/environment/bin/python" -W ignore - <<'PYTHON'
import torch
from torchmetrics.functional.classification import multiclass_auroc, multiclass_average_precision

probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.5, 0.2]])
labels = torch.tensor([0, 0, 1, 1])
means = {}
for metric in (multiclass_auroc, multiclass_average_precision):
    each = metric(probabilities, labels, num_classes=3, average=None).tolist()
    means[metric] = float(metric(probabilities, labels, num_classes=3, average="macro"))
    print(f"{metric.__name__}: of the classes {each}, macro {means[metric]:.3f}")
if len(set(means.values())) == 1:
    raise SystemExit("changed: both treat the absent class alike")
PYTHON
echo "as described"
