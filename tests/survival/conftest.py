"""At the end of a session: how many inputs were tried, and what became of them."""

import pytest

from tests.survival.inputs import PROFILE, TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    kinds = sorted(TALLY.slowest)
    if not kinds:
        return
    read, refused = TALLY.read.total(), TALLY.refused.total()
    terminalreporter.section(f"inputs (profile {PROFILE})")
    for kind in kinds:
        terminalreporter.write_line(
            f"{kind:24} {TALLY.read[kind]:7,} read {TALLY.refused[kind]:7,} refused, "
            f"slowest {TALLY.slowest[kind]:6.2f} s"
        )
    terminalreporter.write_line(f"{'all':24} {read:7,} read {refused:7,} refused, {read + refused:,} inputs")
