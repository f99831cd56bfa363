"""Files for a paper: the ranking and the curves as PDF and PNG, the headline as a LaTeX table and as CSV.

The same run gives the same bytes: no dates, and fonts that come with matplotlib.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import score_subsets
from analysis.curves import Curve, over_area
from analysis.headline import Headline
from analysis.names import flat_names
from analysis.statistics import Estimate
from analysis.tiers import headline_tiers
from analysis.trust import Answer, answer
from common.csv_files import save_csv
from common.figures import BLUE, FAINT, GREY, INK, write_mark
from common.files import atomic_write
from reporting import answer_words, words
from reporting.latex_table import latex
from reporting.published_mark import marked, published_mark, published_note
from reporting.series_style import SeriesStyle, series_styles
from runs.conditions import detected
from runs.finished_run import FinishedRun
from runs.score_table import ScoreTable

HUES = (BLUE, "#c2541a", "#2a7d4f", "#7b4ea3", "#8f6a06", "#b83a7e", "#11797e")
MARKS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "down": "v", "cross": ""}
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # letters stay letters, as publishers ask
    "text.parse_math": False,  # a name may hold a $
}
_METADATA = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}


def write_paper_files(folder: Path, run: FinishedRun, headlines: Sequence[Headline]) -> list[Path]:
    """Writes `summary.csv`, `headline.tex`, and the figures `ranking` and `curves_<attack number>` as PDF and PNG.

    The first of `headlines` is the one that the figures and the table show. Each file appears whole or not at all.
    Returns the files. Raises OSError where the folder cannot be written.
    """
    found, rows = answer(headlines), score_subsets.main_segmentation(run.rows)
    files = [folder / "summary.csv", folder / "headline.tex"]
    save_csv(files[0], marked(summary_table(headlines), run.configuration))
    with atomic_write(files[1]) as file:
        fill = words.adversarial_fill(run.rows, run.frames, [line.method for line in found.main.lines])
        remarks = [fill, words.turned_by_transforms(run.rows, run.frames), published_note(run.configuration)]
        file.write(latex(found, " ".join(filter(None, remarks))))
    mark = published_mark(run.configuration)
    files += _save(ranking(found), folder / "ranking", mark)
    for number, attack in enumerate(score_subsets.attacks(rows), 1):
        if len(detected(score_subsets.under(rows, attack))):
            files += _save(curves(rows, attack), folder / f"curves_{number}", mark)
    return files


def summary_table(headlines: Sequence[Headline]) -> pd.DataFrame:
    """Every headline line as a row, those of baselines too; an estimate's columns are NAME, NAME_low and NAME_high."""
    found, rows = answer(headlines), []
    for headline in headlines:
        tiers = headline_tiers(headline, found.trusted)
        for line in headline.ranked_with_baselines:
            condition = headline.condition
            known = {"attack": condition.attack, "family": condition.family, "segmentation": condition.segmentation}
            numbers = {name: getattr(line, name) for name in ("score", "flips", "drop", "flip_rate")}
            spread = {
                f"{n}{end}": v
                for n, e in numbers.items()
                for end, v in zip(("", "_low", "_high"), _ends(e), strict=True)
            }
            counts = {name: getattr(line, name) for name in ("frames", "videos", "undefined")}
            counts |= {"tests": len(headline.lines), "videos_needed": headline.needed, "certain": line.is_significant}
            counts["stability"] = line.stability
            survives = flat_names({"survives": {name: asdict(flips) for name, flips in line.survives.items()}})
            own = line.method in found.trust
            says = {
                "better_than": " ".join(line.better_than),
                "trusted": own and found.trust[line.method].is_trusted,
                "p_trust": found.trust[line.method].p if own else math.nan,
                "verdict": answer_words.short(found, tiers, line.method) if own else answer_words.BASELINE,
            }
            rows.append({**known, "method": line.method, **spread, **counts, **says, **survives})
    return pd.DataFrame(rows)


def ranking(found: Answer) -> Figure:
    """The main headline's scores with their intervals, the best on top; one column of a paper wide.

    Blue and filled: to trust; grey and filled: differs from random regions, no more; hollow: not even that. Squares are
    baselines that know nothing of the detector.
    """
    headline = found.main
    lines = headline.ranked_with_baselines
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.5, 0.95 + 0.24 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for row, line in enumerate(lines):
            colour, score = BLUE if line.method in found.trusted else GREY, line.score
            axes.plot([score.low, score.high], [row, row], color=colour, lw=1.4, solid_capstyle="round", zorder=2)
            fill = colour if line.is_significant else "white"
            shape = "s" if line in headline.baselines else "o"
            axes.plot([score.value], [row], shape, ms=4.6, mfc=fill, mec=colour, mew=1.1, zorder=3)
        axes.axvline(0, color=GREY, lw=0.8, zorder=1)
        axes.axvline(1, color=GREY, lw=0.8, ls=(0, (2, 3)), zorder=1)
        axes.set_yticks(range(len(lines)), [_name(line.method) for line in lines])
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_xticks([0, 0.5, 1], ["0 %\nrandom", "50 %", "100 %\nbest possible"])
        axes.set_xlabel("score (right is better)\nblue: to trust; squares: know nothing of the detector", fontsize=6)
        if all(math.isnan(line.score.value) for line in lines):
            axes.text(0.5, (len(lines) - 1) / 2, "no score can be given", ha="center", va="center", color=GREY)
        axes.tick_params(length=0, pad=4)
        axes.spines[:].set_visible(False)
        return figure


def curves(rows: pd.DataFrame | ScoreTable, attack: str) -> Figure:
    """Flips, drop and accuracy over the attacked area under one attack; two columns of a paper wide."""
    under = score_subsets.under(rows, attack)
    fakes = detected(under)
    panels = (
        ("verdicts flipped (higher is better)", over_area(fakes, "flipped_to_real")),
        ("drop of the probability (higher is better)", over_area(fakes, "drop")),
        ("accuracy left (lower is better)", over_area(under, "correct_after")),
    )
    style = series_styles((*score_subsets.methods(rows), *score_subsets.baselines(rows)))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.5), layout="constrained")
        every = figure.subplots(1, len(panels))
        for axes, (title, lines) in zip(every, panels, strict=True):
            for curve in lines:
                _draw(axes, curve, style[curve.name])
            axes.set_title(title, loc="left", fontsize=8)
            axes.set_xlabel("attacked share of the frame (%)")
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
            axes.set_xlim(left=0)
            axes.grid(axis="y", color=FAINT, lw=0.8)
            axes.set_axisbelow(True)
            axes.tick_params(length=2)
            axes.spines[["top", "right"]].set_visible(False)
        handles, labels = every[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), frameon=False, fontsize=7)
        return figure


def _draw(axes: Axes, curve: Curve, style: SeriesStyle) -> None:
    known = {"reference": (GREY, "-", 2.0), "ceiling": (INK, ":", 1.2)}
    hue = HUES[int(style.hue[3:])] if style.hue not in known else ""
    colour, line, width = known.get(style.hue, (hue, "--" if style.hollow else "-", 1.2))
    fill = "white" if style.hollow else colour
    axes.plot(
        curve.x, curve.y, color=colour, ls=line, lw=width, label=_name(curve.name),
        marker=MARKS[style.shape], ms=3.6, mfc=fill, mec=colour, mew=0.9,
    )  # fmt: skip


def _name(text: str) -> str:
    """A name for a figure, on one line; matplotlib hides legend entries that begin with an underscore."""
    line = " ".join(text.split())
    return f" {line}" if line.startswith("_") else line


def _save(figure: Figure, path: Path, mark: str = "") -> list[Path]:
    """Writes a figure as PDF and PNG beside each other."""
    write_mark(figure, mark)
    files = []
    for kind, metadata in _METADATA.items():
        with io.BytesIO() as buffer, matplotlib.rc_context(_STYLE):
            figure.savefig(buffer, format=kind, dpi=300, metadata=metadata)
            file = path.with_name(f"{path.name}.{kind}")
            with atomic_write(file, "wb") as out:
                out.write(buffer.getvalue())
            files.append(file)
    return files


def _ends(value: Estimate) -> tuple[float, float, float]:
    return value.value, value.low, value.high
