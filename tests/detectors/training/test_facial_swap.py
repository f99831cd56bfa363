"""The multi-scale facial swap, on pictures whose differences are planted."""

import cv2
import numpy as np
import pytest

from common.errors import InputError
from common.seeds import generator
from detectors.training import facial_swap as module
from detectors.training.anchors import WINDOWS
from detectors.training.facial_swap import (
    alpha_blend,
    best_place,
    dissimilarity,
    facial_swap,
    left_over,
    poisson_blend,
)

SIZE = 224


def texture(name: str, size: int = SIZE, low: float = 30, high: float = 220) -> np.ndarray:
    """Smooth coloured noise, (size, size, 3) uint8."""
    coarse = generator(0, "texture", name).uniform(low, high, (size // 8, size // 8, 3))
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


def planted(*places: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A source and a fake that differ at these places only."""
    source, other = texture("source"), texture("fake")
    fake = source.copy()
    for place in places:
        fake[place] = other[place]
    return fake, source


def pixels(box: np.ndarray, size: int = SIZE) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (round(float(edge) * size) for edge in box)
    return slice(y0, y1), slice(x0, x1)


def outside(image: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    kept = np.ones(image.shape[:2], bool)
    kept[window] = False
    return image[kept]


def test_alpha_is_the_inner_picture_within_and_the_outer_one_without() -> None:
    inner, outer, window = texture("inner"), texture("outer"), (slice(40, 100), slice(0, 90))
    image = alpha_blend(inner, outer, window)
    assert np.array_equal(outside(image, window), outside(outer, window))
    assert np.array_equal(image[44:96, 4:86], inner[44:96, 4:86])
    low, high = np.minimum(inner, outer), np.maximum(inner, outer)
    assert ((low <= image) & (image <= high)).all()
    assert (image[40, 20:60] != inner[40, 20:60]).any(), "the edge is soft"


def test_poisson_removes_a_constant_offset() -> None:
    """The gradients of a picture and of itself made brighter agree, so the clone of one into the other is the other."""
    outer = texture("outer", high=180)
    window = slice(30, 150), slice(60, 141)
    brighter = outer + np.uint8(40)
    image = poisson_blend(brighter, outer, window)
    assert np.abs(image.astype(int) - outer).max() <= 2
    assert np.array_equal(outside(image, window), outside(outer, window))


@pytest.mark.parametrize(
    "window",
    [
        (slice(0, 81), slice(0, 64)),
        (slice(140, SIZE), slice(160, SIZE)),
        (slice(0, SIZE), slice(100, 140)),
        (slice(10, 18), slice(10, 17)),
    ],
)
def test_poisson_works_at_every_border_and_keeps_the_gradients(window: tuple[slice, slice]) -> None:
    inner, outer = texture("inner", low=90, high=160), texture("outer", low=90, high=160)
    image = poisson_blend(inner, outer, window)
    assert np.array_equal(outside(image, window), outside(outer, window))
    laplacians = [
        cv2.Laplacian(picture[window].astype(np.float32), cv2.CV_32F)[4:-4, 4:-4] for picture in (image, inner)
    ]
    assert laplacians[0].size == 0 or np.abs(laplacians[0] - laplacians[1]).mean() < 1.5


@pytest.mark.parametrize("seed", range(12))
def test_a_planted_difference_is_found(seed: int) -> None:
    place = slice(120, 160), slice(30, 70)
    fake, source = planted(place)
    swap = facial_swap(fake, source, np.random.default_rng(seed))
    rows, columns = pixels(swap.box)
    overlap = (min(rows.stop, 160) - max(rows.start, 120)) * (min(columns.stop, 70) - max(columns.start, 30))
    assert overlap >= 0.6 * 40 * 40
    assert (swap.image[place] != source[place]).mean() > 0.5, "it is still a fake"


@pytest.mark.parametrize("seed", range(20))
def test_the_box_holds_every_changed_pixel_of_a_fake_window(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENOUGH", np.inf)  # so that the fake's window always goes into the source
    fake, source = texture("fake", 200), texture("source", 200)
    swap = facial_swap(fake, source, np.random.default_rng(seed))
    assert swap.box.dtype == np.float32
    assert swap.box.shape == (4,)
    assert np.array_equal(outside(swap.image, pixels(swap.box, 200)), outside(source, pixels(swap.box, 200)))
    assert (swap.image[pixels(swap.box, 200)] != source[pixels(swap.box, 200)]).mean() > 0.8


def test_the_source_s_window_leaves_the_rest_of_the_fake_in_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two planted patches the larger may be covered by the source; then the box is about the smaller one.

    By alpha blending: Poisson blending may shift the colours of a whole window, which is no difference of structure.
    """
    monkeypatch.setattr(module, "poisson_blend", alpha_blend)
    fake, source = planted((slice(20, 60), slice(20, 60)), (slice(150, 180), slice(160, 190)))
    about_the_smaller = 0
    for seed in range(40):
        swap = facial_swap(fake, source, np.random.default_rng(seed))
        changed = np.argwhere((swap.image != source).any(-1))
        x0, y0, x1, y1 = swap.box * SIZE
        inside = (changed >= [y0 - 1, x0 - 1]).all(1) & (changed < [y1 + 1, x1 + 1]).all(1)
        assert inside.mean() > 0.95
        about_the_smaller += bool(x0 > 140 and y0 > 130 and (swap.image != fake)[20:60, 20:60].any())
    assert about_the_smaller > 2


def test_a_fake_is_never_covered_by_its_source() -> None:
    place = slice(100, 120), slice(100, 120)
    fake, source = planted(place)
    for seed in range(40):
        swap = facial_swap(fake, source, np.random.default_rng(seed))
        assert (swap.image != source).any()


def test_scales_and_sides_are_drawn_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def watch(difference: np.ndarray, height: int, width: int, draws: np.random.Generator) -> tuple[int, int]:
        sizes.append((height, width))
        return best_place(difference, height, width, draws)

    fake, source = texture("fake", 64), texture("source", 64)
    difference = dissimilarity(fake, source)
    monkeypatch.setattr(module, "best_place", watch)
    monkeypatch.setattr(module, "dissimilarity", lambda one, other: difference)
    for seed in range(800):
        facial_swap(fake, source, np.random.default_rng(seed))
    found = np.array(sizes)
    assert abs(len(found) - 600) < 60, "a quarter of all are whole"
    for shortest, longest in WINDOWS[:-1]:
        of_range = found[((found > shortest) & (found < longest)).all(1)]
        assert 140 < len(of_range) < 240
        assert of_range.min() < shortest + 4
        assert of_range.max() > longest - 4
        assert abs(of_range.mean() - (shortest + longest) / 2) < 2.5
        assert abs(np.corrcoef(of_range.T)[0, 1]) < 0.25, "width and height are drawn by themselves"


def test_best_place_is_among_the_naive_loop_s() -> None:
    difference = generator(0, "difference").random((12, 12)) ** 4
    sums = np.array([[difference[y : y + 4, x : x + 3].sum() for x in range(10)] for y in range(9)])
    good = {tuple(place) for place in np.argwhere(sums >= 0.75 * sums.max()).tolist()}
    drawn = {best_place(difference, 4, 3, np.random.default_rng(seed)) for seed in range(300)}
    assert len(good) > 1
    assert drawn == good


def test_left_over_is_the_box_of_the_difference() -> None:
    difference = np.zeros((224, 224))
    difference[50:100, 20:200] = 1
    difference[0, 0] = 1  # one stray pixel of 9001
    assert np.allclose(left_over(difference) * 224, [20, 50, 200, 100], atol=2.5)


def test_dissimilarity_is_where_the_pictures_differ() -> None:
    place = slice(50, 100), slice(60, 120)
    difference = dissimilarity(*planted(place))
    assert difference.shape == (224, 224)
    assert 0 <= difference.min() <= difference.max() <= 1
    assert difference[place].mean() > 0.1
    assert not outside(difference, (slice(46, 104), slice(56, 124))).any()


def test_the_draws_come_from_the_generator_alone() -> None:
    fake, source = texture("fake"), texture("source")
    swaps = [facial_swap(fake, source, np.random.default_rng(seed)) for seed in (4, 4, 5)]
    assert np.array_equal(swaps[0].image, swaps[1].image)
    assert np.array_equal(swaps[0].box, swaps[1].box)
    assert not np.array_equal(swaps[0].image, swaps[2].image)


def test_inputs_are_left_alone() -> None:
    fake, source = texture("fake"), texture("source")
    before = fake.copy(), source.copy()
    for seed in range(8):
        facial_swap(fake, source, np.random.default_rng(seed))
    assert np.array_equal(fake, before[0])
    assert np.array_equal(source, before[1])


def test_without_a_source_or_a_difference_the_whole_fake_is_fake() -> None:
    fake = texture("fake")
    for source in (None, fake.copy()):
        for seed in range(4):
            swap = facial_swap(fake, source, np.random.default_rng(seed))
            assert np.array_equal(swap.image, fake)
            assert swap.box.tolist() == [0, 0, 1, 1]


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="same square"):
        facial_swap(texture("fake"), texture("source", 200), np.random.default_rng(0))
