"""LMDB stores: garbage, damage, and what happens to a store while it is read."""

import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.console import status
from common.errors import InputError
from data.images import decode, encode_png
from data.keys import key_problem
from data.lmdb_command import lmdb_app
from data.stores import LmdbImages, LmdbWriter
from data.stores.lmdb_format import stored_key
from data.stores.opening import open_images
from tests.survival.inputs import damaged, survives, tried
from tests.survival.test_text_files import cells

DRAW = np.random.default_rng(0)
IMAGES = {
    f"a/{number:03d}.png": encode_png(DRAW.integers(0, 256, (16 + number % 40, 16, 3), np.uint8))
    for number in range(150)
}
LONG = "x/" * 300 + "y.png"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound store."""
    path = tmp_path_factory.mktemp("store") / "whole.lmdb"
    with LmdbWriter(path, map_size=2**20) as writer:
        writer.put([*IMAGES.items(), (LONG, IMAGES["a/000.png"])])
    return path.read_bytes()


@pytest.mark.parametrize("size", [2**20 + 128, 2**60, 2**63])
def test_a_store_that_states_an_absurd_size_is_refused(tmp_path: Path, whole: bytes, size: int) -> None:
    """The size of the map in both of its first pages, 32 bytes into each."""
    content = bytearray(whole)
    for page in (0, 4096):
        content[page + 32 : page + 40] = size.to_bytes(8, "little")
    path = tmp_path / "faces.lmdb"
    path.write_bytes(content)
    survives("LMDB stores", lambda: LmdbImages(path).keys(), str(path))


@tried(120)
@given(st.data())
def test_any_file_is_a_store_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    """Cut off anywhere, other bytes, other files, garbage behind a sound beginning: read, or refused, when opened."""
    page = 4096
    content = data.draw(
        st.integers(0, len(whole) - 1).map(lambda size: whole[:size])
        | st.binary(max_size=300)
        | st.binary(min_size=page, max_size=page).map(
            lambda noise: whole[: 2 * page] + noise * (len(whole) // page - 2)
        )
        | st.integers(0, 2).map(lambda pages: whole[: pages * page] + bytes(len(whole) - pages * page))
        | damaged(st.just(whole[:page])).map(lambda meta: meta[:page].ljust(page, b"\0") + whole[page:])
    )
    folder = tmp_path_factory.mktemp("store")
    path = folder / "faces.lmdb"
    path.write_bytes(content)

    def use() -> None:
        store = open_images(path)
        for key in store.keys():  # noqa: SIM118 - no dict
            store.read(key)

    survives("LMDB stores", use, str(folder))


@tried(100)
@given(st.data())
def test_a_store_that_verifies_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    """Bytes changed anywhere, which LMDB itself may not survive: `lmdb verify` finds them first, or all can be read."""
    content = data.draw(damaged(st.just(whole)))
    path = tmp_path_factory.mktemp("store") / "faces.lmdb"
    path.write_bytes(content)

    def use() -> None:
        if status(lmdb_app, ["verify", str(path)]) != 0:
            raise InputError("refused")

    if not survives("LMDB structures", use):
        store = LmdbImages(path)
        assert store.keys() == sorted([*IMAGES, LONG])
        assert all(decode(store.read(key), key).shape[1] == 16 for key in IMAGES)


@tried(120)
@given(st.dictionaries(cells | st.text(max_size=700), st.binary(max_size=20), max_size=4), cells)
def test_any_key_is_stored_and_found_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, images: dict[str, bytes], other: str
) -> None:
    path = tmp_path_factory.mktemp("store") / "faces.lmdb"
    for key, image in images.items():
        with LmdbWriter(path, map_size=2**18) as writer:
            refused = survives("LMDB keys", lambda key=key, image=image: writer.put([(key, image)]), str(path))  # type: ignore[misc]
        assert (refused is None) == (key_problem(key) is None)
    if path.exists():
        store = LmdbImages(path)
        sound = {key: image for key, image in images.items() if key_problem(key) is None}
        assert store.keys() == sorted(sound)
        assert {key: store.read(key) for key in sound} == sound
        if other not in sound:
            assert other not in store
            assert survives("LMDB keys", lambda: store.read(other), str(path)) is not None


def test_keys_that_are_no_paths_are_refused(tmp_path: Path) -> None:
    """Made by other programs: absolute keys cannot be asked for by an index; keys that are no text are refused."""
    for number, key in enumerate([b"\xff\xfe", b"\0" * 33, b"\0" + b"x" * 32]):
        path = tmp_path / f"{number}.lmdb"
        environment = lmdb.open(str(path), subdir=False)
        with environment.begin(write=True) as transaction:
            transaction.put(key, struct.pack(">I", 2**31) + b"x")
        environment.close()
        assert survives("LMDB keys", lambda path=path: LmdbImages(path).keys(), str(path)) is not None  # type: ignore[misc]
    assert stored_key(LONG).startswith(b"\0")


def overwritten(path: Path, whole: bytes) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(len(whole)))


def zeroed(path: Path, whole: bytes) -> None:
    with path.open("r+b") as file:
        file.write(bytes(len(whole)))


def replaced(path: Path, whole: bytes) -> None:
    (path.parent / "garbage").write_bytes(os.urandom(len(whole)))
    os.replace(path.parent / "garbage", path)


def cut(path: Path, whole: bytes) -> None:
    os.truncate(path, len(whole) // 3)


def emptied(path: Path, whole: bytes) -> None:
    os.truncate(path, 0)


def not_as_before(store: LmdbImages, key: str, image: bytes) -> bool:
    """Whether an image is refused; what is read must be what it was."""
    try:
        assert store.read(key) == image
        return False
    except InputError:
        return True


@pytest.mark.parametrize("damage", [overwritten, zeroed, replaced, cut, emptied])
def test_a_store_that_becomes_garbage_while_it_is_open(
    tmp_path: Path, whole: bytes, damage: Callable[[Path, bytes], None]
) -> None:
    """A reader that has it open and reads again: every image is as it was, or one line; the process lives.

    Before files were measured at each read, one that became shorter ended the process (SIGBUS).
    """
    path = tmp_path / "faces.lmdb"
    path.write_bytes(whole)
    child = os.fork()
    if child == 0:
        code = 3
        try:
            store = LmdbImages(path)
            assert store.read("a/149.png") == IMAGES["a/149.png"]
            damage(path, whole)
            refused = [key for key, image in IMAGES.items() if not_as_before(store, key, image)]
            code = 0 if refused == ([] if damage is replaced else list(IMAGES)) else 4
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    while (state := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if state == (0, 0):
        os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(state[1]) == 0


def test_what_replaces_a_store_is_seen_when_it_is_opened_again(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "faces.lmdb"
    path.write_bytes(whole)
    store = LmdbImages(path)
    store.read("a/001.png")
    replaced(path, whole)
    store.close()
    with pytest.raises(InputError, match="not an LMDB image store"):
        store.read("a/001.png")
