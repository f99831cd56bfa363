"""A case's files: everything is made first, then written, each whole or not at all."""

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

PAGE, DOCUMENT, DATA, MAPS = "case.html", "case.pdf", "case.json", "maps"


def write_case(folder: Path, case: Case, answer: Sequence[str]) -> list[Path]:
    """Writes a case into a folder and returns the files: the page, the document, the numbers, and the maps.

    Raises OSError where one cannot be written.
    """
    text = json.dumps(as_data(case, answer), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    made = {folder / PAGE: render_case(case, answer).encode(), folder / DOCUMENT: pdf_of(case, answer)}
    made[folder / DATA] = text.encode(errors="backslashreplace")
    for frame in case.frames:
        for name, explanation in frame.explanations.items():
            stem = folder / MAPS / frame.shot.name / safe_name(name)
            made[stem.with_name(f"{stem.name}.png")] = png_of(map_picture(frame, name))
            made[stem.with_name(f"{stem.name}.npy")] = _npy(explanation.saliency)
            made[stem.with_name(f"{stem.name}-region.npy")] = _npy(frame.regions[name])
    for path, data in made.items():
        with atomic_write(path, "wb") as file:
            file.write(data)
    return list(made)


def _npy(values: np.ndarray) -> bytes:
    with io.BytesIO() as buffer:
        np.save(buffer, values)
        return buffer.getvalue()
