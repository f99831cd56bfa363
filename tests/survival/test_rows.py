"""NPY files of rows: they are rows of this version, or one line; a header's lies cost nothing."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import npy_records
from runs.run_folder import RunFolder
from scoring.records import Row, tidy
from tests.scoring.test_records import ROW
from tests.survival.inputs import damaged, survives, tried

ARRAY = npy_records.to_array(Row, [ROW, ROW])


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def headed(text: str, body: bytes = b"", version: int = 1) -> bytes:
    """An NPY file with any header."""
    raw = text.encode("latin-1", errors="replace") + b"\n"
    size = len(raw).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw + body


WHOLE = npy(ARRAY)
HEADER = str({"descr": ARRAY.dtype.descr, "fortran_order": False, "shape": (2,)})
OTHER_TYPES = [(name, "<U3" if kind != "?" and "U" not in kind else kind) for name, kind in ARRAY.dtype.descr]
SNARES = [
    headed(HEADER.replace("(2,)", "(10**12,)")),
    headed(HEADER.replace("(2,)", "(1000000000000,)")),
    headed(HEADER.replace("(2,)", "(1000000000000, 0)")),
    headed(HEADER.replace("(2,)", "(-1,)")),
    headed(HEADER.replace("(2,)", "(2, 1)"), WHOLE[-ARRAY.nbytes :]),
    headed(HEADER.replace("(2,)", "()"), WHOLE[-ARRAY.nbytes // 2 :]),
    headed(HEADER.replace("(2,)", "(True, 2)"), WHOLE[-ARRAY.nbytes :]),
    headed(HEADER.replace("<U", ">U"), WHOLE[-ARRAY.nbytes :]),
    headed(HEADER.replace("<f8", "|O"), WHOLE[-ARRAY.nbytes :]),
    headed(HEADER.replace("'descr'", "'descry'")),
    headed("(" * 5000),
    headed("{" * 60_000),
    headed("__import__('os').system('touch pwned')"),
    headed("{'descr': '<U999999999', 'fortran_order': False, 'shape': (9,)}"),
    headed("{'descr': '<U0', 'fortran_order': False, 'shape': (999999999999999,)}"),
    headed("{'descr': [('a', '<i8')] * 3, 'fortran_order': False, 'shape': (1,)}"),
    headed(HEADER, b"\xff" * ARRAY.nbytes),
    headed(HEADER, WHOLE[-ARRAY.nbytes :], 2),
    headed(HEADER, WHOLE[-ARRAY.nbytes :], 3),
    headed(HEADER, WHOLE[-ARRAY.nbytes :], 9),
    npy(ARRAY.astype(OTHER_TYPES)),
    npy(np.array([1.0, 2.0])),
    npy(ARRAY[:0]),
    b"PK\x03\x04" + bytes(40),
]


@tried(250)
@given(damaged(st.just(WHOLE)) | damaged(st.sampled_from(SNARES)) | st.sampled_from(SNARES) | st.binary(max_size=200))
def test_any_npy_is_rows_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """What is read is a table of rows; for a run's folder a file that is not counts as a frame that is not finished."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    path = folder.file(Row, ROW.key)
    path.parent.mkdir()
    path.write_bytes(content)
    found: list[np.ndarray] = []
    if not survives("NPY files of rows", lambda: found.append(npy_records.load_records(path, Row)), str(path)):
        assert found[0].dtype.names == npy_records.column_names(Row)
        assert len(tidy(pd.DataFrame(found[0]))) == len(found[0])
    assert folder.finished(ROW.key) is None  # what no run sealed


class Hostile:
    """Unpickled, it makes a file in the working folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def test_no_pickle_in_an_npy_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in {
        "object": npy(np.array([Hostile()], dtype=object), allow_pickle=True),
        "field": headed(HEADER.replace("<f8", "|O"), pickle.dumps(Hostile())),
        "plain": pickle.dumps(Hostile(), protocol=2),
    }.items():
        Path(name).write_bytes(data)
        assert (
            survives("NPY files of rows", lambda name=name: npy_records.load_records(Path(name), Row), name) is not None
        )  # type: ignore[misc]
        assert not Path("pwned").exists()
    np.load("object", allow_pickle=True)  # the test's own teeth
    assert Path("pwned").exists()
