"""The visualize command as a user runs it."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

import visualize
from common import console
from data.index import read_index
from examination import faces
from reporting.frame_inspection import has_display
from runs.setup import RunSetup
from tests.data.preprocess.videos import DiscFaces, frame
from tests.scoring.stand_ins import TINY, write_frames
from xai.figure import grid

PLANTED = ("--detector", "tests.scoring.stand_ins:PlantedDetector")


def run(*words: object) -> int:
    settings = [word for each in TINY if not each.startswith("nes") for word in ("--set", each)]
    return console.status(
        visualize.app, ["--device", "cpu", "--preset", "quick", *settings, *(str(word) for word in words)]
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DrawsOnceChanged", "answers a changed picture of this frame"),
        ("OthersWhereMostIsHidden", "answers a picture that an explanation or attack of this frame asked about"),
    ],
)
def test_a_detector_that_says_two_things_is_refused(
    name: str, words: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = next(i for i, e in enumerate(read_index(index)) if e.family == "FaceSwap")
    asked = ["--frames", index, "--method", "LIME", "--detector", f"tests.lying_detectors:{name}"]
    assert run(*asked, "--index", place, "--out", tmp_path / "a.png") == 1
    assert f"detector {name} {words}" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_both_fills_of_a_method(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, entry = next((i, e) for i, e in enumerate(read_index(index)) if e.fake)
    picture = tmp_path / "new" / "look.png"
    words = ("--method", "LIME", "--frames", index, "--index", place, *PLANTED, "--out", picture)
    assert run(*words) == 0
    printed = capsys.readouterr().out
    assert f"Frame: {entry.key}" in printed
    assert f"Predicted: {entry.family}. True class: {entry.family}" in printed
    assert f"Explained: {entry.family}." in printed
    assert "Adversarial image: Real." in printed
    assert [line.split(":")[0] for line in printed.splitlines() if "forwards" in line] == ["LIME", "LIME_adv"]
    assert np.asarray(Image.open(picture)).std() > 10  # something is drawn


def test_an_adversarial_image_that_is_the_frame_itself_is_told(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "LIME", "--frames", index, "--out", tmp_path / "a.png", "--detector")
    for detector, told in (("Bare", True), ("PlantedDetector", False)):  # the former calls every frame Real
        assert run(*words, f"tests.scoring.stand_ins:{detector}") == 0
        assert ("It is the frame itself" in capsys.readouterr().out) == told


@pytest.mark.parametrize(("mask", "methods"), [("Yes", ["LIME_adv"]), ("No", ["LIME"])])
def test_one_fill_of_a_method(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mask: str, methods: list[str]
) -> None:
    words = ("--method", "LIME", "--adversarial-mask", mask, "--frames", index, *PLANTED)
    assert run(*words, "--out", tmp_path / "a.png") == 0
    printed = capsys.readouterr().out
    assert [line.split(":")[0] for line in printed.splitlines() if "forwards" in line] == methods
    assert ("Adversarial image" in printed) == (mask == "Yes")


def test_without_a_display_the_picture_is_saved_and_that_is_said_before_the_work(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--method", "RISE", "--adversarial-mask", "No", "--frames", index, *PLANTED, "--show", "--out")
    shown: list[object] = []
    said: list[str] = []
    prepare = visualize.prepare_run

    def prepared(*given: Any, **named: Any) -> RunSetup:
        said.append(capsys.readouterr().err)
        return prepare(*given, **named)

    monkeypatch.setattr(visualize, "show_inspection", shown.append)
    monkeypatch.setattr(visualize, "prepare_run", prepared)
    assert matplotlib.get_backend().lower() == "agg"  # as everywhere without a display
    assert run(*words, tmp_path / "a.png") == 0
    assert said[0].startswith("warning: --show needs a display, and there is none here")
    assert (tmp_path / "a.png").is_file()
    assert shown == []
    monkeypatch.setattr(visualize, "has_display", lambda: True)
    assert run(*words, tmp_path / "b.png") == 0
    assert "display" not in said[1]
    assert len(shown) == 1


@pytest.mark.parametrize(("backend", "windows"), [("tkagg", True), ("webagg", True), ("pdf", False), ("agg", False)])
def test_a_backend_with_windows_is_a_display(monkeypatch: pytest.MonkeyPatch, backend: str, windows: bool) -> None:
    monkeypatch.setattr(matplotlib, "get_backend", lambda: backend)
    assert has_display() == windows


def test_a_backend_that_cannot_start_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> str:
        raise ImportError("Cannot load backend 'TkAgg', as 'headless' is currently running")

    monkeypatch.setattr(matplotlib, "get_backend", refused)
    assert not has_display()


def test_a_picture_alone(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = next(e for e in read_index(index) if e.fake)
    picture = index.parent / entry.key
    words = ("--method", "RISE", "--adversarial-mask", "No", "--image", picture, *PLANTED)
    assert run(*words, "--out", tmp_path / "a.png") == 0
    printed = capsys.readouterr().out
    assert f"Predicted: {entry.family}. True class: unknown to the detector. Explained" in printed


def test_random_frame_is_drawn_by_the_seed(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(seed: int) -> str:
        words = ("--method", "LIME", "--adversarial-mask", "No", "--frames", index, "--index", "random", *PLANTED)
        assert run(*words, "--seed", seed, "--set", "LIME.samples=4", "--out", tmp_path / "a.png") == 0
        return capsys.readouterr().out.splitlines()[0]

    assert shown(3) == shown(3)
    assert len({shown(seed) for seed in range(6)}) > 1


def test_every_method_on_one_picture(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four explainers with two fills, what else is named, and maps from a folder; what hides nothing is there once."""
    key = read_index(index)[0].key
    (tmp_path / "maps" / key).parent.mkdir(parents=True)
    np.save(tmp_path / "maps" / f"{key}.npy", np.eye(12))
    named = ("--method", "captum:Saliency", "--method", "captum:FeatureAblation", "--saliency", tmp_path / "maps")
    few = ("LIME.samples=20", "SHAP.evaluations=20", "RISE.samples=20", "adversarial.pairs=2", "adversarial.steps=2")
    words = ("--all", *named, "--adversarial-mask", "No", "--frames", index, *PLANTED, "--out", tmp_path / "a.png")
    assert run(*words, *(word for each in few for word in ("--set", each))) == 0
    shown = [line.split(": segments")[0] for line in capsys.readouterr().out.splitlines() if "forwards" in line]
    usual = ["LIME", "SHAP", "SOBOL", "RISE", "captum:Saliency", "captum:FeatureAblation"]
    assert shown == [
        *(*usual, "maps"),
        *("LIME_adv", "SHAP_adv", "SOBOL_adv", "RISE_adv", "captum:FeatureAblation_adv"),
    ]
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    rows = (picture < 250).any(axis=1)
    assert picture.shape[0] > picture.shape[1]  # a grid: what is known, and two fills of two rows of explainers
    assert rows.mean() > 0.9


def test_the_grid_has_the_adversarial_fill_under_the_usual_one() -> None:
    names = ["LIME", "SHAP", "SOBOL", "RISE", "cam:GradCAM", "captum:Occlusion", "LIME_adv", "RISE_adv"]
    assert grid([*names, "captum:Occlusion_adv"]) == [
        ["LIME", "SHAP", "SOBOL", "RISE"],
        ["LIME_adv", None, None, "RISE_adv"],
        ["cam:GradCAM", "captum:Occlusion"],
        [None, "captum:Occlusion_adv"],
    ]
    assert grid(["RISE_adv"]) == [["RISE_adv"]]


def test_what_hides_nothing_is_looked_at_whatever_the_fill(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "captum:Saliency", "--adversarial-mask", "Yes", "--frames", index)
    assert run(*words, *PLANTED, "--out", tmp_path / "a.png") == 0
    printed = capsys.readouterr().out
    shown = [line.split(": segments")[0] for line in printed.splitlines() if "forwards" in line]
    assert shown == ["captum:Saliency"]
    assert "Adversarial image" not in printed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--index", "999"), "give a number from 0 to"),
        (("--index", "-1"), "give a number from 0 to"),
        (("--index", "first"), "or random"),
        (("--index", ""), "or random"),
        (("--method", "LYME"), "did you mean LIME?"),
        (("--method", "cam:GradCAM"), "has no feature map"),
        (("--method", "captum:Salience", "--all"), "did you mean Saliency?"),
        (("--saliency", "nowhere"), "nowhere is not a folder"),
        (("--image", "x.png"), "give --image or --frames, not both"),
        (("--no-crop",), "--crop and --no-crop are of --image"),
        (("--set", "protocol.depths=1"), "this command attacks no regions"),
    ],
)
def test_wrong_words_are_one_line(
    index: Path, words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--frames", index, *PLANTED, *words) == 1
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def test_a_picture_that_does_not_decode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG not really")
    assert run("--image", broken, *PLANTED) == 1
    told = capsys.readouterr().err
    assert "broken.png" in told
    assert told.count("\n") == 1


def test_a_photograph_is_cropped_to_its_face_unless_told_not_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "face_detector", lambda name: DiscFaces())
    photo, two = tmp_path / "photo.png", tmp_path / "two.png"
    Image.fromarray(frame([(40, 60)])).save(photo)
    Image.fromarray(frame([(40, 60), (120, 60)])).save(two)
    words = ("--method", "RISE", "--adversarial-mask", "No", *PLANTED, "--out", tmp_path / "a.png", "--image")
    assert run(*words, photo) == 0
    assert "Note: face 1 is cut out of 160x120 pixels: 53x53 at (14, 34)" in capsys.readouterr().out
    assert run(*words, photo, "--no-crop") == 0
    assert "cut out" not in capsys.readouterr().out
    assert run(*words, two) == 1
    assert "shows 2 faces; choose by --face N" in capsys.readouterr().err
    assert run(*words, two, "--face", 2) == 0
    assert "face 2 is cut out" in capsys.readouterr().out
    assert run("--face", 1, *PLANTED) == 1
    assert "--face N is of --image" in capsys.readouterr().err
    assert run(*words, photo, "--index", 1) == 1
    assert "--index is of --frames; --image is one picture" in capsys.readouterr().err
