"""The scores are scikit-learn's, on the same probabilities."""

import numpy as np
import pytest
import torch
from sklearn import metrics as truth

from attribution_model.class_report import averaged
from attribution_model.metrics import score

NAMES = ("Real", "A", "B", "C", "D")


def case(classes: int = 5, frames: int = 200, absent: int | None = None) -> tuple[torch.Tensor, np.ndarray]:
    """Unevenly distributed labels and probabilities that are better than chance."""
    random = np.random.default_rng(classes)
    labels = random.choice(classes, frames, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    if absent is not None:
        labels[labels == absent] = (absent + 1) % classes
    logits = random.normal(size=(frames, classes)) + 1.2 * np.eye(classes)[labels]
    return torch.tensor(logits, dtype=torch.float64).softmax(1), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_are_scikit_learns(classes: int) -> None:
    probabilities, labels = case(classes)
    found = score(probabilities, labels.tolist(), NAMES[:classes])
    predicted, one_hot = probabilities.numpy().argmax(1), np.eye(classes)[labels]
    recalls = truth.recall_score(labels, predicted, average=None)
    sizes = np.bincount(labels) / len(labels)
    assert found.accuracy == pytest.approx(float(recalls @ sizes), abs=1e-6)  # weighted by class size ...
    assert found.accuracy == pytest.approx(truth.accuracy_score(labels, predicted), abs=1e-6)  # ... is plain accuracy
    assert found.balanced_accuracy == pytest.approx(truth.balanced_accuracy_score(labels, predicted), abs=1e-6)
    assert found.f1 == pytest.approx(truth.f1_score(labels, predicted, average="weighted"), abs=1e-6)
    areas = [truth.roc_auc_score(one_hot[:, place], probabilities[:, place]) for place in range(classes)]
    assert found.auroc == pytest.approx(np.mean(areas), abs=1e-6)
    precisions = [truth.average_precision_score(one_hot[:, place], probabilities[:, place]) for place in range(classes)]
    assert found.average_precision == pytest.approx(np.mean(precisions), abs=1e-6)
    assert np.array_equal(found.confusion, truth.confusion_matrix(labels, predicted))
    table = truth.precision_recall_fscore_support(labels, predicted)
    for place, row in enumerate(found.per_class):
        expected = [column[place] for column in table]
        assert [row.precision, row.recall, row.f1, row.frames] == pytest.approx(expected, abs=1e-6)
        assert row.auroc == pytest.approx(areas[place], abs=1e-6)
        assert row.average_precision == pytest.approx(precisions[place], abs=1e-6)


def test_a_class_without_frames_takes_no_part() -> None:
    probabilities, labels = case(absent=2)
    found = score(probabilities, labels.tolist(), NAMES)
    present = [0, 1, 3, 4]
    one_hot = np.eye(5)[labels]
    areas = [truth.roc_auc_score(one_hot[:, place], probabilities[:, place]) for place in present]
    assert found.auroc == pytest.approx(np.mean(areas), abs=1e-6)
    precisions = [truth.average_precision_score(one_hot[:, place], probabilities[:, place]) for place in present]
    assert found.average_precision == pytest.approx(np.mean(precisions), abs=1e-6)
    assert found.present == ("Real", "A", "C", "D")
    assert averaged(found) == "macro means are over Real, A, C, D; without frames, and left out: B"
    assert found.per_class[2].frames == 0
    assert found.per_class[2].auroc is None
    assert found.per_class[2].recall is None
    predicted = probabilities.numpy().argmax(1)
    recalls = truth.recall_score(labels, predicted, average=None, labels=present)
    assert found.balanced_accuracy == pytest.approx(recalls.mean(), abs=1e-6)


def test_a_perfect_classifier_of_the_classes_that_are_there_has_one_and_one() -> None:
    """Where torchmetrics' macro AUROC is 0.667."""
    found = score(torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]), [0, 0, 1], NAMES[:3])
    assert (found.auroc, found.average_precision) == (1.0, 1.0)
    everyone = score(torch.eye(3), [0, 1, 2], NAMES[:3])
    assert averaged(everyone) == "macro means are over all 3 classes"


@pytest.mark.filterwarnings("error::UserWarning")
def test_one_class_alone_has_neither_curve() -> None:
    found = score(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), [0, 0], ("Real", "Fake"))
    assert found.auroc is None
    assert found.average_precision is None
    assert found.per_class[0].average_precision is None
    assert found.accuracy == 0.5
    assert averaged(found).startswith("all frames are Real: no class can be told from the rest")


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="expected probabilities"):
        score(torch.rand(3, 2), [0, 1], ("Real", "Fake"))


def test_verdicts_beyond_rounding_are_ranked_by_their_odds() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 100)
    logits = torch.tensor(60 * random.normal(size=(100, 5)) + 60 * np.eye(5)[labels])
    found = score(logits.softmax(1), labels.tolist(), NAMES)
    others = [torch.cat([logits[:, :place], logits[:, place + 1 :]], dim=1).logsumexp(1) for place in range(5)]
    odds = logits.numpy() - torch.stack(others, dim=1).numpy()
    areas = [truth.roc_auc_score(labels == place, odds[:, place]) for place in range(5)]
    assert found.auroc == pytest.approx(np.mean(areas), abs=1e-6)
    precisions = [truth.average_precision_score(labels == place, odds[:, place]) for place in range(5)]
    assert found.average_precision == pytest.approx(np.mean(precisions), abs=1e-6)


def test_probabilities_that_rounding_alone_parts_are_tied() -> None:
    """Every frame has the same chance of the first class; the others' sum rounds otherwise in another order."""
    one, other = [0.16, 0.04, 0.29, 0.36, 0.15], [0.16, 0.29, 0.36, 0.15, 0.04]
    logits = torch.tensor([one] * 10 + [other] * 10).log()
    found = score(logits.double().softmax(1), [0] * 10 + [1] * 10, NAMES)
    assert (found.per_class[0].auroc, found.per_class[0].average_precision) == (0.5, 0.5)
