"""References that need no detector, on segments whose answers are known."""

import numpy as np
import torch

from data.masks import at_size
from scoring.baselines import rankings
from xai.regions import Ranking

GRID = np.repeat(np.repeat(np.arange(9).reshape(3, 3), 4, axis=0), 4, axis=1)  # nine squares of 4 x 4 pixels


def test_random_rankings_are_permutations_that_put_every_segment_first_as_often() -> None:
    drawn = rankings.random(GRID, 900, seed=1, key="a")
    assert all(sorted(each.order.tolist()) == list(range(9)) for each in drawn)
    assert [each.draw for each in drawn[:3]] == [0, 1, 2]
    firsts = np.bincount([int(each.order[0]) for each in drawn], minlength=9)
    assert abs(firsts - 100).max() < 4 * np.sqrt(100)
    again = rankings.random(GRID, 2, seed=1, key="a")
    assert [each.order.tolist() for each in again] == [each.order.tolist() for each in drawn[:2]]
    assert rankings.random(GRID, 1, seed=1, key="b")[0].order.tolist() != drawn[0].order.tolist()


def test_the_bottom_is_the_ranking_from_its_end() -> None:
    best = Ranking(np.array([4, 0, 2]), "LIME", fill="mean", weak=True)
    found = rankings.bottom(best)
    assert found.order.tolist() == [2, 0, 4]
    assert (found.method, found.of, found.fill, found.weak) == ("bottom-k", "LIME", "mean", True)


def test_the_centre_comes_first_and_the_corners_last() -> None:
    order = rankings.face_centre(GRID).order.tolist()
    assert order[0] == 4
    assert set(order[1:5]) == {1, 3, 5, 7}
    assert order[5:] == [0, 2, 6, 8]  # equally far: by label


def test_edges_are_found_where_the_image_has_them() -> None:
    image = torch.full((3, 12, 12), 0.5)
    image[:, 5:7, 9:11] = 1.0  # inside segment 5
    order = rankings.edges(GRID, image).order.tolist()
    assert order[0] == 5
    assert order[1:] == [0, 1, 2, 3, 4, 6, 7, 8]


def test_the_mask_ranks_by_the_manipulated_share() -> None:
    mask = np.zeros((12, 12), dtype=bool)
    mask[4:8, 4:8] = True  # all of segment 4
    mask[:2, :4] = True  # half of segment 0
    assert rankings.mask(GRID, mask).order.tolist()[:2] == [4, 0]


def test_a_mask_is_brought_to_the_detectors_size() -> None:
    mask = np.zeros((24, 24), dtype=bool)
    mask[:8, :8] = True
    found = at_size(mask, (12, 12))
    assert found is not None
    assert found.sum() == 16
    assert found[:4, :4].all()
    assert at_size(np.zeros((24, 24), dtype=bool), (12, 12)) is None
    assert at_size(None, (12, 12)) is None
