"""The index of a set of frames: a CSV file with one line per frame."""

import csv
import io
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.console import count, warn
from common.csv_files import as_read, save_rows
from common.errors import InputError
from common.files import read_file
from data.class_words import FAKE, class_of
from data.entry import Entry
from data.frames import CLASS_NAMES, REAL
from data.index_doubts import doubts
from data.keys import forward_slashes, index_problem, key_problem, text_problem

REQUIRED = ("relative_path", "bin_label", "mc_label")
PATHS = ("relative_path", "mask_path", "source_path")
OPTIONAL = ("split", "mask_path", "source_path", "family", "video", "faces")


def read_index(path: str | Path) -> list[Entry]:
    """The entries of an index file, in its order.

    The file is UTF-8 CSV with a header, separated by commas or by single spaces (the header shows which), with
    the columns `relative_path bin_label mc_label` and, where wanted, `split mask_path source_path family video faces`,
    in any order; other columns are ignored. Cells are quoted where they contain the separator, and a text that begins
    with one of `=+-@` may have an apostrophe before it (`common.csv_files`). All but the first two columns may be
    empty; an empty `mc_label` of a real frame is read as 0. Splits, families and videos are read without space around
    them, and in one form of Unicode. Backslashes in paths separate folders, on every system, and one warning says that
    there are some; others say what may be wrong in it (`data.index_doubts`).

    Raises InputError, with the file and line, for anything else, and for a frame that is there twice, however its path
    is spelt.
    """
    text = _text(Path(path))
    separator = "," if "," in io.StringIO(text, newline="").readline() else " "
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        columns = _columns(path, header)
        lines: dict[str, int] = {}
        entries = []
        backslashes: list[int] = []
        for cells in reader:
            if not cells:  # a blank line
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}; "
                    f"put a cell that contains the separator {separator!r} in double quotes"
                )
            known = {name: as_read(cells[index]) for name, index in columns.items()}
            if any("\\" in known.get(name, "") for name in PATHS):
                backslashes.append(line)
            entry = _entry(f"{path}, line {line}", known)
            first = lines.setdefault(posixpath.normpath(entry.key), line)
            if first != line:
                raise InputError(f"{path}, line {line}: {entry.key!r} is already on line {first}; keep one of them")
            entries.append(entry)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from error
    if not entries:
        raise InputError(f"{path}: the index has a header but no frames")
    if backslashes:
        warn(f"{path}: backslashes in the paths of {count(len(backslashes), 'line')} are read as forward slashes")
    for remark in doubts(entries):
        warn(f"{path}: {remark}")
    return entries


def write_index(path: str | Path, entries: Iterable[Entry], separator: str = ",") -> None:
    """Writes an index that `read_index` gives back, whole or not at all.

    The optional columns appear where at least one entry fills them. `separator` is "," or " ". Raises InputError
    for what an index cannot hold: no entries, an entry without `fake`, labels that contradict each other, a key
    that occurs twice or is not a relative path, a path with a backslash.
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


def split_counts(entries: Iterable[Entry]) -> str:
    """How many entries each split has, such as " (test 4, train 10)"; nothing where no entry has a split."""
    counts = Counter(entry.split for entry in entries)
    rest = counts.pop(None, 0)
    parts = [f"{name} {counts[name]:,}" for name in sorted(counts, key=str)] + ([f"no split {rest:,}"] if rest else [])
    return f" ({', '.join(parts)})" if counts else ""


def _text(path: Path) -> str:
    try:
        raw = read_file(path)
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
    paths = {name: forward_slashes(cells.get(name, "")) for name in PATHS}
    for name, value in paths.items():
        problem = key_problem(value) if value or name == "relative_path" else None
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
    split, family, video = (_plain(cells.get(name, "")) for name in ("split", "family", "video"))
    faces = _faces(cells.get("faces", ""))
    if faces == 0:
        raise InputError(f"{where}: faces is {cells['faces']!r}; it must be a whole number from 1, or empty")
    entry = Entry(
        paths["relative_path"],
        fake=binary == 1,
        label=label,
        split=split,
        mask=paths["mask_path"] or None,
        source=paths["source_path"] or None,
        stated_family=family if family is None else _named_family(family),
        stated_video=video,
        faces=faces,
    )
    problem = _contradiction(entry)
    if problem:
        raise InputError(f"{where}: {problem}")
    return entry


def _plain(cell: str) -> str | None:
    """The text in a cell, without space around it and in Unicode's composed form; None where there is none."""
    return unicodedata.normalize("NFC", cell).strip() or None


def _integer(cell: str) -> int | None:
    """The label in a cell; a trailing .0 is what pandas makes of labels in a column with empty cells."""
    digits = cell.strip().removesuffix(".0")
    return int(digits) if len(digits) == 1 and digits in "0123456789" else None


def _named_family(name: str) -> str:
    """A family by its usual spelling: "real" and "original" are "Real", "DF" is "Deepfakes"."""
    found = class_of(name)
    return name if found in (None, FAKE) else str(found)


def _faces(cell: str) -> int | None:
    """The number of faces in a cell, None where it is empty, 0 where it is no number of faces."""
    digits = cell.strip().removesuffix(".0")
    return None if not digits else int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _contradiction(entry: Entry) -> str | None:
    binary = int(bool(entry.fake))
    if entry.label is not None and (entry.label == 0) != (not entry.fake):
        return (
            f"mc_label {entry.label} ({CLASS_NAMES[entry.label]}) contradicts bin_label {binary}; "
            f"mc_label is 0 exactly where bin_label is 0"
        )
    family = entry.stated_family
    if family is not None and (family == REAL) != (not entry.fake):
        return f"family {family!r} contradicts bin_label {binary}; the family is Real exactly where bin_label is 0"
    if family is not None and entry.label is not None and family != CLASS_NAMES[entry.label]:
        return f"family {family!r} contradicts mc_label {entry.label} ({CLASS_NAMES[entry.label]})"
    return None


def _refuse_unwritable(path: str | Path, entries: Sequence[Entry]) -> None:
    keys = set()
    for entry in entries:
        others = (index_problem(key) for key in (entry.mask, entry.source) if key)
        problem = index_problem(entry.key) or next(filter(None, others), None)
        for name, text in (("split", entry.split), ("family", entry.stated_family), ("video", entry.stated_video)):
            if text and text_problem(text):
                problem = f"its {name} {text!r} {text_problem(text)}"
        if entry.fake is None:
            problem = "has no bin_label; an index holds labelled frames only"
        elif posixpath.normpath(entry.key) in keys:
            problem = "occurs twice"
        elif entry.label is not None and entry.label not in range(len(CLASS_NAMES)):
            problem = f"has mc_label {entry.label}, which is not in 0 to {len(CLASS_NAMES) - 1}"
        elif entry.faces is not None and entry.faces < 1:
            problem = f"has {entry.faces} faces; at least 1, or None"
        problem = problem or _contradiction(entry)
        if problem:
            raise InputError(f"{path}: cannot write {entry.key!r}: {problem}")
        keys.add(posixpath.normpath(entry.key))


def _cells(entry: Entry) -> dict[str, str]:
    return {
        "relative_path": entry.key,
        "bin_label": str(int(bool(entry.fake))),
        "mc_label": "" if entry.label is None else str(entry.label),
        "split": entry.split or "",
        "mask_path": entry.mask or "",
        "source_path": entry.source or "",
        "family": entry.stated_family or "",
        "video": entry.stated_video or "",
        "faces": "" if entry.faces is None else str(entry.faces),
    }
