"""A training of a filter that was killed ends in the filter of one that was not."""

import csv
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attacks.malafide.filter import FilterSpec
from attacks.malafide.filter_dataset import split
from attacks.malafide.filter_files import StoredFilter
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.fitting import FILTERS, Fitting, TargetDetector, cell_of
from attacks.malafide.known_filters import load_known
from common.errors import InputError
from detectors.checks.gradient_check import known_to_mislead, remark_on_gradient
from detectors.loading.checkpoints import read_torch
from tests.attacks.malafide.toys import ChannelDetector, dataset

SETTINGS = FilterTrainingSettings(epochs=3, batch_size=2, learning_rate=3.0, stop=1.0, penalty=0.1, seed=1)
WRITES = (
    "config.json", *("last.ckpt", "history.csv") * 3, "history.csv", "filter.safetensors", "config.json",
)  # fmt: skip
"""The files that such a training gives their names, in that order."""


class KilledError(BaseException):
    """In place of a SIGKILL: nothing that the code catches."""


def fit(root: Path, settings: FilterTrainingSettings = SETTINGS) -> Path:
    found, target = dataset(people=3, frames=2), TargetDetector("toy", ChannelDetector(), 8)
    cell = cell_of(root, target, ["Deepfakes"], FilterSpec(3))
    Fitting(target, found, split(found.entries)).fit(cell, ("Deepfakes",), FilterSpec(3), settings)
    return cell.folder


def killing(number: int, after: bool, seen: list[str]) -> Callable[[str, Path], None]:
    """`os.replace` that is killed before or after a file gets its name, the so-manieth of all."""
    rename = os.replace

    def replaced(temporary: str, path: Path) -> None:
        seen.append(Path(path).name)
        if len(seen) == number + 1 and not after:
            raise KilledError
        rename(temporary, path)
        if len(seen) == number + 1:
            raise KilledError

    return replaced


def outcome(folder: Path) -> dict[str, Any]:
    """What a training left, but for its seconds."""
    state = read_torch(folder / "last.ckpt")
    with (folder / "history.csv").open() as file:
        history = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    return {
        "filter": (folder / "filter.safetensors").read_bytes(),
        "config": (folder / "config.json").read_bytes(),
        "history": history,
        "epoch": state["epoch"],
        "weight": state["best"]["weight"].tolist(),
        "best": {name: value for name, value in state["best"].items() if name != "weight"},
    }


def test_the_best_epoch_is_not_the_last_one(tmp_path: Path) -> None:
    folder = fit(tmp_path)
    facts = load_known(folder / "filter.safetensors").facts
    assert facts is not None
    assert (facts.best_epoch, facts.epochs) == (2, 3)
    assert [row["epoch"] for row in outcome(folder)["history"]] == ["1", "2", "3"]


@pytest.mark.parametrize("number", range(len(WRITES)))
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moved", [False, True])
def test_a_killed_training_ends_in_the_same_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: bool, moved: bool
) -> None:
    """Before and after each file of each epoch gets its name, and with the folder moved before it goes on."""
    whole = outcome(fit(tmp_path / "whole"))
    seen: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killing(number, after, seen))
        with pytest.raises(KilledError):
            fit(tmp_path / "killed")
    assert tuple(seen) == WRITES[: number + 1]
    root = tmp_path / "moved" if moved else tmp_path / "killed"
    if moved:
        shutil.move(tmp_path / "killed", root)
    path = root / "toy" / "Deepfakes" / "3" / "filter.safetensors"
    if path.exists() and (number, after) != (len(WRITES) - 1, True):
        with pytest.raises(InputError, match="its filter is not finished"):
            load_known(path)
    assert outcome(fit(root)) == whole
    assert load_known(path).facts is not None


@pytest.mark.parametrize("after", [False, True])
def test_a_killed_training_that_goes_on_after_a_time_limit_leaves_no_other_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """The filter of the limit stays until the next is whole; one that config.json does not know is not taken."""
    limited = replace(SETTINGS, max_minutes=1e-9)
    whole = outcome(fit(tmp_path / "whole"))
    short = load_known(fit(tmp_path / "killed", limited) / "filter.safetensors")
    assert short.facts is not None
    assert short.facts.ended == "time"
    seen: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killing(WRITES.index("filter.safetensors"), after, seen))
        with pytest.raises(KilledError):
            fit(tmp_path / "killed")
    if after:
        with pytest.raises(InputError, match=r"is not the filter that config\.json beside it knows of"):
            load_known(short.path)
    else:
        assert load_known(short.path).sha256 == short.sha256
    assert outcome(fit(tmp_path / "killed")) == whole


def test_a_longer_training_that_was_killed_is_not_finished_by_the_filter_of_a_shorter_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit_within(minutes: float) -> StoredFilter:
        return load_known(fit(tmp_path, replace(SETTINGS, max_minutes=minutes)) / "filter.safetensors")

    short = fit_within(1e-9)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killing(1, True, []))
        with pytest.raises(KilledError):
            fit_within(1000.0)
    assert load_known(short.path).sha256 == short.sha256
    longer = fit_within(1000.0).facts
    assert longer is not None
    assert (longer.ended, longer.epochs) == ("epochs", 3)


def test_a_damaged_checkpoint_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = fit(tmp_path)
    (folder / "filter.safetensors").unlink()
    content = (folder / "last.ckpt").read_bytes()
    weight = read_torch(folder / "last.ckpt")["best"]["weight"]
    at = content.index(weight.numpy().tobytes())
    (folder / "last.ckpt").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert not torch.equal(weight, torch.zeros(3, 3, 3, 3))
    with pytest.raises(InputError, match=r"last\.ckpt cannot be read .*; remove it to start anew"):
        fit(tmp_path)


class CutAtFakes(ChannelDetector):
    """Where a picture is even, as the frames are and noise is not, most of it has no gradient."""

    def forward(self, images: Tensor) -> Tensor:
        even = (images.flatten(1).std(dim=1) < 0.1) & (images.mean(dim=(1, 2, 3)) > 0.3)
        seen = torch.where(even[:, None, None, None], 0.1 * images + 0.9 * images.detach(), images)
        return super().forward(seen)


def test_a_gradient_that_misleads_on_what_is_trained_on_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for detector, said in ((CutAtFakes(), 1), (ChannelDetector(), 0)):
        remark_on_gradient(detector, (FILTERS,))
        found, target = dataset(people=3, frames=2), TargetDetector("toy", detector, 8)
        fitting = Fitting(target, found, split(found.entries))
        for size in (3, 5):
            cell = cell_of(tmp_path / str(said), target, ["Deepfakes"], FilterSpec(size))
            fitting.fit(cell, ("Deepfakes",), FilterSpec(size), replace(SETTINGS, epochs=1))
        told = " ".join(capsys.readouterr().err.split())
        assert told.count("warning: ") == said
        assert told.count("on a frame of the training; what follows it (the filters that are trained) may not") == said
        assert known_to_mislead(detector) == ()  # its maps are tried by themselves
