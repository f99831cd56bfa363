"""Explains a detector's verdict on one picture, and saves the saliency map beside it.

Usage: python examples/explain_one_picture.py [PICTURE]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import detectors
import xai
from data.demo.demo_frames import DemoFrames

detector = detectors.load("demo")
picture = np.asarray(Image.open(sys.argv[1]).convert("RGB")) if len(sys.argv) > 1 else DemoFrames(5)[4].image

explanation = xai.explain(detector, picture, "LIME", preset="quick")
best = xai.top_region(explanation.segments, explanation.ranking, 3)
print(f"explained class: {detector.class_names[explanation.target]}")
print(f"best segments: {explanation.ranking[:3].tolist()}, {100 * best.mean():.0f} % of the picture")
print(f"cost: {explanation.forwards} forwards, {explanation.seconds:.1f} s")

size = detector.input_size
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
left.imshow(Image.fromarray(picture).resize((size, size)))
right.imshow(explanation.saliency, cmap="viridis")
right.contour(best, levels=[0.5], colors="white")
figure.savefig("explanation.png")
print("picture: explanation.png")
