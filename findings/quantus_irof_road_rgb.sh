#!/usr/bin/env bash
# Quantus 0.6.0 (torch 2.15.0, numpy 2.4.6): IROF and ROAD fail on colour images with one saliency map each, the usual
# case.
#
# Saliency maps have one channel (its own `explain` sums over the colours by default, and most of its metrics broadcast
# such maps over the image). ROAD takes the ranked indices of the image's 3 x H x W values where the map has H x W, and
# IROF indexes the map by a mask as large as the image. One would expect both to broadcast, as PixelFlipping and
# RegionPerturbation do. On grey images ROAD works; IROF then calls `np.trapz`, which numpy has removed.
#
# Seen: ROAD raises IndexError and IROF AssertionError on a 3 x 32 x 32 image with a 1 x 32 x 32 map; PixelFlipping and
# RegionPerturbation work; on a 1 x 32 x 32 image ROAD works and IROF raises AttributeError. The script fails where one
# of the three errors is gone.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 quantus==0.6.0 captum==0.9.0 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import quantus
import torch
from torch import nn

warnings.filterwarnings("ignore")
draws, quiet = np.random.default_rng(0), {"disable_warnings": True, "display_progressbar": False}
METRICS = {
    "PixelFlipping": lambda: quantus.PixelFlipping(features_in_step=128, **quiet),
    "RegionPerturbation": lambda: quantus.RegionPerturbation(**quiet),
    "ROAD": lambda: quantus.ROAD(**quiet),
    "IROF": lambda: quantus.IROF(**quiet),
}
errors = {}
for channels in (3, 1):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 3)).eval()
    images, maps = draws.random((2, channels, 32, 32), np.float32), draws.random((2, 1, 32, 32), np.float32)
    for name, make in METRICS.items():
        try:
            make()(model=network, x_batch=images, y_batch=np.array([0, 1]), a_batch=maps, device="cpu")
            print(f"{channels} channel(s), {name}: works")
        except Exception as error:
            errors[channels, name] = type(error).__name__
            print(f"{channels} channel(s), {name}: {type(error).__name__}: {str(error).splitlines()[0]}")
expected = {(3, "ROAD"): "IndexError", (3, "IROF"): "AssertionError", (1, "IROF"): "AttributeError"}
if errors != expected:
    raise SystemExit(f"changed: {errors} where {expected} was seen")
PYTHON
echo "as described"
