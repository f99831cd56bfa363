"""What the detector says of pictures after transforms: whether a flip outlives what the internet does to a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.picture_transforms import PictureTransform
from detectors import Detector, Queries
from detectors.answers import says
from detectors.base import resize, to_pictures
from scoring.costs import CostTracker
from scoring.recording import Recorder
from scoring.records import TransformedVerdict
from scoring.region_attacker import Outcome
from xai.regions import RankedRegion

STAGE = "survives"  # what its costs are called


@dataclass(frozen=True, eq=False)
class TransformedPictures:
    """One trial of a frame after transforms: the frame itself, and every flip of its attacked regions.

    Attributes:
        detector: who judges.
        transforms: what each picture goes through, each by itself; without any, nothing is asked.
        batch_size: images in a forward pass.
        recorder: makes the records.
        tracker: gets the costs.
    """

    detector: Detector
    transforms: tuple[PictureTransform, ...]
    batch_size: int
    recorder: Recorder
    tracker: CostTracker

    def of_frame(self, image: Tensor) -> list[TransformedVerdict]:
        """The record of the frame itself, (3, S, S) in [0, 1], which nothing attacked."""
        if not self.transforms:
            return []
        with self.tracker.stage(STAGE):
            (real_after,) = self.real_after(list(to_pictures(image[None])))
        return [self.recorder.transformed_frame(real_after)]

    def of_flips(
        self, attack: str, epsilon: float, ranked_regions: Sequence[RankedRegion], outcomes: Mapping[str, Outcome]
    ) -> list[TransformedVerdict]:
        """The record of every ranked region that an attack flipped; the picture of a region is asked about once.

        Args:
            attack: its name.
            epsilon: its L-infinity budget in pixel units, in (0, 1].
            ranked_regions: what was attacked.
            outcomes: by the regions' digests, those of flips with their pictures.
        """
        if not self.transforms:
            return []
        chosen = {ranked_region.digest: outcomes[ranked_region.digest].picture for ranked_region in ranked_regions}
        pictures = {digest: picture for digest, picture in chosen.items() if picture is not None}
        with self.tracker.stage(f"{STAGE} {attack}"):
            real_after = dict(zip(pictures, self.real_after(list(pictures.values())), strict=True))
        return [
            self.recorder.transformed_flip(ranked_region, attack, epsilon, real_after[ranked_region.digest])
            for ranked_region in ranked_regions
            if ranked_region.digest in real_after
        ]

    def real_after(self, pictures: Sequence[np.ndarray]) -> list[tuple[str, ...]]:
        """For each picture (S, S, 3) uint8 RGB the names of the transforms after which the detector calls it Real.

        What arrives in another size is resized as the detector resizes every picture.
        """
        names: list[tuple[str, ...]] = [()] * len(pictures)
        queries = Queries(self.detector, self.batch_size)
        size, antialias = self.detector.input_size, self.detector.antialias
        for transform in self.transforms:
            for start in range(0, len(pictures), self.batch_size):  # a few at a time in memory
                some = pictures[start : start + self.batch_size]
                images = torch.stack([resize(transform(picture), size, antialias) for picture in some])
                for index, real in enumerate(says(queries.logits(images), self.detector.real).tolist(), start):
                    names[index] += (transform.name,) * real
        return names
