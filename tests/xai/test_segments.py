"""Segments are SLIC's, labelled 0..K-1; rankings follow the mean saliency and break ties by label."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import slic

from common.errors import InputError
from tests.xai.helpers import photo
from xai.ranking import is_weak, rank, segment_scores, top_region
from xai.segments import Segments, fewest_expected


def test_segments_are_slics_without_gaps() -> None:
    image = photo(96)
    segments = Segments()(image)
    expected = slic(image.permute(1, 2, 0).numpy(), n_segments=50, compactness=10, sigma=0)
    assert segments.dtype == np.int32
    assert segments.shape == (96, 96)
    assert np.array_equal(np.unique(segments), np.arange(segments.max() + 1))
    assert 30 <= segments.max() + 1 <= 70
    pairs = set(zip(segments.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == segments.max() + 1 == len(np.unique(expected))  # the same partition under other names


def test_labels_with_gaps_are_renumbered_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xai.segments.slic", lambda *_, **__: np.array([[0, 4], [7, 4]]))
    assert Segments()(torch.zeros(3, 2, 2)).tolist() == [[0, 1], [2, 1]]


def test_an_image_in_one_piece_is_refused() -> None:
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"--set segments\.sigma=1 smooths it"):
        Segments()(noise)
    assert Segments(sigma=3.0)(noise).max() > 10


def test_noise_leaves_few_segments_and_smoothing_brings_them_back() -> None:
    noise = 0.1 * torch.randn(3, 96, 96, generator=torch.Generator().manual_seed(0))
    noisy = (photo(96) + noise).clamp(0, 1)
    counts = [int(Segments(sigma=sigma)(noisy).max()) + 1 for sigma in (0.0, 1.0)]
    assert [count < fewest_expected(Segments().name) for count in counts] == [True, False]


def test_few_is_less_than_half_of_those_asked_for() -> None:
    assert (fewest_expected("slic-50"), fewest_expected("grid-49")) == (25, 24.5)
    assert Segments(kind="grid", count=50)(torch.zeros(3, 64, 64)).max() + 1 > fewest_expected("grid-50")


def test_equal_values_are_tied_whatever_the_size_of_their_segments() -> None:
    """The mean of many equal float32 values rounds: 0.1 over 7 pixels is not exactly 0.1 over 1000."""
    segments = np.repeat(np.arange(4), [7, 1000, 333, 12])[None]
    saliency = np.array([0.1, 0.1, 0.9, 0.8], dtype=np.float32)[segments]
    assert is_weak(saliency, segments)
    assert not is_weak(np.array([0.1, 0.11, 0.9, 0.8], dtype=np.float32)[segments], segments)


@pytest.mark.parametrize("values", [{"count": 2}, {"compactness": 0.0}, {"sigma": -1.0}, {"sigma": float("nan")}])
def test_impossible_settings_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        Segments(**values)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=12), st.randoms())
def test_ranking_is_that_of_a_naive_loop(values: list[float], random) -> None:
    labels = [label for label in range(len(values)) for _ in range(random.randint(1, 5))]
    random.shuffle(labels)
    segments = np.array([labels])
    saliency = np.array([[values[label] for label in labels]], dtype=np.float32)
    expected = sorted(range(len(values)), key=lambda label: (-saliency[segments == label].mean(), label))
    assert rank(saliency, segments).tolist() == expected


def test_scores_are_means_not_sums() -> None:
    segments = np.array([[0, 0, 0, 1], [0, 0, 0, 2]])
    saliency = np.array([[1, 1, 1, 2], [1, 1, 4, -1]], dtype=np.float32)
    assert segment_scores(saliency, segments) == pytest.approx([1.5, 2.0, -1.0])
    assert rank(saliency, segments).tolist() == [1, 0, 2]


def test_means_are_taken_in_double_precision() -> None:
    segments = np.repeat(np.arange(2), 300_000).reshape(2, -1)
    saliency = np.where(segments == 0, np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1)))
    assert rank(saliency.astype(np.float32), segments).tolist() == [1, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    saliency = np.zeros((2, 2), dtype=np.float32)
    saliency[1, 1] = bad
    with pytest.raises(InputError, match="not finite"):
        rank(saliency, np.array([[0, 1], [2, 3]]))


def test_shapes_and_gaps_are_checked() -> None:
    with pytest.raises(InputError, match="must agree"):
        rank(np.zeros((2, 3)), np.zeros((3, 2), dtype=int))
    with pytest.raises(InputError, match="segment 1 has no pixel"):
        rank(np.zeros((1, 2)), np.array([[0, 2]]))


def test_top_region_holds_the_best_segments_and_nothing_else() -> None:
    segments = np.array([[0, 1, 2], [3, 3, 1]])
    ranking = np.array([3, 1, 0, 2])
    assert top_region(segments, ranking, 1).tolist() == [[False, False, False], [True, True, False]]
    assert top_region(segments, ranking, 2).tolist() == [[False, True, False], [True, True, True]]
    assert top_region(segments, ranking, 4).all()
    for k in (0, 5):
        with pytest.raises(InputError, match=f"top {k} segments"):
            top_region(segments, ranking, k)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 2.0, 1.0, -1.0], False),
        ([3.0, 2.0, 0.0, -1.0], True),
        ([-1.0, -2.0, -3.0, -4.0], True),
        ([0.7, 0.7, 0.7, 0.7], True),
        ([0.0, 0.0, 0.0, 0.0], True),
        ([0.7, 0.7, 0.7, 0.8], True),
        ([0.8, 0.9, 0.9, 0.1], True),
        ([0.8, 0.9, 0.7, 0.7], True),  # which of the two is attacked is the label's doing
        ([0.9, 0.8, 0.7, 0.6], False),
        ([-1.0, 0.9, 0.8, 0.7], False),
    ],
)
def test_weak_rankings(values: list[float], expected: bool) -> None:
    segments = np.array([[0, 1], [2, 3]])
    assert is_weak(np.array(values, dtype=np.float32)[segments], segments) is expected
