"""A detector of your own: any torch module whose input is pixels in [0, 1] and whose output is logits.

Usage on the command line, from the project's folder:
    python evaluate.py --detector examples.own_detector:Sharpness --frames FRAMES --method LIME
"""

import torch
from torch import Tensor, nn

import xai
from data.demo.demo_frames import DemoFrames
from detectors import Detector


class Sharpness(Detector):
    """Calls a face fake where it is smoother than most: a stand-in for a network of yours."""

    input_size, class_names, real = 128, ("Real", "Fake"), 0

    def __init__(self) -> None:
        super().__init__()
        edges = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
        self.edges = nn.Parameter(edges.expand(1, 3, 3, 3) / 3)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2) of images (N, 3, 128, 128) in [0, 1]; a normalisation of yours belongs here."""
        sharpness = nn.functional.conv2d(images, self.edges, padding=1).abs().mean(dim=(1, 2, 3))
        return torch.stack([100 * sharpness, 100 * (0.03 - sharpness)], dim=1)


if __name__ == "__main__":
    frame = DemoFrames(5)[4]
    explanation = xai.explain(Sharpness().eval(), frame.image, "RISE", preset="quick")
    print(f"explained class: {Sharpness.class_names[explanation.target]}")
    print(f"best segments: {explanation.ranking[:3].tolist()} of {len(explanation.ranking)}")
