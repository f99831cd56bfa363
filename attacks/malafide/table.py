"""The paper's table of equal error rates from whatever tests there are, as CSV, Markdown and a heat map."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from pathlib import Path

from attacks.malafide.filter_results import TESTS, read_json
from attacks.malafide.filter_test import FilterTest
from common.csv_files import save_rows
from common.errors import InputError, printable
from common.files import atomic_write

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
    """All tests under a folder. Raises InputError where there is none, or a file cannot be read."""
    all_tests = []
    for path in sorted(root.rglob(f"{TESTS}/*.json")) if root.is_dir() else ():
        tests = read_json(path)
        try:
            all_tests += [FilterTest.from_json(test) for test in (tests if isinstance(tests, list) else [tests])]
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    if not all_tests:
        raise InputError(f"{root}: no tests here; `python -m attacks malafide test --out {root}` makes them")
    return all_tests


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
