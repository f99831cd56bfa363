"""What a file from elsewhere may not do: leave the folder of images, write anywhere, block, speak to a terminal."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from attacks.malafide.filter_results import locked
from common import log
from common.console import application, status, table
from common.errors import InputError
from common.files import read_file, stem
from data.entry import Entry
from data.images import encode_png
from data.index import read_index, write_index
from data.keys import key_problem
from data.landmarks import read_landmarks
from data.lmdb_command import _lines, lmdb_app
from data.preprocess.command import preprocess
from data.preprocess.film_stream import _opened
from data.source import open_frames
from data.stores import FolderImages, LmdbWriter, open_images
from data.stores.transfer import add
from detectors.registry import short_name
from runs.run_folder import RunFolder, Shard
from runs.run_names import folder_name
from scoring.records import Row
from tests.survival.inputs import survives, tried
from tests.survival.test_text_files import NASTY, cells
from xai.saved import SavedMaps

PNG = encode_png(np.zeros((20, 20, 3), np.uint8))
OUTSIDE = [
    "../secret.png",
    "a/../../secret.png",
    "a/b/../../../secret.png",
    "/etc/passwd",
    "//server/share/a.png",
    "..\\secret.png",
    "a\\..\\..\\secret.png",
    "C:\\secret.png",
    "C:/secret.png",
    "\\\\server\\share\\a.png",
    "\\secret.png\0.png",
    "a.png\0",
    "a\nb.png",
    "\udcff.png",
    "",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images, beside a picture that is none of them."""
    (tmp_path / "faces" / "a").mkdir(parents=True)
    (tmp_path / "faces" / "a" / "x.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "y.png").write_bytes(PNG)
    return tmp_path / "faces"


@pytest.mark.parametrize("column", ["relative_path", "mask_path", "source_path"])
@pytest.mark.parametrize("key", OUTSIDE)
def test_no_path_of_an_index_leaves_the_folder(root: Path, column: str, key: str) -> None:
    """Refused by the reader of the index, by the folder, and by the store."""
    if "\n" not in key and key not in ("", "\udcff.png"):
        row = {
            "relative_path": "a/x.png",
            "bin_label": "1",
            "mc_label": "3",
            "mask_path": "",
            "source_path": "",
            column: key,
        }
        (root / "index.csv").write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
        with pytest.raises(InputError, match=f"line 2: .*{column}|line 2: not readable"):
            read_index(root / "index.csv")
    assert key not in FolderImages(root)
    with pytest.raises(InputError, match="cannot name an image"):
        FolderImages(root).read(key)
    with LmdbWriter(root.parent / "faces.lmdb") as writer, pytest.raises(InputError, match="cannot name an image"):
        writer.put([(key, PNG)])
    with pytest.raises(InputError):
        write_index(root / "index.csv", [Entry("a/x.png", True, 3, None, key, key) if key else Entry(key, True, 3)])


def test_no_link_leaves_the_folder(root: Path) -> None:
    """Links to a file, a folder and by way of another link, absolute and relative; links inside are followed."""
    (root / "file.png").symlink_to(root.parent / "secret.png")
    (root / "near.png").symlink_to("../secret.png")
    (root / "folder").symlink_to(root.parent / "secrets")
    (root / "twice").symlink_to(root / "folder")
    (root / "gone.png").symlink_to("/nowhere/x.png")
    (root / "inside.png").symlink_to(root / "a" / "x.png")
    (root / "b").symlink_to("a")
    images = FolderImages(root)
    for key in ("file.png", "near.png", "folder/y.png", "twice/y.png", "gone.png"):
        assert key not in images
        assert images.stamp(key) is None
        with pytest.raises(InputError, match="a link that leads out of the folder"):
            images.read(key)
    for key in ("inside.png", "b/x.png"):
        assert key in images
        assert images.read(key) == PNG
    with pytest.raises(InputError, match="a link that leads out of the folder"):
        images.keys()
    write_index(root / "index.csv", [Entry("file.png", True, 3), Entry("a/x.png", True, 3, None, "folder/y.png")])
    frames = open_frames(root / "index.csv")
    assert frames.missing() == ["file.png", "folder/y.png"]
    for position in (0, 1):
        with pytest.raises(InputError, match="leads out"):
            frames[position]
    with LmdbWriter(root.parent / "faces.lmdb") as writer:
        added = add(writer, images, ["file.png", "folder/y.png"])
    assert (added.written.added, len(added.unreadable)) == (0, 2)


def test_the_folder_itself_may_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert FolderImages(link).read("a/x.png") == PNG
    assert FolderImages(link).keys() == ["a/x.png"]


def test_what_is_no_file_is_never_waited_for(root: Path) -> None:
    """A pipe that nobody writes to would block a reader for ever; a name may be too long for the system."""
    os.mkfifo(root / "pipe.png")
    for key in ("pipe.png", "a", "x" * 300 + ".png", "y/" * 3000 + "z.png"):
        assert key not in FolderImages(root)
        assert survives("no files", lambda key=key: FolderImages(root).read(key)) is not None  # type: ignore[misc]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("index.csv", read_index),
        ("landmarks.csv", read_landmarks),
        ("keys.txt", _lines),
        ("film.mp4", _opened),
        ("face.png", read_file),
        (".lock", lambda path: RunFolder(path.parent).locked(Shard()).__enter__()),
        (".lock", lambda path: locked(path.parent).__enter__()),
        ("log.txt", lambda path: log.open_in(path.parent)),
    ],
)
def test_a_pipe_in_place_of_a_file_is_one_line(
    tmp_path: Path, name: str, opens: Callable[[Path], object], make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError, match=re.escape(name)):
        opens(tmp_path / name)


def test_maps_are_files_only(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    alone = SavedMaps.read(str(tmp_path))
    os.mkfifo(tmp_path / "b.npy")
    (tmp_path / "c.npy").mkdir()
    (tmp_path / "d.npy").symlink_to("gone")
    assert SavedMaps.read(str(tmp_path)) == alone


def test_landmarks_name_nothing_that_is_opened(root: Path) -> None:
    """Keys of ldm.json are looked up only; its `source_path` is not used."""
    path = root / "ldm.json"
    path.write_text(
        '{"../../etc/passwd": {"landmark": [[1, 2], [5, 2], [3, 4], [2, 6], [4, 6]], "source_path": "/etc/passwd"}}'
    )
    assert list(read_landmarks(path)) == ["../../etc/passwd"]
    assert read_landmarks(path)["../../etc/passwd"].shape == (5, 2)


@tried(60)
@given(cells)
def test_files_of_a_run_stay_in_it(key: str) -> None:
    """The name of a frame's file is plain, whatever the frame's key; no two keys share one."""
    assert re.fullmatch(r"[A-Za-z0-9._-]{17,77}", stem(key.encode(errors="replace").decode()))
    if key_problem(key) is None:
        folder = RunFolder(Path("run"))
        for file in (folder.file(Row, key), folder.costs_file(key)):
            assert file.resolve().parent.parent == Path("run").resolve()
        assert len({stem(other) for other in NASTY if key_problem(other) is None} | {stem(key)}) >= 10


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "/etc", "a/b", "a/../.."])
def test_the_name_of_a_run_is_a_plain_folder(name: str) -> None:
    with pytest.raises(InputError, match="is not the name of a folder"):
        folder_name(name)


@pytest.mark.parametrize("name", ["../x.ckpt", "/a/...pt", "a/..pt", "../best.ckpt", "timm:../../x"])
def test_a_detectors_name_for_folders_has_no_separators(name: str) -> None:
    assert Path(short_name(name)).name == short_name(name) != ".."


def test_videos_with_names_that_no_index_can_hold_are_refused_before_any_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "ffpp" / "original_sequences" / "youtube" / "c23" / "videos"
    videos.mkdir(parents=True)
    (videos / "000\n.mp4").touch()
    app = application("Crops.")
    app.command()(preprocess)
    assert status(app, ["--root", str(tmp_path / "ffpp"), "--out", str(tmp_path / "crops")]) == 1
    assert "contains a line break; rename it" in capfd.readouterr().err
    assert not (tmp_path / "crops").exists()


def test_no_name_from_a_file_speaks_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, line breaks of every kind, markup: shown, not obeyed; in errors, lists and tables."""
    key = "\x1b]0;owned\x07\u2028[/red]\u202e.png"
    (tmp_path / "index.csv").write_text(f"relative_path,bin_label,mc_label\n{key},1,\n")
    app = application("Frames.")

    @app.command()
    def look() -> None:
        table("Families", ["Family"], [[key]])
        open_frames(tmp_path / "index.csv")[0]

    assert status(app, []) == 1
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put([(key, PNG)])
    assert status(lmdb_app, ["list", str(tmp_path / "faces.lmdb")]) == 0
    assert status(lmdb_app, ["stats", str(tmp_path / "faces.lmdb")]) == 0
    shown = capfd.readouterr()
    assert len(shown.err.splitlines()) == 1
    assert r"\x1b]0;owned\x07" in shown.err
    assert r"\x1b]0;owned\x07\u2028[/red]\u202e.png" in shown.out.splitlines()
    for mark in "\x1b\x07\u2028\u202e":
        assert mark not in shown.out + shown.err


def test_a_message_is_no_longer_than_a_screen(tmp_path: Path) -> None:
    """A cell may hold 100,000 characters; a message shows its beginning and its end."""
    (tmp_path / "index.csv").write_text(f"relative_path,bin_label,mc_label\n{'x' * 100_000},7,\n")
    with pytest.raises(InputError) as refused:
        read_index(tmp_path / "index.csv")
    assert len(str(refused.value)) < 2020
    (tmp_path / "index.csv").write_text(f"relative_path,bin_label,mc_label\n/{'x' * 100_000},1,\n")
    with pytest.raises(
        InputError, match=r"index\.csv, line 2: relative_path .* is an absolute path; write it relative"
    ):
        read_index(tmp_path / "index.csv")


def test_an_image_store_is_no_folder_to_write_into(tmp_path: Path) -> None:
    """Stores are read from and added to by key; no command writes a stored key as a file."""
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put([("a/x.png", PNG)])
    before = sorted(tmp_path.rglob("*"))
    images = open_images(tmp_path / "faces.lmdb")
    assert images.read("a/x.png") == PNG
    assert [path for path in tmp_path.rglob("*") if path not in before] == []
