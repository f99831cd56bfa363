"""Columns of what flips outlive: joined to the rows that they belong to, or refused."""

from dataclasses import asdict, replace

import pandas as pd
import pytest

from common.errors import InputError
from runs.npy_records import array_of_table, column_names
from runs.transform_columns import row_kind, transforms_of, with_survival, with_transformed
from scoring.records import Row, TransformedVerdict, tidy
from tests.scoring.test_records import ROW

ASKED = ("jpeg75", "jpeg7", "half")
ROWS = [
    ROW,
    replace(ROW, depth="2", k=2),
    replace(ROW, attack="pgd", flipped_to_real=False),
    replace(ROW, key="b.png", of="LIME", draw=1, method="random-area"),
]


def of(row: Row, real_after: str) -> TransformedVerdict:
    shared = {name: value for name, value in asdict(row).items() if name in column_names(TransformedVerdict)}
    return TransformedVerdict(**shared, real_after=real_after)


def frame(key: str, real_after: str) -> TransformedVerdict:
    named = {"method": "", "of": "", "draw": 0, "fill": "", "attack": "", "epsilon": 0.0, "depth": ""}
    return replace(of(replace(ROW, key=key), real_after), **named)


VERDICTS = [
    frame(ROW.key, "half"),
    of(ROWS[0], "jpeg75 half"),
    of(ROWS[1], ""),
    frame("b.png", ""),
    of(ROWS[3], "jpeg7"),
]


def tables(verdicts: list[TransformedVerdict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, kept = pd.DataFrame(ROWS), pd.DataFrame(verdicts, columns=list(column_names(TransformedVerdict)))
    texts = ["key", "method", "attack", "depth"]  # as column files give them
    return rows.astype(dict.fromkeys(texts, "category")), kept.astype(dict.fromkeys(texts, "category"))


def test_each_flip_gets_its_own_and_what_did_not_flip_nothing() -> None:
    rows = with_survival(*tables(VERDICTS), ASKED)
    columns = ["survives_jpeg75", "survives_jpeg7", "survives_half"]
    assert rows[columns].to_numpy().tolist() == [[1, 0, 1], [0, 0, 0], [-1, -1, -1], [0, 1, 0]]
    ready = tidy(rows)
    assert ready["survives_half"].tolist()[:2] == [True, False]
    assert ready["survives_half"].isna().tolist() == [False, False, True, False]
    array = array_of_table(row_kind(ASKED), rows)
    assert array.dtype.names == (*column_names(Row), *columns)
    assert array["survives_jpeg7"].tolist() == [0, 0, -1, 1]


def test_without_transforms_rows_stay_as_they_are() -> None:
    rows, none = tables([])
    assert with_survival(rows, none, ()) is rows
    assert column_names(row_kind(())) == column_names(Row)
    assert transforms_of({}) == ()
    assert transforms_of({"survives": ["half"]}) == ("half",)


@pytest.mark.parametrize(
    "verdicts",
    [
        VERDICTS[:2],
        [*VERDICTS, of(ROWS[2], "half")],
        [*VERDICTS, of(replace(ROW, draw=7), "half")],
        [*VERDICTS, VERDICTS[1]],
    ],
    ids=["missing", "of no flip", "of no row", "twice"],
)
def test_records_that_do_not_belong_together_are_refused(verdicts: list[TransformedVerdict]) -> None:
    with pytest.raises(InputError, match="do not belong together"):
        with_survival(*tables(verdicts), ASKED)


def test_frames_say_what_transforms_alone_do() -> None:
    lines = pd.DataFrame({"key": [ROW.key, "b.png", "real.png"], "seed": 0, "segmentation": ROW.segmentation})
    lines["predicted"] = ["Deepfakes", "Deepfakes", "Real"]
    shown = with_transformed(lines, tables(VERDICTS)[1], ASKED)
    assert shown["real_after_half"].tolist()[:2] == [True, False]
    assert shown["real_after_jpeg75"].tolist()[:2] == [False, False]
    assert shown["real_after_half"].isna().tolist() == [False, False, True]  # called Real: nothing was asked
    for others in (VERDICTS[1:], [*VERDICTS, frame("real.png", "")], [*VERDICTS, VERDICTS[0]]):
        with pytest.raises(InputError, match="do not belong together"):
            with_transformed(lines, tables(others)[1], ASKED)
    assert with_transformed(lines, tables([])[1], ()) is lines
