"""A filter is the one that was finished in its folder, or it is made anew, or refused."""

import dataclasses
import json
import shutil
import struct
from pathlib import Path

import pytest
import torch

from attacks.malafide.choosing import chosen_filters
from attacks.malafide.filter import Filter, FilterSpec
from attacks.malafide.filter_dataset import split
from attacks.malafide.filter_files import StoredFilter, load, save
from attacks.malafide.filter_results import FINISHED, FilterCell
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.fitting import Fitting, TargetDetector, cell_of
from attacks.malafide.known_filters import load_known
from attacks.registry import build_attack
from common.errors import InputError
from common.files import sha256
from tests.attacks.malafide.toys import ChannelDetector, dataset, some_weight

SETTINGS = FilterTrainingSettings(epochs=2, batch_size=8, learning_rate=0.02, stop=1.0)
SPEC = FilterSpec(3)
OTHERS = (("seed", {"seed": 1}), ("limit", {"limit": 4}), ("epochs", {"epochs": 1}))
"""Trainings whose filters have the same length and go by the same name."""

ANEW = "is not known to be the filter that was finished here: it is made anew"


def fit(root: Path, limit: int | None = None, **values: object) -> tuple[FilterCell, StoredFilter]:
    found, target = dataset(), TargetDetector("toy", ChannelDetector(), 8)
    cell = cell_of(root, target, ["Deepfakes"], SPEC)
    fitting = Fitting(target, found, split(found.entries), limit)
    return cell, fitting.fit(cell, ("Deepfakes",), SPEC, dataclasses.replace(SETTINGS, **values))


def others(folder: Path, cell: FilterCell) -> dict[str, bytes]:
    """Files that may lie in a finished filter's place: of other trainings, and damaged ones of the same length."""
    found = {name: fit(folder / name, **values)[0].filter.read_bytes() for name, values in OTHERS}  # type: ignore[arg-type]
    stored, whole = load(cell.filter), cell.filter.read_bytes()
    save(folder / "zeros", Filter(SPEC, torch.zeros(3, 3, 3, 3)), stored.facts)
    found["zeros"] = (folder / "zeros").read_bytes()
    found["bit"] = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
    found["number"] = whole.replace(b'seed\\": 0', b'seed\\": 9')
    found["cut"] = whole[:-4]
    return found


def earlier(cell: FilterCell) -> None:
    """Takes from a folder what earlier versions did not write."""
    values = json.loads(cell.config.read_text())
    del values[FINISHED]
    cell.config.write_text(json.dumps(values))
    cell.filter.write_bytes(unsealed(cell.filter.read_bytes()))


def unsealed(content: bytes) -> bytes:
    """A filter's file without its own checksum; as it is, where it cannot be read."""
    length = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:length])
    known = json.loads(header["__metadata__"]["malafide"])
    del known["sha256"]
    header["__metadata__"]["malafide"] = json.dumps(known)
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    return struct.pack("<Q", len(written)) + written + content[length:]


@pytest.mark.parametrize("old", [False, True])
def test_another_filter_is_refused_wherever_it_would_be_used_and_made_anew_by_a_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], old: bool
) -> None:
    """With the checksums, and without, where last.ckpt holds the best filter."""
    cell, first = fit(tmp_path / "results")
    whole = cell.filter.read_bytes()
    for name, content in others(tmp_path, cell).items():
        assert content != whole, name
        cell.filter.write_bytes(content)
        if old:
            earlier(cell)
        uses = (
            lambda: load_known(cell.filter),
            lambda: build_attack(f"malafide:{cell.filter}"),
            lambda: chosen_filters(tmp_path / "results", None, None, None),
            lambda: chosen_filters(tmp_path, [cell.filter], None, None),
        )
        for use in uses:
            with pytest.raises(InputError) as caught:
                use()
            assert str(cell.filter) in str(caught.value), name
            assert "\n" not in str(caught.value)
        capfd.readouterr()
        assert fit(tmp_path / "results")[1].sha256 == first.sha256
        assert "it is made anew" in capfd.readouterr().err, name
        assert cell.filter.read_bytes() == whole, name
        assert load_known(cell.filter).sha256 == first.sha256
        assert json.loads(cell.config.read_text())[FINISHED] == {"sha256": first.sha256, "max_minutes": None}


def test_it_is_trained_anew_where_there_is_nothing_to_make_it_from(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cell, first = fit(tmp_path)
    cell.filter.write_bytes(fit(tmp_path / "other", seed=1)[0].filter.read_bytes())
    cell.checkpoint.unlink()
    assert fit(tmp_path)[1].sha256 == first.sha256
    assert ANEW in capfd.readouterr().err


def test_a_finished_filter_is_found_in_silence_after_its_folder_moved(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cell, first = fit(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = dataclasses.replace(cell, root=tmp_path / "b")
    written = moved.filter.stat().st_mtime_ns
    assert fit(tmp_path / "b")[1].sha256 == first.sha256 == load_known(moved.filter).sha256
    assert moved.filter.stat().st_mtime_ns == written
    assert capfd.readouterr().err == ""


def test_folders_of_earlier_versions_lose_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cell, first = fit(tmp_path)
    earlier(cell)
    whole = cell.filter.read_bytes()
    assert torch.equal(load_known(cell.filter).filter.weight, first.filter.weight)
    assert fit(tmp_path)[1].facts == first.facts
    assert cell.filter.read_bytes() == whole
    assert json.loads(cell.config.read_text())[FINISHED]["sha256"] == sha256(cell.filter) != first.sha256
    assert load_known(cell.filter).facts == first.facts
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("checkpoint", [None, b"damaged"])
def test_of_an_earlier_version_without_last_ckpt_only_what_the_filter_says_can_be_compared(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], checkpoint: bytes | None
) -> None:
    """What agrees is taken with a warning, so that no training is lost; what does not is not."""
    cell, first = fit(tmp_path / "results")
    earlier(cell)
    others_here = {name: unsealed(fit(tmp_path / name, **values)[0].filter.read_bytes()) for name, values in OTHERS}  # type: ignore[arg-type]
    cell.checkpoint.unlink()
    if checkpoint is not None:
        cell.checkpoint.write_bytes(checkpoint)
    whole = cell.filter.read_bytes()
    doubt = f"{cell.filter} is of an earlier version, and nothing beside it says whether it is still what it was"
    assert load_known(cell.filter).facts == first.facts
    assert doubt in capfd.readouterr().err
    assert fit(tmp_path / "results")[1].facts == first.facts
    assert f"{doubt}; remove it to have it made anew" in capfd.readouterr().err
    assert cell.filter.read_bytes() == whole
    cell.checkpoint.unlink(missing_ok=True)
    for name, content in others_here.items():
        cell.filter.write_bytes(content)
        if name != "limit":  # only a training sees the frames
            with pytest.raises(InputError, match=r"is not the filter that config\.json beside it knows of"):
                load_known(cell.filter)
        capfd.readouterr()
        assert fit(tmp_path / "results")[1].sha256 == first.sha256
        assert ANEW in capfd.readouterr().err
        earlier(cell)
        cell.checkpoint.unlink()


def test_filters_of_earlier_versions_that_the_time_ended_are_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """last.ckpt does not know the part of an epoch that they may be of."""
    cell, _ = fit(tmp_path, batch_size=4)
    state = torch.load(cell.checkpoint, weights_only=True)
    cell.filter.unlink()
    cell.checkpoint.unlink()
    _, short = fit(tmp_path, batch_size=4, max_minutes=1e-9)
    assert short.facts is not None
    assert (short.facts.ended, short.facts.epochs) == ("time", 0)
    state["epoch"] = 0
    torch.save(state, cell.checkpoint)
    earlier(cell)
    assert load_known(cell.filter).facts == short.facts
    assert "of an earlier version, and nothing beside it says" in capfd.readouterr().err
    assert fit(tmp_path, batch_size=4, max_minutes=1e-9)[1].facts == short.facts


def test_a_filter_beside_an_unfinished_training_is_not_taken(tmp_path: Path) -> None:
    """As a kill leaves it between the filter and what config.json says of it."""
    cell, _ = fit(tmp_path)
    values = json.loads(cell.config.read_text())
    cell.config.write_text(json.dumps({**values, FINISHED: None}))
    with pytest.raises(InputError, match="its filter is not finished; the same `python -m attacks malafide train`"):
        load_known(cell.filter)
    cell.config.write_text(cell.config.read_text()[:-9])
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        load_known(cell.filter)


def test_a_filter_without_a_training_beside_it_stands_for_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cell, first = fit(tmp_path / "a")
    shutil.copy(cell.filter, cell.folder / "mine.safetensors")
    save(cell.filter, Filter(SPEC, some_weight(3)), first.facts)
    assert load_known(cell.folder / "mine.safetensors").sha256 == first.sha256
    shutil.copy(cell.folder / "mine.safetensors", tmp_path / "filter.safetensors")
    assert load_known(tmp_path / "filter.safetensors").sha256 == first.sha256
    for content in ({"seed": 0, "frames": {}}, [1]):
        (tmp_path / "config.json").write_text(json.dumps(content))
        assert load_known(tmp_path / "filter.safetensors").sha256 == first.sha256
    assert capfd.readouterr().err == ""
