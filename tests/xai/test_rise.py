"""RISE is a naive loop's, with the keep probability it states."""

import numpy as np
import pytest
import torch
from skimage.transform import resize

from detectors.queries import Queries
from tests.toys import LinearDetector
from tests.xai.helpers import SmallNetwork, photo
from xai.base import Score
from xai.fills import Mean, composite
from xai.rise import RISE, draw_grids, draw_shifts, upsample

SEGMENTS = np.zeros((32, 32), dtype=np.int32)  # RISE does not look at them


@pytest.mark.parametrize(("cells", "keep"), [(7, 0.5), (4, 0.3)])
def test_saliency_is_that_of_a_naive_loop(cells: int, keep: float) -> None:
    detector, image, target, samples = SmallNetwork(), photo(32), 2, 40
    background = Mean()(image, SEGMENTS, detector.mean)
    score = Score(Queries(detector, batch_size=7), target)
    explainer = RISE(samples, cells, keep)
    saliency = explainer(score, image, SEGMENTS, composite(image, background), np.random.default_rng(6))

    draws = np.random.default_rng(6)
    grids = draws.random((samples, cells, cells)) < keep
    side = int(np.ceil(32 / cells))
    shifts = draws.integers(0, side, size=(samples, 2))
    expected = np.zeros((32, 32))
    for grid, (y, x) in zip(grids, shifts, strict=True):
        large = resize(grid.astype(float), [(cells + 1) * side] * 2, order=1, mode="edge", anti_aliasing=False)
        mask = large[y : y + 32, x : x + 32]
        shown = torch.from_numpy(mask).float()
        expected += float(score((shown * image + (1 - shown) * background)[None])) * mask
    expected /= samples * keep
    assert expected.std() > 0.01
    assert np.abs(saliency - expected).max() < 1e-5


def test_centred_it_estimates_the_same_with_less_noise() -> None:
    """The mean over many runs agrees; from run to run a centred map varies far less where the score hardly does."""
    detector, image = SmallNetwork(), photo(32)
    fill = composite(image, image.clamp(0.1, 0.9))
    probabilities = Queries(detector).probabilities(image[None])[0]
    maps = {}
    for centred in (False, True):
        explainer, score = RISE(samples=100, centred=centred), Score(Queries(detector), int(probabilities.argmax()))
        maps[centred] = np.stack(
            [explainer(score, image, SEGMENTS, fill, np.random.default_rng(seed)) for seed in range(40)]
        )
    noise = maps[False].std(axis=0)
    assert np.abs(maps[True].mean(axis=0) - maps[False].mean(axis=0)).max() < 5 * noise.max() / np.sqrt(40)
    assert maps[True].std(axis=0).mean() < 0.2 * noise.mean()


@pytest.mark.parametrize("draws", ["complementary", "balanced"])
def test_other_draws_estimate_the_same_with_less_noise(draws: str) -> None:
    detector, image = SmallNetwork(), photo(32)
    fill, score = composite(image, torch.zeros_like(image)), Score(Queries(detector, batch_size=128), 1)
    maps = {}
    for kind in ("plain", draws):
        explainer = RISE(samples=64, cells=4, centred=True, draws=kind)
        maps[kind] = np.stack(
            [explainer(score, image, SEGMENTS, fill, np.random.default_rng(seed)) for seed in range(40)]
        )
    noise = np.sqrt((maps["plain"].var(axis=0) + maps[draws].var(axis=0)) / 40)
    around = [maps[kind].mean(axis=0) for kind in maps]
    assert np.abs(around[0] - around[1]).max() < 5 * noise.max()
    assert maps[draws].var(axis=0).mean() < maps["plain"].var(axis=0).mean()


def test_centred_a_score_that_does_not_vary_gives_a_flat_map() -> None:
    image = photo(32)
    score = Score(Queries(LinearDetector(torch.zeros(3, 32, 32), bias=1.0)), 1)
    fill = composite(image, torch.zeros_like(image))
    saliency = RISE(samples=50, centred=True)(score, image, SEGMENTS, fill, np.random.default_rng(0))
    assert np.allclose(saliency, 1 / (1 + np.exp(-1.0)), atol=1e-6)


@pytest.mark.parametrize("keep", [0.5, 0.1])
def test_a_cell_is_kept_with_the_stated_probability(keep: float) -> None:
    """The published code keeps a cell when a normal draw is below `keep`: with 0.69 for 0.5, and 0.54 for 0.1."""
    grids = draw_grids(4000, 7, keep, np.random.default_rng(0))
    assert set(grids.unique().tolist()) == {0.0, 1.0}
    deviation = np.sqrt(keep * (1 - keep) / grids.numel())
    assert abs(grids.double().mean().item() - keep) < 4 * deviation


@pytest.mark.parametrize("size", [(32, 32), (33, 29), (7, 5), (224, 224)])
def test_masks_lie_in_range_and_every_pixel_is_kept_as_often(size: tuple[int, int]) -> None:
    draws = np.random.default_rng(1)
    count = 400 if size[0] < 100 else 8
    masks = upsample(draw_grids(count, 7, 0.5, draws), draw_shifts(count, 7, size, draws), size)
    assert masks.shape == (count, 1, *size)
    assert 0 <= masks.min() <= masks.max() <= 1
    if count == 400:  # standard deviation of a mean of 400 masks of at most 0.25 variance each
        assert (masks.mean(dim=0) - 0.5).abs().max() < 5 * 0.5 / np.sqrt(400)


def test_shifts_reach_every_pixel_of_a_cell_and_none_beyond() -> None:
    shifts = draw_shifts(4000, 7, (32, 60), np.random.default_rng(2))
    assert sorted(set(shifts[:, 0].tolist())) == list(range(5))
    assert sorted(set(shifts[:, 1].tolist())) == list(range(9))


@pytest.mark.parametrize(
    "values",
    [
        {"samples": 0},
        {"cells": 0},
        {"keep": 0.0},
        {"keep": 1.0},
        {"draws": "paired"},
        {"draws": "balanced", "keep": 0.3},
    ],
)
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        RISE(**values)
