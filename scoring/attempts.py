"""Parts of a frame that can fail while the rest of it stands: which failed, and why."""

import contextlib
import json
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.errors import InputError, described, is_interrupt, one_line, words
from common.memory import no_memory
from common.process_state import kept_process_state
from detectors.memory import ran_out


@dataclass(frozen=True)
class StageFailure:
    """A stage of one frame that failed.

    Attributes:
        stage: "segments", "adversarial", a method, "attack NAME", "metric NAME of METHOD", ..., as in
            `scoring.costs.Cost`.
        reason: why, on one line.
        trace: where in the code, over several lines; "" where the reason says all.
    """

    stage: str
    reason: str
    trace: str = ""

    @classmethod
    def of(cls, stage: str, error: BaseException) -> "StageFailure":
        """The failure of a stage by an error."""
        foreseen = isinstance(error, InputError) and error.__cause__ is None
        return cls(stage, reason_of(error), "" if foreseen else "".join(traceback.format_exception(error)))

    def __str__(self) -> str:
        return f"{self.stage}: {self.reason}"


class NothingScoredError(InputError):
    """Every method or every attack failed on a frame.

    Attributes:
        failures: of the stages.
    """

    def __init__(self, failures: Sequence[StageFailure]) -> None:
        self.failures = tuple(failures)
        first, *others = dict.fromkeys(map(str, failures))
        super().__init__(f"{first} (and {len(others)} more)" if others else first)


class Attempts:
    """Tries parts of a frame, one after the other.

    Attributes:
        failures: of those that failed, in order.
    """

    def __init__(self) -> None:
        self.failures: list[StageFailure] = []

    @contextlib.contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Notes an error of what happens inside as the failure of a stage, and goes on after it."""
        try:
            with kept_process_state(stage):
                yield
        except BaseException as error:
            if is_interrupt(error):
                raise
            self.failures.append(StageFailure.of(stage, error))


def reason_of(error: BaseException) -> str:
    """An error on one line: an InputError's own words, else with its type; memory that ran out is called that."""
    if isinstance(error, InputError):
        return words(error)
    if ran_out(error):
        return one_line(no_memory(error))
    return described(error)


def as_text(failures: Sequence[StageFailure]) -> str:
    """Stages and reasons as a record keeps them (`scoring.records.FrameVerdict`); "" for none."""
    return json.dumps([[failure.stage, failure.reason] for failure in failures]) if failures else ""


def from_text(text: str) -> list[StageFailure]:
    """What `as_text` made. Raises InputError for another text."""
    if not text:
        return []
    try:
        return [StageFailure(str(stage), str(reason)) for stage, reason in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise InputError(f"{text!r} does not say which parts of a frame failed") from error
