"""Forgeries change exactly what they say they change, where their family changes it, and leave its traces."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from common.errors import InputError
from data import warp
from data.demo.demo_frames import DemoFrames
from data.demo.forgeries import FAMILIES, Forgery, forge, lattice, match_colours, mouth_outline, reenact, squeeze
from data.demo.render import Picture

SWAPS = ("Deepfakes", "FaceSwap")


@pytest.fixture(scope="module")
def pair(frames: DemoFrames) -> tuple[Picture, Picture]:
    """A target, and another person with other landmarks."""
    return frames.picture(1, 0), frames.picture(3, 0)


def _forge(family: str, pair: tuple[Picture, Picture], seed: int = 0) -> Forgery:
    target, donor = pair
    rng = np.random.default_rng(seed)
    return forge(family, target.image, target.landmarks, rng, donor.image, donor.landmarks)


def _energy(image: np.ndarray, region: np.ndarray) -> float:
    """Mean square of the second differences inside a region."""
    return float((ndimage.laplace(image.astype(float).mean(-1))[region] ** 2).mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mask_is_exactly_what_changed(family: str, pair: tuple[Picture, Picture]) -> None:
    before = pair[0].image.copy()
    forged = _forge(family, pair)
    np.testing.assert_array_equal(pair[0].image, before)
    assert forged.image.shape == before.shape
    assert forged.image.dtype == np.uint8
    np.testing.assert_array_equal(forged.mask, (forged.image != before).any(-1))
    assert 0.01 < forged.mask.mean() < 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forgery_depends_on_its_generator_only(family: str, pair: tuple[Picture, Picture]) -> None:
    np.testing.assert_array_equal(_forge(family, pair, 1).image, _forge(family, pair, 1).image)
    assert (_forge(family, pair, 1).image != _forge(family, pair, 2).image).any()


def test_each_family_stays_in_its_region(pair: tuple[Picture, Picture]) -> None:
    points, shape = pair[0].landmarks, pair[0].image.shape[:2]
    face = warp.hull_mask(points, shape)
    grown = cv2.dilate(face.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for family in SWAPS:
        mask = _forge(family, pair).mask
        assert not (mask & ~grown).any()
        assert mask[face].mean() > 0.7
    moved = _forge("Face2Face", pair).mask
    far = cv2.dilate(face.astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    assert not (moved & ~far).any()
    mouth = _forge("NeuralTextures", pair).mask
    assert not (mouth & ~warp.hull_mask(mouth_outline(points), shape)).any()
    lips = warp.hull_mask(points[warp.MOUTH], shape)
    assert mouth[lips].mean() > 0.9
    assert not mouth[: int(points[33, 1])].any()  # nothing above the nose's base


def test_face_swap_brings_the_donor_closer(pair: tuple[Picture, Picture]) -> None:
    target, donor = pair
    coordinates, face = warp.piecewise_affine(donor.landmarks, target.landmarks, target.image.shape[:2])
    core = cv2.erode(face.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    aligned = warp.sample(donor.image, coordinates)

    def likeness(image: np.ndarray) -> float:
        """Correlation with the aligned donor, which no matching of colours changes."""
        return float(np.corrcoef(image[core].mean(-1), aligned[core].mean(-1))[0, 1])

    for family, least in (("FaceSwap", 0.9), ("Deepfakes", 0.85)):
        forged = _forge(family, pair).image
        assert likeness(forged) > least
        assert likeness(forged) > likeness(target.image) + 0.05


def test_the_bottleneck_removes_fine_detail_inside_only(pair: tuple[Picture, Picture]) -> None:
    target = pair[0]
    core = cv2.erode(warp.hull_mask(target.landmarks, target.image.shape[:2]).astype(np.uint8), np.ones((21, 21))) > 0
    sharp, swapped, blurred = (
        _energy(image, core)
        for image in (target.image, _forge("FaceSwap", pair).image, _forge("Deepfakes", pair).image)
    )
    assert blurred < 0.25 * sharp
    assert swapped > 0.7 * sharp
    squeezed = squeeze(target.image, target.landmarks, 32)
    outside = np.ones(core.shape, bool)
    low, high = target.landmarks.min(0) - 40, target.landmarks.max(0) + 40
    outside[int(max(low[1], 0)) : int(high[1]), int(max(low[0], 0)) : int(high[0])] = False
    np.testing.assert_array_equal(squeezed[outside], target.image[outside])


def test_a_squeeze_keeps_a_constant_and_its_mean(pair: tuple[Picture, Picture]) -> None:
    flat = np.full_like(pair[0].image, 93)
    np.testing.assert_allclose(squeeze(flat, pair[0].landmarks, 16), 93.0, atol=1e-3)


def test_matched_colours_have_the_references_mean() -> None:
    rng = np.random.default_rng(0)
    image, reference = rng.uniform(60, 120, (32, 32, 3)), rng.uniform(110, 170, (32, 32, 3))
    region = np.zeros((32, 32), bool)
    region[4:28, 4:28] = True
    matched = match_colours(image, reference, region)
    np.testing.assert_allclose(matched[region].mean(0), reference[region].mean(0), atol=1.5)
    np.testing.assert_allclose(match_colours(image, reference, region, strength=0.0), image, atol=0.5)


def test_neural_textures_leave_the_decoders_lattice(pair: tuple[Picture, Picture]) -> None:
    target = pair[0]
    added = _forge("NeuralTextures", pair).image.astype(float).mean(-1) - target.image.mean(-1)
    outline = mouth_outline(target.landmarks)
    side = np.ptp(outline, axis=0).max() * 1.05
    period = 8.0 * side / 96  # of the coarser lattice, in pixels of the picture
    centre = target.landmarks[57] + [0.0, 0.1 * side]
    y, x = np.mgrid[-24:24, -24:24]
    patch = added[int(centre[1]) - 24 : int(centre[1]) + 24, int(centre[0]) - 24 : int(centre[0]) + 24]
    patch = (patch - ndimage.gaussian_filter(patch, period)) * np.hanning(48)[:, None] * np.hanning(48)

    def strength(wave: float) -> float:
        return abs(np.sum(patch * np.exp(2j * np.pi * x / wave))) + abs(np.sum(patch * np.exp(2j * np.pi * y / wave)))

    beside = [strength(period * share) for share in (0.62, 0.74, 1.35, 1.5)]
    assert strength(period) > 2.0 * np.mean(beside)
    waves = np.abs(np.fft.fft2(lattice((64, 64))))
    assert {tuple(place) for place in np.argwhere(waves > 1.0)} == {
        (0, 8), (0, 16), (0, 48), (0, 56), (8, 0), (16, 0), (48, 0), (56, 0),
    }  # fmt: skip


def test_reenactment_moves_the_mouth_and_not_the_jaw(frames: DemoFrames) -> None:
    points = frames.landmarks(0)
    moved = reenact(points, np.random.default_rng(0))
    np.testing.assert_allclose(moved[warp.JAW], points[warp.JAW], atol=1e-9)
    np.testing.assert_allclose(moved[warp.NOSE], points[warp.NOSE], atol=1e-9)
    assert np.abs(moved[warp.MOUTH] - points[warp.MOUTH]).max() > 2.0
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])  # the expression turns with the face
    turned = reenact(points @ turn.T, np.random.default_rng(0))
    np.testing.assert_allclose(turned, moved @ turn.T, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_large_picture_is_forged_alike(family: str, pair: tuple[Picture, Picture]) -> None:
    large = [
        (np.asarray(cv2.resize(p.image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)), p.landmarks * 3 + 1)
        for p in pair
    ]
    canvas = np.full((900, 1200, 3), 128, np.uint8)
    canvas[60:828, 200:968] = large[0][0]
    forged = forge(family, canvas, large[0][1] + [200, 60], np.random.default_rng(0), *large[1])
    small = _forge(family, pair).mask.sum() * 9
    assert 0.75 < forged.mask.sum() / small < 1.33


def test_what_cannot_be_forged_is_refused(pair: tuple[Picture, Picture]) -> None:
    image, points, rng = pair[0].image, pair[0].landmarks, np.random.default_rng(0)
    with pytest.raises(InputError, match="unknown forgery"):
        forge("FaceShifter", image, points, rng)
    with pytest.raises(InputError, match="donor"):
        forge("FaceSwap", image, points, rng)
    with pytest.raises(InputError, match="uint8"):
        forge("Face2Face", image / 255.0, points, rng)
    with pytest.raises(InputError, match="outside"):
        forge("Face2Face", image, points + 200, rng)
    with pytest.raises(InputError, match="donor's landmarks"):
        forge("FaceSwap", image, points, rng, image, points[:5])
