"""The sampling error of captum's attributions that draw, from the very samples that they drew."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from captum.attr import KernelShap, Lime
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from xai.ranking import segment_scores
from xai.sampling_error import Covariance, covariance_of_jackknife

PARTS = 20
"""Of the samples of a regression, each left out once."""

_FIXED = {KernelShap: 2}  # nothing shown and everything shown, in every run


class KeptSamples:
    """Keeps the samples that a KernelShap or Lime of captum fits its linear model to, while they are used."""

    def __init__(self, algorithm: Lime) -> None:
        self._model: Any = algorithm.interpretable_model
        self._fixed = next((count for kind, count in _FIXED.items() if isinstance(algorithm, kind)), 0)
        self._samples: tuple[Tensor, ...] | None = None
        self._fit = self._model.fit
        self._model.fit = self._keep

    def covariance(self) -> Covariance:
        """Of the features' weights, by fitting the model again without each part of the samples (a jackknife)."""
        if self._samples is None:
            return None
        drawn = np.arange(self._fixed, len(self._samples[0]))
        parts = min(PARTS, len(drawn))
        return covariance_of_jackknife(np.stack([self._without(drawn[part::parts]) for part in range(parts)]))

    def _keep(self, data: DataLoader, **settings: Any) -> Any:
        batches = list(data)
        self._samples = tuple(torch.cat(column) for column in zip(*batches, strict=True))
        return self._fit(data, **settings)

    def _without(self, left_out: np.ndarray) -> np.ndarray:
        """The weights (K,) without some samples."""
        samples = self._samples or ()
        kept = np.setdiff1d(np.arange(len(samples[0])), left_out)
        self._fit(DataLoader(TensorDataset(*(column[kept] for column in samples)), batch_size=len(kept)))
        return np.asarray(self._model.representation().detach().double().cpu().numpy()).ravel()


def covariance_of_parts(
    parts: Sequence[tuple[int, Tensor]], reduced: Callable[[Tensor], Tensor], segments: np.ndarray
) -> Covariance:
    """Of the segments' importance, where an attribution is the mean of parts that were drawn alone.

    Args:
        parts: how many samples each part has, and its attributions (3, H, W).
        reduced: makes a map (H, W) of attributions.
        segments: (H, W) labels 0..K-1.
    """
    if len(parts) < 2:
        return None
    total, samples = sum(count * values for count, values in parts), sum(count for count, _ in parts)
    without = [reduced((total - count * values) / (samples - count)) for count, values in parts]
    return covariance_of_jackknife(np.stack([segment_scores(values.cpu().numpy(), segments) for values in without]))
