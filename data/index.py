"""The index of a set of frames: a CSV file with one line per frame."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from common.csv_files import as_read, save_rows
from common.errors import InputError
from data.frames import CLASS_NAMES, family_of, video_of

REQUIRED = ("relative_path", "bin_label", "mc_label")
OPTIONAL = ("split", "mask_path", "source_path")
UNUSABLE = {"\n": "a line break", "\r": "a line break", "\0": "a null character"}


@dataclass(frozen=True)
class Entry:
    """One frame as the index knows it, without its pixels.

    Attributes:
        key: the image's relative path with forward slashes; it names the frame everywhere.
        fake: whether the frame is manipulated (`bin_label`), or None where unknown (a plain folder of pictures).
        label: its `mc_label` (0 to 4), or None where it has none.
        split: "train", "val", "test" or any other name, or None.
        mask: the relative path of the picture of its manipulated pixels, or None.
        source: for a manipulated frame, the relative path of the picture that shows the same moment and the same
            square of its original, or None.
    """

    key: str
    fake: bool | None
    label: int | None
    split: str | None = None
    mask: str | None = None
    source: str | None = None

    @property
    def family(self) -> str | None:
        """ "Real", the manipulation the frame was made with, or None where unknown."""
        return family_of(self.key, self.fake, self.label)

    @property
    def video(self) -> str:
        """The video the frame is from: its folder, or its own key where it stands alone."""
        return video_of(self.key)


def read_index(path: str | Path) -> list[Entry]:
    """The entries of an index file, in its order.

    The file is UTF-8 CSV with a header, separated by commas or by single spaces (the header shows which), with
    the columns `relative_path bin_label mc_label` and, where wanted, `split mask_path source_path`, in any order;
    other columns are ignored. Cells are quoted where they contain the separator, and a text that begins with one of
    `=+-@` may have an apostrophe before it (`common.csv_files`). All but the first two columns may be empty; an empty
    `mc_label` of a real frame is read as 0.

    Raises InputError, with the file and line, for anything else.
    """
    text = _text(Path(path))
    separator = "," if "," in io.StringIO(text, newline="").readline() else " "
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        columns = _columns(path, header)
        lines: dict[str, int] = {}
        entries = []
        for cells in reader:
            if not cells:  # a blank line
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}; "
                    f"put a cell that contains the separator {separator!r} in double quotes"
                )
            entry = _entry(f"{path}, line {line}", {name: as_read(cells[index]) for name, index in columns.items()})
            first = lines.setdefault(entry.key, line)
            if first != line:
                raise InputError(f"{path}, line {line}: {entry.key!r} is already on line {first}; keep one of them")
            entries.append(entry)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from error
    if not entries:
        raise InputError(f"{path}: the index has a header but no frames")
    return entries


def write_index(path: str | Path, entries: Iterable[Entry], separator: str = ",") -> None:
    """Writes an index that `read_index` gives back, whole or not at all.

    The optional columns appear where at least one entry fills them. `separator` is "," or " ". Raises InputError
    for what an index cannot hold: no entries, an entry without `fake`, labels that contradict each other, a key
    that occurs twice or is not a relative path.
    """
    if separator not in (",", " "):
        raise ValueError(f"the separator of an index is ',' or ' ', got {separator!r}")
    entries = list(entries)
    if not entries:
        raise InputError(f"{path}: there are no frames to write to the index")
    _refuse_unwritable(path, entries)
    rows = [_cells(entry) for entry in entries]
    names = [*REQUIRED, *(name for name in OPTIONAL if any(row[name] for row in rows))]
    save_rows(path, [names, *([row[name] for name in names] for row in rows)], separator)


def pictures(entries: Iterable[Entry]) -> list[str]:
    """The keys of all images, masks and source pictures that an index names, each once, in its order."""
    names = (name for entry in entries for name in (entry.key, entry.mask, entry.source) if name)
    return list(dict.fromkeys(names))


def key_problem(key: str) -> str | None:
    """What keeps `key` from being a relative path inside a folder or store, or None where nothing does."""
    if not key:
        return "is empty"
    if PurePosixPath(key).is_absolute() or PureWindowsPath(key).is_absolute():
        return "is an absolute path; write it relative to the image folder"
    if ".." in PureWindowsPath(key).parts:  # splits at both kinds of slash
        return "leaves the image folder by '..'"
    return _text_problem(key)


def _text_problem(text: str) -> str | None:
    for character, name in UNUSABLE.items():
        if character in text:
            return f"contains {name}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    return None


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the index ({error.strerror})") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8; save the index as UTF-8 text") from error
    if not text.strip():
        raise InputError(f"{path}: the index is empty; it needs a header {' '.join(REQUIRED)} and a line per frame")
    return text


def _columns(path: str | Path, header: Sequence[str]) -> dict[str, int]:
    """The index of each known column in the header."""
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise InputError(
            f"{path}, line 1: no column {', '.join(missing)}; the header is {' '.join(REQUIRED)}, "
            f"separated by commas or spaces, and optionally {' '.join(OPTIONAL)}"
        )
    for name in (*REQUIRED, *OPTIONAL):
        if header.count(name) > 1:
            raise InputError(f"{path}, line 1: the column {name} occurs twice")
    return {name: header.index(name) for name in (*REQUIRED, *OPTIONAL) if name in header}


def _entry(where: str, cells: dict[str, str]) -> Entry:
    key, mask, source = cells["relative_path"], cells.get("mask_path") or None, cells.get("source_path") or None
    for name, value in (("relative_path", key), ("mask_path", mask), ("source_path", source)):
        problem = None if value is None else key_problem(value)
        if problem:
            raise InputError(f"{where}: {name} {value!r} {problem}")
    binary = _integer(cells["bin_label"])
    if binary not in (0, 1):
        raise InputError(f"{where}: bin_label is {cells['bin_label']!r}; it must be 0 (real) or 1 (manipulated)")
    label = None
    if cells["mc_label"].strip():
        label = _integer(cells["mc_label"])
        if label not in range(len(CLASS_NAMES)):
            known = ", ".join(f"{number} ({name})" for number, name in enumerate(CLASS_NAMES))
            raise InputError(f"{where}: mc_label is {cells['mc_label']!r}; it must be {known}, or empty")
    elif binary == 0:
        label = 0
    entry = Entry(key, binary == 1, label, cells.get("split") or None, mask, source)
    problem = _contradiction(entry)
    if problem:
        raise InputError(f"{where}: {problem}")
    return entry


def _integer(cell: str) -> int | None:
    """The label in a cell; a trailing .0 is what pandas makes of labels in a column with empty cells."""
    digits = cell.strip().removesuffix(".0")
    return int(digits) if len(digits) == 1 and digits in "0123456789" else None


def _contradiction(entry: Entry) -> str | None:
    if entry.label is None or (entry.label == 0) == (not entry.fake):
        return None
    return (
        f"mc_label {entry.label} ({CLASS_NAMES[entry.label]}) contradicts bin_label {int(bool(entry.fake))}; "
        f"mc_label is 0 exactly where bin_label is 0"
    )


def _refuse_unwritable(path: str | Path, entries: Sequence[Entry]) -> None:
    keys = set()
    for entry in entries:
        others = (key_problem(key) for key in (entry.mask, entry.source) if key)
        problem = key_problem(entry.key) or next(filter(None, others), None) or _contradiction(entry)
        if entry.split and _text_problem(entry.split):
            problem = f"its split {entry.split!r} {_text_problem(entry.split)}"
        if entry.fake is None:
            problem = "has no bin_label; an index holds labelled frames only"
        elif entry.key in keys:
            problem = "occurs twice"
        elif entry.label is not None and entry.label not in range(len(CLASS_NAMES)):
            problem = f"has mc_label {entry.label}, which is not in 0 to {len(CLASS_NAMES) - 1}"
        if problem:
            raise InputError(f"{path}: cannot write {entry.key!r}: {problem}")
        keys.add(entry.key)


def _cells(entry: Entry) -> dict[str, str]:
    return {
        "relative_path": entry.key,
        "bin_label": str(int(bool(entry.fake))),
        "mc_label": "" if entry.label is None else str(entry.label),
        "split": entry.split or "",
        "mask_path": entry.mask or "",
        "source_path": entry.source or "",
    }
