"""Image stores between processes: workers, growth under a reader, SIGKILL, and a disk that is full."""

import errno
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lmdb
import numpy as np
import pytest
from lmdb.verify import verify as structure

from common.console import status
from data.__main__ import app
from data.entry import Entry
from data.images import encode_png
from data.source import IndexedFrames
from data.stores import LmdbImages, LmdbWriter
from data.stores.lmdb_reader import Snapshot

ROOT = Path(__file__).resolve().parents[2]
IMAGES = {f"{i:03d}.png": bytes([i]) * (2000 + i) for i in range(200)}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put(list(IMAGES.items()))
    return tmp_path / "faces.lmdb"


def first_bytes(source: LmdbImages, keys: list[str]) -> list[tuple[int, int]]:
    return [(source.read(key)[0], len(source.read(key))) for key in keys]


def python(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A fresh interpreter, as another user's command would be."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_a_store_that_the_parent_reads_too(store: Path, method: str) -> None:
    source, other = LmdbImages(store), LmdbImages(store)
    expected = first_bytes(source, list(IMAGES))
    with multiprocessing.get_context(method).Pool(2) as pool:
        parts = [list(IMAGES)[start::4] for start in range(4)]
        found = pool.starmap(
            first_bytes, [(source, parts[0]), (other, parts[1]), (source, parts[2]), (other, parts[3])]
        )
    assert sorted(pair for part in found for pair in part) == expected == first_bytes(other, list(IMAGES))


def test_a_forked_child_opens_its_own_environment(store: Path) -> None:
    """LMDB forbids to use an environment over a fork, though it would seem to work."""
    source = LmdbImages(store)

    def child() -> None:
        right = source.read("007.png") == IMAGES["007.png"]
        mine = source._shared is not None and source._shared.process == os.getpid()
        os._exit(0 if right and mine else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    assert source.read("007.png") == IMAGES["007.png"]


def test_a_pickled_source_opens_its_own_file(store: Path) -> None:
    source = LmdbImages(store)
    data = pickle.dumps(source)
    assert len(data) < 1000
    assert pickle.loads(data).read("007.png") == source.read("007.png") == IMAGES["007.png"]


def sums(batch: list[tuple[str, np.ndarray]]) -> list[tuple[str, int]]:
    return [(frame.key, int(frame.image.sum())) for frame in batch]


def test_a_data_loader_with_two_workers(tmp_path: Path) -> None:
    from torch.utils.data import DataLoader  # here, so that spawned workers do not import torch to find this module

    rng = np.random.default_rng(0)
    pictures = {f"{i}.png": rng.integers(0, 256, (32, 32, 3), np.uint8) for i in range(12)}
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put([(key, encode_png(picture)) for key, picture in pictures.items()])
    frames = IndexedFrames([Entry(key, True, 3) for key in pictures], LmdbImages(tmp_path / "faces.lmdb"))
    assert (frames[3].image == pictures["3.png"]).all()  # the parent has the store open before the workers start
    loader = DataLoader(frames, batch_size=3, num_workers=2, collate_fn=sums)
    found = [item for batch in loader for item in batch]
    assert found == [(key, int(picture.sum())) for key, picture in pictures.items()]


GROW = """
import sys
from data.stores import LmdbWriter
with LmdbWriter(sys.argv[1]) as writer:
    before = writer.map_size()
    for batch in range(8):
        writer.put([(f"new/{batch}/{i}.png", bytes([i]) * 50_000) for i in range(20)])
    assert writer.map_size() > before
"""


def test_a_reader_sees_what_another_process_adds_even_beyond_its_map(tmp_path: Path) -> None:
    with LmdbWriter(tmp_path / "faces.lmdb", map_size=1 << 20) as writer:
        writer.put([("a.png", b"1")])
    source = LmdbImages(tmp_path / "faces.lmdb")
    before = source.map_size()
    process = python(GROW, source.path)
    assert (process.communicate()[1], process.returncode) == (b"", 0)
    assert source.read("new/7/19.png") == bytes([19]) * 50_000
    assert len(source.keys()) == 161
    assert source.map_size() > before


def test_a_writer_takes_over_a_map_that_another_process_grew(tmp_path: Path) -> None:
    with LmdbWriter(tmp_path / "faces.lmdb", map_size=1 << 20) as writer:
        writer.put([("a.png", b"1")])
        process = python(GROW, writer.path)
        assert (process.communicate()[1], process.returncode) == (b"", 0)
        writer.put([("b.png", b"2")])
        assert writer.get("new/7/19.png") == bytes([19]) * 50_000
    assert len(LmdbImages(tmp_path / "faces.lmdb").keys()) == 162


REWRITE = """
import sys
from data.stores import LmdbWriter
with LmdbWriter(sys.argv[1]) as writer:
    for version in range(1, int(sys.argv[2]) + 1):
        writer.put([("a.png", bytes([version]) * 2_000_000)], overwrite=True)
"""


def test_a_reader_never_sees_half_an_image_while_a_process_overwrites_it(tmp_path: Path) -> None:
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put([("a.png", bytes(2_000_000))])
    source = LmdbImages(tmp_path / "faces.lmdb")
    process = python(REWRITE, source.path, 30)
    seen = []
    while process.poll() is None:
        image = source.read("a.png")
        assert image == image[:1] * 2_000_000
        seen.append(image[0])
    assert (process.communicate()[1], process.returncode) == (b"", 0)
    assert seen == sorted(seen)
    assert source.read("a.png") == bytes([30]) * 2_000_000


def test_a_read_that_was_overtaken_is_done_again(tmp_path: Path) -> None:
    """As above, but sure to happen: the image is overwritten between the look-up and the copy."""
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put([("a.png", bytes(2_000_000))])
    source = LmdbImages(tmp_path / "faces.lmdb")
    tries = []

    def slow(transaction: Snapshot) -> bytes:
        image = transaction.get(b"a.png")
        assert image is not None
        tries.append(len(tries))
        if len(tries) == 1:
            assert python(REWRITE, source.path, 6).wait() == 0
        return bytes(image)

    assert source._read(slow) == bytes([6]) * 2_000_000
    assert len(tries) == 2


ADD_FOR_EVER = """
import sys
from data.stores import LmdbWriter
with LmdbWriter(sys.argv[1], map_size=1 << 20) as writer:
    for batch in range(10**6):
        writer.put([(f"{batch:06d}/{i:02d}.png", bytes([i]) * 20_000) for i in range(10)])
        print(batch, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05])
def test_sigkill_leaves_whole_batches(tmp_path: Path, delay: float) -> None:
    """Killed in the middle of writing, what was reported as written is there, no batch is there by half."""
    path = tmp_path / "faces.lmdb"
    process = python(ADD_FOR_EVER, path)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()  # `communicate` would lose what `readline` has read ahead
    assert process.wait() == -signal.SIGKILL
    reported = 5 + len(rest)
    source = LmdbImages(path)
    keys = source.keys()
    assert len(keys) % 10 == 0
    assert reported * 10 <= len(keys) <= (reported + 1) * 10
    assert keys == [f"{batch:06d}/{i:02d}.png" for batch in range(len(keys) // 10) for i in range(10)]
    assert all(source.read(key) == bytes([int(key[-6:-4])]) * 20_000 for key in keys)
    assert structure(str(path)) == []
    source.close()
    with LmdbWriter(path) as writer:  # the lock that the killed process held is no obstacle
        assert writer.put([("after.png", b"1")]).added == 1


def test_the_add_command_goes_on_after_sigkill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    for i in range(30):
        (faces / f"{i}.png").write_bytes(os.urandom(3_000_000))  # more than one batch, so that a kill falls between
    path = tmp_path / "faces.lmdb"
    command = [sys.executable, "-m", "data", "lmdb", "add", str(path), "--images", str(faces)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not path.exists():
        time.sleep(0.002)
    time.sleep(0.05)
    process.kill()
    process.wait()
    if path.exists() and path.stat().st_size:
        assert structure(str(path)) == []
    assert status(app, ["lmdb", "add", str(path), "--images", str(faces)]) == 0
    assert status(app, ["lmdb", "verify", str(path), "--images", str(faces)]) == 0
    assert "30 images are present and identical" in capsys.readouterr().out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_one_line_and_the_store_stays_whole(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "a.png").write_bytes(os.urandom(500_000))
    path = small_disk / "faces.lmdb"
    assert status(app, ["lmdb", "add", str(path), "--images", str(faces)]) == 0
    capsys.readouterr()
    for i in range(10):
        (faces / f"b{i}.png").write_bytes(os.urandom(500_000))
    assert status(app, ["lmdb", "add", str(path), "--images", str(faces)]) == 1
    captured = capsys.readouterr()
    assert "error: the disk is full" in captured.err
    assert captured.err.count("error:") == 1
    assert LmdbImages(path).keys() == ["a.png"]
    assert structure(str(path)) == []
    new = small_disk / "new.lmdb"
    assert status(app, ["lmdb", "add", str(new), "--images", str(faces)]) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert sorted(file.name for file in small_disk.iterdir()) == ["faces.lmdb", "faces.lmdb-lock"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_lmdbs_word_for_a_full_disk_is_understood(store: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """LMDB says "no space" where nothing could be written and "I/O error" where only a part could."""

    def full(*_: object) -> None:
        error = lmdb.Error("mdb_txn_commit", code)
        error.code = code  # the C extension sets it in its own place
        raise error

    full_disk = shutil.disk_usage(store.parent)._replace(free=100)
    with LmdbWriter(store) as writer:
        monkeypatch.setattr("shutil.disk_usage", lambda path: full_disk)
        monkeypatch.setattr("data.stores.lmdb_writer._put", full)
        with pytest.raises(OSError, match="No space left") as refused:
            writer.put([("b.png", b"2")])
        assert refused.value.errno == errno.ENOSPC
        assert refused.value.filename == str(store)
    assert len(LmdbImages(store).keys()) == len(IMAGES)
