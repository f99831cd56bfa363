"""Keeps what frames gave, while the next ones are scored."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from common import log
from common.console import warn
from scoring import gallery
from scoring.folder import Folder
from scoring.workers.answers import WRONG, Answer, Failure, failure


class Keeper:
    """Writes the answers of a run's frames in a thread, one at a time and in order; at most one waits.

    Attributes:
        failures: why frames are left out, by key.
    """

    def __init__(self, folder: Folder, writer: ThreadPoolExecutor) -> None:
        self.failures: dict[str, str] = {}
        self._folder, self._writer = folder, writer
        self._pending: list[Future[None]] = []

    def __call__(self, key: str, answer: Answer) -> None:
        """Keeps one answer. Raises OSError where this one or the last cannot be written."""
        self.wait()
        self._pending.append(self._writer.submit(self._keep, key, answer))

    def wait(self) -> None:
        """Returns once everything is written. Raises OSError where something cannot be."""
        while self._pending:
            self._pending.pop().result()

    def _keep(self, key: str, answer: Answer) -> None:
        if isinstance(answer, Failure):
            self._leave_out(key, answer)
            return
        try:
            if answer.pictures is not None:
                gallery.save(self._folder.path, answer.pictures)
            self._folder.save(key, answer.records, answer.costs)
        except WRONG as error:
            self._leave_out(key, failure(error))
            return
        log.info(f"{key}: scored in {answer.seconds:.1f} s")

    def _leave_out(self, key: str, why: Failure) -> None:
        self.failures[key] = why.reason
        warn(f"{key} is left out: {why.reason}")


@contextmanager
def keeping(folder: Folder) -> Iterator[Keeper]:
    """A keeper for the answers of a run; what was given to it is written before this ends."""
    with ThreadPoolExecutor(1, "writer") as writer:
        keeper = Keeper(folder, writer)
        yield keeper
        keeper.wait()
