"""Which frames are for training and which for testing."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.files import parse_json

NAMES = ("train", "val", "test")


def official_splits(folder: Path) -> dict[str, str]:
    """The split of each original's id, from FaceForensics++'s train.json, val.json and test.json in `folder`.

    Each file is a list of pairs of ids; both belong to the split. Raises InputError for a file that is missing or
    is not such a list, or an id in two splits.
    """
    splits: dict[str, str] = {}
    for name in NAMES:
        path = folder / f"{name}.json"
        for identity in _identities(path):
            other = splits.setdefault(identity, name)
            if other != name:
                raise InputError(f"{path}: the id {identity} is in {other}.json too; keep it in one")
    return splits


@dataclass(frozen=True)
class TimeSplit:
    """Splits every video by time: its first part to train on, its last to test on, what lies between left out.

    The gap keeps a test frame from being almost the same as a training frame. It is no split by identity: every
    face is in both parts, so results on it say nothing about faces that were not seen.

    Attributes:
        train: the share of a video's frames, from its start, to train on.
        test: the share, up to its end, to test on.
    """

    train: float = 0.70
    test: float = 0.25

    def __post_init__(self) -> None:
        if not (0 < self.train < 1 and 0 < self.test < 1 and self.train + self.test <= 1):
            raise InputError(
                f"a split by time needs two positive shares that add up to at most 1, not {self.train} and {self.test}"
            )

    def of(self, position: int, frames: int) -> str | None:
        """The split of frame `position` of a video of `frames`; None in the gap, whose frames are not stored."""
        if position < round(self.train * frames):
            return "train"
        return "test" if position >= frames - round(self.test * frames) else None


def _identities(path: Path) -> list[str]:
    try:
        pairs = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such split file; --splits names the folder of {', '.join(NAMES)}.json") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); download the split files again") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        raise InputError(f'{path}: expected a list of pairs of ids, such as [["953", "974"]]')
    identities = [identity for pair in pairs for identity in pair]
    if not all(isinstance(identity, str) for identity in identities):
        raise InputError(f'{path}: ids are strings, such as "953"')
    return identities
