"""The check against false security: what hides its gradients is caught, what is honest is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import InputError
from scoring.robustness.security import Check, Security
from scoring.statistics import Estimate
from tests.scoring.robustness.planted import (
    Closed,
    Families,
    Levels,
    Misleading,
    Rounded,
    Saturated,
    Sturdy,
    write_frames,
)
from tests.scoring.robustness.runs import EPSILON, attacked, checked, setup

VULNERABLE = {"Deepfakes": [1, 2, 1], "FaceSwap": [2, 1, 2]}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Fakes that all pass as real once they are a little darker."""
    return write_frames(tmp_path / "frames", VULNERABLE)


def found(folder: Path, detector: type[Levels], index: Path) -> Security:
    """What the check says of a detector."""
    security = attacked(folder, detector, checked(index)).summary.security
    assert security is not None
    assert (security.frames, security.videos) == (6, 6)
    return security


def test_a_detector_that_rounds_its_input_hides_its_gradients(tmp_path: Path, index: Path) -> None:
    security = found(tmp_path / "run", Rounded, index)
    assert security.pgd.value == 0
    assert security.apgd.value == 0
    assert security.stronger.value == security.beyond.value == 1
    assert security.vanishing == 1
    assert security.flags == ("PGD misled", "gradients vanish")


def test_a_detector_with_misleading_gradients_is_caught_by_square(tmp_path: Path, index: Path) -> None:
    security = found(tmp_path / "run", Misleading, index)
    assert security.pgd.value == 0
    assert security.stronger.value == 1
    assert security.flags == ("PGD misled",)


def test_a_plateau_is_caught_by_its_gradients(tmp_path: Path, index: Path) -> None:
    security = found(tmp_path / "run", Saturated, index)
    assert security.pgd.value == 0
    assert security.vanishes
    assert "gradients vanish" in security.flags


def test_an_honest_weak_detector_is_not_flagged(tmp_path: Path, index: Path) -> None:
    for detector in (Levels, Families):
        security = found(tmp_path / detector.__name__, detector, index)
        assert security.pgd.value == 1
        assert security.beyond.value == 0
        assert security.flags == ()


def test_an_honest_flat_detector_is_not_flagged(tmp_path: Path, index: Path) -> None:
    security = found(tmp_path / "run", Sturdy, index)
    assert security.stronger.value == 0
    assert security.vanishing == 0
    assert security.flags == ()


def test_stronger_attacks_work_only_where_the_ones_before_failed(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", {"Deepfakes": [1, 20, 2, 30]})
    plan = setup(Levels, checked(index))
    result = attacked(tmp_path / "run", Levels, checked(index))
    rows = (tmp_path / "run" / "rows.csv").read_text()
    assert rows.count("torchattacks:APGD") == rows.count("torchattacks:Square") == 2
    assert [stage.name for stage in plan.plan.stages][-3:] == ["check apgd", "check square", "check gradients"]
    security = result.summary.security
    assert security is not None
    assert (security.pgd.value, security.stronger.value) == (0.5, 0.5)


def test_pgd_runs_for_the_check_where_the_run_has_none(tmp_path: Path, index: Path) -> None:
    wanted = replace(checked(index), attacks=("fgsm",))
    wanted = replace(wanted, check=replace(wanted.check or Check(EPSILON), frames=2))
    summary = attacked(tmp_path / "run", Levels, wanted).summary
    assert summary.security is not None
    assert (summary.security.frames, summary.security.pgd.value) == (2, 1.0)
    assert {line.attack for line in summary.lines} == {"fgsm"}


def rates(beyond: Estimate, vanishing: float = 0.0) -> Security:
    """A finding with this share beyond PGD."""
    return Security(EPSILON, 20, 5, Estimate(), Estimate(), Estimate(), beyond, vanishing)


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
        Check(EPSILON, square_queries=0)
