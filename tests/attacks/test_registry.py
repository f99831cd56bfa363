"""Attacks by name."""

import dataclasses
import json
import pickle
import sys
import types
from collections.abc import Iterator

import pytest
import torchattacks
from torch import Tensor

from attacks import NES, Batch, RegionAttack, build_attack, describe_attack
from attacks.pgd import FGSM, PGD
from attacks.registry import ATTACKS, PRESETS
from attacks.torchattacks_bridge import torch_attack
from common.errors import InputError
from detectors.queries import Queries
from tests.attacks.nets import EPSILON, SIZE, everywhere, some_images
from tests.toys import PatchDetector
from xai.explanation_settings import PRESETS as EXPLANATIONS


@dataclasses.dataclass(frozen=True)
class Darken(RegionAttack):
    """A user's own attack."""

    by: float = 0.01

    @property
    def rounds(self) -> int:
        return 5

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images - self.by


@dataclasses.dataclass(frozen=True)
class Needy(Darken):
    """An attack with a setting that has no default."""

    by: float = dataclasses.field(kw_only=True)


@pytest.fixture
def own_module() -> Iterator[str]:
    module = types.ModuleType("a_users_attacks")
    module.Darken, module.Needy, module.number = Darken, Needy, 3  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


def test_published_settings() -> None:
    assert build_attack("nes") == NES(epsilon=16 / 255, pairs=40, sigma=0.001, step=1 / 255, steps=50)
    pgd, fgsm = build_attack("pgd"), build_attack("fgsm")
    assert describe_attack(pgd) == {
        "attack": "pgd", "epsilon": EPSILON, "alpha": 1 / 255, "steps": 40, "random_start": True
    }  # fmt: skip
    assert describe_attack(fgsm) == {"attack": "fgsm", "epsilon": EPSILON, "grid": 1 / 255}
    assert (type(pgd), type(fgsm)) == (PGD, FGSM)


def test_no_preset_attacks_more_weakly_than_published() -> None:
    for name in ("nes", "pgd", "fgsm", "torchattacks:MIFGSM"):
        assert build_attack(name, "quick") == build_attack(name)
    for preset in PRESETS:
        assert EXPLANATIONS[preset].adversarial == NES(steps=80)


def test_overrides_come_last_and_may_be_strings() -> None:
    attack = build_attack("nes", "quick", {"steps": "3", "epsilon": "8/255", "pairs": 7})
    assert (attack.epsilon, attack.rounds) == (8 / 255, 3)
    assert describe_attack(attack)["pairs"] == 7


def test_arguments_of_torchattacks_are_settings() -> None:
    attack = build_attack(
        "torchattacks:APGD", overrides={"steps": "20", "rho": "0.5", "loss": "dlr", "epsilon": "4/255"}
    )
    assert describe_attack(attack) == {
        "attack": "torchattacks:APGD", "epsilon": 4 / 255, "steps": 20, "n_restarts": 1, "loss": "dlr",
        "eot_iter": 1, "rho": 0.5,
    }  # fmt: skip
    assert describe_attack(build_attack("torchattacks:CW", overrides={"c": "0.5"}))["c"] == 0.5
    assert describe_attack(build_attack("torchattacks:Pixle", overrides={"x_dimensions": "2,3"}))["x_dimensions"] == (
        2,
        3,
    )
    assert describe_attack(build_attack("torchattacks:PGDL2", overrides={"eps": "2"}))["eps"] == 2.0


def test_every_attack_of_the_library_builds_or_says_why_not() -> None:
    refused = ["MultiAttack", "LGV"]
    for name in set(torchattacks.__all__) - set(refused):
        attack = build_attack(f"torchattacks:{name}")
        assert attack.epsilon == EPSILON
        assert json.loads(json.dumps(describe_attack(attack)))["epsilon"] == EPSILON
    for name in refused:
        with pytest.raises(InputError, match="is not an attack of one model alone"):
            build_attack(f"torchattacks:{name}")


def test_a_users_own_attack(own_module: str) -> None:
    attack = build_attack(f"{own_module}:Darken", overrides={"by": "2/255"})
    assert attack == Darken(by=2 / 255)
    assert describe_attack(attack)["attack"].endswith(":Darken")
    detector = PatchDetector(SIZE, slice(8, 16), slice(8, 16), threshold=0.47)
    assert attack(detector, some_images(1, spread=0.0), everywhere(1), [0]).steps.tolist() == [4]


@pytest.mark.parametrize(
    ("name", "preset", "overrides", "words"),
    [
        ("ness", "published", {}, "unknown attack 'ness' (did you mean nes?); known: nes, pgd, fgsm"),
        ("torchattacks:APDG", "published", {}, "torchattacks has no 'APDG' (did you mean APGD?)"),
        ("torchattacks:", "published", {}, "torchattacks has no ''"),
        ("nes", "slow", {}, "unknown preset 'slow'; known: published, efficient, quick"),
        ("nes", "quick", {"speed": "3"}, "nes has no setting 'speed'; it has: epsilon, pairs, sigma, step, steps"),
        ("nes", "quick", {"steps": "many"}, "nes.steps='many' is not of type int"),
        ("nes", "quick", {"epsilon": "16"}, "nes: epsilon is in pixel units"),
        ("pgd", "quick", {"eps": "0.1"}, "pgd has no setting 'eps'; it has: epsilon, alpha, steps, random_start"),
        ("torchattacks:APGD", "quick", {"seed": "1"}, "torchattacks:APGD has no setting 'seed'"),
        ("no.such.module:Attack", "quick", {}, "cannot import 'no.such.module'"),
        ("a_users_attacks:Lighten", "quick", {}, "has no 'Lighten'"),
        ("a_users_attacks:number", "quick", {}, "is not a dataclass derived from attacks.RegionAttack"),
        ("a_users_attacks:Needy", "quick", {}, "every setting needs a default; missing for by"),
    ],
)
@pytest.mark.usefixtures("own_module")
def test_bad_names_and_settings_give_one_clear_line(
    name: str, preset: str, overrides: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        build_attack(name, preset, overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_are_made_once_and_named_attacks_can_be_pickled() -> None:
    assert torch_attack("APGD") is torch_attack("APGD")
    for name in ATTACKS:
        assert pickle.loads(pickle.dumps(build_attack(name))) == build_attack(name)


def test_step_sizes_keep_their_proportion_to_another_budget_unless_they_are_given() -> None:
    for name in ("pgd", "torchattacks:MIFGSM"):
        usual, small = build_attack(name), build_attack(name, overrides={"epsilon": "4/255"})
        assert small.alpha / small.epsilon == pytest.approx(usual.alpha / usual.epsilon)  # type: ignore[attr-defined]
        given = build_attack(name, overrides={"epsilon": "4/255", "alpha": "2/255"})
        assert given.alpha == pytest.approx(2 / 255)  # type: ignore[attr-defined]
    assert build_attack("nes", overrides={"epsilon": "4/255"}) == NES(epsilon=4 / 255)
