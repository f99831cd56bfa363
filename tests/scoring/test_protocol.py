"""What a protocol may not ask for."""

import pytest

from scoring.protocol import Protocol


@pytest.mark.parametrize("depths", [("1", "1"), ("1", "5%", "5.0%"), ()])
def test_depths_that_are_missing_or_the_same_are_refused(depths: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"depths (name a region twice|must name at least one region)"):
        Protocol(depths=depths)
    assert Protocol(depths=("3", "1", "5%")).depths == ("3", "1", "5%")
