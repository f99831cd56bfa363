"""A case's files: everything is made and written first, then put in the place of an earlier case."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from common.files import atomic_write, safe_name, visible
from examination.case import Case, as_data
from examination.document import pdf_of
from examination.drawing import map_picture, png_of
from examination.page import render_case

PAGE, DOCUMENT, DATA, MAPS, REGION = "case.html", "case.pdf", "case.json", "maps", "-region.npy"
STAGED = ".case-"
"""How the folder is called in which a case's files wait for all of them to be there."""


def write_case(folder: Path, case: Case, answer: Sequence[str]) -> list[Path]:
    """Writes a case into a folder and returns the files: the page, the document, the numbers, and the maps.

    The files of an earlier case stay until all of this one are on the disk, and are gone before the first is put in
    its place, so that the folder never holds parts of two. Raises OSError where one cannot be written; then they stay.
    """
    text = json.dumps(as_data(case, answer), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    made = {Path(PAGE): render_case(case, answer).encode(), Path(DOCUMENT): pdf_of(case, answer)}
    made[Path(DATA)] = text.encode(errors="backslashreplace")
    for frame in case.frames:
        for name, explanation in frame.explanations.items():
            stem = Path(MAPS) / frame.shot.name / safe_name(name)
            contents = _npy(frame.regions[name]), png_of(map_picture(frame, name)), _npy(explanation.saliency)
            made |= dict(zip(_of_map(stem), contents, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{STAGED}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=STAGED, dir=folder) as staged:
        for path, data in made.items():
            with atomic_write(staged / path, "wb") as file:
                file.write(data)
        _remove_case(folder)
        for path in made:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / path, folder / path)
    return [folder / path for path in made]


def other_cases(folder: Path, written: Collection[Path]) -> list[Path]:
    """The folders of cases, in a file's folder, that were not written now: of an earlier choice of faces."""
    found = [folder, *sorted(folder.glob("face-*"))]
    return [each for each in found if (each / DATA).is_file() and each not in written]


def _of_map(stem: Path) -> list[Path]:
    """The files of a map: its region, by which a map is known to be a case's, its picture and its values."""
    return [stem.with_name(f"{stem.name}{end}") for end in (REGION, ".png", ".npy")]


def _remove_case(folder: Path) -> None:
    """Removes the files of an earlier case, and nothing that was put beside them."""
    for name in (PAGE, DOCUMENT, DATA):
        (folder / name).unlink(missing_ok=True)
    for region in list(visible(folder / MAPS, f"*/*{REGION}")):
        for path in reversed(_of_map(region.with_name(region.name.removesuffix(REGION)))):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            region.parent.rmdir()


def _npy(values: np.ndarray) -> bytes:
    with io.BytesIO() as buffer:
        np.save(buffer, values)
        return buffer.getvalue()
