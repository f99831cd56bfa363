"""Rendered faces: landmarks lie on what they name, and follow the pose."""

from dataclasses import replace

import numpy as np
import pytest

from data.demo import sampling, shapes, traits
from data.demo.anatomy import anatomy, frontal_landmarks
from data.demo.head import Person
from data.demo.march import Viewpoint
from data.demo.render import render
from data.demo.scene import Scene, rotation


@pytest.fixture(scope="module")
def shot() -> traits.Shot:
    """A clean-shaven person without glasses who looks at the camera, in plain light."""
    rng = np.random.default_rng(12)
    who = replace(
        sampling.sample_identity(rng), glasses=0, beard=0.0, skin=(0.87, 0.68, 0.54), lip=(0.72, 0.30, 0.30),
        iris=(0.25, 0.15, 0.10), hair=(0.15, 0.10, 0.08), style="crop",
    )  # fmt: skip
    light, place, camera = traits.Light(), sampling.sample_background(rng), sampling.sample_camera(rng)
    return traits.Shot(who, traits.Expression(), traits.Pose(), light, place, camera)


def _colour(image: np.ndarray, place: np.ndarray, radius: int = 1) -> np.ndarray:
    x, y = np.rint(place).astype(int)
    return image[y - radius : y + radius + 1, x - radius : x + radius + 1].reshape(-1, 3).mean(0)


@pytest.mark.parametrize("yaw", [-0.3, 0.0, 0.3])
def test_landmarks_lie_on_eyes_lips_brows_and_the_faces_edge(shot: traits.Shot, yaw: float) -> None:
    picture = render(replace(shot, pose=traits.Pose(yaw=yaw)))
    image, points = picture.image.astype(float), picture.landmarks
    cheek = [_colour(image, (points[31] + points[2]) / 2, 2), _colour(image, (points[35] + points[14]) / 2, 2)]
    skin = np.mean(cheek, axis=0)
    for eye in (slice(36, 42), slice(42, 48)):
        assert _colour(image, points[eye].mean(0)).mean() < 0.6 * skin.mean()  # the iris
    for brow in (19, 24):
        assert _colour(image, points[brow]).mean() < 0.75 * skin.mean()
    lip = _colour(image, points[[57, 66]].mean(0), 0)
    assert lip[0] / lip[1] > 1.15 * skin[0] / skin[1]  # redder than the skin


def test_the_chin_and_jaw_end_the_face(shot: traits.Shot) -> None:
    person = Person.of(shot.identity, shot.expression)
    marks = person.landmarks()
    assert np.abs(person.head(marks.T.astype(np.float32))).max() < 0.01  # on the surface
    jaw = marks[:17]
    np.testing.assert_allclose(jaw[:, 0], -jaw[::-1, 0], atol=1e-3)
    assert np.all(np.diff(jaw[:, 0]) > 0)
    assert abs(jaw[8, 1] - person.face.chin) < 0.08


def test_landmarks_follow_the_features_not_the_picture(shot: traits.Shot) -> None:
    still = frontal_landmarks(anatomy(shot.identity, traits.Expression()))
    laugh = frontal_landmarks(anatomy(shot.identity, traits.Expression(smile=1.0, open=0.8)))
    mouth = slice(48 - 17, 68 - 17)
    assert np.ptp(laugh[mouth, 0]) > np.ptp(still[mouth, 0])
    assert laugh[66 - 17, 1] - laugh[62 - 17, 1] > 0.1
    np.testing.assert_allclose(laugh[:10], still[:10])  # the brows stay


@pytest.mark.parametrize("pose", [traits.Pose(yaw=0.3), traits.Pose(pitch=-0.15), traits.Pose(roll=0.2, scale=0.9)])
def test_landmarks_are_the_projected_points_of_the_turned_head(shot: traits.Shot, pose: traits.Pose) -> None:
    person = Person.of(shot.identity, shot.expression)
    points = Scene(person, pose).from_head(person.landmarks().T).T
    scale = 128 / 1.46 * pose.scale * 7.5 / (7.5 - points[:, 2])  # a pinhole at 7.5 head units
    half = 1.46 / pose.scale
    expected = points[:, :2] * scale[:, None] - np.array([0.0, 0.13]) * 128 / half + 127.5
    np.testing.assert_allclose(render(replace(shot, pose=pose)).landmarks, expected, atol=0.01)


def test_turning_right_moves_the_nose_right_of_the_eyes(shot: traits.Shot) -> None:
    def offset(yaw: float) -> float:
        points = render(replace(shot, pose=traits.Pose(yaw=yaw)), 128).landmarks
        return points[30, 0] - points[36:48, 0].mean()

    assert offset(-0.3) < -2.0 < 2.0 < offset(0.3)


def test_a_rotation_is_one() -> None:
    turn = rotation(0.3, -0.2, 0.1)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(turn) == pytest.approx(1.0, abs=1e-6)


def test_rays_and_projection_are_inverse() -> None:
    view = Viewpoint(7.5, 1.4, (0.1, -0.2))
    points = view.points(view.rays(16), np.full(256, 7.0, np.float32))
    y, x = np.mgrid[0:16, 0:16]
    np.testing.assert_allclose(view.project(points.T, 16), np.column_stack([x.ravel(), y.ravel()]), atol=1e-3)


def test_ellipsoids_measured_together_agree_with_one_by_one() -> None:
    points = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)
    first, second = ((0.1, -0.2, 0.3), (0.4, 0.5, 0.6)), ((0.5, 0.1, -0.2), (0.2, 0.3, 0.1))
    single = shapes.Ellipsoids([first], [second])(points)
    np.testing.assert_allclose(single[0], shapes.ellipsoid(points, *first), atol=2e-4)
    folded = points.copy()
    folded[0] = np.sqrt(points[0] ** 2 + shapes.FOLD**2) - (np.hypot(0.5, shapes.FOLD) - 0.5)
    np.testing.assert_allclose(single[1], shapes.ellipsoid(folded, *second), atol=2e-4)


def test_a_sphere_is_measured_exactly() -> None:
    points = np.random.default_rng(0).normal(size=(3, 200)).astype(np.float32)
    sphere = shapes.ellipsoid(points, (0.2, 0.0, -0.1), (0.5, 0.5, 0.5))
    expected = np.linalg.norm(points - np.array([[0.2], [0.0], [-0.1]]), axis=0) - 0.5
    np.testing.assert_allclose(sphere, expected, atol=1e-4)


def test_a_smooth_union_is_the_minimum_away_from_the_seam() -> None:
    first, second = np.array([0.0, 1.0, 0.2]), np.array([1.0, 0.0, 0.2])
    np.testing.assert_allclose(shapes.union(first, second, 0.4), [0.0, 0.0, 0.2 - 0.1])
    np.testing.assert_allclose(shapes.intersection(first, second, 0.4), [1.0, 1.0, 0.2 + 0.1])


@pytest.mark.parametrize("style", traits.STYLES)
def test_every_hairstyle_leaves_the_eyes_free(shot: traits.Shot, style: str) -> None:
    who = replace(shot.identity, style=style, hair_volume=1.0, softness=0.9)
    scene = Scene(Person.of(who, shot.expression), traits.Pose())
    eyes = scene.from_head(scene.person.landmarks()[36:48].T.astype(np.float32))
    assert scene.hair(eyes).min() > 0.02


def test_sampled_faces_have_all_landmarks_inside() -> None:
    for seed in range(80):
        rng = np.random.default_rng(seed)
        who, how, pose = (
            sampling.sample_identity(rng),
            sampling.sample_expression(rng),
            sampling.vary_pose(rng, sampling.sample_pose(rng)),
        )
        points = Scene(Person.of(who, how), pose).from_head(Person.of(who, how).landmarks().T).T
        dx, dy = pose.shift
        marks = Viewpoint(7.5, 1.46 / pose.scale, (-dx, 0.13 - dy)).project(points, 256)
        assert marks.min() > 4
        assert marks.max() < 251
