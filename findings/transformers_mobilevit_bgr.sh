#!/usr/bin/env bash
# transformers 5.24.0 (torch 2.15.0, torchvision 0.29.2): the preprocessor of one family of image classifiers, MobileViT,
# hands its network blue, green, red.
#
# Image classifiers on the hub are taken to see RGB, and are routinely rebuilt with other transforms, exported, or
# attacked and explained on the RGB picture itself. For twelve usual preprocessors that holds, whatever their mean and
# deviation. MobileViT's do_flip_channel_order is on by default: a pure red picture arrives with its values in the last
# channel. It also does not normalise. A red-blue swap raises no error anywhere; the verdict of such a network, rebuilt
# for RGB, and every map over its channels are of another picture.
#
# Seen: the channel with the largest mean of a red picture is 0 for ViT, DeiT, ConvNeXt, BiT, EfficientNet, LeViT, PVT,
# MobileNetV1, MobileNetV2, SigLIP, PoolFormer and SegFormer, and 2 for MobileViT. The script fails where that changes.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  transformers==5.24.0 torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0
"$folder/environment/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import transformers

red = np.zeros((64, 64, 3), np.uint8)
red[..., 0] = 255
EXPECTED = dict.fromkeys(
    ("ViT", "DeiT", "ConvNext", "Bit", "EfficientNet", "Levit", "Pvt", "MobileNetV1", "MobileNetV2", "Siglip",
     "PoolFormer", "Segformer"), 0,
) | {"MobileViT": 2}
brightest = {}
for name in EXPECTED:
    preprocessor = getattr(transformers, f"{name}ImageProcessor")()
    values = np.asarray(preprocessor(images=red, return_tensors="np")["pixel_values"][0])
    brightest[name] = int(values.mean(axis=(1, 2)).argmax())
    print(f"{name}: means of a red picture's channels {values.mean(axis=(1, 2)).round(2).tolist()}")
if brightest != EXPECTED:
    raise SystemExit(f"changed: the brightest channels are {brightest}")
PYTHON
echo "as described"
