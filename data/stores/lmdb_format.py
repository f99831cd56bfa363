"""How images lie in an LMDB file, and what LMDB's errors mean.

A key is the image's relative path in UTF-8 and its value the encoded image, so a store that any other program
wrote in this way can be read. LMDB limits a key to 511 bytes. A longer path is kept under a null byte and its
SHA-256 (no path begins with a null byte), and its value begins with the path itself: its length in bytes as a
big-endian 32-bit number, the path, then the image.
"""

import contextlib
import errno
import hashlib
import os
import resource
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb

from common.errors import InputError

MAX_KEY = 511
MAGIC = 0xBEEFC0DE.to_bytes(4, sys.byteorder)
RESERVE = 2**20  # bytes of free disk below which a disk counts as full
LONG = b"\0"
LENGTH = struct.Struct(">I")


def data_file(path: Path) -> Path:
    """The file that holds the data: `path` itself, or data.mdb in a folder made by LMDB."""
    return path / "data.mdb" if os.path.isdir(path) else path


def is_store(path: Path) -> bool:
    """Whether `path` could be an LMDB store: a file, or a folder with a data.mdb in it."""
    return os.path.isfile(data_file(path))


def looks_like_store(path: Path) -> bool:
    """Whether the file at `path`, or the data.mdb in that folder, begins as LMDB files do."""
    if not is_store(path):
        return False
    with data_file(path).open("rb") as file:
        return MAGIC in file.read(64)


def refuse_incomplete(path: Path) -> None:
    """Raises InputError for what is left of an LMDB store without its data: a folder with just a lock.mdb."""
    if os.path.isfile(path / "lock.mdb") and not os.path.exists(path / "data.mdb"):
        raise InputError(
            f"{path}: an incomplete LMDB store, with a lock.mdb and no data.mdb, which holds the images; copy that, too"
        )


def stored_key(key: str) -> bytes:
    """The bytes under which an image is stored; of a key that is not valid UTF-8, bytes under which none is."""
    raw = key.encode(errors="surrogatepass")
    return raw if len(raw) <= MAX_KEY else LONG + hashlib.sha256(raw).digest()


def stored_value(key: str, image: bytes) -> bytes:
    """The bytes that are stored for an image."""
    raw = key.encode()
    return image if len(raw) <= MAX_KEY else LENGTH.pack(len(raw)) + raw + image


def image_start(stored: bytes, value: memoryview) -> int:
    """Where in a stored value the image begins. Raises InputError for a long key's value without its path."""
    if not stored.startswith(LONG):
        return 0
    start = LENGTH.size + (LENGTH.unpack_from(value)[0] if len(value) >= LENGTH.size else len(value))
    if start > len(value) or LONG + hashlib.sha256(value[LENGTH.size : start]).digest() != stored:
        raise InputError(f"the key {stored!r} is not a relative path")
    return start


def key_of(stored: bytes, value: memoryview) -> str:
    """The relative path of a stored pair. Raises InputError for a key that is not one in UTF-8."""
    raw = bytes(value[LENGTH.size : image_start(stored, value)]) if stored.startswith(LONG) else stored
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the key {stored!r} is not a relative path in UTF-8") from error


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns LMDB's errors into InputError (or OSError, where the disk or memory is at fault) naming the store."""
    try:
        yield
    except (lmdb.InvalidError, lmdb.VersionMismatchError) as error:
        raise InputError(f"{path}: not an LMDB image store") from error
    except (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError) as error:
        raise InputError(f"{path}: the LMDB image store is damaged ({error}); copy or make it again") from error
    except lmdb.Error as error:
        if "already open" in str(error):
            raise InputError(f"{path}: open elsewhere in this process; close it there first") from error
        code = getattr(error, "code", 0)  # only LMDB's own errors have one
        if code == errno.EIO:  # so LMDB reports a write that there was only partly room for
            code = errno.EFBIG if _is_at_limit(path) else errno.ENOSPC if disk_is_full(path) else code
        if code in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(f"{path}: no permission to open the image store") from error
        if code in (errno.EINVAL, errno.ENOMEM, errno.EOVERFLOW):  # sizes that no sound store states
            raise InputError(
                f"{path}: the LMDB image store cannot be opened ({os.strerror(code)}); it is damaged, or larger than "
                "this machine can map"
            ) from error
        if code > 0:
            raise OSError(code, os.strerror(code), str(path)) from error
        raise InputError(f"{path}: the LMDB image store cannot be used ({error})") from error


def open_environment(path: Path, readonly: bool, map_size: int = 0) -> lmdb.Environment:
    """The LMDB environment at `path`; a map size of 0 is the one that the file states.

    A reader takes no lock file. A new environment is a single file. Raises InputError for what is not a store,
    OSError where the disk is full.
    """
    if not readonly and disk_is_full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    with explained(path):
        environment = lmdb.open(
            str(path),
            subdir=path.is_dir(),
            readonly=readonly,
            lock=not readonly,
            readahead=False,
            map_size=map_size,
            mode=0o644,
        )
    try:
        refuse_truncated(path, data_file(path).stat().st_size, needed(environment))
    except InputError:
        environment.close()
        raise
    return environment


def disk_is_full(path: Path) -> bool:
    """Whether the disk has less room than LMDB's lock file needs, without which opening would kill the process."""
    return shutil.disk_usage(data_file(path).parent).free < RESERVE


def _is_at_limit(path: Path) -> bool:
    """Whether the file has as many bytes as this process may write into one (`ulimit -f`)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return limit != resource.RLIM_INFINITY and is_store(path) and data_file(path).stat().st_size >= limit


def needed(environment: lmdb.Environment) -> int:
    """How many bytes the file must have for the pages that it speaks of."""
    return (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]


def refuse_truncated(path: Path, size: int, least: int) -> None:
    """Raises InputError where the file ends before the pages it speaks of: reading those would kill the process."""
    if size < least:
        raise InputError(
            f"{path}: the LMDB image store is truncated or damaged ({size:,} of {least:,} bytes); copy or make it again"
        )
