"""An attack of your own: it proposes, and the framework keeps it inside its region, its budget and [0, 1].

Usage on the command line, from the project's folder:
    python evaluate.py --attack examples.own_attack:Darker --set examples.own_attack:Darker.strength=0.02
"""

from dataclasses import dataclass

import torch
from torch import Tensor

import detectors
from attacks import Batch, RegionAttack
from data.demo.demo_frames import DemoFrames
from detectors import Queries


@dataclass(frozen=True)
class Darker(RegionAttack):
    """Darkens the region a little more in each round.

    Attributes:
        epsilon: the L-infinity budget in pixel units, in (0, 1].
        strength: how much darker each round is, in pixel units.
    """

    strength: float = 4 / 255

    @property
    def rounds(self) -> int:
        """How often it proposes at most; the verdict is taken after each."""
        return 8

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """The images (n, 3, H, W) so far, darker; what lies outside the region or the budget is put back."""
        return batch.images - self.strength


if __name__ == "__main__":
    detector, frame = detectors.load("demo"), DemoFrames(5)[4]
    image = detector.prepare(frame.image)[None]
    lower_half = torch.zeros(1, *image.shape[2:], dtype=torch.bool)
    lower_half[:, image.shape[2] // 2 :] = True
    result = Darker()(detector, image, lower_half, seeds=[0])
    change = (result.images - image).abs()
    print(f"flipped to Real: {bool(result.flipped[0])}, after {int(result.steps[0])} rounds")
    print(f"largest change inside the region: {255 * float(change.max()):.1f}/255 of at most 16/255")
    print(f"largest change outside: {float(change[:, :, : image.shape[2] // 2].max())}")
