"""A user's own detector says of a frame in another process, asked in another order, what it says here."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import efficiency
import evaluate
import examine
import visualize
from attacks.__main__ import app as attacks_app
from attribution_model.__main__ import app as classifier_app
from common import console
from common.errors import InputError
from detectors import Detector, load
from detectors.__main__ import app as detectors_app
from detectors.checks import fresh_process
from detectors.checks.fresh_process import PICTURES, _pictures, require_same_in_fresh_process
from robustness.__main__ import app as robustness_app
from runs.drift import drift_in_words, keep_drift
from runs.run_folder import RunFolder
from scoring.scored import Drift
from tests.process_bound import EndsElsewhere, GivesUp
from tests.scoring.stand_ins import TINY, picture, save, write_frames

MODULE = "tests.process_bound"
FRAMES = [picture(f"v/{n}.png", family) for n, family in enumerate(("Deepfakes", "FaceSwap", "NeuralTextures"))]
LIARS = {
    "KeptInModule": "prepares a frame otherwise (by ",
    "KeptInClass": "prepares a frame otherwise (by ",
    "KeptBesideALock": "prepares a frame otherwise (by ",
    "KeepsTheFirstFace": "answers a frame otherwise (a logit differs by ",
    "ReadsWhatPrepareLeft": "answers a frame otherwise (a logit differs by ",
    "ByItsProcess": "answers a frame otherwise (a logit differs by ",
    "FailsElsewhere": "does not answer a frame (ForwardError: detector FailsElsewhere fails on 1 picture (KeyE",
    "NamesByItsProcess": "names its classes Real, Fake here and Fake, Real in another process: write them as a tuple",
}


def require_same(detector: Detector, pictures: Sequence[np.ndarray]) -> None:
    require_same_in_fresh_process(detector, len(pictures), pictures.__getitem__)


@pytest.fixture(autouse=True)
def _first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_PROCESS", str(os.getpid()))


@pytest.mark.fresh_process
@pytest.mark.parametrize("name", LIARS)
def test_what_follows_from_more_than_the_picture_and_the_weights_is_refused(name: str) -> None:
    detector = load(f"{MODULE}:{name}")
    with pytest.raises(InputError) as raised:
        require_same(detector, FRAMES)
    assert str(raised.value).startswith(f"detector {MODULE}:{name} {LIARS[name]}")


@pytest.mark.fresh_process
def test_one_that_needs_contiguous_pictures_is_asked_about_these_there_as_well() -> None:
    detector = load("tests.lying_detectors:ViewsFeatures")
    assert detector.memory_format == torch.contiguous_format
    require_same(detector, FRAMES)


@pytest.mark.fresh_process
def test_two_detectors_that_share_what_they_set_up_are_refused_once_both_are_made() -> None:
    first = load(f"{MODULE}:OneOfTwo")
    require_same(first, FRAMES)
    second = load(f"{MODULE}:OtherOfTwo")
    require_same(second, FRAMES)
    with pytest.raises(InputError, match="OneOfTwo answers a frame otherwise"):
        require_same(first, FRAMES)


@pytest.mark.fresh_process
def test_what_is_said_elsewhere_or_in_the_frame_itself_is_not_refused(capsys: pytest.CaptureFixture[str]) -> None:
    heads, draws = (load(f"{MODULE}:{name}") for name in ("DrawsItsHead", "DrawsForFakes"))
    capsys.readouterr()
    require_same(heads, FRAMES)
    assert capsys.readouterr() == ("", "")
    require_same(draws, FRAMES)
    assert capsys.readouterr() == (
        "",
        f"warning: detector {MODULE}:DrawsForFakes does not say the same twice of 3 of 3 frames, which are not "
        "compared with what it says in another process: whether it says the same there is not known\n",
    )


@pytest.mark.fresh_process
def test_where_nothing_can_be_compared_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def unreadable(index: int) -> np.ndarray:
        raise InputError("gone")

    detector = load(f"{MODULE}:FailsEverywhere")
    unknown = "whether it says the same there is not known"
    for total, read, words in (
        (3, FRAMES.__getitem__, "answers none of 3 frames, here or in another process"),
        (3, unreadable, "was not asked in another process, as none of the frames for that can be read"),
        (0, unreadable, ""),
    ):
        capsys.readouterr()
        require_same_in_fresh_process(detector, total, read)
        told = f"warning: detector {MODULE}:FailsEverywhere {words}: {unknown}\n" if words else ""
        assert capsys.readouterr().err == told


@pytest.mark.fresh_process
def test_a_process_that_ends_is_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    require_same(load(f"{MODULE}:EndsElsewhere"), FRAMES)
    out, error = capfd.readouterr()
    assert not out
    assert error.splitlines() == [
        f"warning: detector {MODULE}:EndsElsewhere could not be asked in another process (it ended with status 7): "
        "whether it says the same there is not known"
    ]


@pytest.mark.fresh_process
def test_what_no_user_brought_and_no_load_made_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_process, "_ask", lambda loaded, pictures: pytest.fail("it was asked"))
    for detector in (load("demo"), EndsElsewhere()):
        require_same(detector, FRAMES)
    require_same(load(f"{MODULE}:ByItsProcess"), [])


def test_the_pictures_are_spread_and_those_that_cannot_be_read_are_left_out() -> None:
    def read(index: int) -> np.ndarray:
        if index == 4:
            raise InputError("gone")
        return np.full((4, 4, 3), index, np.uint8)

    assert [int(image[0, 0, 0]) for image in _pictures(13, read)] == [0, 8, 12]
    assert len(list(_pictures(100, read))) == PICTURES
    assert list(_pictures(0, read)) == []


COMMANDS = {
    "evaluate": (evaluate.app, "--frames I --method LIME --attack nes --preset quick --results O"),
    "two detectors": (
        evaluate.app,
        f"--frames I --method LIME --attack nes --preset quick --results O --detector {MODULE}:OtherOfTwo",
    ),
    "replicate": (evaluate.app, "replicate --frames I --results O --preset quick"),
    "visualize": (visualize.app, "--frames I --method LIME --preset quick --out O/v.png"),
    "efficiency": (efficiency.app, "--frames I --method LIME --results O"),
    "examine": (examine.app, "P --whole --method LIME --out O"),
    "test": (detectors_app, "test --frames I --split all --out O"),
    "classifier test": (classifier_app, "test --frames I --split all --out O"),
    "robustness": (robustness_app, "attack --frames I --attack fgsm --results O"),
    "malafide": (attacks_app, "malafide train --frames I --out O --size 3 --epochs 1"),
}


@pytest.mark.fresh_process
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_asks_before_it_judges(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(detector: Detector, one: object, two: object, draws: bool = False) -> str:
        return "answers otherwise" if two is elsewhere else ""

    elsewhere = object()
    monkeypatch.setattr(fresh_process, "_otherwise", refuse)
    monkeypatch.setattr(
        fresh_process,
        "_ask",
        lambda loaded, pictures: fresh_process._Answers(("Real", "Fake"), [elsewhere] * len(pictures)),
    )
    index = write_frames(tmp_path / "frames", videos=1, families=("Deepfakes", "FaceSwap"))
    app, words = COMMANDS[command]
    for path in sorted(index.parent.rglob("*.png")):
        save(tmp_path / "pictures", f"{path.parts[-5]}.png", np.array(Image.open(path)))
    places = {"I": str(index), "O": str(tmp_path / "out"), "P": str(tmp_path / "pictures")}
    given = [places.get(word, word.replace("O/", f"{tmp_path}/out/")) for word in words.split()]
    status = console.status(app, [*given, "--device", "cpu", "--detector", f"{MODULE}:OneOfTwo"])
    captured = capsys.readouterr()
    assert status == 1, captured
    assert captured.err.count("error: ") == 1
    assert f"error: detector {MODULE}:O" in captured.err.splitlines()[-1]
    assert not list((tmp_path / "out").rglob("*.csv"))


@pytest.fixture
def six_frames(tmp_path: Path) -> Path:
    """The index of frames of which the second, which is none of four spread ones, has a white corner."""
    index = write_frames(tmp_path / "frames", videos=6, families=("Deepfakes",))
    path = sorted(index.parent.rglob("*.png"))[1]
    image = np.array(Image.open(path))
    image[-1, -1] = 255
    Image.fromarray(image).save(path)
    GivesUp.gave_up = False
    return index


@pytest.mark.fresh_process
def test_what_a_later_frame_makes_of_it_is_said_and_kept_with_the_run(
    six_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--frames", str(six_frames), "--detector", f"{MODULE}:GivesUp", "--method", "LIME", "--attack", "nes"]
    words += ["--preset", "quick", "--device", "cpu", "--results", str(tmp_path), "--run", "r"]
    assert console.status(evaluate.app, [*words, *(word for text in TINY for word in ("--set", text))]) == 0
    said = f"detector {MODULE}:GivesUp prepares a frame otherwise (by "
    assert f"warning: now that the run is made, {said}" in capsys.readouterr().err
    assert f"Once the run was made, {said}" in drift_in_words(RunFolder(tmp_path / "r"))


@pytest.mark.fresh_process
def test_what_a_later_frame_makes_of_it_is_refused_where_it_is_tested(
    six_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["test", "--frames", str(six_frames), "--split", "all", "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert console.status(detectors_app, [*words, "--detector", f"{MODULE}:GivesUp"]) == 1
    assert "GivesUp prepares a frame otherwise (by " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.fresh_process
def test_what_one_picture_of_a_folder_makes_of_it_is_said(
    six_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, path in enumerate(sorted(six_frames.parent.rglob("*.png"))[:3]):
        save(tmp_path / "pictures", f"{number}.png", np.array(Image.open(path)))
    words = [str(tmp_path / "pictures"), "--whole", "--method", "captum:Saliency", "--device", "cpu", "--out"]
    assert console.status(examine.app, [*words, str(tmp_path / "out"), "--detector", f"{MODULE}:GivesUp"]) == 1
    assert "GivesUp prepares a frame otherwise (by " in capsys.readouterr().err


def test_both_that_it_drifted_and_what_a_frame_made_of_it_are_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    keep_drift(folder, Drift("a.png", "b.png", 0.5))
    keep_drift(folder, Drift("c.png", "", 0.0, "it answers otherwise"))
    said = drift_in_words(folder)
    assert said.startswith(
        "Once the run was made, it answers otherwise. The numbers below may be of that. The detector "
    )
    assert "from b.png on at latest, it answers a.png otherwise" in said


def test_a_detector_that_replaces_what_all_compute_with_where_it_is_made_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.nn.ReLU, "forward", torch.nn.ReLU.forward)  # to be put back
    load(f"{MODULE}:Patches")
    said = (
        f"detector {MODULE}:Patches: making it replaces torch.nn.modules.activation.ReLU.forward for the whole process"
    )
    assert said in capsys.readouterr().err
