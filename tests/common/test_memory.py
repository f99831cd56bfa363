"""Memory that has run out is told from other errors, by real errors of the libraries where they can be had."""

import numpy as np
import pytest
import torch
import typer

from common.console import status
from common.memory import no_memory, place, ran_out


def _numpys() -> None:
    np.zeros(2**60, dtype=np.uint8)


def _torchs() -> None:
    torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize(("fill", "asked"), [(_numpys, "Unable to allocate 1.00 EiB"), (_torchs, "tried to allocate")])
def test_memory_of_the_libraries_that_ran_out_is_called_so(fill: object, asked: str) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        fill()  # type: ignore[operator]
    assert ran_out(caught.value)
    assert no_memory(caught.value).startswith("no memory is left (")
    assert asked in no_memory(caught.value)
    assert f"{fill.__name__} in test_memory.py, line " in place(caught.value)  # type: ignore[attr-defined]


def test_other_errors_are_not_about_memory() -> None:
    assert not ran_out(RuntimeError("expected 3 channels"))
    assert not ran_out(ValueError("out of memory of the past"))
    assert ran_out(RuntimeError("CUDA error: out of memory"))
    assert no_memory(MemoryError()) == "no memory is left (MemoryError)"
    assert place(MemoryError()) == "the start"


@pytest.mark.parametrize("fill", [_numpys, _torchs])
def test_a_command_without_memory_says_so_and_at_what(fill: object, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    app.command()(fill)  # type: ignore[type-var]
    assert status(app, []) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: no memory is left (")
    assert f"at {fill.__name__} in test_memory.py" in told  # type: ignore[attr-defined]
    assert "Traceback" not in told
