"""What an examination attacks with, where a detector's gradient is of no use to the flip or beyond it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.nes import NES
from attacks.pgd import PGD
from common.errors import InputError
from detectors.black_box import STEP, BlackBox
from detectors.gradients import NoGradientError
from detectors.queries import listening
from examination.moves import RegionMoves
from examination.usable import BEYOND, usable_examination
from tests.attacks import faulty
from tests.scoring.stand_ins import SIZE, PlantedDetector, TwoClassPlanted, picture
from xai.explanation_settings import build_settings

FACE = picture("a", "Face2Face")
EXACT = PGD(epsilon=16 / 255, alpha=5 / 255, steps=4, random_start=False)
WHAT = "a picture of this test"


class SureOfReal(PlantedDetector):
    """Where it is 90 % sure of Real, a part without gradient answers, and says the same."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        sure = logits.softmax(dim=1)[:, :1] > 0.9
        return torch.where(sure, logits.detach(), logits)


class AloneWhereSure(PlantedDetector):
    """The same, by a forward of its own, which gives no gradient at all where every picture is clear."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            logits = super().forward(images)
        return logits if (logits.softmax(dim=1)[:, 0] > 0.9).all() else super().forward(images)


class Service(BlackBox):
    """The planted detector behind a service."""

    class_names, real, input_size = ("Real", "Fake"), 0, SIZE

    def __init__(self) -> None:
        super().__init__()
        self.network = TwoClassPlanted()

    def answers(self, pictures: np.ndarray) -> list[list[float]]:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        shares: list[list[float]] = (self.network(images).double() / 100).softmax(dim=1).tolist()
        return shares


def usable(detector: PlantedDetector | BlackBox, **adversarial: object) -> tuple[NES, NES | PGD]:
    """The attacks that make the adversarial image, and on regions."""
    settings, attack = usable_examination(
        detector, build_settings("quick", {"adversarial": adversarial}), FACE, 32, 16 / 255
    )
    assert isinstance(attack, NES | PGD)
    return settings.adversarial, attack


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        (SureOfReal, f"its gradient is zero {BEYOND}"),
        (AloneWhereSure, f"it gives no gradient {BEYOND}"),
        (faulty.Rounding, "its gradient is zero"),
    ],
)
def test_finite_differences_are_used_where_the_gradient_is_of_no_use(
    detector: type[PlantedDetector], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    adversarial, attack = usable(detector())
    assert isinstance(attack, NES)
    assert adversarial.derivatives == attack.derivatives == "finite"
    told = capsys.readouterr().err
    assert told.startswith(f"warning: {detector.__name__}: {said}; finite differences are used for the adversarial")
    assert told.count("\n") == 1 + told.count(
        "probes of finite differences of standard deviation 0.001 move it in jumps"
    )
    assert ("jumps" in told) == (detector is faulty.Rounding)


def test_they_are_used_where_they_are_asked_for_and_else_not(capsys: pytest.CaptureFixture[str]) -> None:
    adversarial, attack = usable(PlantedDetector(), derivatives="finite")
    assert isinstance(attack, NES)
    assert adversarial.derivatives == "finite"
    adversarial, attack = usable(PlantedDetector())
    assert isinstance(attack, PGD)
    assert adversarial.derivatives == "exact"
    assert capsys.readouterr().err == ""


def test_one_that_cannot_do_with_their_probes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    usable(faulty.GuessesRange())
    assert "GuessesRange answers otherwise for pixels 0.003 below 0 and above 1 (log-odds of Real" in (
        told := capsys.readouterr().err
    )
    assert "where finite differences of adversarial and the attacks on regions ask" in told
    usable(faulty.WithoutGradient())
    assert "answers otherwise" not in capsys.readouterr().err


def test_what_takes_pictures_of_8_bits_is_asked_by_steps_that_these_show() -> None:
    adversarial, attack = usable(Service())
    assert isinstance(attack, NES)
    assert (attack.sigma, adversarial.sigma) == (STEP, STEP)


def test_gradients_that_were_followed_beyond_the_flip_are_asked_for_again() -> None:
    whole = np.ones((1, SIZE, SIZE), dtype=bool)
    for detector in (SureOfReal(), PlantedDetector()):
        moved = RegionMoves(detector, detector.prepare(FACE), EXACT, 0, "a", 32)
        assert moved(whole)[0] > 0
        if isinstance(detector, SureOfReal):
            with pytest.raises(InputError, match=f"^SureOfReal: its gradient is zero at {WHAT} .*derivatives=finite"):
                moved.require_gradients(WHAT)
        else:
            moved.require_gradients(WHAT)


def test_a_gradient_that_is_lost_on_the_way_is_said_in_the_name_of_the_detector() -> None:
    detector = AloneWhereSure()
    with pytest.raises(NoGradientError, match=r"^AloneWhereSure gives no gradient.*examine\.py: --set adversarial\.d"):
        RegionMoves(detector, detector.prepare(FACE), EXACT, 0, "a", 32)(np.ones((1, SIZE, SIZE), dtype=bool))


def test_who_listens_to_the_detector_is_told_what_attacks_on_regions_ask() -> None:
    detector, heard = PlantedDetector(), list[tuple[Tensor, Tensor]]()
    moved = RegionMoves(detector, detector.prepare(FACE), EXACT, 0, "a", 32)
    with listening(detector, lambda images, logits, precision: heard.append((images, logits))):
        moved(np.ones((1, SIZE, SIZE), dtype=bool))
    images, logits = (torch.cat(parts) for parts in zip(*heard, strict=True))
    assert len(images) == 2 + EXACT.steps  # the view before, the attack's first question, and one of each step
    assert torch.allclose(detector(images), logits, rtol=1e-4)
