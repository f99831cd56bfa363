"""LIME is the lime package's on the same draws."""

import numpy as np
import pytest
import torch
from lime.lime_base import LimeBase
from lime.lime_image import LimeImageExplainer
from sklearn.metrics import pairwise_distances

from detectors.queries import Queries
from tests.xai.helpers import SmallNetwork, photo
from xai.base import Score
from xai.fills import SegmentMean, composite
from xai.lime import LIME, fit, keep_masks, proximity, subsets
from xai.segments import Segments


class SameDraws:
    """lime's legacy random state behind the one method that LIME asks of a generator."""

    def __init__(self, seed: int) -> None:
        self.state = np.random.RandomState(seed)

    def integers(self, low: int, high: int, size: tuple[int, int]) -> np.ndarray:
        return self.state.randint(low, high, size[0] * size[1]).reshape(size)


def test_weights_are_those_of_the_lime_package_on_the_same_data() -> None:
    generator = np.random.default_rng(0)
    design = subsets(300, 20, generator)
    design[7] = 0  # nothing shown: the cosine distance of a zero row
    scores = generator.random(300)
    distances = pairwise_distances(design, design[:1], metric="cosine").ravel()
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)))
    _, expected, _, _ = base.explain_instance_with_data(design, scores[:, None], distances, 0, num_features=100_000)
    weights = fit(design, scores, proximity(design, 0.25), alpha=1.0)
    assert weights == pytest.approx([dict(expected)[feature] for feature in range(20)], abs=1e-10)


@pytest.mark.parametrize("target", [1, 2])
def test_saliency_is_that_of_limes_image_explainer(target: int) -> None:
    detector, image = SmallNetwork(), photo(32)
    segments = Segments(count=12)(image)
    queries = Queries(detector, batch_size=16)
    fill = composite(image, SegmentMean()(image, segments, detector.mean))
    ours = LIME(samples=200)(Score(queries, target), image, segments, fill, SameDraws(3))  # type: ignore[arg-type]

    def classify(images: np.ndarray) -> np.ndarray:
        return queries.probabilities(torch.from_numpy(images).permute(0, 3, 1, 2)).double().numpy()

    explanation = LimeImageExplainer(random_state=np.random.RandomState(3)).explain_instance(
        image.permute(1, 2, 0).contiguous().numpy(),
        classify,
        labels=(target,),
        top_labels=None,
        num_samples=200,
        segmentation_fn=lambda _: segments,
        random_seed=0,
    )
    theirs = np.array([dict(explanation.local_exp[target])[label] for label in range(segments.max() + 1)])
    assert np.abs(theirs).max() > 1e-3
    assert np.abs(ours - theirs[segments]).max() < 1e-6


def test_masks_show_the_chosen_segments() -> None:
    segments = np.array([[0, 1, 1], [2, 2, 0]])
    design = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 1]])
    masks = torch.cat(list(keep_masks(design, torch.from_numpy(segments), size=2)))
    assert masks.shape == (3, 1, 2, 3)
    for mask, row in zip(masks, design, strict=True):
        assert np.array_equal(mask[0].numpy(), np.isin(segments, np.flatnonzero(row)))


def test_each_segment_is_shown_half_of_the_time_and_first_comes_the_whole() -> None:
    design = subsets(4000, 10, np.random.default_rng(1))
    assert design[0].all()
    assert design.shape == (4000, 10)
    assert np.abs(design.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(4000)


def test_equal_scores_give_weights_of_exactly_zero() -> None:
    design = subsets(50, 6, np.random.default_rng(2))
    assert not fit(design, np.full(50, 0.7), proximity(design, 0.25), alpha=1.0).any()


@pytest.mark.parametrize("values", [{"samples": 1}, {"kernel_width": 0.0}, {"alpha": -1.0}])
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        LIME(**values)
