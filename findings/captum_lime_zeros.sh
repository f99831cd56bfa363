#!/usr/bin/env bash
# captum 0.9.0 (torch 2.15.0, scikit-learn 1.9.1): Lime gives most segments of a calm network exactly 0, and a ranking
# of them is by label.
#
# Its surrogate is by default a lasso with a penalty of 0.01, whatever the range of the score. On log-odds or
# probabilities that differ by some tenths over an image, the penalty is as large as a segment's whole weight: weights
# below it are exactly 0, so that segments which do count are told apart neither from one another nor from those that
# do not. More samples do not help, as the penalty stays. One would expect a default that follows the score's scale, as
# the original LIME's ridge regression does not set weights to 0 at all.
#
# Seen (a score that is linear in 49 segments with weights 0.0005 to 0.0245, planted, so that the true ranking is
# known): 49 weights of 49 are exactly 0 at 200 and at 2000 samples; the lasso's best segment is label 0, the least of
# all. Ten times the score, the same question: 8 zeros, and the best is right. With a ridge regression none is 0. The
# script fails where fewer than 40 weights are 0.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 captum==0.9.0 scikit-learn==1.9.1 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import Lime

COUNT = 49
side = torch.arange(56) // 8
segments = (side[:, None] * 7 + side[None])[None, None]
weights = 0.0005 * torch.arange(1, COUNT + 1)  # of each segment when it is shown


def scored(scale):
    def score(images):
        shown = torch.stack([images[:, 0][:, segments[0, 0] == label].mean(dim=1) for label in range(COUNT)], dim=1)
        return scale * (shown * weights).sum(dim=1)

    return score


def explain(samples, scale=1.0, **model):
    torch.manual_seed(0)
    image = torch.ones(1, 3, 56, 56)
    found = Lime(scored(scale), **model).attribute(
        image, torch.zeros_like(image), feature_mask=segments, n_samples=samples, perturbations_per_eval=50
    )
    values = torch.stack([found[0, 0][segments[0, 0] == label][0] for label in range(COUNT)])
    return int((values == 0).sum()), int(values.argsort(descending=True, stable=True)[0])


for samples in (200, 2000):
    zeros, best = explain(samples)
    print(f"{samples} samples: {zeros} of {COUNT} weights are exactly 0, the best segment is label {best}, truly 48")
tenfold, first = explain(2000, scale=10.0)
print(f"ten times the score: {tenfold} are exactly 0, the best is label {first}")
ridge, first = explain(2000, interpretable_model=SkLearnRidge(alpha=1.0))
print(f"with a ridge regression: {ridge} are exactly 0, the best is label {first}")
if zeros < 40:
    raise SystemExit("changed: the weights are told apart")
PYTHON
echo "as described"
