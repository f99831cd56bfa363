"""Grad-CAM maps as files: each frame's and the averages of a class, as NPY and as overlays, and a page of them."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from skimage.color import rgb2gray

from attacks.malafide.filter_pictures import FAINT, GREEN, INK, RED, empty_page, write_png
from attacks.malafide.filtered_frames import FAKE_NAME, REAL_NAME, FilteredFrame, names_of
from attacks.malafide.gradcam import GradCam, average, normalised
from common.figures import save_png
from common.files import atomic_write

AVERAGE = "average"
MAP = "turbo"


def save_maps(
    folder: Path,
    title: str,
    cam: GradCam,
    shown: Sequence[FilteredFrame],
    fake: Sequence[Mapping[str, float]],
    batch_size: int = 16,
    subtitle: str = "",
) -> Path:
    """Writes maps as `folder`/<frame>/<name>.npy with overlays <name>.png, averages in `folder`/average, and a page.

    The maps in the files are (S, S) float32 on the gradient's own scale; overlays and averages scale each to its
    maximum. Returns the page's path.

    Args:
        folder: where the files go; it is made where it is missing.
        title: of the page.
        cam: makes the maps.
        shown: the filtered frames, at least one, a row of the page each.
        fake: p(fake) of every picture in [0, 1], a mapping by the picture's name for each of `shown`.
        batch_size: images in a forward pass, at least 1.
        subtitle: of the page, on a line of its own; "" for none.
    """
    names = names_of(shown)
    maps: dict[str, dict[str, np.ndarray]] = {}
    for filtered_frame in shown:
        frame_maps = cam.maps(torch.stack(list(filtered_frame.pictures.values())), batch_size)
        maps[filtered_frame.name] = dict(zip(filtered_frame.pictures, frame_maps, strict=True))
        for name, map_ in maps[filtered_frame.name].items():
            _write(folder / filtered_frame.name / name, map_, overlay(_array(filtered_frame, name), map_))
    means = {}
    for name in names:
        having = [filtered_frame for filtered_frame in shown if name in filtered_frame.pictures]
        mean = average([maps[filtered_frame.name][name] for filtered_frame in having])
        picture = np.mean([_array(filtered_frame, name) for filtered_frame in having], axis=0)
        means[name] = overlay(picture, mean)
        _write(folder / AVERAGE / name, mean, means[name])
    path = folder / "page.png"
    with matplotlib.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "text.color": INK}):
        _page(path, title, subtitle, shown, fake, maps, means)
    return path


def overlay(image: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """An image (S, S, 3) in [0, 1] in grey under its map (S, S), the warmer the more: (S, S, 3) uint8."""
    share = normalised(map_[None])[0]
    colours = matplotlib.colormaps[MAP](share)[..., :3]
    grey = np.repeat(rgb2gray(image)[..., None], 3, axis=2)
    strength = 0.15 + 0.5 * share[..., None]
    return np.round(255 * ((1 - strength) * grey + strength * colours)).astype(np.uint8)


def _page(
    path: Path,
    title: str,
    subtitle: str,
    shown: Sequence[FilteredFrame],
    fake: Sequence[Mapping[str, float]],
    maps: Mapping[str, Mapping[str, np.ndarray]],
    means: Mapping[str, np.ndarray],
) -> None:
    """Frames down, real, fake and filtered across, and the averages at the bottom."""
    names = names_of(shown)
    figure, axes = empty_page(len(shown) + 1, len(names), title, subtitle)
    for row, filtered_frame, chances in zip(axes, shown, fake, strict=False):
        for axis, name in zip(row, names, strict=True):
            if name not in filtered_frame.pictures:
                axis.text(0.5, 0.5, "no real\nframe", ha="center", va="center", color=FAINT, transform=axis.transAxes)
                continue
            axis.imshow(overlay(_array(filtered_frame, name), maps[filtered_frame.name][name]))
            axis.set_xlabel(f"p(fake) {chances[name]:.2f}", color=RED if chances[name] > 0.5 else GREEN, labelpad=2)
    for axis, name in zip(axes[-1], names, strict=True):
        axis.imshow(means[name])
        axis.set_xlabel(
            f"average of {sum(name in filtered_frame.pictures for filtered_frame in shown)}", color=INK, labelpad=2
        )
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name if name in (REAL_NAME, FAKE_NAME) else f"filter {name}", fontsize=10)
    save_png(figure, path, dpi=130)


def _write(stem: Path, map_: np.ndarray, picture: np.ndarray) -> None:
    with io.BytesIO() as buffer:
        np.save(buffer, map_.astype(np.float32), allow_pickle=False)
        with atomic_write(stem.with_name(f"{stem.name}.npy"), "wb") as file:
            file.write(buffer.getvalue())
    write_png(stem.with_name(f"{stem.name}.png"), picture)


def _array(filtered_frame: FilteredFrame, name: str) -> np.ndarray:
    """A picture as (S, S, 3) float in [0, 1]."""
    return filtered_frame.pictures[name].permute(1, 2, 0).numpy()
