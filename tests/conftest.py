"""Shared fixtures: the real clips and the reference outputs, where they are beside the checkout."""

from pathlib import Path

import pytest
import torch

from detectors.checks import fresh_process

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Images and networks are tiny here: more threads than one only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_fresh_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users' own detectors are asked in another process where a test is marked so: it takes seconds to import torch."""
    if "fresh_process" not in request.keywords:
        monkeypatch.setattr(fresh_process, "loaded_as", lambda detector: None)


@pytest.fixture(scope="session")
def ffpp() -> Path:
    """The FaceForensics++ root with the real clips; skips where it is absent."""
    root = SHARED / "ffpp"
    if not root.is_dir():
        pytest.skip(f"the real clips are not at {root}")
    return root


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference outputs of the published detectors; skips where it is absent."""
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip(f"the reference outputs are not at {folder}")
    return folder
