"""Charts: what is drawn where, read back from the SVG, and that names cannot break out of it."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from analysis.cost_points import CostPoint
from analysis.curves import Curve
from analysis.headline import HeadlineLine
from analysis.summary import Estimate
from reporting.page.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, cost, interval, lines, span, swatch
from reporting.page.svg import Scale
from reporting.series_style import series_styles

HOSTILE = '"><script>alert(1)</script>&'


def parts(svg: str, tag: str, kind: str) -> list[ElementTree.Element]:
    return [each for each in ElementTree.fromstring(svg).iter(tag) if kind in each.get("class", "").split()]


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    numbers = [float(each) for each in re.findall(r"-?[\d.]+", element.get("d", ""))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_line_goes_through_its_values() -> None:
    curve = Curve("LIME", (0.0, 5.0, 20.0), (0.0, 0.6, 1.0), low=(0.0, 0.5, 0.9), high=(0.1, 0.7, 1.0))
    svg = lines(Chart("Flips", "area", "flips", (curve,)), series_styles(["LIME"]), "a")
    (path,) = parts(svg, "path", "curve")
    across, up = WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP
    found = [((x - LEFT) / across * 20, (HEIGHT - BOTTOM - y) / up) for x, y in points(path)]
    assert np.allclose(found, [(0.0, 0.0), (5.0, 0.6), (20.0, 1.0)], atol=1e-3)
    assert len(parts(svg, "circle", "mark")) == 3
    (band,) = parts(svg, "path", "band")
    assert len(points(band)) == 6


def test_a_band_stays_inside_the_chart() -> None:
    curve = Curve("LIME", (0.0, 1.0), (0.9, 1.0), low=(-0.3, 0.9), high=(1.4, 1.1))
    (band,) = parts(lines(Chart("Flips", "area", "flips", (curve,)), series_styles(["LIME"]), "a"), "path", "band")
    assert {y for _, y in points(band)} <= {
        TOP,
        HEIGHT - BOTTOM,
        round(HEIGHT - BOTTOM - 0.9 * (HEIGHT - BOTTOM - TOP), 2),
    }


def test_steps_stay_until_the_next_value() -> None:
    curve = Curve("LIME", (0.0, 1.0, 2.0), (1.0, 0.5, 0.5))
    svg = lines(Chart("Stands", "budget", "stands", (curve,), step=True), series_styles(["LIME"]), "a")
    found = points(parts(svg, "path", "curve")[0])
    assert [x for x, _ in found] == pytest.approx([found[0][0], found[1][0], found[1][0], found[3][0], found[3][0]])
    assert found[0][1] == found[1][1] != found[2][1]


def test_charts_are_told_in_words_and_named() -> None:
    svg = ElementTree.fromstring(lines(Chart("Flips", "area", "flips", (Curve("LIME", (1.0, 9.0), (0.25, 0.5)),)),
                                       series_styles(["LIME"]), "c1"))  # fmt: skip
    assert svg.get("role") == "img"
    said = {each.get("id"): each.text for each in svg if each.tag in ("title", "desc")}
    assert svg.get("aria-labelledby") == "c1-t c1-d"
    assert said == {"c1-t": "Flips", "c1-d": "flips over area. LIME: 25 % at 1, 50 % at 9."}


def test_a_hostile_name_stays_text() -> None:
    style = series_styles([HOSTILE])
    chart = Chart(HOSTILE, HOSTILE, HOSTILE, (Curve(HOSTILE, (0.0, 1.0), (0.0, 1.0)),))
    point = CostPoint(HOSTILE, 2.0, 10.0, Estimate(0.5, 0.4, 0.6))
    for svg in (lines(chart, style, "a"), cost([point], style, "seconds", "b"), swatch(style[HOSTILE])):
        tree = ElementTree.fromstring(svg)  # well-formed
        assert not [each for each in tree.iter() if each.tag == "script"]
    assert [each.get("data-series") for each in ElementTree.fromstring(lines(chart, style, "a")).iter("g")][
        -1
    ] == HOSTILE


def test_explainers_differ_in_hue_and_shape_and_fills_in_their_line() -> None:
    names = ["LIME", "SHAP", "SOBOL", "RISE", "LIME_adv", "SHAP_adv", "random-area", "oracle"]
    style = series_styles(names)
    assert len({(style[n].hue, style[n].shape) for n in names[:4]}) == 4
    assert len({style[n].shape for n in names[:4]}) == 4
    for name in ("LIME", "SHAP"):
        plain, adversarial = style[name], style[f"{name}_adv"]
        assert (plain.hue, plain.shape) == (adversarial.hue, adversarial.shape)
        assert (plain.hollow, adversarial.hollow) == (False, True)
    assert {style[n].hue for n in names[-2:]} == {"reference", "ceiling"}


def test_a_score_lies_where_its_value_says() -> None:
    entry = HeadlineLine("LIME", Estimate(0.5, 0.25, 0.75), is_significant=True)
    svg = interval(entry, -0.5, 1.5)
    (dot,) = parts(svg, "circle", "certain")
    (whisker,) = parts(svg, "line", "whisker")
    assert (dot.get("cx"), whisker.get("x1"), whisker.get("x2")) == ("50.00%", "37.50%", "62.50%")
    assert [parts(svg, "line", kind)[0].get("x1") for kind in ("zero", "one")] == ["25.00%", "75.00%"]
    assert parts(interval(entry, -0.5, 1.5, is_trusted=True), "circle", "trusted")
    assert parts(interval(HeadlineLine("LIME", Estimate(0.5)), -0.5, 1.5), "circle", "open")
    unknown = interval(HeadlineLine("LIME", Estimate()), -0.5, 1.5)
    assert not parts(unknown, "circle", "open")


def test_the_range_holds_every_interval() -> None:
    low, high = span([HeadlineLine("a", Estimate(0.5, -0.2, 1.2)), HeadlineLine("b", Estimate())])
    assert low < -0.2
    assert high > 1.2


def test_costs_are_on_a_logarithmic_scale() -> None:
    made = [CostPoint(name, seconds, 1.0, Estimate(0.5)) for name, seconds in (("a", 1.0), ("b", 10.0), ("c", 100.0))]
    svg = ElementTree.fromstring(cost(made, series_styles(["a", "b", "c"]), "seconds", "n"))
    labels = [each for each in svg.iter("text") if each.get("class") == "label"]
    assert [each.text for each in labels] == ["a", "b", "c"]
    assert not math.isnan(sum(float(each.get("x", "nan")) for each in labels))
    scale = Scale(1.0, 100.0, 0.0, 200.0, log=True)
    assert [scale(v) for v in (1, 10, 100)] == [0.0, 100.0, 200.0]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.0, 1.0, (0, 0.2, 0.4, 0.6, 0.8, 1.0)), (-0.4, 1.2, (0.0, 0.5, 1.0)), (0.0, 20.0, (0, 5, 10, 15, 20))],
)
def test_ticks_are_round_and_inside(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert Scale(low, high, 0, 1).ticks() == pytest.approx(ticks)


def test_ticks_of_a_logarithmic_scale() -> None:
    assert Scale(0.5, 2000.0, 0, 1, log=True).ticks() == (1.0, 10.0, 100.0, 1000.0)
    assert Scale(3.0, 30.0, 0, 1, log=True).ticks() == (5.0, 10.0, 20.0)
