"""Faces over time."""

import math

import numpy as np
import pytest

from data.preprocess.face_detection import Box
from data.preprocess.tracking import FARTHEST, GAP, OVERLAP, SIGMA, link, overlap, settle


def head(x: float, y: float = 100, size: float = 60) -> Box:
    return Box(x - size / 2, y - size / 2, size, size)


def values(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


def test_one_face_is_one_track_through_a_gap() -> None:
    faces = [[head(100 + 2 * i)] if i not in (4, 5) else [] for i in range(12)]
    [track] = link(faces, [i / 25 for i in range(12)])
    assert list(track) == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]


def test_two_faces_keep_apart_whatever_the_order_in_which_they_are_found() -> None:
    generator = np.random.default_rng(0)
    faces = []
    for i in range(20):
        found = [head(100 + i), head(300 - i, size=80)]
        faces.append([found[k] for k in generator.permutation(2)] if i % 5 else found[:1])  # the second is missed
    first, second = link(faces, [i / 25 for i in range(20)])
    assert len(first) == 20
    assert len(second) == 16
    assert all(box.size == 60 for box in first.values())
    assert all(box.size == 80 for box in second.values())


def test_frames_seconds_apart_are_linked_though_their_boxes_do_not_overlap() -> None:
    faces = [[head(100)], [head(220)], [head(90)], [head(230)]]
    assert overlap(faces[0][0], faces[1][0]) == 0
    assert [len(track) for track in link(faces, [0, 3, 6, 9])] == [4]
    assert len(link(faces, [0, 0.04, 0.08, 0.12])) > 1  # no head moves like that


def test_nobody_is_looked_for_across_the_whole_picture_however_long_nothing_was_seen() -> None:
    near, far = (FARTHEST - 0.1) * 60, (FARTHEST + 0.1) * 60
    assert [len(track) for track in link([[head(100)], [head(100 + near)]], [0, 60])] == [2]
    assert [len(track) for track in link([[head(100)], [], [head(100 + far)]], [0, 30, 60])] == [1, 1]


def test_nobody_moves_within_a_cut() -> None:
    shots = [[head(100)], [head(102)], [head(180)], [head(182)]]
    assert [len(track) for track in link(shots, [0, 1, 2, 3])] == [4]
    assert [len(track) for track in link(shots, [0, 1, 2, 3], cuts=[1.5])] == [2, 2]
    assert [len(track) for track in link(shots, [0, 1, 2, 3], cuts=[2.5])] == [4]  # at its place


def test_false_detections_are_left_out_but_a_second_face_is_not() -> None:
    faces = [[head(100)] + ([head(300, 30, 40)] if i == 7 else []) for i in range(20)]
    times = [i / 25 for i in range(20)]
    assert [len(track) for track in link(faces, times)] == [20]
    faces = [[head(100)] + ([head(300, 30, 40)] if i < 4 else []) for i in range(20)]  # a fifth of the frames
    assert [len(track) for track in link(faces, times)] == [20, 4]
    assert link([[], []], [0, 1]) == []


def test_the_main_track_is_the_longest_then_the_largest() -> None:
    times = [0, 0.04, 0.08]
    small, large = head(100, size=40), head(300, size=80)
    assert link([[small, large]] * 3, times)[0][0] == large
    assert link([[small, large], [small], [small, large]], times)[0][0] == small


def naive_smoothing(boxes: dict[int, Box], times: list[float]) -> dict[int, list[float]]:
    """Every box against every other, straight from the definition."""
    result = {}
    for i, box in boxes.items():
        total, sums = 0.0, [0.0] * 4
        for j, other in boxes.items():
            across = min(box.left + box.width, other.left + other.width) - max(box.left, other.left)
            down = min(box.top + box.height, other.top + other.height) - max(box.top, other.top)
            common = max(across, 0) * max(down, 0)
            union = box.width * box.height + other.width * other.height - common
            if common / union < OVERLAP or abs(times[i] - times[j]) > 3 * SIGMA + 1e-6:
                continue
            weight = math.exp(-((times[i] - times[j]) ** 2) / (2 * SIGMA**2))
            total += weight
            sums = [value + weight * part for value, part in zip(sums, values(other), strict=True)]
        result[i] = [value / total for value in sums]
    return result


@pytest.mark.parametrize("spacing", [0.04, 0.11, 0.37])
def test_smoothing_equals_its_naive_twin(spacing: float) -> None:
    generator = np.random.default_rng(1)
    times = [spacing * i for i in range(40)]
    track = {
        i: Box(*(np.array([100 + 2 * i + 200 * (i > 25), 80, 60, 70]) + generator.normal(0, 3, 4)).tolist())
        for i in range(40)
    }  # with a cut after frame 25
    settled = settle(track, times)
    assert not settled.filled
    for i, expected in naive_smoothing(track, times).items():
        np.testing.assert_allclose(values(settled.boxes[i]), expected, rtol=1e-9)


def test_smoothing_takes_the_jitter_and_leaves_the_head_in_place() -> None:
    generator = np.random.default_rng(2)
    times = [i / 25 for i in range(100)]
    truth = np.array([100 + 30 * np.sin(time) for time in times])
    noisy = {i: head(x + generator.normal(0, 4), size=60 + generator.normal(0, 4)) for i, x in enumerate(truth)}
    settled = settle(noisy, times)
    before = np.std([noisy[i].centre[0] - truth[i] for i in range(100)])
    after = np.std([settled.boxes[i].centre[0] - truth[i] for i in range(100)])
    assert after < before / 2


def test_a_cut_is_not_smeared_and_distant_frames_are_not_smoothed() -> None:
    cut = {i: head(100 if i < 5 else 200) for i in range(10)}
    settled = settle(cut, [i / 25 for i in range(10)]).boxes
    for i in range(10):
        assert settled[i].centre == pytest.approx(cut[i].centre)
    sparse = {i: head(100 + 20 * (i % 2)) for i in range(6)}
    settled = settle(sparse, [2.0 * i for i in range(6)]).boxes
    for i in range(6):
        assert values(settled[i]) == pytest.approx(values(sparse[i]))


def test_short_gaps_are_filled_by_a_straight_line_and_long_ones_are_not() -> None:
    times = [0, 0.2, 0.4, 0.5, 0.8, 0.8 + GAP / 2, 0.9 + GAP, 1.2 + GAP]
    track = {0: head(100), 4: head(140, size=68), 6: head(140), 7: head(141)}
    settled = settle(track, times)
    assert settled.filled == {1, 2, 3}  # position 5 lies in a gap that is longer than GAP
    assert set(settled.boxes) == {0, 1, 2, 3, 4, 6, 7}
    centres = [settled.boxes[i].centre[0] for i in range(5)]
    assert centres == sorted(centres)
    # Far from other boxes in time the line is met exactly, as nothing is left to smooth it with.
    slow = settle({0: head(100), 2: head(120, size=70)}, [0, 0.49, 0.98])
    assert slow.filled == {1}
    weight = math.exp(-0.5 * (0.49 / SIGMA) ** 2)
    assert values(slow.boxes[1]) == pytest.approx(
        [
            (b + weight * (a + c)) / (1 + 2 * weight)
            for a, b, c in zip(
                values(head(100)),
                np.mean([values(head(100)), values(head(120, size=70))], axis=0),
                values(head(120, size=70)),
                strict=True,
            )
        ]
    )


def test_a_gap_between_boxes_that_do_not_overlap_is_not_filled() -> None:
    assert settle({0: head(100), 2: head(300)}, [0, 0.1, 0.2]).filled == frozenset()
