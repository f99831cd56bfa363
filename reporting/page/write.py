"""The report as one HTML file: no network, no script or style but its own, every name in it escaped."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis import attackable_frames, grids, score_subsets
from analysis.cost_points import cost_points
from analysis.curves import CURVE_BASELINES, Interval
from analysis.headline import Condition, Headline
from analysis.surviving_flips import transforms
from analysis.tiers import headline_tiers
from common.files import atomic_write
from data.frames import REAL
from reporting import words
from reporting.page import charts, panels
from reporting.page.cards import OUTCOMES, Card, cards
from reporting.page.shown_names import ShownNames
from reporting.published_mark import published_mark, published_note
from reporting.series_style import SeriesStyle, series_styles
from runs.finished_run import FinishedRun, FinishedTables
from runs.frame_table import ATTACKS_NEEDED
from runs.gallery.drawing import TILE
from runs.gallery.sprites import COLUMNS
from runs.score_table import ScoreTable
from scoring.baselines.table import BASELINES, STRONGEST_FIRST

FILL_ATTACKS = {"adversarial": "nes"}  # what made the run's fills
FILE = "report.html"
_TEMPLATES = "templates"


def write_page(
    folder: Path,
    run: FinishedRun,
    headlines: Sequence[Headline],
    notes: Sequence[str] = (),
    attack_of_fill: Mapping[str, str] = FILL_ATTACKS,
    interval: Interval | None = None,
) -> Path:
    """Writes `report.html` into a run's folder, whole or not at all, with the albums that the folder keeps.

    The same run gives the same bytes, apart from its costs.

    Args:
        folder: the run's.
        run: what is reported.
        headlines: the first that is of all frames and the run's own segmentation is the answer; the others fill the
            tables by attack, family and segmentation.
        notes: sentences of caution beside the answer (too few videos for any test, say).
        attack_of_fill: the attack that made each fill, by the fill's name.
        interval: gives the curves their bands (a bootstrap over videos); None for none.

    Raises:
        ValueError: there is no headline of all frames.
        OSError: the file cannot be written.
    """
    path = folder / FILE
    text = render_page(run, headlines, cards(run.rows, folder, run.frames), notes, attack_of_fill, interval)
    with atomic_write(path, "wb") as file:
        file.write(text.encode("utf-8", errors="replace"))  # a name may hold half a surrogate pair
    return path


def render_page(
    run: FinishedRun,
    headlines: Sequence[Headline],
    gallery: Sequence[Card] = (),
    notes: Sequence[str] = (),
    attack_of_fill: Mapping[str, str] = FILL_ATTACKS,
    interval: Interval | None = None,
) -> str:
    """The page as text.

    Args:
        run: what is reported.
        headlines: as for `write_page`.
        gallery: the cards of its frames.
        notes: sentences of caution beside the answer.
        attack_of_fill: the attack that made each fill, by the fill's name.
        interval: gives the curves their bands; None for none.

    Raises:
        ValueError: there is no headline of all frames.
    """
    overall = [headline for headline in headlines if headline.condition == Condition(headline.condition.attack)]
    if not overall:
        raise ValueError("the report needs a headline of all frames, under some attack")
    main, tables = overall[0], run.score_tables
    names = tuple(dict.fromkeys([*(line.method for line in main.lines), *score_subsets.methods(tables.rows)]))
    style = series_styles((*names, *score_subsets.baselines(tables.rows)))
    environment = _environment()
    css, script = ((files("reporting.page") / _TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    css += _tiles(max((len(card.judged) for card in gallery), default=0))
    page = environment.get_template("page.html").render(
        css=Markup(css),
        script=Markup(script),
        policy=_policy(css, script),
        **_answer(main, overall, names, style),
        **_evidence(tables, headlines, main, style, attack_of_fill, interval),
        **_left_out(tables),
        facts=_facts(tables, main),
        notes=[*filter(None, [published_note(run.configuration)]), *notes],
        mark=published_mark(run.configuration),
        cards=gallery,
        families=score_subsets.families(tables.rows),
        attacks=score_subsets.attacks(tables.rows),
        rankings=(*score_subsets.methods(tables.rows), *score_subsets.baselines(tables.rows)),
        outcomes=OUTCOMES,
        configuration=flat_configuration(run.configuration),
    )
    return page


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reporting.page", _TEMPLATES),
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
    """The style rules that show each tile of a sprite."""
    indices = range(2 + 2 * methods)
    return "".join(
        f"\n.tiles .t{n}{{object-position:{-(n % COLUMNS) * TILE}px {-(n // COLUMNS) * TILE}px}}" for n in indices
    )


def _answer(
    main: Headline, overall: Sequence[Headline], names: Sequence[str], style: Mapping[str, SeriesStyle]
) -> dict[str, Any]:
    """The answer in words, and its picture for each attack."""
    forests = []
    for headline in overall:
        tiers, (low, high) = headline_tiers(headline), charts.span(headline.lines)
        forests.append(
            {
                "attack": headline.condition.attack,
                "sample": words.sample(headline),
                "axis": charts.interval_axis(low, high),
                "lines": [
                    {
                        "entry": line,
                        "picture": charts.interval(line, low, high),
                        "says": words.tier_words(tiers, line.method),
                        "tier": tiers.tier(line.method),
                    }
                    for line in headline.ranked
                ],
            }
        )
    legend = [name for name in (*names, *CURVE_BASELINES) if name in style]
    return {
        "answer": words.answer(main),
        "reasons": words.reasons(main),
        "forests": forests,
        "swatches": {name: charts.swatch(style[name]) for name in legend},
        "legend": legend,
        "baselines": {name: BASELINES[name].words for name in STRONGEST_FIRST},
    }


def _evidence(
    run: FinishedTables,
    headlines: Sequence[Headline],
    main: Headline,
    style: Mapping[str, SeriesStyle],
    attack_of_fill: Mapping[str, str],
    interval: Interval | None,
) -> dict[str, Any]:
    """Everything between the answer and the frames."""
    rows, stubborn = score_subsets.main_segmentation(run.rows), attackable_frames.unattackable(run.frames)
    costs = cost_points(run.costs, main)
    located = grids.localisation(rows)
    return {
        "by_family": _by(headlines, "family"),
        "by_segmentation": _by(headlines, "segmentation"),
        "panels": panels.panels(rows, style, interval, stubborn),
        "banded": interval is not None,
        "survivals": panels.survival_panels(run.flip_thresholds, style),
        "costs": [charts.cost(costs, style, measure, f"cost-{measure}") for measure in ("seconds", "forwards")]
        if costs
        else [],
        "cost_grid": grids.cost_grid(run.costs) if len(run.costs.columns) else None,
        "localisation": located if any(cell.count for line in located.cells for cell in line) else None,
        "controls": grids.controls(score_subsets.under(rows, main.condition.attack), stubborn),
        "main_attack": main.condition.attack,
        "circularity": grids.circularity(rows, attack_of_fill, stubborn),
        "adversarial": words.adversarial_fill(run.rows, run.frames),
        "surviving": _surviving(rows, run.frames, headlines, stubborn),
        "turned": words.turned_by_transforms(run.rows, run.frames),
        "metrics": grids.metric_grid(run.metrics) if len(run.metrics.columns) else None,
    }


def _surviving(
    rows: ScoreTable, frames: ScoreTable, headlines: Sequence[Headline], stubborn: Sequence[str]
) -> list[dict[str, Any]]:
    """By attack, how many flips outlive each transform that the run asks for, in a table and a sentence."""
    if not transforms(rows):
        return []
    overall = {h.condition.attack: h for h in headlines if h.condition == Condition(h.condition.attack)}
    return [
        {
            "attack": attack,
            "says": words.surviving(headline.lines, attack),
            "table": grids.surviving_flips(score_subsets.under(rows, attack), frames, stubborn),
        }
        for attack, headline in overall.items()
    ]


def _by(headlines: Sequence[Headline], part: str) -> list[tuple[str, list[Headline]]]:
    """Headlines by attack, those of all frames first, then those that differ in `part` of their condition alone."""
    other = "segmentation" if part == "family" else "family"
    chosen = [headline for headline in headlines if not getattr(headline.condition, other)]
    grouped = {
        attack: [headline for headline in chosen if headline.condition.attack == attack]
        for attack in dict.fromkeys(headline.condition.attack for headline in chosen)
    }
    return [(attack, group) for attack, group in grouped.items() if len(group) > 1]


def _left_out(run: FinishedTables) -> dict[str, Any]:
    """The frames and rankings that do not count, or not everywhere, by the reason."""
    frames, by_method = run.rows.frames, run.rows.by("method")
    weak = {name: int(by_method[name].any("weak").sum()) for name in score_subsets.methods(run.rows)}
    stubborn, rows = attackable_frames.unattackable(run.frames), score_subsets.main_segmentation(run.rows)
    unflipped = {
        attack: [key for key in keys if key not in set(stubborn)]
        for attack, keys in attackable_frames.unflipped(rows).items()
    }
    region_only = attackable_frames.flipped_by_region_only(rows)
    return {
        "failures": ShownNames(list(run.failures.items())),
        "stubborn": ShownNames(stubborn),
        "attacks_needed": ATTACKS_NEEDED,
        "one_attack": attackable_frames.whole_attacks(run.frames) < ATTACKS_NEEDED,
        "unflipped": {attack: ShownNames(keys) for attack, keys in unflipped.items()},
        "region_only": {attack: ShownNames(keys) for attack, keys in region_only.items() if keys},
        "called_real": ShownNames(frames.loc[frames["predicted"] == REAL, "key"].tolist()),
        "weak": {name: number for name, number in weak.items() if number},
    }


def _facts(run: FinishedTables, main: Headline) -> list[tuple[str, str]]:
    """The facts of a run in one line: detector, preset, evidence, attack and seed."""
    configuration = run.configuration
    detector = configuration.get("detector") or {}
    facts = [("Detector", str(detector.get("name", ""))), ("Preset", str(configuration.get("preset", "")))]
    facts += [("Evidence", words.sample(main)), ("Attack", main.condition.attack)]
    facts.append(("Seed", str(configuration.get("seed", ""))))
    return [(name, value) for name, value in facts if value]


def flat_configuration(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """A configuration as lines of (dotted name, value)."""
    lines: list[tuple[str, str]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            lines += flat_configuration(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            lines.append((f"{prefix}{name}", "-" if shown is None else str(shown)))
    return lines
