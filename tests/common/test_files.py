"""Files appear whole or not at all."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.files import atomic_write, sha256, sweep, visible

ROOT = Path(__file__).resolve().parents[2]


def test_file_and_its_folders_appear_with_their_content(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_write(path) as file:
        file.write("é\n")
        assert not path.exists()
    assert path.read_bytes() == "é\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path, "wb") as file:
        file.write(b"half of the n")
        raise error
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


LIMITED = """
import errno, resource, sys
from common.files import atomic_write

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_write(sys.argv[1], "wb") as file:
        file.write(bytes(5000))
except OSError as error:
    print(errno.errorcode[error.errno], error.filename)
"""


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The system's own error has no name: it knows the open file's number only."""
    path = tmp_path / "large.npy"
    told = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert told.stdout == f"EFBIG {path}\n"
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_name_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told, atomic_write(tmp_path / "a"):
        (tmp_path / "not there").read_bytes()
    assert told.value.filename == str(tmp_path / "not there")


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    for name in (".a.npy.x1.part", "a.npy", ".hidden", "b.part"):
        (tmp_path / name).write_text("x")
    sweep(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"a.npy", ".hidden", "b.part"}


def test_hidden_files_and_what_is_in_hidden_folders_are_not_found(tmp_path: Path) -> None:
    folder = tmp_path / ".data" / "maps"  # a dot above the folder hides nothing in it
    names = {"a.npy", "sub/b.npy", "sub/c.txt", "sub/d.npy/e.txt"}
    for name in (*names, "._a.npy", ".DS_Store", "sub/._b.npy", ".Trashes/f.npy", "sub/.x/y/g.npy"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    def found(pattern: str) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in visible(folder, pattern)}

    assert found("*") == {path.relative_to(folder).as_posix() for path in visible(folder)} == {"a.npy", "sub"}
    assert found("*.npy") == {"a.npy"}
    assert found("**/*.npy") == {"a.npy", "sub/b.npy", "sub/d.npy"}
    assert found("**/*") == {*names, "sub", "sub/d.npy"}
    assert found("*/*.npy") == {"sub/b.npy", "sub/d.npy"}
    assert list(visible(folder / "none", "**/*")) == []


@pytest.mark.parametrize("pattern", ["**/*", "**/*.npy"])
def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own" / "others").mkdir(parents=True)
    scandir = os.scandir

    def refuse(folder: str | os.PathLike[str]) -> object:
        if os.fspath(folder).endswith("others"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    for folder, asked in ((tmp_path, pattern), (tmp_path / "own" / "others", "*")):
        with pytest.raises(PermissionError, match="others"):
            list(visible(folder, asked))


@pytest.mark.parametrize("listing", [".glob(", ".rglob(", ".iterdir(", "scandir(", "listdir(", "os.walk("])
def test_no_module_lists_a_folder_by_itself(listing: str) -> None:
    """So that hidden files are left alone everywhere; what begins with a dot is meant, or no user's, in these."""
    meant = {
        "common/files.py",  # `visible` itself, and temporary files
        "data/stores/folder_images.py",  # follows links with care, and knows what is hidden
        "data/preprocess/crop_folder.py",  # temporary files
        "examination/files.py",  # temporary files, and folders face-1, face-2
        "runs/run_folder.py",  # the folders in which temporary files are swept
    }
    ours = [path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")]
    shown = [path for path in ours if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]
    listed = {path.relative_to(ROOT).as_posix() for path in shown if listing in path.read_text(encoding="utf-8")}
    assert listed <= meant


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "ours") as file:
        file.write("x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sha256_is_hashlibs(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
