"""Maps are tried on the first frame as well as on noise: what a detector does with faces alone is said or refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import evaluate
import examine
import visualize
import xai
from common import console
from common.errors import InputError
from detectors import Detector
from tests import face_detectors
from tests.face_detectors import Aligning, Cropped, Frozen, LaidBack, Mirrored, Past, Remembering, Reversed, Twice
from tests.scoring.stand_ins import TINY, picture, write_frames
from xai import cam_bridge
from xai.explanation_settings import build_settings, check_settings, unsuitable
from xai.methods import parse_method

GRADIENT, CAM = "captum:InputXGradient", "cam:GradCAM"
FOLLOWS = "disagrees with finite differences (relative difference "
PLACE = [
    (Mirrored, "the layer 'features' sees the first frame elsewhere than it is: the detector mirrors, turns or moves"),
    (Cropped, "the layer 'features' does not see the first frame's border: the detector crops it in forward"),
    (Twice, "the layer 'features' gives one feature map of noise, and not of the first frame"),
    (Past, "everything passes through the layer 'features' where the detector is asked about noise, and not for"),
]


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return picture("a face", "Deepfakes")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=1, families=("Deepfakes",))


def settings_of(*methods: str) -> xai.explanation_settings.ExplanationSettings:
    return build_settings("quick", {}, [parse_method(method) for method in methods])


def image_of(detector: Detector, face: np.ndarray) -> Tensor:
    return detector.prepare(face)


@contextmanager
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """What is warned of inside, in one line."""
    lines: list[str] = []
    capsys.readouterr()
    yield lines
    lines.append(" ".join(capsys.readouterr().err.split()))


@pytest.mark.parametrize("kind", [Aligning, LaidBack, Remembering])
def test_sound_detectors_pass(kind: type[Detector], face: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    detector = kind()
    with told(capsys) as lines:
        check_settings(settings_of(GRADIENT, CAM, "cam:LayerCAM"), detector, image_of(detector, face))
    assert lines == [""]


@pytest.mark.parametrize("kind", [Reversed, Frozen])
def test_a_gradient_that_misleads_for_faces_alone_is_warned_of_once(
    kind: type[Detector], face: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = kind()
    with told(capsys) as lines:
        check_settings(settings_of(GRADIENT), detector)
        check_settings(settings_of("LIME"), detector, image_of(detector, face))
    assert lines == [""]
    with told(capsys) as lines:
        check_settings(settings_of(GRADIENT), detector, image_of(detector, face))
    assert f"{kind.__name__}: its gradient {FOLLOWS}" in lines[0]
    assert f"on the first frame; what follows it ({GRADIENT}) may not show what moves the verdict" in lines[0]
    with told(capsys) as lines:
        check_settings(settings_of(GRADIENT), detector, image_of(detector, face))
    assert lines == [""]


@pytest.mark.parametrize(("kind", "words"), PLACE)
def test_a_layer_that_does_not_serve_for_faces_is_refused(kind: type[Detector], words: str, face: np.ndarray) -> None:
    detector, settings = kind(), settings_of(CAM)
    check_settings(settings, detector)
    for _ in range(2):  # and is not taken for tried
        with pytest.raises(InputError, match=words):
            check_settings(settings, detector, image_of(detector, face))
        with pytest.raises(InputError, match=words):
            xai.explain(detector, face, CAM, preset="quick")


def test_a_named_layer_need_not_be_all_that_counts(face: np.ndarray) -> None:
    settings = build_settings("quick", {CAM: {"layer": "features"}}, [parse_method(CAM)])
    detector = Past()
    check_settings(settings, detector, image_of(detector, face))
    with pytest.raises(InputError, match="elsewhere than it is"):
        check_settings(settings, mirrored := Mirrored(), image_of(mirrored, face))


def test_what_is_tried_is_tried_once_and_in_no_cost(face: np.ndarray) -> None:
    detector, asked = Aligning(), 0

    def count(_module: torch.nn.Module, inputs: tuple[Tensor]) -> None:
        nonlocal asked
        asked += len(inputs[0])

    detector.register_forward_pre_hook(count)
    first = xai.explain(detector, face, CAM, preset="quick")
    tried, asked = asked, 0
    again = xai.explain(detector, face, CAM, preset="quick")
    assert first.forwards == again.forwards
    assert asked < 8 < tried


def test_looking_at_one_frame(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, method, words in (
        ("Reversed", GRADIENT, "on the first frame; what follows it (captum:InputXGradient)"),
        ("Mirrored", CAM, "sees the first frame elsewhere"),
        ("Remembering", "cam:AblationCAM", "error: cam:AblationCAM cannot explain Remembering: AttributeError: "),
        ("Fails", "LIME", "detector Fails fails on 1 picture (KeyError: 'box', at forward in face_detectors.py, line "),
    ):
        asked = ["--device", "cpu", "--threads", "1", "--preset", "quick", "--adversarial-mask", "No"]
        asked += ["--frames", str(index), "--detector", f"tests.face_detectors:{name}", "--method", method]
        status = console.status(visualize.app, [*asked, "--out", str(tmp_path / f"{name}.png")])
        assert status == (0 if method == GRADIENT else 1)
        assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "method", "words"),
    [
        ("Reversed", GRADIENT, "on the first frame; what follows it (captum:InputXGradient)"),
        ("Twice", CAM, PLACE[2][1]),
    ],
)
def test_a_run_and_an_examination(
    name: str, method: str, words: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--device", "cpu", "--threads", "1", "--detector", f"{face_detectors.__name__}:{name}"]
    asked += ["--method", method, "--preset", "quick"]
    settings = [word for each in (*TINY, "nes.derivatives=finite") for word in ("--set", each)]
    run = ["--frames", str(index), "--attack", "nes", "--results", str(tmp_path / "results"), *settings]
    (file,) = index.parent.rglob("*.png")
    look = [str(file), "--whole", "--regions", "99", "--out", str(tmp_path / "case")]
    for app, more in ((evaluate.app, run), (examine.app, look)):
        assert console.status(app, [*asked, *more]) == (0 if name == "Reversed" else 1)
        assert words in " ".join(capsys.readouterr().err.split())


def test_a_check_on_the_frame_that_fails_is_said_and_the_others_are_made(
    face: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(detector: Detector, *more: object, **named: object) -> None:
        if not tried:
            tried.append(detector)
            raise IndexError("no face")
        require(detector, *more, **named)  # type: ignore[arg-type]

    tried: list[object] = []
    require = cam_bridge.require_layer_on_frame
    monkeypatch.setattr(cam_bridge, "require_layer_on_frame", fails)
    detector = Mirrored()
    settings = build_settings("quick", {}, [parse_method(name) for name in (CAM, "cam:GradCAMPlusPlus")])
    found = unsuitable(settings, detector, image_of(detector, face))
    assert (
        "whether it suits the detector's first frame cannot be tried (IndexError: no face)" in capsys.readouterr().err
    )
    assert len(found) == 1
    assert "sees the first frame elsewhere than it is" in found[0]
