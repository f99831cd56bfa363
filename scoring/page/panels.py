"""The report's panels of curves: how far verdicts fall under each attack, and what it takes to flip them."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from scoring.page import charts, derive, words
from scoring.page.charts import Chart, Look
from scoring.page.content import Grid, Interval
from scoring.sheet import Sheet, of_family
from scoring.statistics.videos import how_many


@dataclass(frozen=True)
class Panel:
    """The charts of one attack and one family ("" for all)."""

    attack: str
    family: str
    charts: tuple[Markup, ...]
    note: str


def panels(rows: Sheet, style: Mapping[str, Look], interval: Interval | None) -> list[Panel]:
    """Curves over area and budget for each attack, for all families and for each one."""
    made = []
    families = derive.families(rows)
    for attack_number, attack in enumerate(derive.attacks(rows)):
        under = derive.under(rows, attack)
        for family_number, family in enumerate(("", *(families if len(families) > 1 else ()))):
            part = of_family(under, family) if family else under
            found = derive.attackable(part)
            note = f"{words.count(len(found), 'frame')} from {words.count(how_many(found.videos), 'video')}"
            name = f"c{attack_number}-{family_number}"
            drawn = _curves(part, found, style, interval, f"{attack}, {family}" if family else attack, name)
            if drawn:
                made.append(Panel(attack, family, drawn, note))
    return made


def _curves(
    every: Sheet,
    found: Sheet,
    style: Mapping[str, Look],
    interval: Interval | None,
    where: str,
    name: str,
) -> tuple[Markup, ...]:
    """The charts of one panel: of the detected frames, and of every frame with a class for the accuracy."""
    area, budget = "attacked share of the frame (%)", "L-infinity budget (in 1/255)"
    measures = (
        ("flipped_to_real", "verdicts flipped", found),
        ("drop", "drop of the verdict's probability", found),
        ("correct_after", "accuracy after the attack", every),
    )
    wanted = [
        (f"{y} over area, {where}", area, y, derive.over_area(rows, column, interval)) for column, y, rows in measures
    ]
    if every.columns["epsilon"].nunique() > 1:
        wanted += [
            (f"{y} over budget, {where}", budget, y, derive.over_budget(rows, column, interval))
            for column, y, rows in measures
        ]
    made = [Chart(title[0].upper() + title[1:], x, y, curves) for title, x, y, curves in wanted if curves]
    return tuple(_figure(chart, charts.lines(chart, style, f"{name}-{place}")) for place, chart in enumerate(made))


def _figure(chart: Chart, picture: Markup) -> Markup:
    """A chart with its caption."""
    caption = chart.title.partition(",")[0]
    return Markup("<figure class=chart><figcaption>{}</figcaption>{}</figure>").format(caption, picture)


def survivals(graded: Sheet, style: Mapping[str, Look]) -> list[tuple[str, Markup, Grid]]:
    """For each graded score: what it is, its survival curves, and the table below them."""
    made = []
    for measure, scale, title, x in (
        ("budget", 255.0, "Smallest budget that flips", "L-infinity budget (in 1/255)"),
        ("queries", 1.0, "Queries needed", "forwards of NES"),
        ("fraction", 100.0, "Segments needed, best first", "segments attacked (%)"),
    ):
        if (graded.columns["measure"] == measure).any():
            chart = Chart(title, x, "verdicts that still stand", derive.survival(graded, measure, scale), step=True)
            made.append(
                (
                    x,
                    _figure(chart, charts.lines(chart, style, f"s-{measure}")),
                    derive.graded_grid(graded, measure, scale),
                )
            )
    return made
