"""A filter on regions, through the contract of every attack, and in a run beside another attack."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attacks import RegionAttack, build_attack, describe_attack
from attacks.malafide.filter import Filter, FilterSpec, identity
from attacks.malafide.filter_files import save
from attacks.malafide.region import Malafide
from common.errors import InputError
from common.files import sha256
from tests.attacks.malafide.test_filter_files import FACTS
from tests.attacks.malafide.toys import some_weight
from tests.attacks.nets import SIZE, ConvDetector, everywhere, some_images, squares
from tests.toys import LinearDetector


def attack_of(path: Path, spec: FilterSpec, weight: torch.Tensor, **overrides: str) -> RegionAttack:
    save(path, Filter(spec, weight), FACTS)
    return build_attack(f"malafide:{path}", overrides=overrides)


def test_only_the_region_is_filtered_and_within_the_budget(tmp_path: Path) -> None:
    weight, spec = some_weight(5), FilterSpec(5)
    attack = attack_of(tmp_path / "f", spec, weight, epsilon="4/255")
    images, regions = some_images(3, spread=0.8), squares((0, 0), (9, 14), (20, 20))
    result = attack(ConvDetector(), images, regions, [0, 1, 2])
    filtered = Filter(spec, weight)(images)
    expected = torch.where(regions[:, None], images + (filtered - images).clamp(-4 / 255, 4 / 255), images)
    assert torch.allclose(result.images, expected, atol=1e-6)
    assert (result.images - images).abs().amax(dim=(1, 2, 3)).min() > 0.9 * 4 / 255
    assert result.forwards.tolist() == [2, 2, 2]  # the verdicts before and after: the filter itself asks nothing
    assert result.steps.tolist() == [1, 1, 1]


def test_a_filter_flips_the_verdict_it_was_made_for(tmp_path: Path) -> None:
    """Against "fake while bright", darkening by half flips; the identity does not."""
    detector = LinearDetector(torch.full((3, SIZE, SIZE), 1.0), bias=-0.45 * 3 * SIZE * SIZE)
    images = some_images(2, spread=0.1)
    darker, same = (attack_of(tmp_path / str(k), FilterSpec(3), w, epsilon="1") for k, w in enumerate(
        (some_weight(3, spread=0.0), identity(3))
    ))  # fmt: skip
    assert not same(detector, images, everywhere(2), [0, 0]).flipped.any()
    mixed = identity(3).clone()
    mixed[:, :, 1, 1] = -1.0  # each channel the negative sum of all, rescaled to the image's own range
    attack = attack_of(tmp_path / "negative", FilterSpec(3), mixed, epsilon="1")
    bright = some_images(2, spread=0.1).clamp_min(0.49)
    bright[:, :, 0, 0] = 0.2
    assert attack(detector, bright, everywhere(2), [0, 0]).flipped.all()
    assert darker(detector, images, everywhere(2), [0, 0]).images.isfinite().all()


def test_pairs_do_not_see_each_other_even_where_a_batch_decides_the_range(tmp_path: Path) -> None:
    attack = attack_of(tmp_path / "f", FilterSpec(3, "batch"), some_weight(3))
    images, regions = some_images(3), everywhere(3)
    images[1] *= 0.5
    together = attack(ConvDetector(), images, regions, [0, 1, 2])
    for pair in range(3):
        alone = attack(ConvDetector(), images[pair : pair + 1], regions[:1], [pair])
        assert torch.allclose(together.images[pair], alone.images[0], atol=1e-6)


def test_a_run_is_tied_to_the_filters_content_not_only_its_path(tmp_path: Path) -> None:
    path = tmp_path / "filter.safetensors"
    one = describe_attack(attack_of(path, FilterSpec(3), some_weight(3)))
    assert one == {"attack": f"malafide:{path}", "epsilon": 16 / 255, "filter_sha256": sha256(path)}
    assert json.loads(json.dumps(one)) == one
    shutil.copy(path, tmp_path / "copy")
    assert describe_attack(build_attack(f"malafide:{tmp_path / 'copy'}"))["filter_sha256"] == one["filter_sha256"]
    two = describe_attack(attack_of(path, FilterSpec(3), some_weight(3, seed=9)))
    assert two["attack"] == one["attack"]
    assert two["filter_sha256"] != one["filter_sha256"]
    with pytest.raises(InputError, match="has no setting 'filter_sha256'; it has: epsilon"):
        build_attack(f"malafide:{path}", overrides={"filter_sha256": "0"})
    attack = build_attack(f"malafide:{path}")
    assert isinstance(attack, Malafide)
    assert replace(attack, epsilon=0.1).stored is attack.stored


def test_no_filter_or_a_bad_one_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x" * 100)
    for name, words in (
        ("malafide", "the attack malafide needs a filter: name it as malafide:FILTER"),
        ("malafide:", "needs a filter"),
        (f"malafide:{tmp_path / 'none'}", "there is no such file"),
        (f"malafide:{tmp_path / 'text'}", "neither safetensors nor a torch file"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            build_attack(name)
        assert "\n" not in str(caught.value)
