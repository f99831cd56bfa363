"""Regions of one area: their size, their connection, and that random ones are drawn alike."""

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from examination.areas import best_region, common_area, random_regions, shares
from xai.segments import parse_segments

SEGMENTS = np.arange(6 * 6).reshape(6, 6).repeat(4, axis=0).repeat(4, axis=1)


def test_three_average_segments_are_as_large_as_a_region() -> None:
    assert common_area(SEGMENTS) == 3 * 16
    assert common_area(np.zeros((4, 4), dtype=int)) == 16  # never more than there is


def test_the_best_region_is_the_best_segments_and_the_nearest_part_of_the_last() -> None:
    order = np.array([7, 8, 30, *(set(range(36)) - {7, 8, 30})])
    whole = best_region(SEGMENTS, order, 48)
    assert np.array_equal(whole, np.isin(SEGMENTS, [7, 8, 30]))
    cut = best_region(SEGMENTS, np.array([7, 8, *(set(range(36)) - {7, 8})]), 2 * 16 + 4)
    assert cut.sum() == 36
    assert cut[SEGMENTS == 0].sum() == 4  # label 0 comes next; it touches neither: it begins at its middle


def test_a_cut_segment_gives_its_nearest_pixels() -> None:
    order = np.array([7, 8, *(set(range(36)) - {7, 8})])
    order[2:] = [9, *(other for other in order[2:] if other != 9)]
    region = best_region(SEGMENTS, order, 2 * 16 + 4)
    rows, columns = np.nonzero(region & (SEGMENTS == 9))
    assert sorted(rows) == [4, 5, 6, 7]
    assert set(columns) == {12}  # beside segment 8


@pytest.mark.parametrize("area", [5, 16, 40, 48, 200])
def test_random_regions_are_connected_and_of_the_area(area: int) -> None:
    for region in random_regions(SEGMENTS, area, 30, 0, "a"):
        assert region.sum() == area
        assert label(region)[1] == 1


def test_random_regions_of_superpixels_too() -> None:
    image = np.random.default_rng(0).random((3, 40, 40)).astype(np.float32)
    segments = parse_segments("20")(torch.from_numpy(image).cumsum(1) / 40)
    area = common_area(segments)
    assert {int(region.sum()) for region in random_regions(segments, area, 20, 1, "b")} == {area}


def test_draws_depend_on_seed_and_key_alone() -> None:
    few, many = random_regions(SEGMENTS, 48, 5, 3, "k"), random_regions(SEGMENTS, 48, 9, 3, "k")
    assert np.array_equal(few, many[:5])
    assert not np.array_equal(few, random_regions(SEGMENTS, 48, 5, 4, "k"))
    assert not np.array_equal(few, random_regions(SEGMENTS, 48, 5, 3, "l"))


def test_every_segment_is_as_likely_to_be_the_first() -> None:
    first = [SEGMENTS[region][0] for region in random_regions(SEGMENTS, 16, 900, 0, "c")]
    counts = np.bincount(first, minlength=36)
    assert ((counts - 25) ** 2 / 25).sum() < 66.6  # chi-squared with 35 degrees of freedom, at 0.1 %


def test_the_shares_of_segments_are_those_of_the_region() -> None:
    draws = np.random.default_rng(5)
    orders = np.stack([draws.permutation(36) for _ in range(5)])
    for order, taken in zip(orders, shares(SEGMENTS, orders, 57), strict=True):
        region = best_region(SEGMENTS, order, 57)
        assert np.allclose(np.bincount(SEGMENTS.ravel(), region.ravel()) / 16, taken)
