"""Face detectors."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data.preprocess.face_detection import Box, HaarFaces, OwnFaces, detector_identity, face_detector
from data.preprocess.video import probe, read
from tests.data.preprocess.videos import DISCS, background, frame


def test_haar_finds_exactly_one_face_in_the_real_clips(ffpp: Path) -> None:
    detector = HaarFaces()
    sizes = {}
    for path in sorted(ffpp.glob("*/*/c23/videos/*.mp4")):
        for _, image in read(path, [0, 20]):
            faces = detector.detect(image)
            assert len(faces) == 1, path
            box = faces[0]
            assert 0 <= box.left < box.left + box.width <= image.shape[1]
            assert 0 <= box.top < box.top + box.height <= image.shape[0]
            sizes[path.stem] = box.size / probe(path).height
    assert len(sizes) == 7
    assert all(0.15 < size < 0.5 for size in sizes.values()), sizes  # a speaker's head in each


def test_boxes_are_in_pixels_of_the_frame_whatever_its_size(ffpp: Path) -> None:
    path = ffpp / "original_sequences/youtube/c23/videos/519.mp4"
    [(_, image)] = read(path, [0])
    twice = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    (small,), (large,) = HaarFaces().detect(image), HaarFaces().detect(twice)
    np.testing.assert_allclose(np.array(large.centre) / 2, small.centre, atol=4)
    assert large.size / 2 == pytest.approx(small.size, rel=0.05)


@pytest.mark.parametrize("pixels", [75, 45])
def test_a_small_face_is_found_at_a_larger_size(ffpp: Path, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face of few pixels in a frame of 1280x720, whose rest is a smooth picture."""
    path = ffpp / "original_sequences/youtube/c23/videos/634.mp4"
    [(_, image)] = read(path, [0])
    [face] = HaarFaces().detect(image)
    scale = pixels / face.size
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wide = background(1280, 720)
    wide[250 : 250 + small.shape[0], 500 : 500 + small.shape[1]] = small
    [found] = HaarFaces().detect(wide)
    x, y = face.centre
    assert found.centre == pytest.approx((500 + scale * x, 250 + scale * y), abs=0.15 * pixels)
    assert found.size == pytest.approx(pixels, rel=0.35)
    monkeypatch.setattr(HaarFaces, "LONG_SIDES", HaarFaces.LONG_SIDES[:1])
    assert HaarFaces().detect(wide) == []


def test_no_face_is_no_box() -> None:
    assert HaarFaces().detect(np.full((100, 160, 3), 90, np.uint8)) == []


class Gives:
    """A user's detector that gives the same thing of every frame."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def detect(self, _image: np.ndarray) -> Any:
        return self.found


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "a NoneType in place of a Box"),
        ([(40, 60, 30, 30)], "a tuple in place of a Box"),
        (np.array([[40, 60, 30, 30]]), "a ndarray in place of a Box"),
        ([Box(float("nan"), 60, 30, 30)], "which is no four numbers"),
        ([Box("40", 60, 30, 30)], "which is no four numbers"),  # type: ignore[arg-type]
        ([Box(40, 60, 30, 30), Box(0.1, 0.2, 0.3, 0.4)], "which is smaller than 2 pixels"),
        ([Box(120, 90, -80, -80)], "which is smaller than 2 pixels"),
        ([Box(400, 60, 80, 80)], "whose middle is outside of it"),
    ],
)
def test_what_is_no_box_of_the_frame_is_refused(found: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"face detector own gave .*{words}; expected a list of Box") as caught:
        OwnFaces("own", Gives(found)).detect(background(160, 120))
    assert "in pixels of the frame (160x120)" in str(caught.value)


@pytest.mark.parametrize("found", [[], (), [Box(np.int32(40), 60, 30, 30)], [Box(-10, 60, 40, 40)]])  # type: ignore[arg-type]
def test_boxes_are_given_on(found: Any) -> None:
    assert OwnFaces("own", Gives(found)).detect(background(160, 120)) == list(found)


def test_a_users_detector_is_given_a_copy_and_its_errors_are_one_line() -> None:
    class Draws(Gives):
        def detect(self, image: np.ndarray) -> Any:
            cv2.rectangle(image, (40, 60), (70, 90), (0, 255, 0), 3)
            return self.found

    image = background(160, 120)
    kept = image.copy()
    OwnFaces("own", Draws([Box(40, 60, 30, 30)])).detect(image)
    np.testing.assert_array_equal(image, kept)

    class Fails(Gives):
        def detect(self, _image: np.ndarray) -> Any:
            raise KeyError("scores")

    with pytest.raises(InputError, match=r"face detector own fails \(KeyError: 'scores'\)"):
        OwnFaces("own", Fails(None)).detect(image)


def test_names(tmp_path: Path) -> None:
    [box] = face_detector(DISCS).detect(frame([(50, 60)]))
    assert box.centre == pytest.approx((50, 60), abs=1)
    with pytest.raises(InputError, match=r"unknown face detector 'har' \(did you mean haar\?\)"):
        face_detector("har")
    with pytest.raises(InputError, match=r"yunet:MODEL\.onnx"):
        face_detector("yunet")
    with pytest.raises(InputError, match=r"absent\.onnx: no such YuNet model"):
        face_detector(f"yunet:{tmp_path / 'absent.onnx'}")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(InputError, match=r"broken\.onnx: not a YuNet model"):
        face_detector(f"yunet:{broken}")


def test_a_model_is_known_by_its_bytes(tmp_path: Path) -> None:
    for name, data in (("a.onnx", b"one"), ("b.onnx", b"one"), ("c.onnx", b"two")):
        (tmp_path / name).write_bytes(data)
    first, same, other = (detector_identity(f"yunet:{tmp_path / name}.onnx") for name in "abc")
    assert first == same != other
    assert detector_identity("haar") == "haar"


def test_yunet_gets_a_small_bgr_image_and_its_boxes_are_scaled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Network:
        def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
            seen.append(size)

        def detect(self, image: np.ndarray) -> tuple[int, np.ndarray]:
            seen.append(image)
            return 1, np.array([[10, 20, 30, 40, *range(10), 0.9]], np.float32)

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Network())
    (tmp_path / "model.onnx").touch()
    image = np.zeros((640, 1280, 3), np.uint8)
    image[..., 0] = 200  # red
    assert face_detector(f"yunet:{tmp_path / 'model.onnx'}").detect(image) == [Box(20, 40, 60, 80)]
    assert seen[0] == (640, 320)
    assert seen[1].shape == (320, 640, 3)
    assert seen[1][0, 0].tolist() == [0, 0, 200]
    assert len(seen) == 2  # the face was found at once: no larger size is searched


def test_larger_sizes_are_searched_only_for_want_of_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    class Network:
        def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
            sizes.append(size)

        def detect(self, image: np.ndarray) -> tuple[int, np.ndarray | None]:
            return 1, np.array([[10, 20, 30, 40, *range(10), 0.9]], np.float32) if image.shape[1] == 1000 else None

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Network())
    (tmp_path / "model.onnx").touch()
    detector = face_detector(f"yunet:{tmp_path / 'model.onnx'}")
    assert detector.detect(np.zeros((500, 1000, 3), np.uint8)) == [Box(10, 20, 30, 40)]
    assert detector.detect(np.zeros((2000, 4000, 3), np.uint8)) == []
    assert sizes == [(640, 320), (1000, 500), (640, 320), (1280, 640), (2560, 1280)]
