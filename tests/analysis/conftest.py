"""A plausible run for tests of what is made of tables."""

import pytest

from runs.finished_run import FinishedRun
from tests.reporting.page import plausible


@pytest.fixture(scope="session")
def plausible_run() -> FinishedRun:
    """24 frames with every baseline, two attacks and several budgets; no test changes it."""
    return plausible.finished(24, ("LIME", "LIME_adv", "RISE"))
