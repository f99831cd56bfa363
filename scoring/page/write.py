"""The report as one HTML file: no network, no script or style but its own, every name in it escaped."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from common.files import atomic_write
from data.frames import REAL
from scoring.gallery import COLUMNS
from scoring.page import charts, derive, panels, words
from scoring.page.cards import OUTCOMES, Card, cards
from scoring.page.charts import Look
from scoring.page.content import ARMS, Condition, Finished, Headline, Interval, Listed, Sheets
from scoring.pictures import TILE

FILL_ATTACKS = {"adversarial": "nes"}  # what made the run's fills
FILE = "report.html"
_TEMPLATES = "templates"


def write_page(
    folder: Path,
    run: Finished,
    headlines: Sequence[Headline],
    notes: Sequence[str] = (),
    attack_of_fill: Mapping[str, str] = FILL_ATTACKS,
    interval: Interval | None = None,
) -> Path:
    """Writes `report.html` into a run's folder, whole or not at all, with the albums that the folder keeps.

    The first of `headlines` that is of all frames and the run's own segmentation is the answer; the others fill the
    tables by attack, family and segmentation. `notes` are sentences of caution to print beside the answer (too few
    videos for any test, say). `attack_of_fill` tells which attack made a fill; `interval` gives the curves
    their bands (a bootstrap over videos). The same run gives the same bytes,
    apart from its costs. Raises ValueError without a headline of all frames, OSError where it cannot be written.
    """
    path = folder / FILE
    text = render(run, headlines, cards(run.rows, folder), notes, attack_of_fill, interval)
    with atomic_write(path, "wb") as file:
        file.write(text.encode("utf-8", errors="replace"))  # a name may hold half a surrogate pair
    return path


def render(
    run: Finished,
    headlines: Sequence[Headline],
    gallery: Sequence[Card] = (),
    notes: Sequence[str] = (),
    attack_of_fill: Mapping[str, str] = FILL_ATTACKS,
    interval: Interval | None = None,
) -> str:
    """The page as text; see `write_page`."""
    overall = [each for each in headlines if each.condition == Condition(each.condition.attack)]
    if not overall:
        raise ValueError("the report needs a headline of all frames, under some attack")
    main, sheets = overall[0], run.sheets
    names = tuple(dict.fromkeys([*(line.method for line in main.lines), *derive.methods(sheets.rows)]))
    style = charts.looks((*names, *derive.arms(sheets.rows)))
    environment = _environment()
    css, script = ((files("scoring.page") / _TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    css += _tiles(max((len(card.judged) for card in gallery), default=0))
    page = environment.get_template("page.html").render(
        css=Markup(css),
        script=Markup(script),
        policy=_policy(css, script),
        **_answer(main, overall, names, style),
        **_evidence(sheets, headlines, main, style, attack_of_fill, interval),
        **_left_out(sheets),
        facts=_facts(sheets, main),
        notes=list(notes),
        cards=gallery,
        families=derive.families(sheets.rows),
        attacks=derive.attacks(sheets.rows),
        rankings=(*derive.methods(sheets.rows), *derive.arms(sheets.rows)),
        outcomes=OUTCOMES,
        configuration=flat(run.configuration),
    )
    return page


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("scoring.page", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "decimals": words.decimals,
        "estimate": words.estimate,
        "count": words.count,
        "names": words.join,
    }
    return environment


def _policy(css: str, script: str) -> str:
    """A content security policy: nothing from anywhere, this style and this script, pictures from the page itself."""
    style, code = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script))
    return (
        f"default-src 'none'; img-src blob:; style-src 'sha256-{style}'; script-src 'sha256-{code}'; "
        f"base-uri 'none'; form-action 'none'"
    )


def _tiles(methods: int) -> str:
    """Where each tile is in a sprite."""
    places = range(2 + 2 * methods)
    return "".join(
        f"\n.tiles .t{n}{{object-position:{-(n % COLUMNS) * TILE}px {-(n // COLUMNS) * TILE}px}}" for n in places
    )


def _answer(
    main: Headline, overall: Sequence[Headline], names: Sequence[str], style: Mapping[str, Look]
) -> dict[str, Any]:
    """The answer in words, and its picture for each attack."""
    forests = []
    for headline in overall:
        verdicts, (low, high) = words.sort(headline), charts.span(headline.lines)
        forests.append(
            {
                "attack": headline.condition.attack,
                "sample": words.sample(headline),
                "axis": charts.interval_axis(low, high),
                "lines": [
                    {
                        "entry": line,
                        "picture": charts.interval(line, low, high),
                        "says": verdicts.of(line.method),
                        "tier": verdicts.tier(line.method),
                    }
                    for line in headline.ranked
                ],
            }
        )
    legend = [name for name in (*names, *derive.REFERENCES) if name in style]
    return {
        "answer": words.answer(main),
        "reasons": words.reasons(main),
        "forests": forests,
        "swatches": {name: charts.swatch(style[name]) for name in legend},
        "legend": legend,
        "arms": ARMS,
    }


def _evidence(
    run: Sheets,
    headlines: Sequence[Headline],
    main: Headline,
    style: Mapping[str, Look],
    attack_of_fill: Mapping[str, str],
    interval: Interval | None,
) -> dict[str, Any]:
    """Everything between the answer and the frames."""
    rows = derive.main_segmentation(run.rows)
    costs = derive.cost_points(run.costs, main)
    located = derive.localisation(rows)
    return {
        "by_family": _by(headlines, "family"),
        "by_segmentation": _by(headlines, "segmentation"),
        "panels": panels.panels(rows, style, interval),
        "banded": interval is not None,
        "survivals": panels.survivals(run.graded, style),
        "costs": [charts.cost(costs, style, measure, f"cost-{measure}") for measure in ("seconds", "forwards")]
        if costs
        else [],
        "cost_grid": derive.cost_grid(run.costs) if len(run.costs.columns) else None,
        "localisation": located if any(cell.count for line in located.cells for cell in line) else None,
        "controls": derive.controls(derive.under(rows, main.condition.attack)),
        "main_attack": main.condition.attack,
        "circularity": derive.circularity(rows, attack_of_fill),
        "metrics": derive.metric_grid(run.metrics) if len(run.metrics.columns) else None,
    }


def _by(headlines: Sequence[Headline], part: str) -> list[tuple[str, list[Headline]]]:
    """Headlines by attack, those of all frames first, then those that differ in `part` of their condition alone."""
    other = "segmentation" if part == "family" else "family"
    chosen = [each for each in headlines if not getattr(each.condition, other)]
    grouped = {
        attack: [each for each in chosen if each.condition.attack == attack]
        for attack in dict.fromkeys(each.condition.attack for each in chosen)
    }
    return [(attack, found) for attack, found in grouped.items() if len(found) > 1]


def _left_out(run: Sheets) -> dict[str, Any]:
    """What did not count where, and why."""
    frames, by_method = run.rows.frames, run.rows.by("method")
    weak = {name: int(by_method[name].any("weak").sum()) for name in derive.methods(run.rows)}
    stubborn = derive.unattackable(derive.main_segmentation(run.rows))
    return {
        "failures": Listed(list(run.failures.items())),
        "stubborn": {attack: Listed(keys) for attack, keys in stubborn.items()},
        "called_real": Listed(frames.loc[frames["predicted"] == REAL, "key"].tolist()),
        "weak": {name: number for name, number in weak.items() if number},
    }


def _facts(run: Sheets, main: Headline) -> list[tuple[str, str]]:
    """What the run was, in a line."""
    configuration = run.configuration
    detector = configuration.get("detector") or {}
    facts = [("Detector", str(detector.get("name", ""))), ("Preset", str(configuration.get("preset", "")))]
    facts += [("Evidence", words.sample(main)), ("Attack", main.condition.attack)]
    facts.append(("Seed", str(configuration.get("seed", ""))))
    return [(name, value) for name, value in facts if value]


def flat(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """A configuration as lines of (dotted name, value)."""
    lines: list[tuple[str, str]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            lines.append((f"{prefix}{name}", "-" if shown is None else str(shown)))
    return lines
