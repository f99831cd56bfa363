"""The evidence as files: a table each, and the pictures."""

from pathlib import Path

from analysis.evidence import evidence
from reporting.evidence_files import write_evidence
from tests.analysis.made_up import table
from tests.analysis.test_evidence import flip_thresholds, rows


def test_every_table_and_picture_is_written_and_nothing_where_nothing_is_fake(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, evidence(table(rows()), flip_thresholds(), 0))
    names = {path.name for path in files}
    assert {"pairs.csv", "ranks.csv", "survival.csv", "ranks.png", "ranks.pdf", "survival_budget.png"} <= names
    assert all(path.is_file() for path in files)
    nothing = evidence(table(rows(predicted="Real")), flip_thresholds().iloc[:0], 0)
    assert write_evidence(tmp_path, nothing) == []
