"""Image stores: what goes in comes out, in any process, at any size, after any accident."""

import errno
import hashlib
import os
import resource
import shutil
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmdb.verify import verify as structure

from common.errors import InputError
from data.keys import key_problem
from data.source import open_frames
from data.stores import FolderImages, LmdbImages, LmdbWriter, Written, open_images

keys = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1, max_size=700).filter(
    lambda key: key_problem(key) is None
)
images = st.binary(max_size=3000)
LONG = "folder/" + "ü" * 400 + ".png"


def filled(path: Path, images: dict[str, bytes], map_size: int = 1 << 20) -> Path:
    with LmdbWriter(path, map_size) as writer:
        writer.put(list(images.items()))
    return path


@settings(deadline=None)
@given(st.dictionaries(keys, images, min_size=1, max_size=8), st.data())
def test_a_store_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, bytes], data: st.DataObject
) -> None:
    """Any keys in UTF-8, also beyond LMDB's 511 bytes; any bytes; removal; against a plain dictionary."""
    path = tmp_path_factory.mktemp("store") / "faces.lmdb"
    filled(path, wanted)
    gone = data.draw(st.sampled_from(sorted(wanted)))
    for expected in (dict(wanted), {key: wanted[key] for key in wanted if key != gone}):
        source = LmdbImages(path)
        assert source.keys() == sorted(expected)
        assert dict(source.sizes()) == {key: len(image) for key, image in expected.items()}
        for key in wanted:
            assert (key in source) == (key in expected)
            if key in expected:
                assert source.read(key) == expected[key]
        source.close()
        with LmdbWriter(path) as writer:
            assert writer.remove([gone]) == (gone in expected)
    shutil.rmtree(path.parent)


def test_the_layout_is_the_published_one(tmp_path: Path) -> None:
    """Keys are paths in UTF-8 and values encoded images: read and written by LMDB alone, as file and as folder."""
    plain = {"a/ü.png": b"one", "b.png": b"two"}
    for subdir in (True, False):
        path = tmp_path / f"published{subdir}"
        with lmdb.open(str(path), subdir=subdir) as environment, environment.begin(write=True) as transaction:
            for key, image in plain.items():
                transaction.put(key.encode(), image)
        source = open_images(path)
        assert isinstance(source, LmdbImages)
        assert {key: source.read(key) for key in source.keys()} == plain  # noqa: SIM118
        source.close()
        with LmdbWriter(path) as writer:
            assert writer.put([("c.png", b"three")]) == Written(added=1)
        with lmdb.open(str(path), subdir=subdir, readonly=True) as environment, environment.begin() as transaction:
            assert transaction.get(b"c.png") == b"three"
            assert environment.stat()["entries"] == 3
        assert structure(str(path)) == []


def test_a_map_that_is_full_grows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wanted = {f"v/{i:03d}.png": rng.bytes(30_000) for i in range(100)}
    path = tmp_path / "faces.lmdb"
    with LmdbWriter(path, map_size=1 << 16) as writer:
        assert writer.map_size() == 1 << 16
        items = list(wanted.items())
        for start in range(0, 100, 7):
            writer.put(items[start : start + 7])
        assert writer.map_size() > 3_000_000
        assert all(writer.get(key) == image for key, image in wanted.items())
    source = LmdbImages(path)
    assert all(source.read(key) == image for key, image in wanted.items())
    assert structure(str(path)) == []


@pytest.mark.parametrize("limit", [100_000, 204_800])
def test_a_file_larger_than_may_be_written_is_said(tmp_path: Path, limit: int) -> None:
    items = [(f"{number:03d}.png", bytes([number]) * 30_000) for number in range(40)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught, LmdbWriter(tmp_path / "faces.lmdb") as writer:
            writer.put(items)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "faces.lmdb"))


def test_identical_images_are_skipped_and_others_kept_or_replaced(tmp_path: Path) -> None:
    path = filled(tmp_path / "faces.lmdb", {"a": b"1", LONG: b"2"})
    batch = [("a", b"1"), (LONG, b"other"), ("c", b"3")]
    with LmdbWriter(path) as writer:
        assert writer.put(batch) == Written(added=1, identical=1, conflicts=[LONG])
        assert writer.get(LONG) == b"2"
        assert writer.put(batch, overwrite=True) == Written(replaced=1, identical=2)
        assert writer.get(LONG) == b"other"
        assert writer.get("none") is None


def test_a_batch_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    path = filled(tmp_path / "faces.lmdb", {"a": b"1"})
    with LmdbWriter(path) as writer:
        for wrong in ("../b", "", "/etc/x", "c\nd"):
            with pytest.raises(InputError, match="cannot name an image"):
                writer.put([("b", b"2"), (wrong, b"3")])
        with pytest.raises(TypeError):
            writer.put([("b", b"2"), ("c", 3)])  # type: ignore[list-item]
    assert LmdbImages(path).keys() == ["a"]


def test_a_new_store_without_images_leaves_no_file(tmp_path: Path) -> None:
    with LmdbWriter(tmp_path / "faces.lmdb"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_missing_keys_are_named(tmp_path: Path) -> None:
    path = filled(tmp_path / "faces.lmdb", {"a": b"1"})
    source = LmdbImages(path)
    for key in ("none.png", LONG, "", "\udcff"):
        assert key not in source
        assert source.stamp(key) is None
        with pytest.raises(InputError, match="is not in the image store") as refused:
            source.read(key)
        assert repr(key) in str(refused.value)
        assert str(path) in str(refused.value)
    assert 7 not in source


def test_folder_and_store_agree(tmp_path: Path) -> None:
    """Keys, bytes and stamps are the same; a stamp changes with the size and with any byte."""
    wanted = {"b/2.png": b"x" * 100, "b/10.JPG": b"", "a.png": b"y" * 5, "ü/z.webp": b"z" * 40}
    for key, image in wanted.items():
        (tmp_path / "faces" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / key).write_bytes(image)
    for unwanted in ("notes.txt", ".hidden.png", "b/.cache/1.png", "index.csv"):
        (tmp_path / "faces" / unwanted).parent.mkdir(exist_ok=True)
        (tmp_path / "faces" / unwanted).write_bytes(b"no")
    (tmp_path / "faces" / "b" / "loop").symlink_to(tmp_path / "faces")
    folder = open_images(tmp_path / "faces")
    assert isinstance(folder, FolderImages)
    store = LmdbImages(filled(tmp_path / "faces.lmdb", wanted))
    for source in (folder, store):
        assert source.keys() == sorted(wanted)
        assert {key: source.read(key) for key in wanted} == wanted
        assert all(key in source for key in wanted)
        assert "b" not in source
    assert [folder.stamp(key) for key in wanted] == [store.stamp(key) for key in wanted]
    before = folder.stamp("b/2.png")
    assert before == hashlib.sha256(b"x" * 100).hexdigest()
    for changed in (b"x" * 101, b"x" * 99 + b"y", b"y" + b"x" * 99):
        (tmp_path / "faces" / "b" / "2.png").write_bytes(changed)
        assert folder.stamp("b/2.png") != before
    for outside in ("../faces.lmdb", str(tmp_path / "faces" / "a.png")):
        assert outside not in folder
        with pytest.raises(InputError, match="cannot name an image"):
            folder.read(outside)
    with pytest.raises(InputError, match=r"'none\.png' is not in the folder"):
        folder.read("none.png")
    with pytest.raises(InputError, match="cannot be read"):
        folder.read("b")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole.lmdb", {f"{i}.png": bytes(9000) for i in range(50)}).read_bytes()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"relative_path bin_label mc_label\n" * 300)
    for size in (100, 5000, 8192, len(whole) // 2, len(whole) - 1):
        (tmp_path / f"cut{size}").write_bytes(whole[:size])
    cases = {"none": "no such", "empty": "empty", "text": "not an LMDB", "cut100": "not an LMDB"}
    cases |= {"cut5000": "LMDB", "cut8192": "truncated", f"cut{len(whole) - 1}": "truncated"}
    for name, says in cases.items():
        with pytest.raises(InputError, match=says) as refused:
            open_images(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path / name))
        if name not in ("none", "empty"):
            with pytest.raises(InputError, match=says):
                LmdbWriter(tmp_path / name)
    with pytest.raises(InputError, match="a folder, not an image store"):
        LmdbWriter(tmp_path)
    (tmp_path / "whole.lmdb").unlink()


def test_a_damaged_page_is_an_error_of_the_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "faces.lmdb", {f"{i:04d}.png": bytes(500) for i in range(2000)})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(bytes(size // 2))
    source = LmdbImages(path)
    with pytest.raises(InputError, match="damaged"):
        for i in range(2000):
            source.read(f"{i:04d}.png")


def test_another_programs_keys_are_refused_when_listed(tmp_path: Path) -> None:
    for number, key in enumerate([b"\xff\xfe", b"\0" + bytes(32)]):
        path = tmp_path / f"{number}.lmdb"
        with lmdb.open(str(path), subdir=False) as environment, environment.begin(write=True) as transaction:
            transaction.put(key, struct.pack(">I", 3) + b"abc")
        with pytest.raises(InputError, match="is not a relative path"):
            LmdbImages(path).keys()


def test_a_store_that_is_being_read_is_not_opened_for_writing_in_the_same_process(tmp_path: Path) -> None:
    path = filled(tmp_path / "faces.lmdb", {"a": b"1"})
    source, same = LmdbImages(path), LmdbImages(path)
    assert source.read("a") == same.read("a") == b"1"
    with pytest.raises(InputError, match="open elsewhere in this process"):
        LmdbWriter(path)
    source.close()
    same.close()
    with LmdbWriter(path) as writer:
        writer.put([("b", b"2")])
    assert source.keys() == ["a", "b"]


def test_threads_share_a_store(tmp_path: Path) -> None:
    wanted = {f"{i}.png": bytes([i]) * 20_000 for i in range(50)}
    source = LmdbImages(filled(tmp_path / "faces.lmdb", wanted))
    wrong = []

    def read() -> None:
        wrong.extend(key for key in wanted for _ in range(5) if LmdbImages(source.path).read(key) != wanted[key])
        wrong.extend(key for key in wanted if source.read(key) != wanted[key])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_store_without_permission_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = filled(Path(folder) / "faces.lmdb", {"a": b"1"})
        Path(folder).chmod(0o755)
        path.chmod(0o444)
        with nobody():
            assert LmdbImages(path).read("a") == b"1"  # reading needs no right to write, and no lock file
            for refused in (path, Path(folder) / "new.lmdb"):
                with pytest.raises(InputError, match="no permission"):
                    LmdbWriter(refused)
        path.chmod(0)
        with nobody(), pytest.raises(InputError, match="no permission"):
            LmdbImages(path)


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, where the tests run with them."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_with_a_lock_and_no_data_is_an_incomplete_store(tmp_path: Path) -> None:
    store = tmp_path / "faces"
    store.mkdir()
    (store / "lock.mdb").write_bytes(bytes(8192))
    (store / "a.png").write_bytes(b"x")
    for opened in (open_images, FolderImages, LmdbImages, LmdbWriter, open_frames):
        with pytest.raises(InputError, match=r"faces: an incomplete LMDB store, with a lock\.mdb and no data\.mdb"):
            opened(store)
    with lmdb.open(str(store), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"a.png", b"x")
    assert open_images(store).keys() == ["a.png"]
    (tmp_path / "b.lmdb-lock").write_bytes(bytes(8192))
    with pytest.raises(InputError, match=r"b\.lmdb: no such image store or folder; there is only its lock file"):
        open_images(tmp_path / "b.lmdb")
