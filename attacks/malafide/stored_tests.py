"""The tests of a filter as a file with a seal (`common.seals`): tests/<tested on>.json beside the filter."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from attacks.malafide.filter_test import FilterTest
from common.errors import InputError
from common.files import atomic_write, parse_json, read_file
from common.seals import blank, closed, opened

_TESTS = "tests"


@dataclass(frozen=True)
class StoredTests:
    """What a file of tests holds.

    Attributes:
        tests: of one filter on one detector, one per manipulation.
        sealed: whether they are known to be what was written; files of earlier versions have no seal.
    """

    tests: tuple[FilterTest, ...]
    sealed: bool


def save_tests(path: Path, tests: Sequence[FilterTest]) -> None:
    """Writes the tests of a filter on a detector with their seal, whole or not at all."""
    listed = json.dumps({_TESTS: [asdict(test) for test in tests]}, indent=2, ensure_ascii=False, allow_nan=False)
    seal = json.dumps(blank(path, {}), ensure_ascii=False)  # in one line, by which it is found
    content = listed.removesuffix("\n}") + f',\n  "seal": {seal}\n}}\n'
    with atomic_write(path, "wb") as file:
        file.write(closed(content.encode()))


def load_tests(path: Path, filter_sha256: str | None = None) -> StoredTests:
    """Reads the tests of a filter; a list, as earlier versions wrote it, has no seal.

    Raises InputError, in one line, where the file is damaged, is a copy of another detector's, or holds tests of
    another filter than the one with this SHA-256.
    """
    content = read_file(path)
    seal = opened(path, content)
    try:
        stored = parse_json(content.decode())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error})") from error
    earlier = isinstance(stored, list) and seal is None
    if not earlier and seal is None:
        raise InputError(f"{path} has no checksum: it is damaged, or not a test of a filter")
    listed = stored if earlier else stored.get(_TESTS) if isinstance(stored, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{path} does not hold tests of a filter")
    try:
        tests = tuple(map(FilterTest.from_json, listed))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    for test in tests:
        if test.tested_on != path.stem:
            raise InputError(f"{path} is a copy of {test.tested_on}{path.suffix}")
        if filter_sha256 is not None and test.filter_sha256 != filter_sha256:
            raise InputError(f"{path} is a test of another filter than the one that lies there")
    return StoredTests(tests, seal is not None)
