"""Filters as files: what is written comes back, and what is no filter is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter import Filter, FilterSpec
from attacks.malafide.filter_files import Facts, load, save
from common.errors import InputError
from common.files import sha256
from tests.attacks.malafide.toys import some_images, some_weight

FACTS = Facts(
    trained_on="caddm", detector_sha256="ab" * 32, input_size=224, manipulations=("Deepfakes",), split="identity",
    frames_sha256="cd" * 32, seed=3, fakes=40, reals=40, epochs=7, best_epoch=6.5, clean_eer=0.05, eer=0.55, loss=0.7,
    ended="eer",
)  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [FilterSpec(3), FilterSpec(9, "batch"), FilterSpec(27, fidelity=Fidelity.parse("linf:8/255"))],
    ids=lambda spec: spec.label,
)
def test_a_filter_comes_back_as_it_was(tmp_path: Path, spec: FilterSpec) -> None:
    kept = Filter(spec, some_weight(spec.size))
    save(tmp_path / "a" / "filter.safetensors", kept, FACTS)
    stored = load(tmp_path / "a" / "filter.safetensors")
    assert stored.filter.spec == spec
    assert torch.equal(stored.filter.weight, kept.weight)
    assert torch.equal(stored.filter(some_images()), kept(some_images()))
    assert stored.facts == FACTS
    assert stored.sha256 == sha256(tmp_path / "a" / "filter.safetensors")


def test_the_same_filter_makes_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    kept = Filter(FilterSpec(3), some_weight(3))
    paths = [tmp_path / name for name in ("one", "two", "three")]
    for path, facts in zip(paths, (FACTS, FACTS, replace(FACTS, seed=4)), strict=True):
        save(path, kept, facts)
    assert sha256(paths[0]) == sha256(paths[1]) != sha256(paths[2])
    save(tmp_path / "plain", kept)
    assert load(tmp_path / "plain").facts is None


def test_no_changed_byte_of_a_filter_is_believed(tmp_path: Path) -> None:
    """A file may lie anywhere, with nothing beside it that knows what it should hold."""
    path = tmp_path / "filter.safetensors"
    save(path, Filter(FilterSpec(3), some_weight(3)), FACTS)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(InputError) as caught:
            load(path)
        assert "\n" not in str(caught.value), at
        assert str(path) in str(caught.value)


def test_a_filter_stays_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "filter.safetensors"
    save(path, Filter(FilterSpec(3), some_weight(3)), FACTS)
    stored = load(path)
    with path.open("r+b") as file:
        file.seek(-40, 2)
        file.write(b"x" * 40)
    assert torch.equal(stored.filter.weight, some_weight(3))


def test_a_filter_of_an_earlier_version_has_no_checksum(tmp_path: Path) -> None:
    path = tmp_path / "filter.safetensors"
    weight = some_weight(3)
    save_file({"weight": weight}, path, {"malafide": '{"filter": {"size": 3, "range": "image", "fidelity": null}}'})
    assert torch.equal(load(path).filter.weight, weight)


def test_what_is_no_filter_is_refused_in_one_line(tmp_path: Path) -> None:
    save(tmp_path / "good", Filter(FilterSpec(3), some_weight(3)), FACTS)
    whole = (tmp_path / "good").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-20])
    (tmp_path / "text").write_text("not a filter at all")
    save_file({"weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "bare")
    save_file({"weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "odd", {"malafide": '{"filter": {"size": 3}}'})
    save_file({"weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "list", {"malafide": "[1]"})
    (tmp_path / "shape").write_bytes(whole.replace(b'size\\": 3,', b'size\\": 5,'))
    cases = {
        "nowhere": "there is no such file",
        "cut": "damaged or truncated",
        "text": "neither safetensors nor a torch file",
        "bare": "is not a filter",
        "odd": "description of the filter cannot be read",
        "list": "description of the filter cannot be read",
        "shape": r"size 5 has float32 coefficients \(3, 3, 5, 5\)",
    }
    for name, words in cases.items():
        with pytest.raises(InputError, match=words) as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
