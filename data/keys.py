"""Keys: the relative paths that name pictures, in a folder, a store and an index."""

import re
from pathlib import PurePosixPath, PureWindowsPath

UNUSABLE = {"\n": "a line break", "\r": "a line break", "\0": "a null character"}


def key_problem(key: str) -> str | None:
    """What keeps `key` from being a relative path inside a folder or store, or None where nothing does."""
    if not key:
        return "is empty"
    if PurePosixPath(key).is_absolute() or PureWindowsPath(key).is_absolute():
        return "is an absolute path; write it relative to the image folder"
    if ".." in PureWindowsPath(key).parts:  # splits at both kinds of slash
        return "leaves the image folder by '..'"
    return text_problem(key)


def index_problem(key: str) -> str | None:
    """What keeps an index from holding `key` as a path, or None where nothing does."""
    return key_problem(key) or ("contains a backslash, which separates folders in an index" if "\\" in key else None)


def text_problem(text: str) -> str | None:
    """What keeps a text from standing in an index, or None where nothing does."""
    for character, name in UNUSABLE.items():
        if character in text:
            return f"contains {name}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    return None


def forward_slashes(path: str) -> str:
    """A path with forward slashes; a step written as two backslashes is one."""
    return re.sub(r"\\+", "/", path)
