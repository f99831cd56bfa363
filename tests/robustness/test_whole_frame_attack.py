"""Attacks at budgets."""

import pytest
import torch

from attacks import build_attack
from attacks.budgets import fraction, read_budget
from attacks.pgd import PGD
from common.errors import InputError
from data.frames import Frame
from robustness.attacked_frames import FrameEntry
from robustness.stages import AttackStage, StageFrames
from robustness.threat_model import ThreatModel
from robustness.whole_frame_attack import WholeFrameAttack, attack_at, check_aim, whole_frame_attacks
from tests.attacks.nets import ConvDetector, some_images
from tests.robustness.planted import GREY, SIDE, AlmostLevels, DrawsOnceDark, Families, HalfLevels, Levels, frame


def test_pgd_reaches_two_and_a_half_budgets_whatever_its_steps() -> None:
    for epsilon, steps in ((1 / 255, 40), (8 / 255, 10)):
        attack = attack_at("pgd", epsilon, steps)
        assert isinstance(attack, PGD)
        assert (attack.epsilon, attack.steps) == (epsilon, steps)  # type: ignore[attr-defined]
        assert attack.alpha * steps == pytest.approx(2.5 * epsilon)  # type: ignore[attr-defined]
    own = attack_at("pgd", 4 / 255, 40, {"steps": "20"})
    assert own.alpha * 20 == pytest.approx(2.5 * 4 / 255)  # type: ignore[attr-defined]


def test_step_sizes_of_other_attacks_keep_their_proportion_to_the_budget() -> None:
    for name in ("torchattacks:MIFGSM", "torchattacks:RFGSM"):
        usual, small = build_attack(name), attack_at(name, 1 / 255)
        assert small.alpha / small.epsilon == pytest.approx(usual.alpha / usual.epsilon)  # type: ignore[attr-defined]
    assert attack_at("torchattacks:MIFGSM", 1 / 255, overrides={"alpha": "0.5"}).alpha == 0.5  # type: ignore[attr-defined]


def test_every_attack_at_every_budget_once_and_ascending() -> None:
    found = whole_frame_attacks(["fgsm", "pgd", "fgsm"], [2 / 255, 1 / 255, 2 / 255])
    assert [each.label for each in found] == ["fgsm 1/255", "fgsm 2/255", "pgd 1/255", "pgd 2/255"]
    with pytest.raises(InputError, match="budget is set by --epsilon"):
        whole_frame_attacks(["fgsm"], [0.1], overrides={"fgsm": {"epsilon": "0.2"}})
    with pytest.raises(InputError, match="unknown attack 'pdg'"):
        whole_frame_attacks(["pdg"], [0.1])


def test_budgets_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_budget("2/255") == 2 / 255
    assert capsys.readouterr().err == ""
    assert read_budget("1") == 1
    assert "--epsilon 1: a budget of 255/255, by which nearly any picture becomes" in capsys.readouterr().err
    assert read_budget("200/255") == 200 / 255
    assert "becomes any other\n" in capsys.readouterr().err
    assert read_budget("0.01") == 0.01
    assert [fraction(x) for x in (1 / 255, 16 / 255, 0.5 / 255, 0.01)] == ["1/255", "16/255", "0.5/255", "2.55/255"]
    for text in ("0", "-1/255", "300/255", "1/0", "two"):
        with pytest.raises(InputError, match="--epsilon"):
            read_budget(text)


@pytest.mark.parametrize("detector", [Levels(), HalfLevels(), DrawsOnceDark(), AlmostLevels()])
def test_attacked_frames_are_asked_about_twice(detector: Levels) -> None:
    pgd = WholeFrameAttack("pgd", attack_at("pgd", 8 / 255, 4), 0)
    entries = [FrameEntry(f"a/{level}.png", "FaceSwap", "a", level) for level in (2, 3, 4)]
    frames = [Frame(entry.key, frame(entry.index), None, entry.family, entry.video) for entry in entries]
    sample = StageFrames(entries, frames, ThreatModel(detector, detector, 4))
    stage = AttackStage("pgd", 1, frame_attack=pgd)
    if type(detector) in (Levels, HalfLevels):
        assert [record.real for record in stage.work(sample)] == [True] * 3
        return
    with pytest.raises(InputError, match=f"{type(detector).__name__} answers attacked frames differently twice"):
        stage.work(sample)


def test_an_attack_on_the_whole_frame_is_the_attack_itself() -> None:
    detector, images = ConvDetector(), some_images(2)
    frame_attack = WholeFrameAttack("pgd", attack_at("pgd", 2 / 255, 5), seed=3)
    found = frame_attack(detector, images, ["a", "b"], 16)
    again = frame_attack(detector, images.flip(0), ["b", "a"], 16)
    assert torch.allclose(found.images, again.images.flip(0), atol=1e-6)
    assert not torch.equal(found.images - images, frame_attack(detector, images, ["c", "d"], 16).images - images)
    assert (found.images - images).abs().max() <= 2 / 255 + 1e-6


def test_an_attack_without_a_target_is_led_to_real() -> None:
    """Away from the verdict, the close other manipulation is nearer than Real."""
    detector, images = Families(), torch.full((1, 3, SIDE, SIDE), (GREY + 1) / 255)
    images[:, 0] += 0.001
    attack = attack_at("torchattacks:APGD", 2 / 255, overrides={"steps": "10"})
    led = WholeFrameAttack("torchattacks:APGD", attack, 0)(detector, images, ["a"], 16)
    assert led.flipped.all()
    assert detector(led.images).argmax(dim=1).item() == 0


def test_what_leaves_a_verdict_for_any_class_is_refused_where_there_are_many() -> None:
    for name in ("pgd", "fgsm", "nes", "torchattacks:Square", "torchattacks:APGD"):
        check_aim(build_attack(name), Families())
    check_aim(build_attack("torchattacks:AutoAttack"), Levels())
    with pytest.raises(InputError, match="use its parts"):
        check_aim(build_attack("torchattacks:AutoAttack"), Families())
