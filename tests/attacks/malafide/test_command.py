"""The commands as a user runs them, on a few pictures and a small detector."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

import attacks.__main__ as command
from attacks.malafide.filter_files import load
from common.console import status
from data.images import encode_png
from data.index import write_index
from tests.attacks.malafide.toys import SIZE, Frames, entries

DETECTOR = "tests.attacks.malafide.small_detectors:Pooled"
OTHER = "tests.attacks.malafide.small_detectors:Larger"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of six people's real and fake pictures."""
    folder, known = tmp_path_factory.mktemp("frames"), entries()
    frames = Frames(known, 2 * SIZE)
    for place, entry in enumerate(known):
        path = folder / entry.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(frames[place].image))
    write_index(folder / "index.csv", known)
    return folder / "index.csv"


def run(*arguments: object) -> int:
    return status(command.app, ["malafide", *map(str, arguments)])


def train(index: Path, out: Path, *more: object) -> int:
    common = ("--frames", index, "--detector", DETECTOR, "--name", "pooled", "--epochs", 2, "--device", "cpu")
    return run("train", *common, "--learning-rate", 0.02, "--stop", 1, "--out", out, *more)


@pytest.fixture(scope="module")
def results(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of filters for both manipulations, tested on two detectors."""
    out = tmp_path_factory.mktemp("results")
    assert train(index, out, "--size", 3, "--size", 5) == 0
    assert train(index, out, "--size", 3, "--fidelity", "psnr:30") == 0
    for detector, name in ((DETECTOR, "pooled"), (OTHER, "larger")):
        arguments = ("--frames", index, "--detector", detector, "--name", name, "--device", "cpu", "--out", out)
        assert run("test", *arguments) == 0
    return out


def test_results_lie_where_they_should(results: Path) -> None:
    for manipulation in ("Deepfakes", "FaceSwap"):
        for label in ("3", "5", "3-psnr30"):
            folder = results / "pooled" / manipulation / label
            assert {path.name for path in folder.iterdir()} >= {"filter.safetensors", "config.json", "history.csv"}
            stored = load(folder / "filter.safetensors")
            assert stored.facts is not None
            assert stored.facts.manipulations == (manipulation,)
            for tested, size in (("pooled", 32), ("larger", 48)):
                (test,) = json.loads((folder / "tests" / f"{tested}.json").read_text())["tests"]
                assert (test["trained_on"], test["tested_on"], test["input_size"]) == ("pooled", tested, size)
                assert test["filter_sha256"] == stored.sha256
                if label == "3-psnr30":
                    assert test["psnr_least"] >= 30
    config = json.loads((results / "pooled" / "Deepfakes" / "3" / "config.json").read_text())
    assert (config["size"], config["weight_decay"], config["learning_rate"]) == (3, 1e-4, 0.02)


def test_the_same_command_again_does_nothing_anew(
    index: Path, results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob("filter.safetensors")}
    assert train(index, results, "--size", 3) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "Deepfakes 3: training EER" in capfd.readouterr().out


def test_a_family_that_is_not_asked_for_need_not_be_there_to_test_on(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rare = replace(entries()[-1], key="manipulated_sequences/Face2Face/c23/videos/000_001.mp4/00000_0.png")
    path = index.parent / rare.key
    path.parent.mkdir(parents=True)
    path.write_bytes((index.parent / entries()[-1].key).read_bytes())
    write_index(index.parent / "rare.csv", [*entries(), rare])
    arguments = (index.parent / "rare.csv", tmp_path, "--size", 3, "--split-by", "frame")
    assert train(*arguments) == 1
    assert "frames of Face2Face" in capfd.readouterr().err
    assert train(*arguments, "--manipulation", "FaceSwap", "--manipulation", "Deepfakes") == 0
    assert {path.name for path in (tmp_path / "pooled").iterdir() if path.is_dir()} == {"Deepfakes", "FaceSwap"}


def test_another_detector_under_the_same_name_is_refused(
    index: Path, results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(index, results, "--detector", OTHER, "--size", 3) == 1
    assert "another place for the results (--out, --name or --run)" in one_line(capfd)


def test_the_table_is_made_of_what_there_is(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("table", "--out", results) == 0
    shown = capfd.readouterr().out
    assert "| pooled | larger (black box) | 3-psnr30 |" in shown
    assert (results / "table.md").read_text().strip() in shown
    with (results / "table.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2 + 3 + 3
    with (results / "tests.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    with Image.open(results / "table.png") as picture:
        assert picture.format == "PNG"


def test_tests_that_cannot_be_believed_are_made_again(
    index: Path, results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A digit of a rate, no checksum, a copy of another detector's, and the test of another filter."""
    out = tmp_path / "out"
    shutil.copytree(results, out)
    command = (
        "test", "--frames", index, "--detector", DETECTOR, "--name", "pooled", "--device", "cpu", "--out", out,
        "--manipulation", "Deepfakes", "--size", 5,
    )  # fmt: skip
    path = out / "pooled" / "Deepfakes" / "5" / "tests" / "pooled.json"
    other = out / "pooled" / "Deepfakes" / "3" / "tests" / "pooled.json"
    whole = path.read_bytes()
    assert run(*command) == 0
    assert capfd.readouterr().err.count("warning") == 0
    cases = {
        "is damaged: its checksum does not fit": whole.replace(b'"success": ', b'"success":9', 1),
        "is of an earlier version, without a checksum": json.dumps(json.loads(whole)["tests"]).encode(),
        "is a test of another filter than the one that lies there": other.read_bytes(),
        "is a copy of larger.json": path.with_name("larger.json").read_bytes(),
        "is damaged": b"{",
    }
    for words, content in cases.items():
        assert content != whole
        path.write_bytes(content)
        assert run(*command) == 0
        told = capfd.readouterr().err
        assert f"{path} {words}" in told.replace("\n", " ")
        assert "the filter is tested again" in told
        assert path.read_bytes() == whole


def test_another_filter_in_place_of_a_finished_one_is_not_tested(
    index: Path, results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    shutil.copytree(results, out)
    assert train(index, other, "--size", 3, "--seed", 1) == 0
    place = out / "pooled" / "Deepfakes" / "3" / "filter.safetensors"
    whole = place.read_bytes()
    place.write_bytes((other / "pooled" / "Deepfakes" / "3" / "filter.safetensors").read_bytes())
    capfd.readouterr()
    for verb in ("test", "images", "gradcam"):
        assert run(verb, "--frames", index, "--detector", DETECTOR, "--name", "pooled", "--out", out) == 1
        assert "is not the filter that config.json beside it knows of: put that one back" in one_line(capfd)
    assert run("table", "--out", out) == 0
    told = capfd.readouterr()
    assert "its tests are left out of the table" in told.err
    with (out / "tests.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10
    assert train(index, out, "--size", 3) == 0
    assert "is not known to be the filter that was finished here: it is made anew" in capfd.readouterr().err
    assert place.read_bytes() == whole
    assert run("table", "--out", out) == 0
    assert capfd.readouterr().err == ""
    with (out / "tests.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12


def test_pictures_and_maps_are_made(index: Path, results: Path) -> None:
    common = ("--frames", index, "--detector", DETECTOR, "--name", "pooled", "--device", "cpu", "--out", results)
    assert run("images", *common, "--count", 2, "--manipulation", "FaceSwap") == 0
    folder = results / "images" / "pooled" / "FaceSwap"
    frames = [path for path in folder.iterdir() if path.is_dir()]
    assert (folder / "page.png").is_file()
    assert len(frames) == 2
    for frame in frames:
        assert {path.name for path in frame.iterdir()} == {"real.png", "fake.png", "3.png", "5.png", "3-psnr30.png"}
    assert not (results / "images" / "pooled" / "Deepfakes").exists()
    one = results / "pooled" / "Deepfakes" / "3" / "filter.safetensors"
    assert run("gradcam", *common, "--count", 1, "--filter", one, "--layer", "features") == 0
    made = sorted(path.name for path in (results / "gradcam" / "pooled" / "Deepfakes" / "average").iterdir())
    assert made == ["3.npy", "3.png", "fake.npy", "fake.png", "real.npy", "real.png"]


def test_a_file_gives_options_and_the_command_line_wins(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "options.yaml"
    values = {
        "frames": str(index), "name": "pooled", "manipulation": "Deepfakes", "size": [3, 5],
        "epochs": 1, "max-minutes": 5, "batch_size": 8, "range": "batch", "device": "cpu", "out": str(tmp_path / "out"),
        "count": 3, "layer": None,
    }  # fmt: skip
    config.write_text(yaml.safe_dump(values))
    assert run("train", "--config", config, "--detector", DETECTOR, "--size", 7) == 0
    folders = [path.parent.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("filter.safetensors")]
    assert [str(folder) for folder in folders] == ["pooled/Deepfakes/7-batch"]
    resolved = tmp_path / "out" / "pooled" / "train.yaml"
    known = yaml.safe_load(resolved.read_text())
    assert (known["size"], known["batch-size"], known["split-by"], known["seed"]) == ([7], 8, "identity", 0)
    capfd.readouterr()
    assert run("train", "--config", resolved, "--detector", DETECTOR) == 0
    assert "Deepfakes 7-batch" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sizes: [3]", "unknown key 'sizes' (did you mean size?); known: batch-size, checkpoint,"),
        ("epochs: many", "options.yaml: epochs cannot be 'many'"),
        ("epochs: [1, 2]", "epochs takes one value, got"),
        ("size: {a: 3}", "size takes one value, got"),
        ("- 3", "expected options by name"),
        ("a: [3", "not YAML"),
        ("size: 4", "must be odd"),
        ("fidelity: ssim", "fidelity 'ssim' is not understood"),
        ("range: all", "unknown range 'all'"),
        ("manipulation: Face2Face", "unknown manipulation 'Face2Face'"),
        ("split-by: eyes", "unknown split 'eyes'"),
        ("name: a/b", "names files"),
        ("max-minutes: 0", "minutes must be above 0"),
    ],
)
def test_a_bad_file_is_one_clear_line(
    index: Path, tmp_path: Path, content: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "options.yaml"
    config.write_text(content)
    out = tmp_path / "out"
    assert run("train", "--config", config, "--frames", index, "--detector", DETECTOR, "--out", out) in (1, 2)
    assert words in one_line(capfd)


def test_what_is_missing_is_said_in_one_line(
    index: Path, results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    detector = ("--detector", DETECTOR, "--name", "pooled")
    cases = [
        (("train", "--frames", index), "detector"),
        (("train", "--frames", tmp_path / "no.csv", *detector), "no such index"),
        (("train", "--config", tmp_path / "no.yaml", "--frames", index, *detector), "cannot be read"),
        (("test", "--frames", index, *detector, "--out", tmp_path), "no filter here"),
        (("table", "--out", tmp_path), "no tests here"),
        (("images", *detector, "--out", results), "name what to look at"),
        (("images", *detector, "--out", results, "--frames", index, "--size", 99), "none of the filters"),
        (("gradcam", *detector, "--out", results, "--frames", index, "--layer", "nose"), "no layer 'nose'"),
        (("images", *detector, "--out", results, "--videos", tmp_path / "no.mp4"), "no such video"),
    ]
    for arguments, words in cases:
        assert run(*arguments) in (1, 2)
        assert words in one_line(capfd)


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    """The error, which must be the only line on stderr besides progress bars."""
    lines = [line for line in capfd.readouterr().err.splitlines() if re.match(r"(error|Traceback)", line)]
    assert len(lines) == 1
    return lines[0]
