"""A picture of one frame's explanations: each method's saliency, and the pixels that were really manipulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from skimage.color import rgb2gray

from xai.explanation import Explanation
from xai.map_picture import COLOURS, TOP
from xai.methods import SUFFIX
from xai.ranking import top_region
from xai.stability import CERTAIN

COLUMNS = 4
EDGED = (withStroke(linewidth=3.2, foreground="#000000b0"),)  # so that they show on light and dark
HATCH = "////"  # of a region whose rank is not certain
MAGNIFIED = 8  # how much larger a difference is drawn than it is


@dataclass(frozen=True, eq=False)
class View:
    """What there is to draw of one frame; every picture is at the detector's input size.

    Attributes:
        image: (H, W, 3) float in [0, 1].
        explanations: by the name of the method.
        adversarial: (H, W, 3) float in [0, 1], or None where none was made.
        adversarial_verdict: what the detector says of it.
        mask: (H, W) bool, the manipulated pixels, or None where unknown.
        caption: what was predicted and what is explained.
    """

    image: np.ndarray
    explanations: Mapping[str, Explanation]
    adversarial: np.ndarray | None
    adversarial_verdict: str
    mask: np.ndarray | None
    caption: str


def draw_view(view: View, figure: Figure) -> None:
    """Draws a view on an empty figure, which it resizes: the frame and what is known, then each explanation."""
    known = 1 + (view.mask is not None) + 2 * (view.adversarial is not None)
    methods = grid(list(view.explanations))
    rows, columns = 1 + len(methods), max(known, *(len(row) for row in methods))
    figure.set_layout_engine("constrained")
    figure.set_size_inches(3.0 * columns, 3.25 * rows + 0.6)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    _draw_known(view, axes[0])
    for row, names in zip(axes[1:], methods, strict=True):
        for axis, name in zip(row, names, strict=False):
            if name is not None:
                _draw_explanation(axis, view.image, name, view.explanations[name])
    figure.suptitle(view.caption, fontsize=11, x=0.01, ha="left")


def grid(names: Sequence[str]) -> list[list[str | None]]:
    """The methods in rows of at most COLUMNS explainers; under each explainer the same with the adversarial fill.

    None where an explainer has no such method.
    """
    explainers = list(dict.fromkeys(name.removesuffix(SUFFIX) for name in names))
    rows: list[list[str | None]] = []
    for start in range(0, len(explainers), COLUMNS):
        for suffix in ("", SUFFIX):
            row = [name + suffix for name in explainers[start : start + COLUMNS]]
            if any(name in names for name in row):
                rows.append([name if name in names else None for name in row])
    return rows


def _draw_known(view: View, axes: Sequence[Axes]) -> None:
    panels = [("frame", view.image)]
    if view.mask is not None:
        panels.append(("manipulated pixels", _dimmed(view.image, view.mask)))
    if view.adversarial is not None:
        difference = 0.5 + 0.5 * MAGNIFIED * (view.adversarial - view.image)
        panels.append((f"adversarial image: {view.adversarial_verdict}", view.adversarial))
        panels.append((f"its difference, {MAGNIFIED} times", difference.clip(0.0, 1.0)))
    for axis, (title, picture) in zip(axes, panels, strict=False):
        axis.imshow(picture)
        axis.set_title(title, fontsize=10)


def _draw_explanation(axis: Axes, image: np.ndarray, name: str, explanation: Explanation) -> None:
    axis.imshow(rgb2gray(image), cmap="gray", vmin=0.0, vmax=1.0)
    low, high = np.percentile(explanation.saliency, [1, 99])
    axis.imshow(explanation.saliency, cmap="inferno", alpha=0.55, vmin=low, vmax=high if high > low else low + 1)
    ranking, certain = explanation.ranking, explanation.rank_stability >= CERTAIN
    for index in range(min(TOP, len(ranking))):
        region = top_region(explanation.segments, ranking[index : index + 1], 1)
        outline = axis.contour(region, levels=[0.5], colors=COLOURS[index], linewidths=1.8)
        outline.set(path_effects=EDGED)
        if not certain[index]:
            with rc_context({"hatch.color": COLOURS[index], "hatch.linewidth": 0.8}):
                axis.contourf(region, levels=[0.5, 1.5], colors="none", hatches=[HATCH])
        y, x = _inside(region)
        number = axis.text(x, y, str(index + 1), color=COLOURS[index], fontsize=12, fontweight="bold")
        number.set(ha="center", va="center", path_effects=EDGED)
    axis.set_title(f"{name}{_mark(explanation)}", fontsize=10)


def _mark(explanation: Explanation) -> str:
    """What is to be known of a map before it is believed, after its name."""
    weak = " (weak)" if explanation.weak else ""
    found = explanation.completeness
    broken = f"\nsums to {found.total:.3g}, not {found.promised:.3g}" if found and found.broken else ""
    return f"{weak}, {_same_again(explanation)}{broken}"


def _same_again(explanation: Explanation) -> str:
    """How sure the best regions are, in a few words."""
    if explanation.covariance is None:
        return "re-run: unknown"
    return f"same {TOP} on a re-run: {100 * explanation.stability[TOP - 1]:.0f} %"


def _dimmed(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with everything outside the mask dimmed to grey."""
    grey = 0.35 * rgb2gray(image)[..., None].repeat(3, axis=2)
    return np.where(mask[..., None], image, grey)


def _inside(region: np.ndarray) -> tuple[float, float]:
    """The pixel of a region that is nearest to its centre: (y, x)."""
    pixels = np.argwhere(region)
    distance = np.abs(pixels - pixels.mean(axis=0)).sum(axis=1)
    y, x = pixels[distance.argmin()]
    return float(y), float(x)
