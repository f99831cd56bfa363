"""The check against false security: what hides its gradients is caught, what is honest is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.statistics import Estimate
from common.errors import InputError
from robustness.gradient_masking import GradientMasking, MaskingCheck
from tests.robustness.planted import (
    Cascade,
    Closed,
    Families,
    Levels,
    Misleading,
    MisleadsLater,
    Rounded,
    Saturated,
    Sturdy,
    write_frames,
)
from tests.robustness.runs import EPSILON, attacked, checked, setup

VULNERABLE = {"Deepfakes": [1, 2, 1], "FaceSwap": [2, 1, 2]}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Fakes that all pass as real once they are a little darker."""
    return write_frames(tmp_path / "frames", VULNERABLE)


def found(folder: Path, detector: type[Levels], index: Path) -> GradientMasking:
    """What the check says of a detector."""
    masking = attacked(folder, detector, checked(index)).summary.masking
    assert masking is not None
    assert (masking.frames, masking.videos) == (6, 6)
    return masking


def test_a_detector_that_rounds_its_input_hides_its_gradients(tmp_path: Path, index: Path) -> None:
    masking = found(tmp_path / "run", Rounded, index)
    assert masking.pgd.value == 0
    assert masking.apgd.value == 0
    assert masking.stronger.value == masking.beyond.value == 1
    assert masking.vanishing == 1
    assert masking.flags == ("PGD misled", "gradients vanish")


def test_a_detector_with_misleading_gradients_is_caught_by_square(tmp_path: Path, index: Path) -> None:
    masking = found(tmp_path / "run", Misleading, index)
    assert masking.pgd.value == 0
    assert masking.stronger.value == 1
    assert masking.misleading == 1
    assert masking.flags == ("PGD misled", "gradients mislead")


def test_a_gradient_that_misleads_for_later_frames_alone_is_caught(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", {"Deepfakes": [2, 3, 2], "FaceSwap": [6, 7, 6]})
    masking = found(tmp_path / "run", MisleadsLater, index)
    assert masking.pgd.value == 0.5
    assert (masking.vanishing, masking.misleading) == (0, 0.5)
    assert "gradients mislead" in masking.flags


def test_a_plateau_is_caught_by_its_gradients(tmp_path: Path, index: Path) -> None:
    masking = found(tmp_path / "run", Saturated, index)
    assert masking.pgd.value == 0
    assert masking.vanishes
    assert "gradients vanish" in masking.flags


def test_gradients_that_vanish_only_where_pgd_leads_are_caught(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", {"Deepfakes": [5, 6, 5], "FaceSwap": [6, 5, 6]})
    masking = found(tmp_path / "run", Cascade, index)
    assert masking.pgd.value == 0
    assert masking.vanishing == 1
    assert "gradients vanish" in masking.flags


def test_an_honest_weak_detector_is_not_flagged(tmp_path: Path, index: Path) -> None:
    for detector in (Levels, Families):
        masking = found(tmp_path / detector.__name__, detector, index)
        assert masking.pgd.value == 1
        assert masking.beyond.value == 0
        assert masking.flags == ()


def test_an_honest_flat_detector_is_not_flagged(tmp_path: Path, index: Path) -> None:
    masking = found(tmp_path / "run", Sturdy, index)
    assert masking.stronger.value == 0
    assert masking.vanishing == 0
    assert masking.flags == ()


def test_stronger_attacks_work_only_where_the_ones_before_failed(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", {"Deepfakes": [1, 20, 2, 30]})
    plan = setup(Levels, checked(index))
    result = attacked(tmp_path / "run", Levels, checked(index))
    rows = (tmp_path / "run" / "rows.csv").read_text()
    assert rows.count("torchattacks:APGD") == rows.count("torchattacks:Square") == 2
    assert [stage.name for stage in plan.plan.stages][-4:] == [
        "check apgd", "check square", "check gradients", "check gradients after pgd",
    ]  # fmt: skip
    masking = result.summary.masking
    assert masking is not None
    assert (masking.pgd.value, masking.stronger.value) == (0.5, 0.5)


def test_pgd_runs_for_the_check_where_the_run_has_none(tmp_path: Path, index: Path) -> None:
    wanted = replace(checked(index), attacks=("fgsm",), check_frames=2)
    summary = attacked(tmp_path / "run", Levels, wanted).summary
    assert summary.masking is not None
    assert (summary.masking.frames, summary.masking.pgd.value) == (2, 1.0)
    assert {line.attack for line in summary.lines} == {"fgsm"}


def rates(beyond: Estimate, vanishing: float = 0.0) -> GradientMasking:
    """A finding with this share beyond PGD."""
    return GradientMasking(EPSILON, 20, 5, Estimate(), Estimate(), Estimate(), beyond, vanishing)


def test_the_flags_thresholds() -> None:
    assert rates(Estimate(0.2, 0.05, 0.4)).misled
    assert not rates(Estimate(0.2, 0.0, 0.4)).misled  # one video of a few may be chance
    assert not rates(Estimate(0.1, 0.05, 0.4)).misled
    assert rates(Estimate(0.2)).misled  # a single video: no interval
    assert not rates(Estimate()).misled  # nothing was checked
    assert rates(Estimate(0.0), 0.11).flags == ("gradients vanish",)
    assert rates(Estimate(0.0), 0.10).flags == ()
    assert rates(Estimate(), float("nan")).flags == ()


def test_a_detector_without_gradients_is_refused_before_any_work(index: Path) -> None:
    with pytest.raises(InputError, match="Closed gives no gradient"):
        setup(Closed, checked(index))
    assert setup(Closed, replace(checked(index), check=None, attacks=("torchattacks:Square",)))


def test_a_check_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="square_queries must be at least 1"):
        MaskingCheck(EPSILON, square_queries=0)
