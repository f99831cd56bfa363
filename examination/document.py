"""A case as a PDF of A4 pages: the answer and its tables, usually on one; the maps."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from common.errors import printable
from common.figures import INK, PALE, RED
from examination.case import Case
from examination.drawing import draw_best, draw_curve, draw_map, draw_picture
from examination.page import MAPS_TITLE, NO_MAPS, at, facts, left_out, map_says, shown_frames
from examination.tables import TextTable, tables

A4 = (8.27, 11.69)
_LEFT, _RIGHT = 0.06, 0.94
_TOP, _LOWEST = 0.965, 0.03
_LINE = 0.0135  # of the page's height, for a line of 8 points
_ROW = 0.95 * _LINE
_CURVE = 0.125
_HEADS = 3  # lines of a table's heads, at most
_FEW = 2  # rows of a table that are worth beginning it for
_LONGEST = 2000  # characters of a fact
_COLUMNS = 4
_TABLE = 6.5  # points of a table's text, at most
_CHARACTER = 0.00112  # of the page's width, for a character of 1 point


def pdf_of(case: Case, answer: Sequence[str]) -> bytes:
    """The document's bytes."""
    with io.BytesIO() as buffer:
        with PdfPages(buffer, metadata={"Title": "Which heat map to believe", "CreationDate": None}) as pages:
            for page in (*answer_pages(case, answer), _last(case)):
                pages.savefig(page)
        return buffer.getvalue()


def answer_pages(case: Case, answer: Sequence[str]) -> list[Figure]:
    """The page of the answer and its tables, and further ones where these need more room."""
    figure = Figure(figsize=A4)
    y = _text(figure, _TOP, "Which heat map to believe", 13, 80, weight="bold")
    y = _text(figure, y - 0.004, answer[0], 10, 86, weight="bold")
    for line in answer[1:-1]:
        y = _text(figure, y - 0.002, line, 8, 122)
    y = _text(figure, y - 0.002, answer[-1], 8, 122, color=RED) - 0.008
    width, height = 0.15, 0.15 * A4[0] / A4[1]
    draw_picture(figure.add_axes((_LEFT, y - height, width, height)), shown_frames(case)[0])
    draw_best(figure.add_axes((_LEFT + 0.16, y - height, width, height)), shown_frames(case)[0])
    _text(figure, y - height - 0.004, "as the detector sees it; with the best region known", 6, 60)
    below = y
    for name, value in facts(case):
        shown = textwrap.shorten(f"{name}: {value}", _LONGEST, placeholder=" ... (all are in case.json)")
        below = _text(figure, below, shown, 6.5, 92, left=_LEFT + 0.34)
    y = min(y - height - 0.02, below) - 0.008
    pages = [figure]
    if case.curve:
        draw_curve(figure.add_axes((_LEFT + 0.05, y - 0.085, _RIGHT - _LEFT - 0.05, 0.085)), case)
        y -= _CURVE
    for table in tables(case):
        y = _table_on_pages(pages, y, table)
    return pages


def _table_on_pages(pages: list[Figure], y: float, table: TextTable) -> float:
    """Draws a table on the last page, from a height downwards, and what finds no room there on new ones."""
    title = len(textwrap.wrap(table.title, 116)) * _LINE + _HEADS * _LINE
    rows = table.rows
    while rows:
        room = int((y - title - _LOWEST) / _ROW)
        if room < min(_FEW, len(rows)):
            pages.append(Figure(figsize=A4))
            y = _TOP
            continue
        y, rows = _table(pages[-1], y, replace(table, rows=rows[:room])), rows[room:]
    return y


def _last(case: Case) -> Figure:
    """The page of the maps."""
    figure = Figure(figsize=A4)
    y = _text(figure, _TOP, MAPS_TITLE if case.attacked else NO_MAPS, 11, 90, weight="bold") - 0.005
    maps = [(frame, name) for frame in shown_frames(case) for name in frame.regions]
    rows = max(1, int(np.ceil(len(maps) / _COLUMNS)))
    cell = min((_RIGHT - _LEFT) / _COLUMNS, (y - 0.06) / rows * A4[1] / A4[0] - 0.04)
    side, step = cell - 0.012, cell * A4[0] / A4[1] + 0.028
    for place, (frame, name) in enumerate(maps):
        row, column = divmod(place, _COLUMNS)
        top, left = y - row * step, _LEFT + column * cell
        height = side * A4[0] / A4[1]
        draw_map(figure.add_axes((left, top - height, side, height)), frame, name)
        words = f"{name} {at(frame)}: {map_says(case, frame, name)}"
        _text(figure, top - height - 0.002, words, 6, round(260 * cell / 1.9), left=left)
    y -= rows * step
    failed = [f"Failed: {failure}" for frame in case.frames for failure in frame.failures]
    lines = [left_out(case), *failed] if left_out(case) else failed
    for place, line in enumerate(lines):
        if y < _LOWEST + 2 * _LINE and place < len(lines) - 1:
            _text(figure, y, f"{len(lines) - place} more such lines are in case.json.", 7, 150)
            break
        y = _text(figure, y, line, 7, 150)
    return figure


def _text(
    figure: Figure,
    y: float,
    text: str,
    size: float,
    width: int,
    left: float = _LEFT,
    weight: str = "normal",
    color: str = INK,
) -> float:
    """Writes a text of at most so many characters a line from a height downwards; returns where it ends."""
    lines = textwrap.wrap(printable(text), width, break_on_hyphens=False) or [""]
    shown = "\n".join(lines).replace("$", r"\$")
    figure.text(left, y, shown, fontsize=size, va="top", weight=weight, color=color, linespacing=1.2)
    return y - len(lines) * _LINE * size / 8


def _table(figure: Figure, y: float, table: TextTable) -> float:
    """Draws a table from a height downwards; returns where it ends."""
    y = _text(figure, y, table.title, 7.5, 116, weight="bold") - 0.002
    longest = [max(len(cell) for cell in cells) for cells in zip(*table.rows, strict=True)]
    wide = [max(8, length, *map(len, name.split())) + 2 for name, length in zip(table.columns, longest, strict=True)]
    size = min(_TABLE, (_RIGHT - _LEFT) / (sum(wide) * _CHARACTER))
    step = (_RIGHT - _LEFT) / max(sum(wide), (_RIGHT - _LEFT) / (_CHARACTER * size))
    ends = (_LEFT + step * np.cumsum(wide)).tolist()
    edges, places = [_LEFT, *ends[1:]], ["left"] + ["right"] * (len(wide) - 1)
    heads = [textwrap.wrap(name, chars - 1) for name, chars in zip(table.columns, wide, strict=True)]
    lines = max(len(head) for head in heads)
    for edge, head, place in zip(edges, heads, places, strict=True):
        figure.text(edge, y, "\n".join(head), fontsize=size, va="top", ha=place, color=INK, weight="bold")
    y -= lines * _LINE * 0.82 + 0.002
    for row in table.rows:
        figure.add_artist(_rule(y + 0.001))
        for edge, cell, place in zip(edges, row, places, strict=True):
            figure.text(edge, y, printable(cell).replace("$", r"\$"), fontsize=size, va="top", ha=place, color=INK)
        y -= _ROW
    return y - 0.012


def _rule(y: float) -> Line2D:
    return Line2D([_LEFT, _RIGHT], [y, y], color=PALE, lw=0.5)
