"""Judges one explanation: attacks the regions that it ranks highest, and random regions of as many segments.

If those regions really decide the verdict, attacking them must lower its probability more.
"""

import numpy as np
import torch

import detectors
import xai
from attacks import build_attack
from data.demo.demo_frames import DemoFrames
from detectors.queries import probabilities

SEGMENTS, DRAWS = 3, 5

detector, frame = detectors.load("demo"), DemoFrames(5)[4]
explanation = xai.explain(detector, frame.image, "LIME", preset="quick")
image, target = detector.prepare(frame.image), explanation.target

draws = np.random.default_rng(0)
rankings = [explanation.ranking, *(draws.permutation(len(explanation.ranking)) for _ in range(DRAWS))]
regions = np.stack([xai.top_region(explanation.segments, ranking, SEGMENTS) for ranking in rankings])

attack = build_attack("pgd")
images = image.expand(len(regions), *image.shape)
result = attack(detector, images, torch.from_numpy(regions), seeds=range(len(regions)))
with torch.inference_mode():
    before = float(probabilities(detector(image[None]))[0, target])
drops = before - probabilities(result.logits)[:, target].numpy()

print(f"p({detector.class_names[target]}) before the attack: {before:.2f}")
print(f"best {SEGMENTS} segments: falls by {drops[0]:.2f}, flipped to Real: {bool(result.flipped[0])}")
print(f"random segments: falls by {drops[1:].mean():.2f}, flipped to Real: {int(result.flipped[1:].sum())} of {DRAWS}")
print("One frame is no evidence: python evaluate.py scores many, with intervals and tests.")
