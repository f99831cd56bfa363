"""Files that are given as checkpoints and are something else, known by their bytes, and what to do with them."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from common.errors import InputError

_OTHER = "not of torch: the network's weights are needed as torch.save(model.state_dict(), FILE) writes them"
_PACKED = "packed (%s): unpack it, and name the file inside"
_PROGRAM = (
    "a %s: where you trust its origin, save its weights alone, torch.save(%s, NEW), or load it in a detector of your "
    "own (--detector package.module:Name)"
)

_STARTS: Mapping[bytes, str] = {
    b"version https://git-lfs": "a pointer of Git LFS in place of the file: get that with git lfs pull",
    b"\x89HDF\r\n\x1a\n": f"an HDF5 file, as Keras saves (.h5), {_OTHER}",
    b"\x93NUMPY": f"an array of numpy, {_OTHER}",
    b"\x1f\x8b": _PACKED % "gzip",
    b"BZh": _PACKED % "bzip2",
    b"\xfd7zXZ\x00": _PACKED % "xz",
    b"7z\xbc\xaf\x27\x1c": _PACKED % "7z",
    b"Rar!\x1a\x07": _PACKED % "rar",
}
"""By the first bytes of a file, what it is."""

_ENDINGS: Mapping[str, str] = {
    ".pb": f"a graph of TensorFlow by its name (.pb), {_OTHER}",
    ".mlmodel": f"a network of Core ML by its name (.mlmodel), {_OTHER}",
}
"""By the ending of its name, what a file is whose bytes have no mark."""

_MEMBERS: Mapping[str, str] = {
    r"[^/]+/constants\.pkl": _PROGRAM % ("TorchScript program", "torch.jit.load(FILE).state_dict()"),
    r"([^/]+/archive_format|serialized_exported_program\.json)": _PROGRAM
    % ("program of torch.export", "torch.export.load(FILE).state_dict"),
    r"[^/]+/\.data/extern_modules": (
        "a package of torch.package, which is code: save model.state_dict() of the network in it instead"
    ),
    r"model\.weights\.h5": f"a network of Keras (.keras), {_OTHER}",
}
"""By a file inside of a zip, what that is. A checkpoint of torch is a zip, too, with a data.pkl and none of these."""

_LONGEST = 512  # bytes that are looked at


def refuse_foreign(path: Path) -> None:
    """Raises InputError, saying what it is and what to do, for a file that is known to be no checkpoint."""
    if kind := _kind(path):
        raise InputError(f"checkpoint {path} is refused: it is {kind}")


def _kind(path: Path) -> str:
    """What a file is and what to do with it; "" where it may be a checkpoint, or nothing is known of it."""
    with path.open("rb") as file:
        start = file.read(_LONGEST)
    if start.startswith(b"PK"):
        return _kind_of_zip(path)
    if start.startswith(b"\x80") or (start[4:9] == b"\0\0\0\0{"):  # a pickle, or safetensors with its length
        return ""
    if found := next((kind for mark, kind in _STARTS.items() if start.startswith(mark)), ""):
        return found
    if start[257:262] == b"ustar":
        return _PACKED % "tar"
    if start[4:8] == b"TFL3":
        return f"a network of TensorFlow Lite, {_OTHER}"
    if _is_onnx(start):
        return "an ONNX network: give it as --detector onnx:FILE, without --checkpoint"
    is_message = start.startswith((b"\x08", b"\x0a"))  # protobuf, whose first field has number 1
    return _kind_of_text(start) or (_ENDINGS.get(path.suffix.lower(), "") if is_message else "")


def _kind_of_text(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "a page of the web (HTML or XML) in place of the file, as a download that failed leaves: get it again"
    if re.match(rb'[{\[]\s*["{]', text):
        return (
            "a text (JSON) and holds no weights: name the file that does; where a download left it in place of that, "
            "get it again"
        )
    return ""


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as file:
            names = [record.filename for record in file.infolist() if not record.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, LookupError, RuntimeError, EOFError):
        return ""  # damaged, which is said where it is read
    for member, kind in _MEMBERS.items():
        if any(re.fullmatch(member, name) for name in names):
            return kind
    if names and not any(name.endswith("data.pkl") for name in names):
        return f"a zip of other files, such as {names[0]}: unpack it, and name the checkpoint inside"
    return ""


def _is_onnx(start: bytes) -> bool:
    """Whether bytes are ONNX's: a version (field 1), then who made it (field 2, words), the graph or the operators."""
    if len(start) < 5 or start[0] != 0x08 or not 2 < start[1] < 32:
        return False
    if start[2] in (0x3A, 0x42):
        return True
    maker = start[4 : 4 + start[3]]
    return start[2] == 0x12 and start[3] < 128 and maker.isascii() and maker.decode("ascii").isprintable()
