"""Tests of filters as files: what is written comes back; what was changed, renamed or is of another filter does not."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from attacks.malafide.stored_tests import StoredTests, load_tests, save_tests
from common.errors import InputError
from tests.attacks.malafide.test_table import BASE

TESTS = (replace(BASE, tested_on="demo"), replace(BASE, tested_on="demo", manipulation="FaceSwap", psnr=None))


def test_tests_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "tests" / "demo.json"
    save_tests(path, TESTS)
    assert load_tests(path) == load_tests(path, BASE.filter_sha256) == StoredTests(TESTS, sealed=True)
    assert [test["eer"] for test in json.loads(path.read_text())["tests"]] == [0.5, 0.5]
    whole = path.read_bytes()
    save_tests(path, TESTS)
    assert path.read_bytes() == whole
    save_tests(path, ())
    assert load_tests(path) == StoredTests((), sealed=True)


def test_no_changed_byte_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    save_tests(path, TESTS)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(InputError) as caught:
            load_tests(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    path.write_bytes(whole.replace(b"0.5", b"0.4"))
    with pytest.raises(InputError, match="is damaged: its checksum does not fit"):
        load_tests(path)


def test_copies_and_tests_of_another_filter_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    save_tests(path, TESTS)
    copy = tmp_path / "demo (conflicted copy).json"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"\(conflicted copy\)\.json is a copy of demo\.json"):
        load_tests(copy)
    with pytest.raises(InputError, match="a test of another filter than the one that lies there"):
        load_tests(path, "12" * 32)


def test_files_of_earlier_versions_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text(json.dumps([asdict(test) for test in TESTS]))
    assert load_tests(path, BASE.filter_sha256) == StoredTests(TESTS, sealed=False)
    (tmp_path / "copy.json").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"copy\.json is a copy of demo\.json"):
        load_tests(tmp_path / "copy.json")
    with pytest.raises(InputError, match="a test of another filter"):
        load_tests(path, "12" * 32)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[", "is damaged"),
        (b"\xff", "is damaged"),
        (b"[" * 99999, "is damaged"),
        (b"3", "has no checksum"),
        (b'{"tests": []}', "has no checksum"),
        (b"[3]", "test again"),
        (b'[{"eer": 1}]', "test again"),
    ],
)
def test_what_is_no_test_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "demo.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        load_tests(path)
    assert "\n" not in str(caught.value)
