"""`python -m data lmdb`, run as a user runs it."""

import os
from pathlib import Path

import numpy as np
import pytest

from common.console import status
from data.__main__ import app
from data.entry import Entry
from data.images import encode_png
from data.index import write_index
from data.stores import LmdbImages, LmdbWriter

RNG = np.random.default_rng(0)
KEYS = [f"manipulated_sequences/Deepfakes/c23/frames/00{video}/{i}.png" for video in range(2) for i in range(4)]
REAL = "original_sequences/youtube/c23/frames/000/0.png"
MASKS = {key: f"masks/{key}" for key in KEYS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight fakes with masks and a real frame, their index, and a picture that the index does not name."""
    root = tmp_path / "faces"
    for key in [*KEYS, REAL, "extra.png"]:
        put(root / key, encode_png(RNG.integers(0, 256, (20, 20, 3), np.uint8)))
    for mask in MASKS.values():
        put(root / mask, encode_png(RNG.random((20, 20)) < 0.5))
    write_index(root / "index.csv", [*(Entry(key, True, 3, "test", MASKS[key]) for key in KEYS), Entry(REAL, False, 0)])
    return root


@pytest.fixture
def store(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = folder.parent / "faces.lmdb"
    assert run("add", path, "--index", folder / "index.csv") == 0
    assert capsys.readouterr().out == f"{path}: 17 images added\n"
    return path


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(*arguments: object) -> int:
    return status(app, ["lmdb", *map(str, arguments)])


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error line on stderr (a progress bar may stand before it)."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip() and "━" not in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


def test_add_takes_the_index_or_the_folder_and_skips_what_is_there(
    folder: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert LmdbImages(store).keys() == sorted([*KEYS, REAL, *MASKS.values()])
    assert run("add", store, "--images", folder) == 0
    assert "1 image added, 17 were there already" in capsys.readouterr().out
    for key in LmdbImages(store).keys():  # noqa: SIM118
        assert LmdbImages(store).read(key) == (folder / key).read_bytes()


def test_add_reports_what_it_could_not_add_and_adds_the_rest(
    folder: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / KEYS[0]).write_bytes(b"changed")
    (folder / KEYS[1]).unlink()
    with LmdbWriter(store) as writer:
        writer.remove([REAL])
    assert run("add", store, "--index", folder / "index.csv") == 1
    line = refusal(capsys)
    assert f"1 image ({KEYS[0]}) differs from the one stored" in line
    assert "--overwrite" in line
    assert f"'{KEYS[1]}' is not in the folder {folder}" in line
    assert REAL in LmdbImages(store)
    assert LmdbImages(store).read(KEYS[0]) != b"changed"
    assert run("add", store, "--index", folder / "index.csv", "--overwrite") == 1  # one is still missing
    assert "differ" not in refusal(capsys)
    assert LmdbImages(store).read(KEYS[0]) == b"changed"


def test_verify_proves_every_byte(folder: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = folder / "index.csv"
    assert run("verify", store, "--index", index, "--images", folder) == 0
    out = capsys.readouterr().out
    assert out == f"{store}: 9 images and 8 masks are present and identical to the files in {folder}, byte for byte\n"
    assert run("verify", store, "--index", index) == 0
    assert "9 images and 8 masks are present and decodable" in capsys.readouterr().out
    assert run("verify", store) == 0
    assert "17 images are present and decodable" in capsys.readouterr().out

    mask = folder / MASKS[KEYS[2]]
    data = bytearray(mask.read_bytes())
    data[-20] ^= 1  # one bit of one byte
    mask.write_bytes(data)
    (folder / KEYS[1]).unlink()
    with LmdbWriter(store) as writer:
        writer.remove([REAL])
    assert run("verify", store, "--index", index, "--images", folder) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"{KEYS[1]}: '{KEYS[1]}' is not in the folder {folder}",
        f"{MASKS[KEYS[2]]}: differs from the file in {folder}",
        f"{REAL}: missing from the store",
    ]
    assert "3 of 17 images failed, listed above" in captured.err
    assert run("verify", store, "--images", folder) == 1  # without an index: every picture of the folder
    assert "extra.png: missing from the store" in capsys.readouterr().out


def test_verify_without_a_folder_decodes(store: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LmdbWriter(store) as writer:
        writer.put([(KEYS[3], b"no picture"), (MASKS[KEYS[3]], (folder / KEYS[3]).read_bytes()[:80])], overwrite=True)
    assert run("verify", store, "--index", folder / "index.csv") == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{KEYS[3]}: not a picture")
    assert lines[1].startswith(f"{MASKS[KEYS[3]]}: does not decode")
    assert "2 of 17 images failed" in captured.err


def test_verify_finds_a_damaged_structure(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with store.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(64))
    assert run("verify", store) == 1
    assert "the structure of the store is damaged" in refusal(capsys)


def test_list_and_stats(folder: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", store) == 0
    assert capsys.readouterr().out.splitlines() == sorted([*KEYS, REAL, *MASKS.values()])
    assert run("list", store, "--prefix", "masks/manipulated_sequences/Deepfakes/c23/frames/001") == 0
    assert capsys.readouterr().out.splitlines() == [MASKS[key] for key in KEYS[4:]]
    assert run("list", store, "--prefix", "none") == 1
    assert "no key begins with 'none'" in refusal(capsys)

    def row(name: str) -> list[str]:
        cells = [line.split("│") for line in out.splitlines() if name in line]
        assert len(cells) == 1
        return [cell.strip() for cell in cells[0][1:-1]]

    def size(keys: list[str]) -> str:
        return f"{sum((folder / key).stat().st_size for key in keys) / 1000:.1f} kB"

    assert run("stats", store) == 0
    out = capsys.readouterr().out
    assert row("│ manipulated_sequences/Deepfakes") == ["manipulated_sequences/Deepfakes", "8", size(KEYS)]
    assert row("original_sequences/youtube")[1] == "1"
    assert row("masks/manipulated_sequences")[1] == "8"
    assert row(".png")[1] == "17"
    assert "17 images" in out
    assert "map size 268.4 MB" in out
    assert run("stats", store, "--index", folder / "index.csv") == 0
    out = capsys.readouterr().out
    assert row("│ Deepfakes") == ["Deepfakes", "8", size(KEYS)]
    assert row("│ Real")[1] == "1"
    assert row("│ masks") == ["masks", "8", size(list(MASKS.values()))]


def test_remove_by_key_prefix_and_list(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "keys.txt"
    listed.write_text(f"{KEYS[0]}\n\n{KEYS[1]}\n")
    assert run("remove", store, KEYS[1], REAL, "--list", listed) == 0
    assert "3 images removed" in capsys.readouterr().out
    assert run("remove", store, "--prefix", "masks/") == 0
    assert "8 images removed" in capsys.readouterr().out
    assert LmdbImages(store).keys() == KEYS[2:]
    for arguments, says in [
        ([], "nothing to remove; name keys, --prefix or --list"),
        (["--prefix", "masks/"], "no key begins with 'masks/'"),
        ([KEYS[2], REAL], "1 image (original_sequences/youtube/c23/frames/000/0.png) is not in the store"),
        (["--list", listed], "2 images"),
        (["--list", tmp_path / "none.txt"], "cannot read the list of keys"),
    ]:
        assert run("remove", store, *arguments) == 1
        assert says in refusal(capsys)
    assert LmdbImages(store).keys() == KEYS[2:]


def test_merge_unites_stores_that_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [{"a": b"1", "b": b"2"}, {"b": b"2", "c": b"3"}, {"c": b"other", "d": b"4"}]
    paths = [tmp_path / f"{number}.lmdb" for number in range(3)]
    for path, part in zip(paths, parts, strict=True):
        with LmdbWriter(path) as writer:
            writer.put(list(part.items()))
    target = tmp_path / "all.lmdb"
    assert run("merge", target, *paths) == 1
    assert "1 image (c) with different bytes in two stores; nothing was merged" in refusal(capsys)
    assert not target.exists()
    assert run("merge", target, *paths[:2]) == 0
    assert "3 images added, 1 was there already" in capsys.readouterr().out
    assert run("merge", target, paths[2]) == 1  # against the target itself
    assert "1 image (c)" in refusal(capsys)
    assert run("merge", target, paths[2], "--overwrite") == 0
    assert "1 image added, 1 replaced" in capsys.readouterr().out
    merged = LmdbImages(target)
    assert {key: merged.read(key) for key in merged.keys()} == {"a": b"1", "b": b"2", "c": b"other", "d": b"4"}  # noqa: SIM118
    merged.close()
    assert run("merge", target, target) == 1
    assert "cannot be merged into itself" in refusal(capsys)


def test_wrong_use_and_wrong_files_are_one_line(folder: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = folder / "index.csv"
    new = folder.parent / "new.lmdb"
    for code, says, arguments in [
        (2, "Missing argument 'STORE'", ["add"]),
        (2, "No such command 'ad'", ["ad"]),
        (2, "No such option", ["add", new, "--imagse", folder]),
        (1, "nothing to add", ["add", new]),
        (1, "no such folder", ["add", new, "--images", folder / "none"]),
        (1, "cannot read the index", ["add", new, "--index", folder / "none.csv"]),
        (1, "no pictures in this folder", ["add", new, "--images", _empty(folder)]),
        (1, "a folder, not an image store", ["add", folder, "--images", folder]),
        (1, "not an LMDB image store", ["add", text, "--images", folder]),
        (1, "cannot be opened (No such file or directory)", ["verify", new]),
        (1, "not an LMDB image store", ["stats", text]),
        (1, "not an LMDB image store", ["list", text]),
        (1, "not an LMDB image store", ["remove", text, "a"]),
        (1, "not an LMDB image store", ["merge", new, store, text]),
    ]:
        assert run(*arguments) == code, arguments
        assert says in refusal(capsys)
        assert not new.exists()


def _empty(folder: Path) -> Path:
    empty = folder.parent / "empty"
    empty.mkdir()
    return empty


def test_source_pictures_are_stored_proven_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index, store = folder / "index.csv", folder.parent / "sources.lmdb"
    own = f"sources/{KEYS[0]}"
    put(folder / own, encode_png(RNG.integers(0, 256, (20, 20, 3), np.uint8)))
    write_index(
        index, [Entry(KEYS[0], True, 3, "test", None, own), Entry(KEYS[1], True, 3, source=REAL), Entry(REAL, False, 0)]
    )
    assert run("add", store, "--index", index) == 0
    assert capsys.readouterr().out == f"{store}: 4 images added\n"
    assert LmdbImages(store).keys() == sorted([*KEYS[:2], REAL, own])
    assert run("verify", store, "--index", index, "--images", folder) == 0
    assert "4 images are present and identical" in capsys.readouterr().out
    assert run("stats", store, "--index", index) == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()]
    assert {tuple(row[:2]) for row in rows if len(row) == 3 and row[1].isdigit()} >= {
        ("Deepfakes", "2"),
        ("Real", "1"),
        ("source pictures", "1"),
    }
    with LmdbWriter(store) as writer:
        writer.remove([own])
    assert run("verify", store, "--index", index) == 1
    assert f"{own}: missing from the store" in capsys.readouterr().out


VERBS = ("add", "verify", "list", "stats", "remove", "merge")


@pytest.mark.parametrize("command", [(), ("lmdb",), *(("lmdb", verb) for verb in VERBS), ("sample",), ("demo",)])
def test_no_help_text_is_cut_short(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(app, [*command, "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    usage, *rest = captured.out.splitlines()
    assert usage.startswith("Usage:")
    assert len(rest) > 5
    assert not any(line.endswith("...") for line in rest)
