"""A run is bound to what made it."""

import errno
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import captum
import pytest
import torch

from common.errors import InputError
from runs import configuration
from runs.configuration import (
    Configuration,
    DetectorIdentity,
    FramesIdentity,
    attack_names,
    bind,
    describe_device,
    hash_of_code,
    identify_detector,
    versions,
)
from tests.scoring.stand_ins import PlantedDetector

CONFIGURATION = Configuration(
    preset="quick",
    methods=("LIME", "random"),
    settings={"LIME": {"samples": 150}, "RISE": {"samples": 200}},
    attacks={"nes": {"attack": "nes", "epsilon": 16 / 255}},
    detector=DetectorIdentity("demo", "ab" * 32, ("Real", "FaceSwap"), 224),
    frames=FramesIdentity(12, "cd" * 32, None, None),
    seed=0,
    batch_size=32,
    precision="float32",
    device="cpu",
    threads=2,
    versions={"flipscope": "0.1.0", "torch": "2"},
)

CHANGES: dict[str, dict[str, Any]] = {
    "preset": {"preset": "published"},
    "methods": {"methods": ("LIME", "SHAP", "random")},
    "settings.LIME.samples": {"settings": {"LIME": {"samples": 500}, "RISE": {"samples": 200}}},
    "settings.SHAP.evaluations": {"settings": {**CONFIGURATION.settings, "SHAP": {"evaluations": 10}}},
    "attacks.nes.epsilon": {"attacks": {"nes": {"attack": "nes", "epsilon": 8 / 255}}},
    "detector.weights": {"detector": replace(CONFIGURATION.detector, weights="ef" * 32)},
    "frames.fingerprint": {"frames": replace(CONFIGURATION.frames, fingerprint="12" * 32)},
    "frames.limit": {"frames": replace(CONFIGURATION.frames, limit=4)},
    "seed": {"seed": 1},
    "batch_size": {"batch_size": 16},
    "precision": {"precision": "bfloat16"},
    "device": {"device": "mps"},
    "threads": {"threads": 1},
    "versions.torch": {"versions": {"flipscope": "0.1.0", "torch": "3"}},
    "format": {"format": 1},
    "protocol.draws": {"protocol": {"draws": 5}},
    "segmentations": {"segmentations": ("slic-100",)},
    "budgets": {"budgets": (4 / 255,)},
    "seeds": {"seeds": 5},
    "metrics.iou.metric": {"metrics": {"iou": {"metric": "iou"}}},
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_change_of_anything_is_refused_by_name(tmp_path: Path, key: str) -> None:
    path = tmp_path / "config.json"
    bind(path, CONFIGURATION)
    before = path.read_bytes()
    with pytest.raises(InputError, match=key.replace(".", r"\.") + " was .* and is now .*--run NAME"):
        bind(path, replace(CONFIGURATION, **CHANGES[key]))
    assert path.read_bytes() == before


def test_the_same_configuration_continues(tmp_path: Path) -> None:
    path = tmp_path / "run" / "config.json"
    bind(path, CONFIGURATION)
    before = path.read_bytes()
    bind(path, replace(CONFIGURATION))
    assert path.read_bytes() == before
    content = json.loads(before)
    assert list(content) == sorted(content)
    assert content["detector"]["weights"] == "ab" * 32


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_begin_at_the_same_moment_one_is_refused(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, together = tmp_path / "c.json", threading.Barrier(2)
    write = configuration.atomic_write

    def at_once(*given: Any, **how: Any) -> Any:
        together.wait()  # both have seen that there is no file
        return write(*given, **how)

    def unable(*given: object) -> None:
        raise OSError(errno.EPERM, "no links on this disk")

    monkeypatch.setattr(configuration, "atomic_write", at_once)
    if not links:
        monkeypatch.setattr(os, "link", unable)
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(bind, path, replace(CONFIGURATION, seed=seed)) for seed in (1, 2)]
        refused = [future.exception() is not None for future in begun]
    stored = json.loads(path.read_text())["seed"]
    assert not refused[stored - 1], "whoever finds its own configuration goes on"
    assert refused[2 - stored] or not links, "without links the other may see its own first; seals find that out"
    assert [file.name for file in tmp_path.iterdir()] == ["c.json"]


def test_old_and_new_value_are_shown(tmp_path: Path) -> None:
    bind(tmp_path / "c.json", CONFIGURATION)
    with pytest.raises(InputError, match="seed was 0 and is now 7"):
        bind(tmp_path / "c.json", replace(CONFIGURATION, seed=7))
    with pytest.raises(InputError, match=r"batch_size was .*; device was .*; preset was .* \(and 2 more\)"):
        bind(
            tmp_path / "c.json",
            replace(CONFIGURATION, seed=7, batch_size=1, threads=9, device="mps", preset="published"),
        )


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '"x"'])
def test_an_unreadable_configuration_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json is not readable"):
        bind(tmp_path / "config.json", CONFIGURATION)


def test_versions_name_what_computes() -> None:
    found = versions()
    assert re.fullmatch(r"\d+\.\d+\S*\+[0-9a-f]{12}", found["flipscope"])
    assert found["torch"] == torch.__version__.split("+")[0] or found["torch"] == torch.__version__
    assert {"numpy", "shap", "lime", "scikit-image"} <= found.keys()


def test_what_computes_the_methods_and_the_detector_is_named_with_its_version() -> None:
    """Only where it is used, so that an upgrade of what a run does not ask is no reason to refuse it."""
    named = versions(["onnx:a.onnx", "captum:Saliency", "cam:GradCAM", "LIME"])
    assert set(named) - set(versions(["LIME", "timm:resnet18"])) == {"captum", "grad-cam", "onnxruntime"}
    assert named["captum"] == captum.__version__


def test_a_detector_is_its_weights_not_its_path() -> None:
    detector = PlantedDetector()
    detector.weights_sha256 = "34" * 32
    found = identify_detector("/home/someone/best.ckpt", detector)
    assert found == DetectorIdentity("best.ckpt", "34" * 32, detector.class_names, detector.input_size)
    assert describe_device(torch.device("cpu")) == "cpu"


def test_how_a_foreign_file_is_read_is_part_of_the_configuration(tmp_path: Path) -> None:
    """And of other detectors' runs nothing changes, so that they are continued."""
    assert "reading" not in json.loads(CONFIGURATION.to_json())["detector"]
    read = [
        replace(
            CONFIGURATION,
            detector=replace(CONFIGURATION.detector, reading={"mean": mean, "assumed": ["classes Real, Fake"]}),
        )
        for mean in ((0.5, 0.5, 0.5), (0.0, 0.0, 0.0))
    ]
    bind(tmp_path / "config.json", read[0])
    assert json.loads((tmp_path / "config.json").read_text())["detector"]["reading"]["assumed"] == [
        "classes Real, Fake"
    ]
    bind(tmp_path / "config.json", read[0])
    with pytest.raises(InputError, match=r"detector\.reading\.mean was \[0\.5, 0\.5, 0\.5\] and is now \[0\.0"):
        bind(tmp_path / "config.json", read[1])


@pytest.mark.parametrize("kind", ["attacks", "metrics"])
def test_the_order_of_what_comes_first_is_part_of_it(tmp_path: Path, kind: str) -> None:
    """The first attack is the main one; JSON sorts them by their names, and says nothing more where that is so."""
    sorted_ones, turned = {"nes": {}, "pgd": {}}, {"pgd": {}, "nes": {}}
    changes_of: dict[str, Any] = {kind: sorted_ones}
    bind(tmp_path / "sorted.json", replace(CONFIGURATION, **changes_of))
    assert "order" not in json.loads((tmp_path / "sorted.json").read_text())
    other = replace(CONFIGURATION, **{kind: turned})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf'order\.{kind} was not set and is now \["pgd", "nes"\]'):
        bind(tmp_path / "sorted.json", other)
    bind(tmp_path / "turned.json", other)
    bind(tmp_path / "turned.json", other)
    with pytest.raises(InputError, match=rf'order\.{kind} was \["pgd", "nes"\] and is now not set'):
        bind(tmp_path / "turned.json", replace(CONFIGURATION, **changes_of))


def test_attacks_are_read_in_their_order() -> None:
    for names in (["nes", "pgd"], ["pgd", "nes"]):
        stored = json.loads(replace(CONFIGURATION, attacks={name: {} for name in names}).to_json())
        assert attack_names(stored) == names
    assert attack_names({}) == []


def test_its_version_changes_with_what_computes_and_with_nothing_else(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return hash_of_code(tmp_path)

    known = write("scoring/frame.py", "a")
    assert write("reporting/page/charts.py", "a") == known
    hashes = [known, write("scoring/frame.py", "b"), write("xai/lime.py", "a"), write("xai/fills/blur.py", "a")]
    assert len(set(hashes)) == 4
    assert write("scoring/frame.py", "a") not in hashes
