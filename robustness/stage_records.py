"""The records of a stage, one per frame, and the files that they are kept in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from common.console import warn
from common.errors import InputError
from common.files import stem
from robustness.gradient_norms import GradientCheck
from runs import json_records
from runs.seals import Seals


@dataclass(frozen=True)
class CleanVerdict:
    """The verdicts on a frame before any attack.

    Attributes:
        key: the frame.
        score: the detector's log-odds of fake.
        real: whether its verdict is Real.
        relayed_real: the same of the frame on the attacks' way to the detector; only a transfer between different
            inputs can make it differ from `real`.
        source_real: whether the attacked detector's verdict is Real; in a white box it is the same one.
    """

    key: str
    score: float
    real: bool
    relayed_real: bool
    source_real: bool


@dataclass(frozen=True)
class Attacked:
    """What one attack at one budget did to a fake.

    Attributes:
        key: the frame.
        score: the detector's log-odds of fake afterwards.
        real: whether its verdict is Real.
        source_real: whether the attacked detector's verdict is Real.
        linf: the largest change of a value.
        steps: the attack's steps.
        forwards: images passed to the attacked detector.
    """

    key: str
    score: float
    real: bool
    source_real: bool
    linf: float
    steps: int
    forwards: int


@dataclass(frozen=True)
class DipResult:
    """The verdict on a frame that a defence has drawn anew.

    Attributes:
        key: the frame.
        real_before: whether the verdict without the defence is Real.
        score: the log-odds of fake with it.
        real: whether the verdict with it is Real.
        seconds: what drawing took.
    """

    key: str
    real_before: bool
    score: float
    real: bool
    seconds: float


Record = CleanVerdict | Attacked | GradientCheck | DipResult


@dataclass(frozen=True)
class Part:
    """What one stage gave on a few frames.

    Attributes:
        records: one per frame, in order.
        seconds: wall time, reading the frames apart.
    """

    records: tuple[Record, ...]
    seconds: float


class Parts:
    """The folder of finished parts: a file for each, whole or not there."""

    KINDS: ClassVar[dict[str, type[Record]]] = {
        "Verdict": CleanVerdict, "Attacked": Attacked, "Slope": GradientCheck, "Redrawn": DipResult,
    }  # fmt: skip
    """The records by the names that they have in files."""

    def __init__(self, folder: Path, seals: Seals) -> None:
        self.folder, self.seals = folder, seals

    def save(self, stage: str, first: str, part: Part) -> None:
        """Keeps a part of a stage; it counts as finished once this returns. `first` is its first frame's key."""
        names = {kind: name for name, kind in self.KINDS.items()}
        records = [{"kind": names[type(record)], **asdict(record)} for record in part.records]
        json_records.save_records(self._file(stage, first), records, self.seals, {"seconds": part.seconds})

    def begun(self, stage: str, first: str) -> bool:
        """Whether there is a file of this part, finished or damaged."""
        return self._file(stage, first).exists()

    def finished(self, stage: str, first: str, keys: Sequence[str]) -> Part | None:
        """A finished part with records of exactly the frames `keys`, else None; a damaged file is warned of."""
        path = self._file(stage, first)
        try:
            kept = json_records.load_records(path, self.seals)
            records = tuple(self._record(dict(record)) for record in kept[json_records.RECORDS])
            part = Part(records, float(kept["seconds"]))
        except FileNotFoundError:
            return None
        except InputError as error:
            warn(f"{error}; its frames are done again")
            return None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            warn(f"{path} is not readable ({error}); its frames are done again")
            return None
        return part if [record.key for record in part.records] == list(keys) else None

    def _record(self, values: dict[str, object]) -> Record:
        return self.KINDS[str(values.pop("kind"))](**values)  # type: ignore[arg-type]

    def _file(self, stage: str, first: str) -> Path:
        return self.folder / f"{stem(stage)}-{stem(first)}.json"
