"""Names of videos and families that a spreadsheet took for numbers, and wrote in fewer digits."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from common.console import count
from data.entry import Entry

DIGITS = 15
"""Digits that a spreadsheet keeps of a number; the others become zeros."""

LONGEST = 40
"""The most characters of a name that is taken for a number."""

_SCIENTIFIC = re.compile(r"\d([.,]\d+)?[eE][+-]\d{2,3}", re.ASCII)
"""A number as spreadsheets and programs write it with an exponent; a hash such as 12e4 has no sign."""

_ROUNDED = re.compile(rf"[1-9]\d{{{DIGITS - 1}}}0{{2,}}", re.ASCII)
_LONG = re.compile(rf"[1-9]\d{{{DIGITS + 1},}}", re.ASCII)


def shortened_ids(entries: Sequence[Entry]) -> str | None:
    """That a split, family or video is a number in few digits, which several may have become.

    Numbers with an exponent and a sign are (`6.95321E+18`), a number that is that of a folder or file as text (`120000`
    of `12e4/0.png`), and all whole numbers of more than 16 digits where all, and at least two, end in zeros.
    """
    stated = [(entry, name) for entry in entries for name in (entry.split, entry.stated_family, entry.stated_video)]
    names = [(entry, name) for entry, name in stated if name and len(name) <= LONGEST]
    long = {name for _, name in names if _LONG.fullmatch(name)}
    rounded = long if len(long) > 1 and all(_ROUNDED.fullmatch(name) for name in long) else set()
    found = [
        name for entry, name in names if name in rounded or _SCIENTIFIC.fullmatch(name) or _is_value(name, entry.key)
    ]
    if not found:
        return None
    several = len(set(found))
    return (
        f"{count(several, 'split, family or video', 'splits, families or videos')}, such as {found[0]!r}, "
        f"{'looks' if several == 1 else 'look'} as a spreadsheet shortens long numbers and what it takes for them: "
        "those that were different may be one now, and intervals and tests go by them; write the column anew, as text"
    )


def _is_value(name: str, key: str) -> bool:
    """Whether a name is the value of a folder or file in `key` that is a number with an exponent."""
    if not re.fullmatch(r"\d+(\.0+)?", name, re.ASCII):
        return False
    path = PurePosixPath(key)
    parts = [part for part in (*path.parts[:-1], path.stem) if re.fullmatch(r"\d{1,12}[eE]\d{1,3}", part, re.ASCII)]
    return any(float(part) == float(name) for part in parts)
