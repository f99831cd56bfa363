"""One small set of demo frames that the tests share."""

import pytest

from data.demo.demo_frames import DemoFrames


@pytest.fixture(scope="session")
def frames() -> DemoFrames:
    """Two people, one moment each, in all five classes."""
    return DemoFrames(10, seed=3, frames_per_video=1)
