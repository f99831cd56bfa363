"""Small SVG drawings: elements that escape their text, and scales.

Nothing here has a colour: classes name what a thing is, and the page's style sheet draws it for light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

_R = 4.2  # a marker's radius


@dataclass(frozen=True)
class Scale:
    """From values in [low, high] to pixels in [start, end]; by their logarithm where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        value, low, high = (math.log10(max(v, 1e-12)) if self.log else v for v in (value, self.low, self.high))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, about: int = 5) -> tuple[float, ...]:
        """Round values within the scale, about so many."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            wanted = [10.0**p for p in powers]
            if len([t for t in wanted if self.low <= t <= self.high]) < 2:
                wanted = [factor * 10.0**p for p in powers for factor in (1, 2, 5)]
            return tuple(tick for tick in wanted if self.low <= tick <= self.high)
        step = self.step(about)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(step * index, 10) for index in range(first, last + 1))

    def step(self, about: int = 5) -> float:
        """The distance of about so many ticks on a scale that is not logarithmic: 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
        return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def drawing(width: float, height: float, title: str, description: str, name: str) -> Element:
    """An empty SVG picture, which screen readers read as its title and description.

    Args:
        width: of its coordinates.
        height: likewise.
        title: what it shows, in a few words.
        description: what it shows, in sentences.
        name: unique in the page.
    """
    svg = Element("svg", viewBox=f"0 0 {width:g} {height:g}", role="img")
    svg.set("aria-labelledby", f"{name}-t {name}-d")
    SubElement(svg, "title", id=f"{name}-t").text = title
    SubElement(svg, "desc", id=f"{name}-d").text = description
    return svg


def group(parent: Element, kind: str = "", **attributes: str) -> Element:
    """A group of elements of a class; an attribute's "_" is written "-"."""
    return _add(parent, "g", kind, {name.replace("_", "-"): value for name, value in attributes.items()})


def line(parent: Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    """A straight line from (x1, y1) to (x2, y2).

    Args:
        parent: the element that it is added to.
        x1: in the picture's coordinates, as all four.
        y1: growing downwards, as `y2`.
        x2: where the line ends.
        y2: likewise.
        kind: its class in the style sheet.
    """
    return _add(parent, "line", kind, {"x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}"})


def text(parent: Element, x: float, y: float, words: str, kind: str = "") -> Element:
    """A line of text at (x, y).

    Args:
        parent: the element that it is added to.
        x: in the picture's coordinates; the style sheet says which end of the text lies there.
        y: of its base line, growing downwards.
        words: the text.
        kind: its class in the style sheet, "" for none.
    """
    element = _add(parent, "text", kind, {"x": f"{x:g}", "y": f"{y:g}"})
    element.text = words
    return element


def path(parent: Element, points: Sequence[tuple[float, float]], kind: str, closed: bool = False) -> Element:
    """A line through points.

    Args:
        parent: the element that it is added to.
        points: (x, y) of each, in the picture's coordinates; one or more.
        kind: its class in the style sheet.
        closed: whether the last point is joined to the first.
    """
    commands = "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + ("Z" if closed else "")
    return _add(parent, "path", kind, {"d": commands})


def marker(parent: Element, x: float, y: float, shape: str, kind: str = "mark") -> Element:
    """A marker centred on (x, y).

    Args:
        parent: the element that it is added to.
        x: in the picture's coordinates.
        y: likewise, growing downwards.
        shape: one of `reporting.series_style.MARKERS`.
        kind: its class in the style sheet.

    Raises:
        KeyError: `shape` is not one of these.
    """
    if shape == "circle":
        return _add(parent, "circle", kind, {"cx": f"{x:g}", "cy": f"{y:g}", "r": f"{_R:g}"})
    r = _R * 1.15
    corners = {
        "square": [(-r * 0.8, -r * 0.8), (r * 0.8, -r * 0.8), (r * 0.8, r * 0.8), (-r * 0.8, r * 0.8)],
        "triangle": [(0, -r), (r, r * 0.8), (-r, r * 0.8)],
        "diamond": [(0, -r * 1.15), (r * 1.15, 0), (0, r * 1.15), (-r * 1.15, 0)],
        "down": [(0, r), (r, -r * 0.8), (-r, -r * 0.8)],
        "cross": [(-r, -r), (0, 0), (r, -r), (0, 0), (r, r), (0, 0), (-r, r), (0, 0)],
    }[shape]
    return path(parent, [(round(x + dx, 2), round(y + dy, 2)) for dx, dy in corners], kind, closed=True)


def written(element: Element) -> Markup:
    """The element as text for the page, every name in it escaped."""
    return Markup(tostring(element, encoding="unicode"))


def number(value: float) -> str:
    """A tick's label: as short as it can be."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def _add(parent: Element, tag: str, kind: str, attributes: dict[str, str]) -> Element:
    return SubElement(parent, tag, {"class": kind, **attributes} if kind else attributes)
