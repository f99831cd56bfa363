"""Self-blended images, against a twin of the paper's mask, and invariances."""

import cv2
import numpy as np
import pytest

from common.errors import InputError
from common.seeds import generator
from data.demo.demo_frames import DemoFrames
from data.mean_face import mean_face
from data.warp import hull_mask
from detectors.training.augment import Augmentation
from detectors.training.self_blending import (
    ELASTIC,
    KERNELS,
    MOVED,
    RATIOS,
    RESIZED,
    UNIT,
    blend,
    elastic,
    outline,
    pair,
    recoloured,
    self_blended,
    softened,
)

UNCHANGED = Augmentation(flip=0, crop=0, light=0, colour=0, jpeg=0)


def face(height: int = 160, width: int = 160, margin: float = 1.3) -> tuple[np.ndarray, np.ndarray]:
    """Smooth coloured noise (height, width, 3) with the landmarks of a mean face in its middle."""
    coarse = generator(0, "face").uniform(30, 220, (height // 4, width // 4, 3))
    image = np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    side = min(height, width)
    return image, mean_face(side, margin) + (np.array([width, height]) - side) / 2


def reach(landmarks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every pixel that the documented limits let a blend reach, (H, W) bool."""
    raised = landmarks.copy()
    raised[17:27] += 0.8 * (landmarks[17:27].mean(0) - landmarks[36:48].mean(0))
    hull = hull_mask(np.vstack([landmarks, raised]), (shape[0], shape[1]))
    side = max(shape)
    farthest = side / 2 * (1 / RESIZED - 1) + MOVED[0] * side + ELASTIC * side / UNIT + KERNELS[1] / 2 * side / UNIT
    across = 2 * int(np.ceil(farthest) + 3) + 1
    return cv2.dilate(hull.astype(np.uint8), np.ones((across, across), np.uint8)).astype(bool)


@pytest.mark.parametrize("shape", [(160, 160), (120, 200), (240, 180)])
def test_only_the_face_changes_and_only_where_the_mask_says(shape: tuple[int, int]) -> None:
    image, landmarks = face(*shape)
    allowed = reach(landmarks, shape)
    assert not allowed.all()
    for seed in range(20):
        made = self_blended(image, landmarks, np.random.default_rng(seed))
        assert made.image.shape == made.target.shape == image.shape
        assert made.image.dtype == made.target.dtype == np.uint8
        changed = (made.image != made.target).any(-1)
        assert changed.any()
        assert not made.mask[~allowed].any()
        assert not changed[made.mask == 0].any()


def test_masks_are_in_range_and_their_height_is_the_ratio() -> None:
    image, landmarks = face(96, 96)
    heights = []
    for seed in range(240):
        mask = self_blended(image, landmarks, np.random.default_rng(seed)).mask
        assert mask.shape == (96, 96)
        assert mask.dtype == np.float32
        assert mask.min() == 0
        heights.append(mask.max())
    found, counts = np.unique(np.round(heights, 5), return_counts=True)
    assert found.tolist() == sorted(set(RATIOS))
    assert (np.abs(counts - [40, 40, 40, 120]) < 25).all()


def test_blends_at_the_ends() -> None:
    source, target = generator(0, "blend").integers(0, 256, (2, 20, 30, 3)).astype(np.uint8)
    mask = generator(0, "mask").random((20, 30)).astype(np.float32)
    assert np.array_equal(blend(source, target, np.zeros((20, 30), np.float32)), target)
    assert np.array_equal(blend(source, target, np.ones((20, 30), np.float32)), source)
    assert np.array_equal(blend(target, target, mask), target)
    expected = mask[..., None] * source.astype(float) + (1 - mask[..., None].astype(float)) * target
    assert np.abs(blend(source, target, mask) - expected).max() <= 0.501


def test_one_of_the_two_pictures_is_the_frame() -> None:
    image, landmarks = face()
    untouched = 0
    for seed in range(100):
        made = self_blended(image, landmarks, np.random.default_rng(seed))
        untouched += np.array_equal(made.target, image)
    assert 35 < untouched < 65


@pytest.mark.parametrize("seed", range(6))
def test_the_mask_is_the_paper_s_two_blurs(seed: int) -> None:
    """In float64: blur, keep what is still 1, blur again, divide by the highest value."""
    region = hull_mask(mean_face(UNIT), (UNIT, UNIT))
    draws = np.random.default_rng(seed)
    first, second = (2 * (int(draws.integers(5, 26)) // 2) + 1 for _ in range(2))
    deviation = draws.uniform(5, 45)
    once = cv2.GaussianBlur(region.astype(float), (first, first), 0)
    kept = (once > 1 - 1e-9).astype(float)
    assert 0 < kept.sum() < region.sum()
    twice = cv2.GaussianBlur(kept, (second, second), deviation)
    np.testing.assert_allclose(softened(region, np.random.default_rng(seed)), twice / twice.max(), atol=1e-5)


def test_masks_reach_beyond_the_region_and_stay_within() -> None:
    region = hull_mask(mean_face(UNIT), (UNIT, UNIT))
    beyond = [softened(region, np.random.default_rng(seed))[~region].any() for seed in range(60)]
    assert 15 < sum(beyond) < 45


def test_a_region_too_small_to_erode_is_kept() -> None:
    region = np.zeros((224, 224), bool)
    region[100:104, 100:104] = True
    for seed in range(10):
        mask = softened(region, np.random.default_rng(seed))
        assert mask.max() == 1
        assert mask[101, 101] == pytest.approx(1, abs=0.1)


def test_the_outline_bends_within_its_limit() -> None:
    region = np.zeros((224, 224), np.uint8)
    region[60:160, 70:150] = 1
    edges = set()
    for seed in range(10):
        bent = elastic(region, np.random.default_rng(seed)).astype(bool)
        assert bent[65:155, 75:145].all()
        outside = np.ones_like(bent)
        outside[55:165, 65:155] = False
        assert not bent[outside].any()
        edges |= set(bent[:, 70:150].argmax(0).tolist())
    assert len(edges) > 4, "the upper edge is no longer straight"


def test_outlines_of_four_kinds() -> None:
    landmarks = np.vstack([mean_face(UNIT), mean_face(UNIT)[17:30] - [0, 30]])
    hulls = {outline(landmarks, np.random.default_rng(seed)).tobytes() for seed in range(40)}
    assert len(hulls) == 4
    areas = sorted(hull_mask(np.frombuffer(hull).reshape(-1, 2), (UNIT, UNIT)).mean() for hull in hulls)
    assert areas[0] < 0.5 * areas[-1]


def test_other_colours_and_sharpness_stay_plausible() -> None:
    image, _ = face()
    sharpness = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
    sharper = 0
    for seed in range(60):
        changed = recoloured(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        assert not np.array_equal(changed, image)
        moved = np.abs(changed.mean((0, 1)) - image.mean((0, 1)))
        assert moved.max() < 20 + 0.12 * 255 + 0.1 * 255
        sharper += bool(cv2.Laplacian(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() > sharpness)
    assert 18 < sharper < 42, "half of all are blurred, half sharpened"


def test_grey_stays_grey_but_for_the_shift_of_channels() -> None:
    """Hue and saturation have no hold on grey when saturation falls; light moves all channels alike."""
    image = np.full((40, 40, 3), 128, np.uint8)
    for seed in range(30):
        changed = recoloured(image, np.random.default_rng(seed)).astype(int)
        assert np.ptp(changed.reshape(-1, 3), axis=0).max() == 0, "a flat picture stays flat"
        assert abs(changed - 128).max() <= 20 + 0.16 * 255 + 0.1 * 148 + 1


def test_the_draws_come_from_the_generator_alone() -> None:
    image, landmarks = face()
    before = image.copy(), landmarks.copy()
    one, same, other = (self_blended(image, landmarks, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one.image, same.image)
    assert np.array_equal(one.mask, same.mask)
    assert not np.array_equal(one.mask, other.mask)
    assert np.array_equal(image, before[0])
    assert np.array_equal(landmarks, before[1])


def test_an_unchanged_pair_is_the_target_and_the_blend() -> None:
    image, landmarks = face()
    made = self_blended(image, landmarks, np.random.default_rng(7))
    real, blended = pair(image, landmarks, np.random.default_rng(7), UNCHANGED)
    assert np.array_equal(real, made.target)
    assert np.array_equal(blended, made.image)


@pytest.mark.parametrize("seed", range(8))
def test_a_pair_is_augmented_alike(seed: int) -> None:
    image, landmarks = face(margin=2)
    made = self_blended(image, landmarks, np.random.default_rng(seed))
    mirrored, blended = pair(image, landmarks, np.random.default_rng(seed), Augmentation(1, 0, 0, 0, 0))
    assert np.array_equal(mirrored, made.target[:, ::-1])
    assert np.array_equal(blended, made.image[:, ::-1])
    real, blended = pair(image, landmarks, np.random.default_rng(seed), Augmentation(jpeg=0))
    assert real.shape == blended.shape
    same = (real == blended).all(-1)
    assert same[[0, -1]].all(), "above and below the face both are the same picture"
    assert (~same).any()
    assert not np.array_equal(real, image[: real.shape[0], : real.shape[1]])


def test_pairs_differ_about_the_face_after_compression_too() -> None:
    image, landmarks = face()
    for seed in range(10):
        real, blended = pair(image, landmarks, np.random.default_rng(seed))
        difference = np.abs(real.astype(int) - blended).mean(-1)
        border = np.r_[difference[:6].ravel(), difference[-6:].ravel()]
        assert difference.mean() > border.mean()


def test_a_demo_frame_s_blend_looks_like_the_frame() -> None:
    frames = DemoFrames(1, families=("Real",), size=128)
    image, landmarks = frames[0].image, frames.landmarks(0)
    for seed in range(10):
        made = self_blended(image, landmarks, np.random.default_rng(seed))
        error = np.square(made.image.astype(float) - made.target).mean()
        assert 20 < 10 * np.log10(255**2 / error) < 70, "PSNR in dB"


def test_eighty_one_landmarks_reach_the_forehead() -> None:
    image, landmarks = face()
    forehead = landmarks[17:30] - [0, 25]
    more = np.vstack([landmarks, forehead])
    tops = [np.flatnonzero(self_blended(image, more, np.random.default_rng(s)).mask.any(1))[0] for s in range(20)]
    others = [
        np.flatnonzero(self_blended(image, landmarks, np.random.default_rng(s)).mask.any(1))[0] for s in range(20)
    ]
    assert min(tops) < min(others)


@pytest.mark.parametrize("landmarks", [np.zeros((5, 2)), np.full((68, 2), np.nan), np.zeros((68, 3))])
def test_other_landmarks_are_refused(landmarks: np.ndarray) -> None:
    with pytest.raises(InputError, match="68 or 81 finite landmarks"):
        self_blended(face()[0], landmarks, np.random.default_rng(0))


def test_a_face_outside_the_picture_is_refused() -> None:
    image, landmarks = face()
    with pytest.raises(InputError, match="outside the picture of 160x160"):
        self_blended(image, landmarks + 500, np.random.default_rng(0))


@pytest.mark.parametrize("place", [(0, 0), (159, 0), (80, 159), (-60, 80), (80, 80)])
@pytest.mark.parametrize("size", [0.5, 3, 40, 160])
@pytest.mark.filterwarnings("error")
def test_a_face_that_is_moved_out_or_warped_away_is_refused_and_never_black(
    place: tuple[int, int], size: float
) -> None:
    """Faces of a few pixels, and such as reach into the picture by a few."""
    image, _ = face()
    landmarks = mean_face(100, 1.0) * size / 100 + np.array(place) - size / 2
    refused = 0
    for seed in range(60):
        try:
            with np.errstate(all="raise"):
                made = self_blended(image, landmarks, np.random.default_rng(seed))
        except InputError:
            refused += 1
            continue
        assert np.isfinite(made.mask).all()
        assert made.mask.max() in np.float32(RATIOS)
        still = made.mask == 0
        assert np.array_equal(made.image[still], made.target[still])
    if place == (80, 80) and size > 1:
        assert refused == 0
    assert refused < 60 or place[0] < 0


def test_a_region_that_is_warped_away_says_so() -> None:
    image, landmarks = face()
    dot = np.full((68, 2), 80.0) + landmarks / 1000
    seeds = [seed for seed in range(100) if not _is_blended(image, dot, seed)]
    assert seeds
    with pytest.raises(InputError, match="outside the picture of 160x160 pixels, at its very edge, or of a few pixels"):
        self_blended(image, dot, np.random.default_rng(seeds[0]))


def _is_blended(image: np.ndarray, landmarks: np.ndarray, seed: int) -> bool:
    try:
        return bool(self_blended(image, landmarks, np.random.default_rng(seed)).mask.any())
    except InputError:
        return False
