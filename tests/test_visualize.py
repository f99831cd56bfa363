"""The visualize command as a user runs it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import visualize
from common import console
from data.index import read_index
from tests.scoring.stand_ins import TINY, write_frames

PLANTED = ("--detector", "tests.scoring.stand_ins:PlantedDetector")


def run(*words: object) -> int:
    settings = [word for each in TINY if not each.startswith("nes") for word in ("--set", each)]
    return console.status(
        visualize.app, ["--device", "cpu", "--preset", "quick", *settings, *(str(word) for word in words)]
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=2)


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


@pytest.mark.parametrize(("mask", "methods"), [("Yes", ["LIME_adv"]), ("No", ["LIME"])])
def test_one_fill_of_a_method(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mask: str, methods: list[str]
) -> None:
    words = ("--method", "LIME", "--adversarial-mask", mask, "--frames", index, *PLANTED)
    assert run(*words, "--out", tmp_path / "a.png") == 0
    printed = capsys.readouterr().out
    assert [line.split(":")[0] for line in printed.splitlines() if "forwards" in line] == methods
    assert ("Adversarial image" in printed) == (mask == "Yes")


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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--index", "999"), "give a number from 0 to"),
        (("--index", "-1"), "give a number from 0 to"),
        (("--index", "first"), "or random"),
        (("--method", "LYME"), "did you mean LIME?"),
        (("--image", "x.png"), "give --image or --frames, not both"),
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
