"""Verdicts, and the way from one detector to another."""

import numpy as np
import pytest
import torch

from data.frames import Frame
from detectors.base import resize
from robustness.threat_model import ThreatModel, judge
from tests.robustness.planted import GAIN, GREY, SIDE, Coarse, Families, Levels
from tests.toys import LinearDetector


def test_the_score_is_the_log_odds_of_fake_also_where_probabilities_round() -> None:
    images = torch.stack([torch.full((3, SIDE, SIDE), (GREY + level) / 255) for level in (-30, -1, 0, 30, 60)])
    seen = judge(Levels(), images, 2)
    assert seen.score.tolist() == pytest.approx([GAIN * (level + 0.5) for level in (-30, -1, 0, 30, 60)], rel=1e-4)
    assert seen.real.tolist() == [True, True, False, False, False]
    assert seen.score[4] > seen.score[3]  # where 1 - p(Real) would be 1 for both


def test_of_many_classes_fake_is_all_but_real() -> None:
    images = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.43
    detector = Families()
    p = detector(images).double().softmax(dim=1)[:, 0]
    assert torch.allclose(judge(detector, images, 4).score, ((1 - p) / p).log(), atol=1e-4)


def test_a_white_box_hands_on_what_it_made() -> None:
    detector = Levels()
    images = torch.rand(2, 3, SIDE, SIDE)
    assert ThreatModel(detector, detector, 4).relayed(images) is images
    assert ThreatModel(detector, detector, 4).white_box


def test_between_sizes_a_picture_is_rounded_and_resized_as_pictures_are() -> None:
    threat_model = ThreatModel(Levels(), Coarse(), 4)
    frame = Frame("a", np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), None, None, "a")
    made = threat_model.attackable([frame]) + 0.4 / 255
    assert made.shape == (1, 3, 2 * SIDE, 2 * SIDE)
    picture = made.clamp(0, 1).mul(255).round().byte()[0].permute(1, 2, 0).numpy()
    assert torch.equal(threat_model.relayed(made.clamp(0, 1))[0], resize(picture, SIDE, False))
    assert threat_model.direct([frame]).shape == (1, 3, SIDE, SIDE)
    assert not threat_model.white_box


def test_logits_are_those_of_the_detector() -> None:
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    images = torch.rand(3, 3, 8, 8)
    seen = judge(LinearDetector(weight, 0.1), images, 2)
    assert seen.score.tolist() == pytest.approx(((images * weight).sum(dim=(1, 2, 3)) + 0.1).tolist(), abs=1e-4)
