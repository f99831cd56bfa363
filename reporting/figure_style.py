"""The style of pictures of many methods: a colour and a dash for each, and files as PNG and PDF."""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from common.figures import BLUE, GREY, save_png, write_mark
from common.files import atomic_write
from xai.methods import SUFFIX

COLOURS = (BLUE, "#d1662c", "#2f8f5b", "#7b4ea3", "#b8860b", "#c2408c", "#2a9aa5", "#7a5230")
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)))

Dash = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Style:
    """How a method is drawn: matplotlib's colour and line style."""

    colour: str
    dash: Dash


def styles(methods: Sequence[str], controls: Collection[str] = ()) -> dict[str, Style]:
    """A style for each method, distinct from the others also in black and white and to the colour-blind.

    An explainer and its adversarial fill share a colour, the fill is dashed; `controls` are grey.
    """
    style_of: dict[str, Style] = {}
    explainers = list(dict.fromkeys(m.removesuffix(SUFFIX) for m in methods if m not in controls))
    for number, method in enumerate(m for m in methods if m in controls):
        style_of[method] = Style(GREY, DASHES[number % len(DASHES)])
    for method in methods:
        if method not in controls:
            turn, index = divmod(explainers.index(method.removesuffix(SUFFIX)), len(COLOURS))
            style_of[method] = Style(COLOURS[index], DASHES[(2 * turn + method.endswith(SUFFIX)) % len(DASHES)])
    return {method: style_of[method] for method in methods}


def save_both(figure: Figure, path: Path, mark: str = "") -> list[Path]:
    """Writes a figure as PNG and, for print, as PDF beside it, and returns both; the same figure gives the same bytes.

    `path` ends in .png; `mark` says what sets the run apart (`reporting.published_mark`).
    """
    write_mark(figure, mark)
    save_png(figure, path, dpi=200)
    print_path = path.with_suffix(".pdf")
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        with atomic_write(print_path, "wb") as file:
            file.write(buffer.getvalue())
    return [path, print_path]
