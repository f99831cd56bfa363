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

from attacks.malafide.fidelity import psnr
from attacks.malafide.filtered_frames import FAKE_NAME, REAL_NAME, FilteredFrame, as_bytes, names_of
from common.figures import save_png
from common.files import atomic_write
from data.images import encode_png

INK, RED, GREEN, FAINT = "#222222", "#b3261e", "#1b7f3b", "#8a8a8a"
MAGNIFIED = 8  # how much larger a change is drawn than it is
SMALL = 20.0  # dB; changes from here on are drawn
INCHES = 1.75  # of a picture's side


def save_images(
    folder: Path, title: str, shown: Sequence[FilteredFrame], fake: Sequence[Mapping[str, float]], subtitle: str = ""
) -> Path:
    """Writes every picture as `folder`/<frame>/<name>.png and a page of them all, whose path is returned.

    Args:
        folder: where the files go; it is made where it is missing.
        title: of the page.
        shown: the filtered frames, at least one, a row of the page each.
        fake: p(fake) of every picture in [0, 1], a mapping by the picture's name for each of `shown`.
        subtitle: of the page, on a line of its own; "" for none.
    """
    for filtered_frame in shown:
        for name, picture in filtered_frame.pictures.items():
            write_png(folder / filtered_frame.name / f"{name}.png", as_bytes(picture))
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
    """Makes a figure of rows x columns pictures without frames; returns it and its axes (rows, columns).

    Args:
        rows: pictures down, at least 1.
        columns: pictures across, at least 1.
        title: above them.
        subtitle: on a line of its own below the title; "" for none.
    """
    size = (INCHES * columns + 0.2, (INCHES + 0.26) * rows + 0.67 + 0.22 * bool(subtitle))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    figure.suptitle(f"{title}\n{subtitle}" if subtitle else title, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    return figure, axes


def _page(title: str, subtitle: str, shown: Sequence[FilteredFrame], fake: Sequence[Mapping[str, float]]) -> Figure:
    """Frames down; real, fake, and each filter's picture across, with its change where that is a small one."""
    columns = [
        (name, change) for name in names_of(shown) for change in ((False, True) if _is_small(name, shown) else (False,))
    ]
    figure, axes = empty_page(len(shown), len(columns), title, subtitle)
    for row, filtered_frame, chances in zip(axes, shown, fake, strict=True):
        for axis, (name, change) in zip(row, columns, strict=True):
            if name not in filtered_frame.pictures:
                axis.text(0.5, 0.5, "no real\nframe", ha="center", va="center", color=FAINT, transform=axis.transAxes)
            elif change:
                _draw_change(axis, filtered_frame.pictures[FAKE_NAME], filtered_frame.pictures[name])
            else:
                axis.imshow(as_bytes(filtered_frame.pictures[name]))
                ratio = "" if name in (REAL_NAME, FAKE_NAME) else f", {_ratio(filtered_frame, name)}"
                _caption(axis, f"p(fake) {chances[name]:.2f}{ratio}", chances[name] > 0.5)
    for axis, (name, change) in zip(axes[0], columns, strict=True):
        axis.set_title(f"change x {MAGNIFIED}" if change else _titled(name), fontsize=10)
    return figure


def _draw_change(axis: Axes, before: Tensor, after: Tensor) -> None:
    difference = 0.5 + 0.5 * MAGNIFIED * (after - before)
    axis.imshow(as_bytes(difference.clamp(0, 1)))


def _ratio(filtered_frame: FilteredFrame, name: str) -> str:
    ratio = float(psnr(filtered_frame.pictures[FAKE_NAME][None], filtered_frame.pictures[name][None])[0])
    return f"{ratio:.1f} dB" if np.isfinite(ratio) else "unchanged"


def _caption(axis: Axes, text: str, called_fake: bool) -> None:
    axis.set_xlabel(text, color=RED if called_fake else GREEN, labelpad=2)


def _titled(name: str) -> str:
    return name if name in (REAL_NAME, FAKE_NAME) else f"filter {name}"


def _is_small(name: str, shown: Sequence[FilteredFrame]) -> bool:
    """Whether a filter changes so little that its change is worth a picture: the eye sees a large one by itself."""
    if name in (REAL_NAME, FAKE_NAME):
        return False
    having = [filtered_frame for filtered_frame in shown if name in filtered_frame.pictures]
    fakes, others = (
        torch.stack([filtered_frame.pictures[shown_name] for filtered_frame in having])
        for shown_name in (FAKE_NAME, name)
    )
    return float(psnr(fakes, others).mean()) >= SMALL
