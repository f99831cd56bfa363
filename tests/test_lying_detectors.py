"""A detector that breaks its promise in some frames: these are left out with the reason, the others are as ever."""

from pathlib import Path

import pandas as pd
import pytest
import torch

import evaluate
import examine
import visualize
from common import console
from detectors.__main__ import app as detectors_app
from runs.stored_run import read_stored_run
from tests.lying_detectors import OfToday
from tests.scoring.stand_ins import TINY, write_frames

FAMILIES = ("Deepfakes", "FaceSwap")
SETTINGS = [word for setting in TINY for word in ("--set", setting)]
CASES = [
    ("NaNOnceChanged", "gives logits that are not finite for"),
    ("Undecided", "gives no verdict: its logits for Real and NeuralTextures and Face2Face and Deepfakes and FaceSwap"),
    ("OneAnswerShort", "returned (0, 5) for 1 picture; expected logits (1, 5)"),
    ("ForwardFromElsewhere", "gives logits that are not finite for"),
    ("ForwardOfTheInstance", "gives logits that are not finite for"),
    ("Draws", "answers this frame differently at its end than at its beginning"),
    ("DrawsOnceChanged", "answers a changed picture of this frame (masked, attacked) differently twice"),
    ("DrawsOnceACall", "answers a changed picture of this frame (masked, attacked) differently twice"),
    ("OtherwiseForGradients", "answers a changed picture of this frame (masked, attacked) differently twice"),
    ("KeepsTheLast", "answers a "),
    ("KeepsTheBrightest", "asked about differently when it is asked again, beside others"),
    ("DrawsWhereMostIsHidden", "asked about differently when it is asked again, beside others"),
    ("OthersWhereMostIsHidden", "asked about differently when it is asked again, beside others"),
    (
        "GradientLostOnceUnsure",
        "GradientLostOnceUnsure: its gradient is zero at a picture that an explanation or attack",
    ),
    ("GradientReversedOnceUnsure", "GradientReversedOnceUnsure: its gradient disagrees with finite differences"),
    ("GradientOfTheFirst", "GradientOfTheFirst gives another gradient of a picture that an explanation or"),
    ("Ends", "detector Ends fails on 1 picture (GeneratorExit: enough, at lie in lying_detectors.py, line "),
    ("Stops", "detector Stops fails on 1 picture (Stop: no face, at lie in lying_detectors.py, line "),
    ("Speechless", "detector Speechless fails on 1 picture (Mute\\x1b[2J Error: (its __str__ raises KeyError), at "),
]


def run(index: Path, results: Path, detector: str, *more: str) -> tuple[int, Path]:
    words = ["--device", "cpu", "--threads", "1", "--method", "LIME", "--attack", "nes", "--frames", str(index)]
    words += ["--detector", detector, "--results", str(results), "--preset", "quick", *SETTINGS, *more]
    return console.status(evaluate.app, words), results / "evaluation-LIME"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=2, families=FAMILIES)


@pytest.fixture(scope="module")
def sound(index: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    status, folder = run(index, tmp_path_factory.mktemp("sound"), "tests.scoring.stand_ins:PlantedDetector")
    assert status == 0
    return pd.read_csv(folder / "rows_LIME.csv")


@pytest.mark.parametrize(("name", "words"), CASES)
def test_its_frames_are_left_out_with_the_reason(
    name: str, words: str, index: Path, sound: pd.DataFrame, tmp_path: Path
) -> None:
    status, folder = run(index, tmp_path, f"tests.lying_detectors:{name}")
    assert status == 0
    failures = pd.read_csv(folder / "failures.csv")
    assert failures["key"].str.contains("/FaceSwap/").tolist() == [True, True]
    assert all(words in reason for reason in failures["reason"])
    expected = sound[sound["family"] != "FaceSwap"].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "rows_LIME.csv"), expected)


@pytest.mark.fresh_process
def test_a_sound_one_that_views_feature_maps_as_rows_is_asked_about_contiguous_pictures(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--method", "captum:Saliency", "--attack", "torchattacks:FGSM", "--run", "one")
    rows = []
    for detector in ("tests.lying_detectors:ViewsFeatures", "tests.scoring.stand_ins:PlantedDetector"):
        results = tmp_path / str(len(rows))
        assert run(index, results, detector, *more)[0] == 0
        assert pd.read_csv(results / "one" / "failures.csv").empty
        rows.append(pd.concat(map(pd.read_csv, sorted((results / "one").glob("rows_*.csv")))))
    assert "view" not in capsys.readouterr().err
    pd.testing.assert_frame_equal(*rows)


def test_maps_by_a_gradient_that_misleads_later_are_left_out_of_those_frames(index: Path, tmp_path: Path) -> None:
    maps = ("--method", "captum:Saliency", "--set", "nes.derivatives=finite", "--run", "maps")
    for workers in ((), ("--workers", "2")):
        results = tmp_path / str(len(workers))
        assert run(index, results, "tests.lying_detectors:GradientLost", *maps, *workers)[0] == 0
        (rows,) = [pd.read_csv(path) for path in (results / "maps").glob("rows_*.csv")]
        assert set(rows.loc[rows["method"] == "LIME", "family"]) == set(FAMILIES)
        assert set(rows.loc[rows["method"] == "captum:Saliency", "family"]) == {"Deepfakes"}
        failures = pd.read_csv(results / "maps" / "failures.csv")
        assert failures["key"].str.contains("/FaceSwap/").tolist() == [True, True]
        assert failures["reason"].str.contains("GradientLost: its gradient is zero on this frame").all()


KEY_ERROR = "error: detector KeyOnce fails on 1 picture (KeyError: 'bbox', at lie in lying_detectors.py, line "


def test_what_it_raises_for_the_first_frame_leaves_that_out_or_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_frames(tmp_path / "first", videos=1, families=("FaceSwap", "NeuralTextures"))
    status, folder = run(first, tmp_path, "tests.lying_detectors:KeyOnce")
    assert status == 0
    assert pd.read_csv(folder / "failures.csv")["key"].str.contains("/FaceSwap/").tolist() == [True]
    alone = write_frames(tmp_path / "alone", videos=1, families=FAMILIES[1:])
    status, _ = run(alone, tmp_path / "results", "tests.lying_detectors:KeyOnce")
    assert status == 1
    assert KEY_ERROR in capsys.readouterr().err
    (file,) = (tmp_path / "alone").rglob("*.png")
    words = ["--detector", "tests.lying_detectors:KeyOnce", "--device", "cpu"]
    assert console.status(examine.app, [str(file), "--whole", "--out", str(tmp_path / "case"), *words]) == 1
    assert KEY_ERROR in capsys.readouterr().err
    assert console.status(visualize.app, ["--image", str(file), "--no-crop", *words]) == 1
    assert KEY_ERROR in capsys.readouterr().err


def test_what_it_changes_of_the_process_is_put_back_and_said_once(
    index: Path, sound: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, folder = run(index, tmp_path, "tests.lying_detectors:Doubles")
    assert status == 0
    assert torch.get_default_dtype() == torch.float32
    assert capsys.readouterr().err.count("own code has changed torch's default type (asking detector Doubles)") == 1
    pd.testing.assert_frame_equal(pd.read_csv(folder / "rows_LIME.csv"), sound)


def drifted(folder: Path) -> list[bool]:
    """Whether the log, the report and a record each say so."""
    kept = list(folder.glob("drift/*.json"))
    texts = (folder / "log.txt").read_text(), (folder / "report.html").read_text()
    return ["the detector drifts: " in texts[0], "The detector drifted: " in texts[1], bool(kept)]


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_one_that_drifts_between_frames_is_said_wherever_results_are(
    workers: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = write_frames(tmp_path / "frames", videos=4, families=FAMILIES)
    status, folder = run(frames, tmp_path, "tests.lying_detectors:Drifts", *workers)
    told = capsys.readouterr()
    assert status == 0
    assert len(pd.read_csv(folder / "frames.csv")) == 8
    assert drifted(folder) == [True, True, True]
    assert "warning: the detector drifts: at the end of manipulated_sequences/" in told.err
    firsts = FAMILIES if workers else FAMILIES[:1]  # the first frame of the worker that has seen enough of them
    named = [f"it answered manipulated_sequences/{family}/c23/videos/000.mp4/0000.png otherwise" for family in firsts]
    assert any(words in told.err for words in named)
    assert "The detector drifted: from manipulated_sequences/" in " ".join(told.out.split())
    run(frames, tmp_path, "tests.lying_detectors:Drifts", *workers)
    assert drifted(folder) == [True, True, True]
    read_stored_run(folder)
    assert "The detector drifted: from manipulated_sequences/" in capsys.readouterr().err


def test_a_run_that_another_detector_goes_on_with_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = write_frames(tmp_path / "frames", videos=2, families=FAMILIES)
    _, folder = run(frames, tmp_path, "tests.lying_detectors:OfToday")
    assert not (folder / "drift").exists()
    max((folder / "frames").glob("*.npy")).unlink()
    monkeypatch.setattr(OfToday, "day", 1)
    capsys.readouterr()
    status, _ = run(frames, tmp_path, "tests.lying_detectors:OfToday")
    assert status == 0
    assert "the detector drifts: when the run was continued it answered manipulated_seq" in capsys.readouterr().err
    assert drifted(folder) == [True, True, True]


def test_one_that_seeds_the_draws_of_others_is_left_out(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", videos=1, families=("FaceSwap",))
    status, folder = run(frames, tmp_path, "tests.lying_detectors:Seeds")
    assert status == 1
    assert not list(folder.glob("rows_*.csv"))
    assert "detector Seeds seeds a global generator (torch.manual_seed or the like)" in (folder / "log.txt").read_text()


def test_testing_a_detector_names_the_frames_without_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = write_frames(tmp_path / "frames", videos=2, families=FAMILIES)
    words = ["test", "--frames", str(frames), "--detector", "tests.lying_detectors:Infinite", "--split", "all"]
    assert console.status(detectors_app, words) == 1
    told = capsys.readouterr().err
    assert "gives logits that are not finite for 2 of 4 pictures" in told
    assert "FaceSwap/c23/videos/000.mp4/0000.png" in told
    assert "FaceSwap/c23/videos/001.mp4/0000.png" in told


@pytest.mark.parametrize("name", ["Films", "Forgets"])
def test_testing_a_detector_asks_about_the_first_frame_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone, as it was asked beside others: all eight frames would be called the same, whatever they are."""
    frames = write_frames(tmp_path / "frames", videos=4, families=FAMILIES)
    words = ["test", "--frames", str(frames), "--detector", f"tests.lying_detectors:{name}", "--split", "all"]
    assert console.status(detectors_app, words) == 1
    told = capsys.readouterr().err
    assert f"detector {name} answers manipulated_sequences/Deepfakes/c23/videos/000.mp4/0000.png alone" in told


def test_one_that_mixes_full_batches_alone_is_refused(index: Path, tmp_path: Path) -> None:
    status, folder = run(index, tmp_path, "tests.lying_detectors:PulledTogether")
    assert status == 1
    assert not list(folder.glob("rows_*.csv"))


def test_testing_a_detector_asks_about_the_middle_of_a_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = write_frames(tmp_path / "frames", videos=4, families=FAMILIES)
    words = ["test", "--frames", str(frames), "--detector", "tests.lying_detectors:Neighbours", "--split", "all"]
    assert console.status(detectors_app, words) == 1
    assert "detector Neighbours answers manipulated_sequences/" in capsys.readouterr().err


@pytest.mark.parametrize("batch_size", [3, 8])
def test_testing_a_detector_asks_about_others_than_the_first_frame(
    batch_size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = write_frames(tmp_path / "frames", videos=4, families=FAMILIES)
    words = ["test", "--frames", str(frames), "--detector", "tests.lying_detectors:LooksAtTheFirst", "--split", "all"]
    assert console.status(detectors_app, [*words, "--batch-size", str(batch_size)]) == 1
    assert "detector LooksAtTheFirst answers manipulated_sequences/" in (told := capsys.readouterr().err)
    assert "alone and at the end differently than beside others" in told


def test_an_examination_asks_in_its_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_frames(tmp_path, videos=1, families=FAMILIES[:1])
    (file,) = tmp_path.rglob("*.png")
    words = [str(file), "--detector", "tests.lying_detectors:Films", "--whole", "--device", "cpu"]
    words += ["--out", str(tmp_path / "case")]
    assert console.status(examine.app, words) == 1
    assert "Films answers a picture differently in a batch of 16 than in one of 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("StaysInTraining", "cannot be put into evaluation mode: it stays in training mode after eval()"),
        ("StopsAtOnce", "error: the program was ended by Stop: no weights, at __init__ in lying_detectors.py, line "),
        ("EndsAtOnce", "could not be made (SystemExit: 0, at __init__ in lying_detectors.py, line"),
    ],
)
def test_a_detector_that_cannot_be_asked_is_refused(
    name: str, words: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = run(index, tmp_path, f"tests.lying_detectors:{name}")
    assert status == 1
    assert words in capsys.readouterr().err


def test_testing_a_detector_asks_again_about_frames_anywhere_in_a_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 24 frames every third of four, which is never the first, second, middle or last of its batch of 16."""
    order = ("NeuralTextures", "Face2Face", "FaceSwap", "Deepfakes")
    frames = write_frames(tmp_path / "frames", videos=6, families=order)
    words = ["test", "--frames", str(frames), "--detector", "tests.lying_detectors:OthersOfTheBatch", "--split", "all"]
    assert console.status(detectors_app, [*words, "--batch-size", "16"]) == 1
    told = capsys.readouterr().err
    assert "OthersOfTheBatch answers a frame of this test differently when it is asked again, beside others" in told


@pytest.mark.parametrize("name", ["Unhashable", "HoldsUnhashable"])
def test_one_that_torch_cannot_go_through_is_refused(
    name: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = run(index, tmp_path, f"tests.lying_detectors:{name}")
    assert status == 1
    assert f"detector tests.lying_detectors:{name} has an __eq__ and no __hash__" in capsys.readouterr().err
