"""How fake a detector finds images, filtered or not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.malafide.fidelity import psnr
from attacks.malafide.filter import Filter
from attacks.malafide.prepared_images import PreparedImages
from detectors.base import Detector
from detectors.checks.spot_checks import spot_checked
from detectors.queries import Queries, exact_float32, log_odds
from detectors.rates import EqualErrorRate, equal_error_rate, tied

ASKED = "a picture, filtered or not,"
"""What is asked again about (`detectors.checks.spot_checks`)."""


@dataclass(frozen=True, eq=False)
class FilterScores:
    """What a filter makes of N images.

    Attributes:
        scores: (N,) float64, see `fakeness`.
        loss: the mean cross-entropy towards real.
        psnr: (N,) float64 in dB, infinite where nothing changed.
    """

    scores: np.ndarray
    loss: float
    psnr: np.ndarray


def fakeness(logits: Tensor, real: int) -> Tensor:
    """How fake each image is, (N,): log p(fake) - log p(Real), where every class but `real` is fake.

    It ranks as p(fake) = 1 - p(Real) does, without the ties that p has where it rounds to 1.
    """
    return -log_odds(logits, real)


def score(detector: Detector, images: PreparedImages, batch_size: int) -> np.ndarray:
    """The fakeness of unfiltered images, (N,) float64. Raises InputError as `spot_checked` does."""
    queries = Queries(detector, batch_size)
    with spot_checked((detector,), batch_size, ASKED):
        return np.concatenate([fakeness(queries.logits(b).double(), detector.real) for b in images.batches(batch_size)])


def score_filtered(
    detector: Detector,
    images: PreparedImages,
    kept: Filter,
    batch_size: int,
    watch: Callable[[Tensor, Tensor], None] = lambda before, after: None,
) -> FilterScores:
    """Filters images and asks the detector about them; returns their fakeness, loss and PSNR.

    Args:
        detector: what is asked.
        images: N images, taken in order.
        kept: the filter.
        batch_size: images in a forward pass and, for a filter with the range of a batch, in the batch it rescales.
        watch: called with each batch before and after the filter, both (n, 3, S, S) in [0, 1].

    Raises:
        InputError: as `spot_checked` does.
    """
    queries = Queries(detector, batch_size)
    scores, losses, ratios = [], [], []
    with spot_checked((detector,), batch_size, ASKED):
        for batch in images.batches(batch_size):
            before = batch.to(queries.device)
            with torch.no_grad(), exact_float32():
                after = kept(before)
            logits = queries.logits(after).double()
            scores.append(fakeness(logits, detector.real).numpy())
            losses.append(-logits.log_softmax(dim=1)[:, detector.real].numpy())
            ratios.append(psnr(before.cpu(), after.cpu()).numpy())
            watch(before, after)
    return FilterScores(np.concatenate(scores), float(np.concatenate(losses).mean()), np.concatenate(ratios))


def eer(fakes: np.ndarray, reals: np.ndarray) -> EqualErrorRate:
    """The equal error rate of fakes' against real frames' scores, and its threshold; one of each is needed."""
    error_rate = equal_error_rate(*labelled(fakes, reals))
    if error_rate is None:
        raise ValueError(f"an equal error rate needs fakes and real frames, got {len(fakes)} and {len(reals)}")
    return error_rate


def labelled(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All scores (N,), equal where rounding alone parts them, and which are of fakes, (N,) bool."""
    return tied(np.concatenate([fakes, reals])), np.arange(len(fakes) + len(reals)) < len(fakes)
