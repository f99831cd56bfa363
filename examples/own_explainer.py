"""An explainer of your own: a function of a score, an image, its segments, a fill and a generator.

Usage on the command line, from the project's folder:
    python evaluate.py --method LIME --method examples.own_explainer:occlusion
    python evaluate.py --method examples.own_explainer:occlusion_adv        (with the adversarial fill)
"""

import numpy as np
import torch
from torch import Tensor

import detectors
import xai
from data.demo.demo_frames import DemoFrames
from xai.base import Fill, Score


def occlusion(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """How far p(explained class) falls when one segment is hidden, (H, W) float32: higher is more important.

    `image` is (3, H, W) in [0, 1]; `fill` turns masks (N, 1, H, W), 1 where a pixel stays, into images (N, 3, H, W).
    """
    labels = torch.from_numpy(segments).to(image.device)
    keep = torch.stack([(labels != label).float() for label in range(int(segments.max()) + 1)])[:, None]
    falls = score(image[None]).cpu() - score(fill(keep)).cpu()
    return falls.numpy().astype(np.float32)[segments]


if __name__ == "__main__":
    detector, frame = detectors.load("demo"), DemoFrames(5)[4]
    for method in ("LIME", "examples.own_explainer:occlusion"):
        explanation = xai.explain(detector, frame.image, method, preset="quick")
        print(f"{method}: segments {explanation.ranking[:3].tolist()}, {explanation.forwards} forwards")
