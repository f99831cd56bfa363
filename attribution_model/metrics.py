"""How well a classifier distinguishes its classes, as numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from detectors.rates import tied


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest; None where the class has no frames, or the others have none."""

    name: str
    frames: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None
    average_precision: float | None


@dataclass(frozen=True, eq=False)
class Scores:
    """The test of a classifier on N frames of C classes.

    Attributes:
        frames: N.
        accuracy: weighted by the classes' sizes, so the part of all frames that is classified rightly.
        auroc: the mean, over the classes, of the area under the ROC curve of that class against the rest.
        f1: the mean of the classes' F1 scores, weighted by their sizes.
        average_precision: the mean, over the classes, of the average precision of that class against the rest.
        balanced_accuracy: the mean, over the classes, of the part of a class's frames that is classified rightly.
        per_class: the same for each class alone.
        confusion: (C, C) counts, row the true class, column the predicted one.

    Classes without frames take no part in any mean (torchmetrics' own macro AUROC counts 0 for them, its macro average
    precision leaves them out). AUROC and average precision set a class against the rest: with frames of one class alone
    both are None.
    """

    frames: int
    accuracy: float
    auroc: float | None
    f1: float
    average_precision: float | None
    balanced_accuracy: float
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray

    @property
    def present(self) -> tuple[str, ...]:
        """The classes with frames: those that means are over."""
        return tuple(row.name for row in self.per_class if row.frames)


def score(probabilities: Tensor, labels: Sequence[int], class_names: Sequence[str]) -> Scores:
    """Scores probabilities (N, C) against N labels. Raises ValueError for other shapes, and where N is 0."""
    if not len(labels) or probabilities.shape != (len(labels), len(class_names)):
        raise ValueError(
            f"expected probabilities ({len(labels)}, {len(class_names)}), got {tuple(probabilities.shape)}"
        )
    count = len(class_names)
    truth = torch.tensor(labels)
    counts = torch.bincount(truth, minlength=count)
    present = counts > 0
    several = int(present.sum()) > 1
    none = torch.full((count,), torch.nan)
    parts = {
        "precision": multiclass_precision(probabilities, truth, count, average=None),
        "recall": multiclass_recall(probabilities, truth, count, average=None),
        "f1": multiclass_f1_score(probabilities, truth, count, average=None),
        "auroc": _against_rest(binary_auroc, probabilities, truth) if several else none,
        "average_precision": _against_rest(binary_average_precision, probabilities, truth) if several else none,
    }
    per_class = tuple(
        ClassScores(
            name,
            int(counts[label]),
            *(
                float(values[label]) if present[label] and not values[label].isnan() else None
                for values in parts.values()
            ),
        )
        for label, name in enumerate(class_names)
    )
    return Scores(
        frames=len(labels),
        accuracy=float(multiclass_accuracy(probabilities, truth, count, average="weighted")),
        auroc=float(parts["auroc"][present].mean()) if several else None,
        f1=float(multiclass_f1_score(probabilities, truth, count, average="weighted")),
        average_precision=float(parts["average_precision"][present].mean()) if several else None,
        balanced_accuracy=float(parts["recall"][present].mean()),
        per_class=per_class,
        confusion=multiclass_confusion_matrix(probabilities, truth, count).numpy(),
    )


def _against_rest(metric: Callable[[Tensor, Tensor], Tensor], probabilities: Tensor, truth: Tensor) -> Tensor:
    """A metric of each class against the rest, (C,); NaN for classes without frames.

    It depends on the order of the log-odds of a class alone. These keep confident verdicts apart, where p rounds to 1.
    """
    values = [
        float(metric(_ranks(_log_odds(probabilities.double(), label)), (truth == label).long()))
        if bool((truth == label).any())
        else math.nan
        for label in range(probabilities.shape[1])
    ]
    return torch.tensor(values)


def _log_odds(probabilities: Tensor, label: int) -> Tensor:
    """log p / (1 - p) of a class, (N,), of probabilities (N, C) float64; infinite where p is 0 or 1, and tied."""
    others = torch.cat([probabilities[:, :label], probabilities[:, label + 1 :]], dim=1)
    return torch.from_numpy(tied((probabilities[:, label] / others.sum(dim=1)).log().numpy()))


def _ranks(values: Tensor) -> Tensor:
    """The place of each value (N,) among those that differ, in [0, 1]: what torchmetrics takes as it is."""
    distinct, places = torch.unique(values, return_inverse=True)
    return places.double() / max(1, len(distinct) - 1)
