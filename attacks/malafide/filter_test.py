"""What a filter does to the verdicts of a detector, on frames that it was not trained on: white box and black box."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from attacks.malafide.filter_dataset import TEST, FilterDataset, keys_sha256, split
from attacks.malafide.filter_files import Facts, StoredFilter, spec_as_json
from attacks.malafide.fitting import TargetDetector
from attacks.malafide.prepared_images import PreparedImages
from attacks.malafide.scores import FilterScores, eer, labelled, score, score_filtered
from common.console import warn
from common.errors import InputError
from common.settings import from_json
from data.frames import REAL
from detectors.rates import auc, tied

WINDOW = 5  # pixels on each side of the one whose structural similarity is computed


@dataclass(frozen=True)
class FilterTest:
    """A filter tested on one detector and manipulation. Rates lie in [0, 1]; real frames are never filtered.

    Attributes:
        trained_on, tested_on: the detectors' names; the same is a white box, another a black box.
        manipulation: whose fakes were filtered.
        filter: the label of its kind.
        size, range, fidelity: its kind.
        filter_sha256: of its file.
        tested_sha256: of the weights of the detector under test, and what the user said of them.
        input_size: the side in pixels at which the filter was applied: that of the detector under test, whatever the
            filter was trained at.
        frames: the SHA-256 of the frames tested on, see `FilterDataset.fingerprint`.
        fakes, reals: how many frames.
        clean_eer, clean_auc: of unfiltered fakes against real frames.
        eer, auc: of filtered fakes against real frames.
        clean_accepted: fakes called real without the filter, at the threshold of the clean EER.
        success: fakes called real with it, at the same threshold.
        attack_rate: the published measure: real frames called fake at the threshold of the EER with the filter.
        psnr, psnr_least: of filtered to unfiltered fakes in dB, mean and least; None where it is infinite, as an image
            did not change.
        ssim, ssim_least: their structural similarity, mean and least.
    """

    trained_on: str
    tested_on: str
    manipulation: str
    filter: str
    size: int
    range: str
    fidelity: str | None
    filter_sha256: str
    tested_sha256: str
    input_size: int
    frames: str
    fakes: int
    reals: int
    clean_eer: float
    clean_auc: float
    eer: float
    auc: float
    clean_accepted: float
    success: float
    attack_rate: float
    psnr: float | None
    psnr_least: float | None
    ssim: float
    ssim_least: float

    @property
    def white_box(self) -> bool:
        """Whether the filter knew the detector."""
        return self.trained_on == self.tested_on

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "FilterTest":
        """The test that `asdict` made JSON of. Raises InputError where something is missing or too much."""
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise InputError("it does not hold the tests of a filter as this version writes them; test again")
        return from_json(cls, values, "a test of a filter")


class Testing:
    """Tests filters on one target detector; frames are read and their unfiltered scores asked for once."""

    __test__ = False  # no test class of pytest's

    def __init__(self, target_detector: TargetDetector, dataset: FilterDataset, limit: int | None = None) -> None:
        self.target_detector, self.dataset, self.limit = target_detector, dataset, limit
        self._prepared = lru_cache(maxsize=3)(self._prepare)  # the reals, and the fakes at hand

    def test(self, stored: StoredFilter, facts: Facts, manipulation: str) -> FilterTest:
        """A filter's test on the manipulation's frames that it was not trained on. Raises InputError for none."""
        positions = held_out(self.dataset, facts)
        fakes, clean = self._prepared(positions, manipulation)
        reals, real_scores = self._prepared(positions, REAL)
        similar: list[Tensor] = []
        filtered = score_filtered(
            self.target_detector.detector,
            fakes,
            stored.filter,
            self.target_detector.batch_size,
            watch=lambda before, after: similar.append(ssim(before, after)),
        )
        now = str(self.target_detector.detector.weights_sha256)
        if self.target_detector.name == facts.trained_on and now != facts.detector_sha256:
            warn(
                f"{self.target_detector.name} has other weights ({now[:12]}) than when the filter was trained on it "
                f"({facts.detector_sha256[:12]}): the table calls it a white box all the same, as it goes by names"
            )
        known = spec_as_json(stored.filter.spec)
        return FilterTest(
            trained_on=facts.trained_on,
            tested_on=self.target_detector.name,
            manipulation=manipulation,
            filter=stored.filter.spec.label,
            size=known["size"],
            range=known["range"],
            fidelity=known["fidelity"],
            filter_sha256=stored.sha256,
            tested_sha256=self.target_detector.detector.identity,
            input_size=self.target_detector.detector.input_size,
            frames=self.fingerprint(facts, manipulation),
            fakes=len(fakes),
            reals=len(reals),
            **_rates(clean, filtered, real_scores),
            psnr=_mean(filtered.psnr),
            psnr_least=_mean(filtered.psnr.min(keepdims=True)),
            ssim=float(torch.cat(similar).mean()),
            ssim_least=float(torch.cat(similar).min()),
        )

    def fingerprint(self, facts: Facts, manipulation: str) -> str:
        """A hash of the frames that a filter is tested on, by which they differ from others."""
        positions = held_out(self.dataset, facts)
        chosen = [position for family in (REAL, manipulation) for position in self._chosen(positions, family)]
        return self.dataset.fingerprint(chosen)

    def _chosen(self, positions: Sequence[int], family: str) -> list[int]:
        chosen = self.dataset.limited(self.dataset.of([family], positions), self.limit)
        if not chosen:
            raise InputError(f"there are no {family} frames to test on")
        return chosen

    def _prepare(self, positions: tuple[int, ...], family: str) -> tuple[PreparedImages, np.ndarray]:
        what = "real frames" if family == REAL else f"{family} fakes"
        images = PreparedImages(self.dataset, self._chosen(positions, family), self.target_detector.detector, what)
        return images, score(self.target_detector.detector, images, self.target_detector.batch_size)


def held_out(dataset: FilterDataset, facts: Facts) -> tuple[int, ...]:
    """The frames that a filter was not trained on: the other half of its index.

    Of another index than it was trained on, those of the split `test`, or all where it has no such split; a warning
    says so. Raises InputError where nothing is held out.
    """
    return _held_out(dataset, facts.split, facts.seed, facts.frames_sha256)


@lru_cache(maxsize=4)
def _held_out(dataset: FilterDataset, way: str, seed: int, trained: str) -> tuple[int, ...]:
    has_splits = any(entry.split == TEST for entry in dataset.entries)
    if way != "index" or has_splits:
        halves = split(dataset.entries, way, seed, needed=())
        if keys_sha256(dataset.entries, halves.train) == trained:
            return halves.test
    if has_splits:
        warn("the filter was trained on another index than this: it is tested on this one's frames of split test")
        return split(dataset.entries, "index", needed=(TEST,)).test
    warn(
        "the filter was trained on another index than this, which has no split test: it is tested on all frames; make "
        "sure that it was trained on none of them"
    )
    return tuple(range(len(dataset.entries)))


def ssim(images: Tensor, others: Tensor) -> Tensor:
    """The structural similarity (Wang et al. 2004), (N,), of pairs of images (N, 3, H, W) in [0, 1].

    With the paper's Gaussian window of 11 pixels and standard deviation 1.5, averaged over the channels and over all
    pixels where the whole window is inside the image.
    """
    _, full = structural_similarity_index_measure(
        others, images, data_range=1.0, reduction="none", return_full_image=True
    )
    return full[..., WINDOW:-WINDOW, WINDOW:-WINDOW].mean(dim=(1, 2, 3)).cpu()


def _rates(clean: np.ndarray, filtered: FilterScores, reals: np.ndarray) -> dict[str, float]:
    """Every error rate of a test; scores that rounding alone parts lie on one side of a threshold."""
    known = [clean, filtered.scores, reals]
    clean, passed, reals = np.split(tied(np.concatenate(known)), np.cumsum(list(map(len, known)))[:-1])
    before, after = eer(clean, reals), eer(passed, reals)
    return {
        "clean_eer": before.rate,
        "clean_auc": _area(clean, reals),
        "eer": after.rate,
        "auc": _area(passed, reals),
        "clean_accepted": float((clean < before.threshold).mean()),
        "success": float((passed < before.threshold).mean()),
        "attack_rate": float((reals >= after.threshold).mean()),
    }


def _area(fakes: np.ndarray, reals: np.ndarray) -> float:
    area = auc(*labelled(fakes, reals))
    return math.nan if area is None else area


def _mean(ratios: np.ndarray) -> float | None:
    """The mean of PSNRs, or None where an image did not change and has none."""
    return float(ratios.mean()) if np.isfinite(ratios).all() else None
