"""The report's panels of curves: how far verdicts fall under each attack, and what it takes to flip them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from analysis import score_subsets
from analysis.curves import Interval, over_area, over_budget, survival_curves
from analysis.grids import Grid, flip_threshold_grid
from analysis.statistics.videos import how_many
from reporting import words
from reporting.page import charts
from reporting.page.charts import Chart
from reporting.series_style import SeriesStyle
from runs.conditions import detected
from runs.score_table import ScoreTable, of_family


@dataclass(frozen=True)
class Panel:
    """The charts of one attack and one family ("" for all)."""

    attack: str
    family: str
    charts: tuple[Markup, ...]
    note: str


def panels(
    rows: ScoreTable, style: Mapping[str, SeriesStyle], interval: Interval | None, answering: Collection[str]
) -> list[Panel]:
    """Curves over area and budget for each attack, for all families and for each one.

    The curves that are `answering` are seen at once, the others on request.
    """
    drawn_panels = []
    families = score_subsets.families(rows)
    for attack_number, attack in enumerate(score_subsets.attacks(rows)):
        under = score_subsets.under(rows, attack)
        for family_number, family in enumerate(("", *(families if len(families) > 1 else ()))):
            part = of_family(under, family) if family else under
            fakes = detected(part)
            note = f"{words.count(len(fakes), 'frame')} from {words.count(how_many(fakes.videos), 'video')}"
            name = f"c{attack_number}-{family_number}"
            drawn = _curves(part, fakes, style, interval, answering, f"{attack}, {family}" if family else attack, name)
            if drawn:
                drawn_panels.append(Panel(attack, family, drawn, note))
    return drawn_panels


def _curves(
    every: ScoreTable,
    fakes: ScoreTable,
    style: Mapping[str, SeriesStyle],
    interval: Interval | None,
    answering: Collection[str],
    where: str,
    name: str,
) -> tuple[Markup, ...]:
    """The charts of one panel: of the detected frames, and of every frame with a class for the accuracy."""
    area, budget = "attacked share of the frame (%)", "L-infinity budget (in 1/255)"
    measures = (
        ("flipped_to_real", "verdicts flipped (higher is better)", fakes),
        ("drop", "drop of the verdict's probability (higher is better)", fakes),
        ("correct_after", "accuracy after the attack (lower is better)", every),
    )
    wanted = [(f"{y} over area, {where}", area, y, over_area(rows, column, interval)) for column, y, rows in measures]
    if every.columns["epsilon"].nunique() > 1:
        wanted += [
            (f"{y} over budget, {where}", budget, y, over_budget(rows, column, interval))
            for column, y, rows in measures
        ]
    line_charts = [Chart(title[0].upper() + title[1:], x, y, curves) for title, x, y, curves in wanted if curves]
    return tuple(
        _figure(chart, charts.lines(chart, style, f"{name}-{i}", answering)) for i, chart in enumerate(line_charts)
    )


def _figure(chart: Chart, picture: Markup) -> Markup:
    """A chart with its caption."""
    caption = chart.title.partition(",")[0]
    return Markup("<figure class=chart><figcaption>{}</figcaption>{}</figure>").format(caption, picture)


def survival_panels(
    flip_thresholds: ScoreTable, style: Mapping[str, SeriesStyle], answering: Collection[str]
) -> list[tuple[str, Markup, Grid]]:
    """For each kind of flip threshold: its axis' label, its survival curves, and the table below them."""
    drawn_panels = []
    flip_thresholds = score_subsets.main_segmentation(flip_thresholds)
    columns = flip_thresholds.columns
    asked = words.join(sorted(columns.loc[columns["measure"] == "queries", "attack"].unique()) or ["an attack"])
    for measure, scale, title, x in (
        ("budget", 255.0, "Smallest budget that flips", "L-infinity budget (in 1/255)"),
        ("queries", 1.0, "Queries needed", f"queries of {asked}"),
        ("fraction", 100.0, "Segments needed, best first", "segments attacked (%)"),
    ):
        if (columns["measure"] == measure).any() and (curves := survival_curves(flip_thresholds, measure, scale)):
            chart = Chart(title, x, "verdicts that still stand (lower is better)", curves, step=True)
            drawn_panels.append(
                (
                    x,
                    _figure(chart, charts.lines(chart, style, f"s-{measure}", answering)),
                    flip_threshold_grid(flip_thresholds, measure, scale),
                )
            )
    return drawn_panels
