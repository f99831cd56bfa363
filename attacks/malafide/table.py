"""The paper's table of equal error rates from whatever tests there are, as CSV, Markdown and a heat map."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from attacks.malafide.filter_files import StoredFilter
from attacks.malafide.filter_results import FILTER, TESTS
from attacks.malafide.filter_test import FilterTest
from attacks.malafide.known_filters import load_known
from attacks.malafide.stored_tests import load_tests
from common.console import count, some, warn
from common.csv_files import save_rows
from common.errors import InputError, printable
from common.files import atomic_write, visible

NONE = "none"


@dataclass(frozen=True)
class TableRow:
    """A row of the table: a filter's kind and the detectors; no filter where `trained_on` is None.

    Attributes:
        trained_on: the detector that the filter knew, or None.
        tested_on: the detector whose error rates the row has.
        filter: the label of its kind, or "none".
    """

    trained_on: str | None
    tested_on: str
    filter: str

    @property
    def box(self) -> str:
        """ "white box", "black box", or empty without a filter."""
        if self.trained_on is None:
            return ""
        return "white box" if self.trained_on == self.tested_on else "black box"


@dataclass(frozen=True)
class TableValue:
    """A cell of the table: the equal error rate in [0, 1], and the filter's fidelity where there is a filter."""

    eer: float
    psnr: float | None = None
    ssim: float | None = None


@dataclass(frozen=True)
class Table:
    """Equal error rates by row and manipulation; a cell without a test is not in `values`.

    Attributes:
        rows: no filter first, then by the detector trained on (white box before black box) and the filter's size.
        manipulations: the columns, sorted.
        values: by (row, manipulation).
    """

    rows: tuple[TableRow, ...]
    manipulations: tuple[str, ...]
    values: dict[tuple[TableRow, str], TableValue]

    def at(self, row: TableRow, manipulation: str) -> TableValue | None:
        """A cell, or None where nothing was tested."""
        return self.values.get((row, manipulation))


def find_tests(root: Path) -> list[FilterTest]:
    """All tests under a folder that can be believed, each once.

    What is left out is said in warnings, and so is what was not tested. Raises InputError where there is none.
    """
    filters, damaged = _filters(root)
    found: dict[FilterTest, Path] = {}
    unsealed = []
    for path in sorted(visible(root, f"**/{TESTS}/*.json")) if root.is_dir() else ():
        folder = path.parent.parent
        if folder in damaged:
            continue
        try:
            stored = load_tests(path, filters[folder].sha256 if folder in filters else None)
        except InputError as error:
            warn(f"{error}; it is left out of the table, until `python -m attacks malafide test` is given again")
            continue
        unsealed += [] if stored.sealed else [str(path)]
        for test in stored.tests:
            if found.setdefault(test, path) != path:
                warn(f"{path} holds the same test as {found[test]}: it counts once")
    if not found:
        raise InputError(f"{root}: no tests here; `python -m attacks malafide test --out {root}` makes them")
    if unsealed:
        warn(
            f"{some(unsealed)}: of an earlier version, so that nothing says whether the numbers are still what they "
            "were; `python -m attacks malafide test` makes them again with a checksum"
        )
    _warn_of_untested(root, filters, found)
    _warn_of_mixed(found)
    return list(found)


def _filters(root: Path) -> tuple[dict[Path, StoredFilter], set[Path]]:
    """The filters under a folder by their own folders, and the folders of those that cannot be believed."""
    filters, damaged = {}, set()
    for path in sorted(visible(root, f"**/{FILTER}")) if root.is_dir() else ():
        try:
            filters[path.parent] = load_known(path)
        except InputError as error:
            warn(f"{error}; its tests are left out of the table")
            damaged.add(path.parent)
    return filters, damaged


def _warn_of_untested(root: Path, filters: Mapping[Path, StoredFilter], tests: Iterable[FilterTest]) -> None:
    """Says of which filters there is no test on a detector that others were tested on: their cells are empty."""
    done = {(test.filter_sha256, test.tested_on, test.manipulation) for test in tests}
    for detector in sorted({tested_on for _, tested_on, _ in done}):
        untested = [
            str(folder.relative_to(root))
            for folder, stored in filters.items()
            if stored.facts is not None
            and any((stored.sha256, detector, family) not in done for family in stored.facts.manipulations)
        ]
        if untested:
            warn(
                f"there is no test on {detector} of {count(len(untested), 'filter')} in {root} ({some(untested, 4)}): "
                "the table's cells are empty, until `python -m attacks malafide test` is given again"
            )


def _warn_of_mixed(tests: Iterable[FilterTest]) -> None:
    """Says of which detectors tests are of several weights, or a manipulation's of several sets of frames."""
    weights: dict[str, Counter[str | None]] = {}
    frames: dict[tuple[str, str], Counter[str]] = {}
    for test in tests:
        weights.setdefault(test.tested_on, Counter())[test.tested_sha256] += 1
        frames.setdefault((test.tested_on, test.manipulation), Counter())[test.frames] += 1
    again = "give `python -m attacks malafide test` again for all of its filters"
    for detector, found in weights.items():
        if len(found) > 1:
            warn(f"tests on {detector} are of {_shares(found)} of its weights, in one row of the table: {again}")
    for (detector, manipulation), sets in frames.items():
        if len(sets) > 1:
            warn(f"tests on {detector} and {manipulation} are on {_shares(sets)} of frames, in one column: {again}")


def _shares(found: Mapping[Any, int]) -> str:
    """How many tests each of several versions has: "2 versions (3 and 1 tests)"."""
    return f"{len(found)} versions ({' and '.join(map(str, sorted(found.values(), reverse=True)))} tests)"


def tabulate(tests: Sequence[FilterTest]) -> Table:
    """The table of some tests. Raises InputError where two of them claim the same cell and differ."""
    values: dict[tuple[TableRow, str], TableValue] = {}
    sizes = {test.filter: (test.size, test.filter) for test in tests}
    for test in tests:
        row = TableRow(test.trained_on, test.tested_on, test.filter)
        value = TableValue(test.eer, test.psnr, test.ssim)
        if values.setdefault((row, test.manipulation), value) != value:
            raise InputError(
                f"two different tests of filter {test.filter} trained on {test.trained_on}, tested on {test.tested_on} "
                f"and {test.manipulation}; make a table of one folder of results at a time"
            )
        # the clean rate is the same for all filters tested on the same frames; with several test sets the first shows
        values.setdefault((TableRow(None, test.tested_on, NONE), test.manipulation), TableValue(test.clean_eer))
    trained = sorted({test.trained_on for test in tests})

    def order(row: TableRow) -> tuple[int, bool, str, tuple[int, str]]:
        first = -1 if row.trained_on is None else trained.index(row.trained_on)
        return first, row.box == "black box", row.tested_on, sizes.get(row.filter, (0, ""))

    rows = sorted({row for row, _ in values}, key=order)
    return Table(tuple(rows), tuple(sorted({test.manipulation for test in tests})), values)


def write_csv(path: Path, table: Table) -> None:
    """The table's equal error rates in per cent; a cell without a test is empty."""
    lines: list[list[object]] = [["trained_on", "tested_on", "filter", *table.manipulations]]
    for row in table.rows:
        values = (table.at(row, manipulation) for manipulation in table.manipulations)
        cells = [None if value is None else Decimal(f"{100 * value.eer:.2f}") for value in values]
        lines.append([row.trained_on or "", row.tested_on, row.filter, *cells])
    save_rows(path, lines)


def write_tests(path: Path, tests: Iterable[FilterTest]) -> None:
    """Every number of every test, one test a row."""
    names = [field.name for field in fields(FilterTest)]
    lines = [[_cell(value) for value in asdict(test).values()] for test in tests]
    save_rows(path, [names, *lines])


def markdown(table: Table) -> str:
    """The table as Markdown: equal error rates in per cent, beside them PSNR and SSIM of the filtered fakes."""
    heads = ["trained on", "tested on", "filter", *table.manipulations]
    lines = [heads, ["---"] * 3 + ["---:"] * len(table.manipulations)]
    for row in table.rows:
        shown = [_shown(table.at(row, manipulation)) for manipulation in table.manipulations]
        tested = f"{row.tested_on} ({row.box})" if row.box else row.tested_on
        lines.append([row.trained_on or "no filter", tested, "" if row.filter == NONE else row.filter, *shown])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{body}\n\nEqual error rate in %, of filtered fakes against unfiltered real frames (PSNR in dB, SSIM).\n"


def write_markdown(path: Path, table: Table) -> None:
    """Writes `markdown`."""
    with atomic_write(path) as file:
        file.write(printable(markdown(table)))


def _shown(value: TableValue | None) -> str:
    if value is None:
        return ""
    beside = [f"{value.psnr:.1f}"] if value.psnr is not None else []
    beside += [f"{value.ssim:.2f}"] if value.ssim is not None else []
    return f"{100 * value.eer:.1f}" + (f" ({', '.join(beside)})" if beside else "")


def _cell(value: object) -> object:
    return Decimal(f"{value:.6g}") if isinstance(value, float) else value
