"""Contiguous random regions: of the wanted area, in one piece, spread over the frame, and shared by equal areas."""

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from scoring.baselines.contiguous import TOLERANCE, Contiguous
from xai.segments import parse_segments

SEGMENTS = np.kron(np.arange(100).reshape(10, 10), np.ones((5, 5), dtype=np.int64))  # squares of 25 pixels


def uneven() -> np.ndarray:
    """Segments of many sizes: a coarse and a fine half."""
    coarse = np.kron(np.arange(8).reshape(4, 2), np.ones((12, 12), dtype=np.int64))
    fine = 8 + np.kron(np.arange(64).reshape(16, 4), np.ones((3, 6), dtype=np.int64))
    return np.concatenate([coarse, fine], axis=1)


@pytest.mark.parametrize("segments", [SEGMENTS, uneven()], ids=["even", "uneven"])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.3])
def test_a_region_is_in_one_piece_and_of_the_wanted_area(segments: np.ndarray, share: float) -> None:
    wanted = int(share * segments.size)
    for draw in range(5):
        region, k = Contiguous(segments, 0, "a").region(wanted, draw)
        assert label(region)[1] == 1
        assert k == len(np.unique(segments[region]))
        inside = np.isin(segments, np.unique(segments[region]))
        assert np.array_equal(inside, region)  # whole segments only
        smallest = np.bincount(segments.ravel()).min()
        assert abs(region.sum() - wanted) <= max(TOLERANCE * wanted, smallest / 2)


def test_an_area_that_no_union_has_gives_the_nearest() -> None:
    region, k = Contiguous(SEGMENTS, 0, "a").region(35)
    assert (region.sum(), k) == (25, 1)


def test_equal_areas_share_a_region_and_draws_and_frames_do_not() -> None:
    regions = Contiguous(SEGMENTS, 0, "a")
    assert np.array_equal(regions.region(250)[0], regions.region(252)[0])
    others = [regions.region(250, draw)[0] for draw in range(8)]
    others += [Contiguous(SEGMENTS, 0, key).region(250)[0] for key in "bcdefgh"]
    assert len({each.tobytes() for each in others}) == len(others)


def test_every_part_of_the_frame_has_its_turn() -> None:
    hits = sum(Contiguous(SEGMENTS, 0, str(key)).region(25)[0].astype(int) for key in range(300))
    counts = np.bincount(SEGMENTS.ravel(), weights=hits.ravel()) / 25
    assert counts.sum() == 300
    assert counts.max() <= 3 + 4 * np.sqrt(3) + 1  # 3 each on average


def test_a_grid_has_neighbours_too() -> None:
    segments = parse_segments("grid-9")(torch.zeros(3, 30, 30))
    region, _ = Contiguous(segments, 3, "x").region(int(segments.size / 3))
    assert label(region)[1] == 1
