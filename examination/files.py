"""A case's files: everything is made first, then written, each whole or not at all."""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.files import atomic_write, safe_name
from examination.case import Case, as_data
from examination.document import pdf_of
from examination.drawing import map_picture, png_of
from examination.page import render_case

PAGE, DOCUMENT, DATA, MAPS, REGION = "case.html", "case.pdf", "case.json", "maps", "-region.npy"


def write_case(folder: Path, case: Case, answer: Sequence[str]) -> list[Path]:
    """Writes a case into a folder and returns the files: the page, the document, the numbers, and the maps.

    The maps of an earlier case are removed from the folder: nothing there would say that they are of other pictures.
    Raises OSError where one cannot be written.
    """
    text = json.dumps(as_data(case, answer), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    made = {folder / PAGE: render_case(case, answer).encode(), folder / DOCUMENT: pdf_of(case, answer)}
    made[folder / DATA] = text.encode(errors="backslashreplace")
    for frame in case.frames:
        for name, explanation in frame.explanations.items():
            stem = folder / MAPS / frame.shot.name / safe_name(name)
            contents = _npy(frame.regions[name]), png_of(map_picture(frame, name)), _npy(explanation.saliency)
            made |= dict(zip(_of_map(stem), contents, strict=True))
    _remove_maps(folder / MAPS)
    for path, data in made.items():
        with atomic_write(path, "wb") as file:
            file.write(data)
    return list(made)


def _of_map(stem: Path) -> list[Path]:
    """The files of a map: its region, by which a map is known to be a case's, its picture and its values."""
    return [stem.with_name(f"{stem.name}{end}") for end in (REGION, ".png", ".npy")]


def _remove_maps(folder: Path) -> None:
    """Removes the maps of an earlier case, and nothing that was put beside them."""
    for region in folder.glob(f"*/*{REGION}"):
        for path in reversed(_of_map(region.with_name(region.name.removesuffix(REGION)))):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            region.parent.rmdir()


def _npy(values: np.ndarray) -> bytes:
    with io.BytesIO() as buffer:
        np.save(buffer, values)
        return buffer.getvalue()
