"""From options to a run that is ready to start."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

from common.errors import InputError
from detectors import Detector
from runs.run_options import EvaluationOptions
from runs.setup import prepare_run
from tests.scoring.metrics.own import Peak
from tests.scoring.stand_ins import GUESS, Eraser, TwoClassPlanted, write_frames

OWN = "tests.scoring.metrics.own:Peak"


def options(**changes: object) -> EvaluationOptions:
    return EvaluationOptions(methods=("LIME",), attacks=("pgd",), limit=1, device="cpu", **changes)  # type: ignore[arg-type]


def test_a_users_own_metric_takes_settings() -> None:
    setup = prepare_run(options(metrics=(OWN,), overrides=(f"{OWN}.factor=2",)))
    assert setup.scorer.metrics == {OWN: Peak(factor=2.0)}
    assert setup.configuration.metrics[OWN]["factor"] == 2.0


def test_the_protocols_settings_are_taken_under_their_earlier_names() -> None:
    protocol = prepare_run(options(overrides=("protocol.grade_steps=3", "protocol.grades=budget"))).scorer.protocol
    assert (protocol.threshold_steps, protocol.flip_thresholds) == (3, ("budget",))


def test_a_setting_of_a_metric_that_is_not_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="deletion"):
        prepare_run(options(overrides=("deletion.steps=3",)))


def closed() -> Detector:
    """A detector of two classes that gives no gradient."""

    class Closed(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.detach())

    return Closed()


@dataclass(frozen=True)
class Choosy(Eraser):
    """An attack that works on no detector of two classes."""

    def check(self, detector: Detector) -> None:
        if len(detector.class_names) == 2:
            raise InputError("two classes are too few")


def test_all_that_cannot_work_on_a_detector_is_said_at_once_before_any_work(tmp_path: Path) -> None:
    me, asked = "tests.runs.test_setup", Path(write_frames(tmp_path, videos=1))
    attacks = ("torchattacks:AutoAttack", "torchattacks:APGD", f"{me}:Choosy", "pgd", "torchattacks:Square")
    given = EvaluationOptions(
        methods=("cam:GradCAM", GUESS),
        detector=f"{me}:closed",
        frames=asked,
        attacks=attacks,
        device="cpu",
        overrides=("torchattacks:APGD.loss=dlr", "cam:GradCAM.layer=nowhere"),
    )
    with pytest.raises(InputError) as caught:
        prepare_run(given, folder=tmp_path / "run")
    for expected in (
        "cam:GradCAM: the detector has no layer 'nowhere'",
        "torchattacks:AutoAttack needs a detector of at least 4 classes, this one has 2",
        "torchattacks:APGD with the loss dlr needs a detector of at least 3 classes, this one has 2",
        f"{me}:Choosy: two classes are too few",
        "gives no gradient",
    ):
        assert expected in str(caught.value)
    assert "Square can" not in str(caught.value)
    assert not (tmp_path / "run").exists()
