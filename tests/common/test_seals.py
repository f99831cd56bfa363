"""A sealed file is what was sealed, under its own name, or it is refused."""

import json
from pathlib import Path

import pytest

from common.errors import InputError
from common.seals import blank, closed, opened

PATH = Path("folder/demo.json")


def sealed(path: Path = PATH, **said: object) -> bytes:
    return closed(json.dumps({"numbers": [0.25, "a ü"], "seal": blank(path, said)}, ensure_ascii=False).encode())


def test_a_seal_says_what_it_was_given() -> None:
    seal = opened(PATH, sealed(rows=3))
    assert seal is not None
    assert (seal["sealed"], seal["rows"]) == ("demo", 3)
    assert len(json.loads(sealed())["seal"]["sha256"]) == 64


def test_no_changed_bit_is_believed() -> None:
    """In the words by which a seal is found the seal is none any more, which is for its reader to miss."""
    whole = sealed()
    found_by = range(whole.index(b'{"sealed": '), whole.index(b'"demo"'))
    for at in range(len(whole)):
        for bit in range(8):
            changed = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            if at in found_by:
                assert opened(PATH, changed) is None
                continue
            with pytest.raises(InputError, match=r"^folder/demo\.json is damaged: its checksum [a-z ]+$"):
                opened(PATH, changed)


def test_a_longer_or_shorter_content_is_refused() -> None:
    whole = sealed()
    for content in (whole + b" ", whole[1:], whole[:-1]):
        with pytest.raises(InputError, match="its checksum does not fit"):
            opened(PATH, content)
    with pytest.raises(InputError, match="its checksum cannot be read"):
        opened(PATH, whole[:-4])


def test_a_copy_under_another_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"demo \(copy\)\.json is a copy of demo\.json"):
        opened(Path("folder/demo (copy).json"), sealed())
    assert opened(Path("elsewhere/demo.json"), sealed()) is not None


def test_what_has_no_seal() -> None:
    assert opened(PATH, b'{"numbers": [1]}') is None
    with pytest.raises(ValueError, match="no blank seal"):
        closed(b'{"numbers": [1]}')
    for seal in ('{"sealed": ', '{"sealed": "demo"}', '{"sealed": "demo", "sha256": "\\ud800"}', '{"sealed": ' * 9999):
        with pytest.raises(InputError, match="is damaged: its checksum cannot be read"):
            opened(PATH, f"{{}} {seal}".encode())
