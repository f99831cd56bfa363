"""Real, fake and filtered frames as pictures: one page per manipulation, and each frame by itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from attacks.malafide.exhibits import FAKE_NAME, REAL_NAME, Exhibit, as_bytes, names_of
from attacks.malafide.fidelity import psnr
from common.files import atomic_write
from data.images import encode_png
from scoring.figures import save_png

INK, RED, GREEN, FAINT = "#222222", "#b3261e", "#1b7f3b", "#8a8a8a"
MAGNIFIED = 8  # how much larger a change is drawn than it is
SMALL = 20.0  # dB; changes from here on are drawn
INCHES = 1.75  # of a picture's side


def save_images(
    folder: Path, title: str, shown: Sequence[Exhibit], fake: Sequence[Mapping[str, float]], subtitle: str = ""
) -> Path:
    """Writes every picture as `folder`/<frame>/<name>.png and a page of them all, whose path is returned.

    `fake` is p(fake) of every picture, by exhibit and name.
    """
    for exhibit in shown:
        for name, picture in exhibit.pictures.items():
            write_png(folder / exhibit.name / f"{name}.png", as_bytes(picture))
    path = folder / "page.png"
    with matplotlib.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "text.color": INK}):
        figure = _page(title, subtitle, shown, fake)
        save_png(figure, path, dpi=130)
    return path


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 as PNG."""
    with atomic_write(path, "wb") as file:
        file.write(encode_png(image))


def empty_page(rows: int, columns: int, title: str, subtitle: str = "") -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns pictures without frames, and its axes (rows, columns)."""
    size = (INCHES * columns + 0.2, (INCHES + 0.26) * rows + 0.67 + 0.22 * bool(subtitle))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    figure.suptitle(f"{title}\n{subtitle}" if subtitle else title, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat:
        each.set_xticks([])
        each.set_yticks([])
        each.spines[:].set_visible(False)
    return figure, axes


def _page(title: str, subtitle: str, shown: Sequence[Exhibit], fake: Sequence[Mapping[str, float]]) -> Figure:
    """Frames down; real, fake, and each filter's picture across, with its change where that is a small one."""
    columns = [
        (name, change) for name in names_of(shown) for change in ((False, True) if _small(name, shown) else (False,))
    ]
    figure, axes = empty_page(len(shown), len(columns), title, subtitle)
    for row, exhibit, chances in zip(axes, shown, fake, strict=True):
        for axis, (name, change) in zip(row, columns, strict=True):
            if name not in exhibit.pictures:
                axis.text(0.5, 0.5, "no real\nframe", ha="center", va="center", color=FAINT, transform=axis.transAxes)
            elif change:
                _draw_change(axis, exhibit.pictures[FAKE_NAME], exhibit.pictures[name])
            else:
                axis.imshow(as_bytes(exhibit.pictures[name]))
                ratio = "" if name in (REAL_NAME, FAKE_NAME) else f", {_ratio(exhibit, name)}"
                _caption(axis, f"p(fake) {chances[name]:.2f}{ratio}", chances[name] > 0.5)
    for axis, (name, change) in zip(axes[0], columns, strict=True):
        axis.set_title(f"change x {MAGNIFIED}" if change else _titled(name), fontsize=10)
    return figure


def _draw_change(axis: Axes, before: Tensor, after: Tensor) -> None:
    difference = 0.5 + 0.5 * MAGNIFIED * (after - before)
    axis.imshow(as_bytes(difference.clamp(0, 1)))


def _ratio(exhibit: Exhibit, name: str) -> str:
    ratio = float(psnr(exhibit.pictures[FAKE_NAME][None], exhibit.pictures[name][None])[0])
    return f"{ratio:.1f} dB" if np.isfinite(ratio) else "unchanged"


def _caption(axis: Axes, text: str, called_fake: bool) -> None:
    axis.set_xlabel(text, color=RED if called_fake else GREEN, labelpad=2)


def _titled(name: str) -> str:
    return name if name in (REAL_NAME, FAKE_NAME) else f"filter {name}"


def _small(name: str, shown: Sequence[Exhibit]) -> bool:
    """Whether a filter changes so little that its change is worth a picture: the eye sees a large one by itself."""
    if name in (REAL_NAME, FAKE_NAME):
        return False
    having = [exhibit for exhibit in shown if name in exhibit.pictures]
    fakes, others = (torch.stack([exhibit.pictures[each] for exhibit in having]) for each in (FAKE_NAME, name))
    return float(psnr(fakes, others).mean()) >= SMALL
