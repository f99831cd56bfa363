"""The demo's network asked at 96 pixels, where a forward takes a fifth of the time."""

import torch
from torch import Tensor

import detectors
from detectors import Detector

SIDE = 96
RAISED = 5.0  # without it nothing is called Real at 96 pixels, whatever the attack


class SmallDemo(Detector):
    """The demo's detector for images of 96 x 96 pixels, the logit of Real raised so that some regions flip verdicts.

    It calls each of the demo's first twelve fakes fake.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = detectors.load("demo")
        self.input_size, self.network.input_size = SIDE, SIDE
        self.class_names, self.real = self.network.class_names, self.network.real
        self.mean, self.std, self.antialias = self.network.mean, self.network.std, self.network.antialias
        offset = torch.zeros(len(self.class_names))
        offset[self.real] = RAISED
        self.register_buffer("offset", offset)
        self.offset: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """The logits (N, 5) of images (N, 3, 96, 96) in [0, 1]."""
        logits: Tensor = self.network(images)
        return logits + self.offset
