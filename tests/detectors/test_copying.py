"""A copy of a detector has weights of its own, and shares the files and locks that none can have twice."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.copying import copied
from detectors.randomised import randomised
from tests.xai.helpers import SmallNetwork


class Held(SmallNetwork):
    """Writes a line of each pass, where its log is open, and keeps something besides."""

    def __init__(self, **kept: Any) -> None:
        super().__init__()
        for name, value in kept.items():
            setattr(self, name, value)

    def forward(self, images: Tensor) -> Tensor:
        if hasattr(self, "log"):
            self.log.write(f"{len(images)}\n")
        return super().forward(images)


class Keeper:
    """An own object that holds something."""

    def __init__(self, held: object) -> None:
        self.held = held


class Closing(Held):
    """Closes its log when it is gone, which a copy would do, too."""

    def __del__(self) -> None:
        if "log" in vars(self):  # half of a copy has none
            self.log.close()


class Sealed(nn.Module):
    """A part that says itself what becomes of its lock in a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.lock = nn.Linear(2, 2), threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "lock": None}


def numbers() -> Iterator[int]:
    yield 1


@pytest.fixture
def plug() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        yield opened


def require_own_weights(other: nn.Module, detector: nn.Module) -> None:
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    assert {name: value.tolist() for name, value in other.state_dict().items()} == {
        name: value.tolist() for name, value in before.items()
    }
    with torch.no_grad():
        for value in other.parameters():
            value.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


@pytest.mark.parametrize(
    "make",
    [threading.Lock, threading.RLock, threading.Event, threading.Condition, lambda: sys],
    ids=["lock", "rlock", "event", "condition", "module"],
)
def test_what_belongs_to_the_process_is_shared(make: Callable[[], object]) -> None:
    part = make()
    detector = Held(kept={"of it": [part]})
    detector.linear.own = part
    other = copied(detector)
    assert other.kept["of it"][0] is part is other.linear.own
    assert other.kept is not detector.kept
    require_own_weights(other, detector)


def test_a_detector_with_an_open_file_and_a_socket_is_randomised(tmp_path: Path, plug: socket.socket) -> None:
    with (tmp_path / "log").open("w") as log:
        detector = Held(log=log, plug=plug).eval()
        before = {name: value.clone() for name, value in detector.state_dict().items()}
        images = torch.rand(2, 3, detector.input_size, detector.input_size)
        first, other = detector(images), randomised(detector, seed=0)
        assert not torch.allclose(other(images), first)
        assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
        assert torch.equal(detector(images), first)
        del other
        assert not log.closed
    assert (tmp_path / "log").read_text().count("2\n") == 3


def test_a_way_to_copy_that_a_class_defines_is_taken() -> None:
    detector = Held(part=Sealed(), lock=threading.Lock())
    other = copied(detector)
    assert other.part.lock is None
    assert other.lock is detector.lock


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"draws": numbers()}, r"its draws does not let itself be copied \(TypeError: cannot pickle 'generator' "),
        (
            {"keeper": Keeper(threading.Lock())},
            r"its keeper\.held does not .*lock.*; make that in forward, or give the",
        ),
        ({"many": {"a": [0, Keeper(numbers())]}}, r"its many\['a'\]\[1\]\.held does not .*generator"),
        ({"mean": nn.Parameter(torch.ones(2)) * 2}, r"its mean does not .*; detach it where it is kept"),
    ],
)
def test_what_cannot_be_copied_is_named(kept: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"detector Held cannot be copied, as drawing its weights anew needs: " + said):
        randomised(Held(**kept), seed=0)
    inner = Held(**kept)
    with pytest.raises(InputError, match=said.replace("its ", r"its inner\.", 1)):
        copied(Held(inner=inner))


def test_a_detector_that_closes_its_file_when_it_is_gone_is_refused(tmp_path: Path) -> None:
    detector = Closing(log=(tmp_path / "log").open("w"))
    with pytest.raises(InputError, match=r"detector Closing cannot be copied, .* its log does not let itself be"):
        copied(detector)
    assert not detector.log.closed


def test_a_part_that_leads_back_to_the_whole_ends() -> None:
    detector = Held(lock=threading.Lock())
    detector.owner = [detector]
    assert copied(detector).owner[0] is not detector
    detector.draws = numbers()
    with pytest.raises(InputError, match="its draws does not let itself"):
        copied(detector)
