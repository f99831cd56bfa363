"""The most memory there is: the machine's, or what limits leave of it."""

import resource
from pathlib import Path

import psutil
import pytest
import torch

from detectors import memory
from detectors.memory import ran_out, total_memory

CPU = torch.device("cpu")


def test_the_most_memory_is_the_least_of_all_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited, container = tmp_path / "max", tmp_path / "limit"
    unlimited.write_text("max\n")
    monkeypatch.setattr(memory, "_CGROUPS", (str(unlimited), str(tmp_path / "none")))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert total_memory(CPU) == psutil.virtual_memory().total
    container.write_text("5000\n")
    monkeypatch.setattr(memory, "_CGROUPS", (str(unlimited), str(container)))
    assert total_memory(CPU) == 5000
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3000, resource.RLIM_INFINITY))
    assert total_memory(CPU) == 3000


def test_errors_of_a_device_without_memory_are_told_from_others() -> None:
    assert ran_out(torch.OutOfMemoryError("no words"))
    assert ran_out(MemoryError())
    assert not ran_out(RuntimeError("no kernel"))
