"""Writes the results of frames while the next ones are scored."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from common import log
from common.console import warn
from runs.drift import keep_drift
from runs.gallery import sprites
from runs.run_folder import RunFolder
from runs.workers.messages import Answer, Failure, failure


class ResultWriter:
    """Writes the results of a run's frames in a thread, one at a time and in order; at most one waits.

    Attributes:
        failures: the reasons of frames that are left out, by key.
    """

    def __init__(self, folder: RunFolder, thread: ThreadPoolExecutor) -> None:
        self.failures: dict[str, str] = {}
        self._folder, self._thread = folder, thread
        self._pending: list[Future[None]] = []

    def __call__(self, key: str, answer: Answer) -> None:
        """Writes one frame's answer. Raises OSError where this one or the last cannot be written."""
        self.wait()
        self._pending.append(self._thread.submit(self._keep, key, answer))

    def wait(self) -> None:
        """Returns once everything is written. Raises OSError where something cannot be."""
        while self._pending:
            self._pending.pop().result()

    def _keep(self, key: str, answer: Answer) -> None:
        if isinstance(answer, Failure):
            self._leave_out(key, answer)
            return
        try:
            if answer.drift is not None:
                keep_drift(self._folder, answer.drift)
            if answer.pictures is not None:
                sprites.save(self._folder.path, answer.pictures, self._folder.seals)
            self._folder.save(key, answer.records, answer.costs)
        except OSError:
            raise
        except Exception as error:
            self._leave_out(key, failure(error, "writing"))
            return
        log.info(f"{key}: scored in {answer.seconds:.1f} s")
        for failed in answer.failures:
            warn(f"{key} is scored without {failed.stage}: {failed.reason}")
            log.trace(failed.trace)

    def _leave_out(self, key: str, failed: Failure) -> None:
        self.failures[key] = failed.reason
        warn(f"{key} is left out: {failed.reason}")
        log.trace(failed.trace)


@contextmanager
def result_writer(folder: RunFolder) -> Iterator[ResultWriter]:
    """A result writer for a run; all answers that it was given are written before this ends."""
    with ThreadPoolExecutor(1, "writer") as thread:
        writer = ResultWriter(folder, thread)
        yield writer
        writer.wait()
