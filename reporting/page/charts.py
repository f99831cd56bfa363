"""The charts of the report: lines with their intervals, steps, points of cost, and an interval in a table's cell."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from markupsafe import Markup

from analysis.cost_points import CostPoint
from analysis.curves import Curve
from analysis.headline import HeadlineLine
from reporting.page.svg import Scale, drawing, group, line, marker, number, path, text, written
from reporting.series_style import SeriesStyle

WIDTH, HEIGHT = 380, 262
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 12, 44


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Attributes:
        title: above it.
        x: the label below.
        y: the label at the side.
        curves: its lines.
        percent: whether y is a share in [0, 1].
        step: whether y stays until the next x.
    """

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    percent: bool = True
    step: bool = False


def swatch(style: SeriesStyle) -> Markup:
    """A ranking's line and marker, for a legend."""
    svg = Element("svg", {"viewBox": "0 0 30 14", "class": f"swatch {style.classes}", "aria-hidden": "true"})
    line(svg, 0, 7, 30, 7, "curve")
    marker(svg, 15, 7, style.shape)
    return written(svg)


def lines(
    chart: Chart, style: Mapping[str, SeriesStyle], name: str, answering: Collection[str] | None = None
) -> Markup:
    """A line chart.

    Args:
        chart: what is drawn.
        style: of each curve, by its name.
        name: of the chart, unique in the page.
        answering: the curves that are seen at once, the others being drawn for who asks; None for all.
    """
    svg = drawing(WIDTH, HEIGHT, chart.title, _described(chart), name)
    xs = [x for curve in chart.curves for x in curve.x]
    ys = [y for curve in chart.curves for y in (curve.y if chart.percent else (*curve.y, *curve.low, *curve.high))]
    across = Scale(min(0.0, *xs), _rounded_up(max(xs)), LEFT, WIDTH - RIGHT)
    low, high = (min(0.0, *ys), 1.0) if chart.percent else _padded(ys)
    if chart.percent and max(ys) < 0.5:
        high = max(0.1, math.ceil(12 * max(ys)) / 10)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    _axes(svg, across, up, chart)
    for curve in chart.curves:
        asked = "" if answering is None or curve.name in answering else " further"
        _curve(svg, curve, style[curve.name], across, up, chart.step, asked)
    return written(svg)


def cost(points: Sequence[CostPoint], style: Mapping[str, SeriesStyle], measure: str, name: str) -> Markup:
    """A chart of scores against costs for each frame, the cost on a logarithmic scale.

    Args:
        points: the methods, each with its score and its costs.
        style: of each method, by its name.
        measure: the cost that is shown, "seconds" or "forwards".
        name: of the chart, unique in the page.
    """
    values = {point.method: float(getattr(point, measure)) for point in points}
    title = f"Score against {measure} of one explanation"
    listing = [f"{p.method}: {number(values[p.method])} {measure}, score {_share(p.score.value)}" for p in points]
    svg = drawing(WIDTH * 1.35, HEIGHT * 1.15, title, f"{'; '.join(listing)}.", name)
    positive = [max(value, 1e-3) for value in values.values()]
    across = Scale(min(positive) / 1.6, max(positive) * 2.2, LEFT, WIDTH * 1.35 - RIGHT, log=True)
    finite = [v for p in points for v in (p.score.value, p.score.low, p.score.high) if not math.isnan(v)]
    up = Scale(min([0.0, *finite]), max([1.0, *finite]), HEIGHT * 1.15 - BOTTOM, TOP)
    _axes(
        svg,
        across,
        up,
        Chart(title, f"{measure} of one explanation (logarithmic; left is better)", "score (higher is better)", ()),
    )
    taken: list[tuple[float, float, float, float]] = []
    drawn = [(across(max(values[p.method], 1e-3)), p) for p in points if not math.isnan(p.score.value)]
    taken += [(x - 6, up(p.score.value) - 6, x + 6, up(p.score.value) + 6) for x, p in drawn]
    for x, point in drawn:
        inner = group(svg, f"series {style[point.method].classes}", data_series=point.method)
        y = up(point.score.value)
        if not math.isnan(point.score.low):
            line(inner, x, up(point.score.low), x, up(point.score.high), "whisker")
        marker(inner, x, y, style[point.method].shape)
        text(inner, *_free(x, y, 6.4 * len(point.method), taken), point.method, "label")
    return written(svg)


def interval(entry: HeadlineLine, low: float, high: float, is_trusted: bool = False) -> Markup:
    """A score with its interval for a table's cell, as wide as the cell: from `low` to `high`, 0 and 1 marked."""
    svg = Element("svg", {"class": "interval", "height": "30", "width": "100%", "aria-hidden": "true"})

    def at(value: float) -> str:
        return f"{100 * min(max((value - low) / (high - low), 0.0), 1.0):.2f}%"

    for value, kind in ((0.0, "zero"), (1.0, "one")):
        _relative_line(svg, at(value), at(value), "0", "30", kind)
    score = entry.score
    if math.isnan(score.value):
        return written(svg)
    if not math.isnan(score.low):
        _relative_line(svg, at(score.low), at(score.high), "15", "15", "whisker")
    _element(
        svg,
        "circle",
        {"cx": at(score.value), "cy": "15", "r": "6", "class": _dot(entry, is_trusted)},
    )
    return written(svg)


def _dot(entry: HeadlineLine, is_trusted: bool) -> str:
    """Which dot a score has: of one to trust, of one that differs from random regions, of one not shown to."""
    return "trusted" if is_trusted else "certain" if entry.is_significant else "open"


def interval_axis(low: float, high: float) -> Markup:
    """The axis of such cells."""
    svg = Element("svg", {"class": "interval scale", "height": "36", "width": "100%", "aria-hidden": "true"})
    for value, words in ((0.0, "random"), (1.0, "best possible")):
        x = f"{100 * (value - low) / (high - low):.2f}%"
        _element(svg, "text", {"x": x, "y": "12"}).text = words
        _element(svg, "text", {"x": x, "y": "27"}).text = f"{100 * value:z.0f} %"
        _relative_line(svg, x, x, "31", "36", "tick")
    return written(svg)


def span(entries: Sequence[HeadlineLine]) -> tuple[float, float]:
    """The range that holds 0, 1 and every interval, with some room at its ends."""
    ends = [v for e in entries for v in (e.score.value, e.score.low, e.score.high) if not math.isnan(v)]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    return max(low, -0.6) - 0.09, min(high, 1.6) + 0.13


def _axes(svg: Element, across: Scale, up: Scale, chart: Chart) -> None:
    """Grid lines, ticks and labels."""
    frame = group(svg, "axes")
    for tick in up.ticks():
        line(frame, across.start, up(tick), across.end, up(tick), "zero" if tick == 0 else "grid")
        text(frame, across.start - 7, up(tick) + 4, f"{100 * tick:.0f} %" if chart.percent else number(tick), "y")
    for tick in across.ticks():
        line(frame, across(tick), up.start, across(tick), up.start + 4, "grid")
        text(frame, across(tick), up.start + 17, number(tick), "x")
    text(frame, (across.start + across.end) / 2, up.start + 36, chart.x, "x name")


def _curve(svg: Element, curve: Curve, style: SeriesStyle, across: Scale, up: Scale, step: bool, kind: str) -> None:
    """A band where the interval is known, the line, and a marker at each point (none on steps)."""
    inner = group(svg, f"series {style.classes}{kind}", data_series=curve.name)
    points = [(across(x), up(y)) for x, y in zip(curve.x, curve.y, strict=True)]
    if curve.low and curve.high:
        lower, upper = (
            [(across(x), up(min(max(y, up.low), up.high))) for x, y in zip(curve.x, ends, strict=True)]
            for ends in (curve.low, curve.high)
        )
        path(inner, [*upper, *reversed(lower)], "band", closed=True)
    path(inner, _stairs(points) if step else points, "curve")
    if not step and style.shape != "cross":
        for x, y in points:
            marker(inner, x, y, style.shape)


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    stairs = [points[0]]
    for (_, before), (x, y) in itertools.pairwise(points):
        stairs += [(x, before), (x, y)]
    return stairs


def _free(x: float, y: float, width: float, taken: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """A position beside a point where a label covers nothing, added to `taken`; after a few tries it may cover some."""
    tries = [(x + 9, y + 4 + dy) for dy in (0, -11, 11)] + [(x - 9 - width, y + 4 + dy) for dy in (0, -11, 11)]
    tries += [(x - width / 2, y + dy) for dy in (-12, 20, -24, 32)]
    for left, base in tries:
        box = (left, base - 11, left + width, base + 3)
        if left > LEFT and box[2] < WIDTH * 1.35 and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return round(left, 1), round(base, 1)
    return round(tries[0][0], 1), round(tries[0][1], 1)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _rounded_up(value: float) -> float:
    """The next tick of an axis from 0 where that is near, so that a line ends at a number."""
    step = Scale(0.0, value, 0.0, 1.0).step()
    top = step * math.ceil(value / step - 1e-9)
    return top if top - value < step / 2 else value


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return min(0.0, low), high + 0.05 * ((high - low) or 1.0)


def _described(chart: Chart) -> str:
    """A chart in words, for those who cannot see it: where each line begins and ends."""
    if not chart.curves:
        return "No values."
    show = _share if chart.percent else number
    ends = [f"{c.name}: {show(c.y[0])} at {number(c.x[0])}, {show(c.y[-1])} at {number(c.x[-1])}" for c in chart.curves]
    return f"{chart.y} over {chart.x}. {'; '.join(ends)}."


def _share(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{100 * value:z.0f} %"


def _relative_line(svg: Element, x1: str, x2: str, y1: str, y2: str, kind: str) -> None:
    _element(svg, "line", {"x1": x1, "x2": x2, "y1": y1, "y2": y2, "class": kind})


def _element(svg: Element, tag: str, attributes: dict[str, str]) -> Element:
    element = Element(tag, attributes)
    svg.append(element)
    return element
