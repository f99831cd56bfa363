"""From options to a run that is ready to start."""

import pytest

from common.errors import InputError
from runs.run_options import EvaluationOptions
from runs.setup import prepare_run
from tests.scoring.metrics.own import Peak

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
