"""One process at a time fills a folder."""

import errno
import fcntl
from pathlib import Path

import pytest

from common.errors import InputError
from common.locks import LOCK, alone_in, lock


def test_a_folder_is_one_process_s_until_it_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with (
        alone_in(folder, "wait for it"),
        pytest.raises(InputError, match=r"another process is working on .*out; wait for it"),
        alone_in(folder, "wait for it", patience=0.3),
    ):
        pass
    with alone_in(folder, "wait for it"):
        assert [path.name for path in folder.iterdir()] == [LOCK]


def test_readers_share_a_lock_that_a_writer_waits_for(tmp_path: Path) -> None:
    with open(tmp_path / LOCK, "a") as one, open(tmp_path / LOCK, "a") as two, open(tmp_path / LOCK, "a") as writer:
        assert lock(one, shared=True)
        assert lock(two, shared=True)
        assert not lock(writer)


def test_storage_without_locks_locks_nothing_and_other_failures_are_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(number: int) -> None:
        def flock(*_: object) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(fcntl, "flock", flock)

    with open(tmp_path / LOCK, "a") as file:
        failing(errno.ENOLCK)
        assert lock(file)
        failing(errno.EIO)
        with pytest.raises(OSError, match="no"):
            lock(file)
