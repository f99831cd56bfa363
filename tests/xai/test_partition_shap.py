"""SHAP is the shap package's on the same image and model."""

import numpy as np
import pytest
import shap
import torch

from detectors.queries import Queries
from tests.xai.helpers import SmallNetwork, photo
from xai.base import Score
from xai.fills import Blur, Mean, composite
from xai.partition_shap import SHAP

SEGMENTS = np.zeros((32, 32), dtype=np.int32)  # SHAP does not look at them


@pytest.mark.parametrize(("evaluations", "batch"), [(300, 50), (101, 8)])
def test_saliency_is_shaps_summed_over_channels(evaluations: int, batch: int) -> None:
    detector, image, target = SmallNetwork(), photo(32), 2
    queries = Queries(detector, batch_size=16)
    fill = composite(image, Blur(128)(image, SEGMENTS, detector.mean))
    explainer = SHAP(evaluations, batch)
    ours = explainer(Score(queries, target), image, SEGMENTS, fill, np.random.default_rng(4))
    spent = queries.images

    def probability(images: np.ndarray) -> np.ndarray:
        return queries.probabilities(torch.from_numpy(images).permute(0, 3, 1, 2))[:, target].numpy()

    pixels = image.permute(1, 2, 0).contiguous().numpy()
    reference = shap.Explainer(probability, shap.maskers.Image("blur(128,128)", pixels.shape))
    np.random.seed(int(np.random.default_rng(4).integers(2**32)))  # noqa: NPY002
    theirs = reference(pixels[None], max_evals=evaluations, batch_size=batch, silent=True)
    assert np.abs(ours).max() > 1e-5
    assert np.abs(ours - theirs.values[0].sum(axis=2)).max() < 1e-6
    assert queries.images - spent == spent  # the same number of forwards
    assert evaluations - 1 <= spent <= evaluations + 1


def test_values_add_up_to_what_hiding_everything_takes_away() -> None:
    detector, image, target = SmallNetwork(), photo(32, seed=3), 1
    background = Mean()(image, SEGMENTS, (0.1, 0.9, 0.2))
    score = Score(Queries(detector), target)
    saliency = SHAP(200)(score, image, SEGMENTS, composite(image, background), np.random.default_rng(0))
    shown, hidden = score(torch.stack([image, background])).tolist()
    assert abs(shown - hidden) > 0.01
    assert saliency.sum(dtype=np.float64) == pytest.approx(shown - hidden, abs=1e-6)


def test_numpys_global_state_is_neither_read_nor_left_changed() -> None:
    detector, image = SmallNetwork(), photo(32)
    fill = composite(image, torch.zeros_like(image))
    maps = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        maps.append(SHAP(60)(Score(Queries(detector), 1), image, SEGMENTS, fill, np.random.default_rng(9)))
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert np.array_equal(*maps)


@pytest.mark.parametrize("values", [{"evaluations": 3}, {"batch": 0}])
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        SHAP(**values)
