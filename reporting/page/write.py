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
from analysis.trust import FILL_ATTACKS, Answer, answer
from common.errors import printable
from common.files import atomic_write
from data.frames import REAL
from reporting import answer_words, words
from reporting.latex_table import has_flip_scores
from reporting.page import charts, panels
from reporting.page.cards import OUTCOMES, Card, cards
from reporting.page.shown_names import ShownNames
from reporting.published_mark import published_mark, published_note
from reporting.series_style import SeriesStyle, series_styles
from runs.finished_run import FinishedRun, FinishedTables
from runs.frame_table import ATTACKS_NEEDED
from runs.gallery.drawing import TILE
from runs.gallery.sprites import COLUMNS
from runs.partial_frames import partial_frames
from runs.score_table import ScoreTable
from scoring.baselines.table import BASELINES, STRONGEST_FIRST, UNINFORMED

FEW = 3  # explanations whose curves are seen at once
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
        file.write(text.encode())
    return path


def render_page(
    run: FinishedRun,
    headlines: Sequence[Headline],
    gallery: Sequence[Card] = (),
    notes: Sequence[str] = (),
    attack_of_fill: Mapping[str, str] = FILL_ATTACKS,
    interval: Interval | None = None,
) -> str:
    """The page as text; what no terminal should be sent (`common.errors.printable`) is escaped here, too.

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
    found, tables = answer(headlines), run.score_tables
    main = found.main
    names = tuple(dict.fromkeys([*(line.method for line in main.lines), *score_subsets.methods(tables.rows)]))
    style = series_styles((*names, *score_subsets.baselines(tables.rows)))
    environment = _environment()
    css, script = ((files("reporting.page") / _TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    css += _tiles(max((len(card.judged) for card in gallery), default=0))
    page: str = environment.get_template("page.html").render(
        css=Markup(css),
        script=Markup(script),
        policy=_policy(css, script),
        **_answer(found, names, style),
        **_evidence(tables, headlines, found, style, attack_of_fill, interval),
        **_left_out(tables),
        facts=_facts(tables, found),
        notes=[*filter(None, [published_note(run.configuration)]), *notes],
        mark=published_mark(run.configuration),
        cards=gallery,
        families=score_subsets.families(tables.rows),
        attacks=score_subsets.attacks(tables.rows),
        rankings=(*score_subsets.methods(tables.rows), *score_subsets.baselines(tables.rows)),
        outcomes=OUTCOMES,
        configuration=flat_configuration(run.configuration),
    )
    return printable(page)


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
        "stability": words.stability,
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


def _answer(found: Answer, names: Sequence[str], style: Mapping[str, SeriesStyle]) -> dict[str, Any]:
    """The answer in words, and its picture for each attack."""
    forests = []
    for headline in found.headlines:
        lines = headline.ranked_with_baselines
        tiers, (low, high) = headline_tiers(headline, found.trusted), charts.span(lines)
        forests.append(
            {
                "attack": headline.condition.attack,
                "sample": words.sample(headline),
                "frames": max(line.frames for line in lines),
                "correction": answer_words.correction(headline),
                "by_flips": has_flip_scores(headline),
                "axis": charts.interval_axis(low, high),
                "lines": [
                    {
                        "entry": line,
                        "picture": charts.interval(line, low, high, line.method in found.trusted),
                        "says": answer_words.short(found, tiers, line.method)
                        if line.method in found.trust
                        else answer_words.BASELINE,
                        "tier": tiers.tier(line.method) if line.method in found.trust else "baseline",
                    }
                    for line in lines
                ],
            }
        )
    legend = [name for name in (*names, *CURVE_BASELINES) if name in style]
    swatches = {name: charts.swatch(style[name]) for name in (*legend, *UNINFORMED) if name in style}
    return {
        "answer": answer_words.sentence(found),
        "reasons": answer_words.reasons(found),
        "definitions": answer_words.DEFINITIONS,
        "re_run": answer_words.RE_RUN,
        "forests": forests,
        "swatches": swatches,
        "legend": legend,
        "baselines_uninformed": UNINFORMED,
        "baselines": {name: BASELINES[name].words for name in STRONGEST_FIRST},
    }


def _evidence(
    run: FinishedTables,
    headlines: Sequence[Headline],
    found: Answer,
    style: Mapping[str, SeriesStyle],
    attack_of_fill: Mapping[str, str],
    interval: Interval | None,
) -> dict[str, Any]:
    """Everything between the answer and the frames."""
    rows, main = score_subsets.main_segmentation(run.rows), found.main
    costs = cost_points(run.costs, main)
    answering = {*CURVE_BASELINES, *(line.method for line in main.ranked[:FEW])}
    located = grids.localisation(rows)
    return {
        "by_family": _by(headlines, "family"),
        "by_segmentation": _by(headlines, "segmentation"),
        "untested": answer_words.untested(headlines),
        "panels": panels.panels(rows, style, interval, answering),
        "banded": interval is not None,
        "survivals": panels.survival_panels(run.flip_thresholds, style, answering),
        "costs": [charts.cost(costs, style, measure, f"cost-{measure}") for measure in ("seconds", "forwards")]
        if costs
        else [],
        "cost_grid": grids.cost_grid(run.costs) if len(run.costs.columns) else None,
        "localisation": located if any(cell.count for line in located.cells for cell in line) else None,
        "controls": grids.controls(score_subsets.under(rows, main.condition.attack)),
        "main_attack": main.condition.attack,
        "depths": score_subsets.averaged(rows),
        "circularity": grids.circularity(rows, attack_of_fill),
        "adversarial": words.adversarial_fill(run.rows, run.frames),
        "surviving": _surviving(rows, run.frames, headlines),
        "turned": words.turned_by_transforms(run.rows, run.frames),
        "metrics": grids.metric_grid(run.metrics) if len(run.metrics.columns) else None,
    }


def _surviving(rows: ScoreTable, frames: ScoreTable, headlines: Sequence[Headline]) -> list[dict[str, Any]]:
    """By attack, how many flips outlive each transform that the run asks for, in a table and a sentence."""
    if not transforms(rows):
        return []
    overall = {h.condition.attack: h for h in headlines if h.condition == Condition(h.condition.attack)}
    return [
        {
            "attack": attack,
            "says": words.surviving(headline.lines, attack),
            "table": grids.surviving_flips(score_subsets.under(rows, attack), frames),
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
    frames, rows = run.rows.frames, score_subsets.main_segmentation(run.rows)
    by_method, stubborn = rows.by("method"), attackable_frames.unattackable(run.frames)
    weak = {name: int(by_method[name].any("weak").sum()) for name in score_subsets.methods(rows)}
    unflipped = {
        attack: [key for key in keys if key not in set(stubborn)]
        for attack, keys in attackable_frames.unflipped(rows).items()
    }
    region_only = attackable_frames.flipped_by_region_only(rows)
    return {
        "failures": ShownNames(list(run.failures.items())),
        "missing": ShownNames([(part.key, part.stage, part.reason) for part in run.missing]),
        "partial": partial_frames(run.missing),
        "few_segments": words.few_segments(run.frames),
        "stubborn": ShownNames(stubborn),
        "attacks_needed": ATTACKS_NEEDED,
        "one_attack": attackable_frames.whole_attacks(run.frames) < ATTACKS_NEEDED,
        "unflipped": {attack: ShownNames(keys) for attack, keys in unflipped.items()},
        "one_verdict": words.one_verdict(rows),
        "unmoved": {attack: ShownNames(keys) for attack, keys in attackable_frames.unmoved(rows).items()},
        "region_only": {attack: ShownNames(keys) for attack, keys in region_only.items() if keys},
        "called_real": ShownNames(frames.loc[frames["predicted"] == REAL, "key"].tolist()),
        "map_sums": words.map_sums(run.rows),
        "weak": {name: number for name, number in weak.items() if number},
    }


def _facts(run: FinishedTables, found: Answer) -> list[tuple[str, str]]:
    """The facts of a run in one line: detector, preset, how much evidence, attacks and seed."""
    configuration = run.configuration
    detector = configuration.get("detector") or {}
    facts = [("Detector", str(detector.get("name", ""))), ("Preset", str(configuration.get("preset", "")))]
    facts += [("n", words.sample(found.main)), ("Attacks", words.join(found.attacks))]
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
