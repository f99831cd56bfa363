"""Which frames are for training and which for testing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.files import parse_json, read_text

NAMES = ("train", "val", "test")


class OfficialSplits(Mapping[str, str]):
    """The split of each id that the split files of a folder name. Ids are compared as numbers where they are: 4 is 004.

    Raises InputError for an id in two splits.
    """

    def __init__(self, folder: Path, identities: Mapping[str, Iterable[str]]) -> None:
        self.folder = folder
        self._splits: dict[str, str] = {}
        for name, of_split in identities.items():
            for identity in of_split:
                other = self._splits.setdefault(_number(identity), name)
                if other != name:
                    raise InputError(f"{folder / name}.json: the id {identity} is in {other}.json too; keep it in one")

    def __getitem__(self, identity: str) -> str:
        return self._splits[_number(identity)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __len__(self) -> int:
        return len(self._splits)

    def remark(self, identities: Mapping[str, str]) -> str | None:
        """A line about the videos that are in no split, or None where all are in one.

        `identities` are the videos' ids, by their names. Raises InputError where no video is in a split.
        """
        absent = [video for video, identity in identities.items() if identity not in self]
        if not absent:
            return None
        example = f"{absent[0]} (id {identities[absent[0]]})"
        if len(absent) == len(identities):
            known = ", ".join(list(self)[:3]) or "none"
            raise InputError(
                f"{self.folder}: no split knows any of the {len(absent):,} videos, such as {example}; the ids in its "
                f"files are such as {known}: are they those of another data set?"
            )
        return f"{len(absent):,} of {len(identities):,} videos are in no split of {self.folder}, such as {example}"


def official_splits(folder: Path) -> OfficialSplits:
    """The splits of FaceForensics++'s train.json, val.json and test.json in `folder`, by the originals' ids.

    Each file is a list of pairs of ids; both belong to the split. Raises InputError for a file that is missing or
    is not such a list, or an id in two splits.
    """
    return OfficialSplits(folder, {name: _identities(folder / f"{name}.json") for name in NAMES})


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
        pairs = parse_json(read_text(path))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such split file; --splits names the folder of {', '.join(NAMES)}.json") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); download the split files again") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        raise InputError(f'{path}: expected a list of pairs of ids, such as [["953", "974"]]')
    identities = [identity for pair in pairs for identity in pair]
    if not all(isinstance(identity, str | int) and not isinstance(identity, bool) for identity in identities):
        raise InputError(f'{path}: ids are texts or whole numbers, such as "953"')
    return [str(identity) for identity in identities]


def _number(identity: str) -> str:
    """An id without the zeros before a number, which some write and some do not."""
    return identity.lstrip("0") or "0" if identity.isascii() and identity.isdigit() else identity
