"""What every picture shares: its colours, and a file that is whole or not there."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from common.files import atomic_write

RED = "#b3261e"
BLUE, GREY, PALE, FAINT, INK = "#0b5fa5", "#8a8a8a", "#e6e6e6", "#f0f0f0", "#222222"


def write_mark(figure: Figure, mark: str) -> None:
    """Writes what sets a picture's numbers apart in its upper right corner, in red; nothing for ""."""
    if mark:
        figure.text(0.995, 0.995, mark, ha="right", va="top", fontsize=7, color=RED)


def save_png(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Writes a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        with atomic_write(path, "wb") as file:
            file.write(buffer.getvalue())
