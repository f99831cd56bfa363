"""Files for a paper: the ranking and the curves as PDF and PNG, the headline as a LaTeX table and as CSV.

The same run gives the same bytes: no dates, and fonts that come with matplotlib.
"""

import io
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import attackable_frames, score_subsets
from analysis.curves import Curve, over_area
from analysis.headline import Headline
from analysis.names import flat_names
from analysis.statistics import Estimate
from analysis.surviving_flips import SurvivingFlips
from analysis.tiers import headline_tiers
from common.csv_files import save_csv
from common.figures import BLUE, FAINT, GREY, INK, write_mark
from common.files import atomic_write
from reporting import words
from reporting.published_mark import marked, published_mark, published_note
from reporting.series_style import SeriesStyle, series_styles
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
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def write_paper_files(folder: Path, run: FinishedRun, headlines: Sequence[Headline]) -> list[Path]:
    """Writes `summary.csv`, `headline.tex`, and the figures `ranking` and `curves_<attack number>` as PDF and PNG.

    The first of `headlines` is the one that the figures and the table show. Each file appears whole or not at all.
    Returns the files. Raises OSError where the folder cannot be written.
    """
    main, rows = headlines[0], score_subsets.main_segmentation(run.rows)
    stubborn = attackable_frames.unattackable(run.frames)
    files = [folder / "summary.csv", folder / "headline.tex"]
    save_csv(files[0], marked(summary_table(headlines), run.configuration))
    with atomic_write(files[1]) as file:
        remarks = [words.adversarial_fill(run.rows, run.frames), words.turned_by_transforms(run.rows, run.frames)]
        remarks.append(published_note(run.configuration))
        file.write(latex(main, " ".join(filter(None, remarks))))
    mark = published_mark(run.configuration)
    files += _save(ranking(main), folder / "ranking", mark)
    for attack in score_subsets.attacks(rows):
        if len(attackable_frames.attackable(score_subsets.under(rows, attack), stubborn)):
            path = folder / f"curves_{score_subsets.attacks(rows).index(attack) + 1}"
            files += _save(curves(rows, attack, stubborn), path, mark)
    return files


def summary_table(headlines: Sequence[Headline]) -> pd.DataFrame:
    """Every headline line as a row; an estimate's columns are NAME, NAME_low and NAME_high."""
    rows = []
    for headline in headlines:
        tiers = headline_tiers(headline)
        for line in headline.ranked:
            condition = headline.condition
            known = {"attack": condition.attack, "family": condition.family, "segmentation": condition.segmentation}
            numbers = {name: getattr(line, name) for name in ("score", "flips", "drop", "flip_rate")}
            spread = {
                f"{n}{end}": v
                for n, e in numbers.items()
                for end, v in zip(("", "_low", "_high"), _ends(e), strict=True)
            }
            counts = {name: getattr(line, name) for name in ("frames", "videos", "undefined")}
            counts["certain"] = line.is_significant
            survives = flat_names({"survives": {name: asdict(flips) for name, flips in line.survives.items()}})
            says = {"better_than": " ".join(line.better_than), "verdict": words.tier_words(tiers, line.method)}
            rows.append({**known, "method": line.method, **spread, **counts, **says, **survives})
    return pd.DataFrame(rows)


def latex(headline: Headline, remark: str = "") -> str:
    """The headline as a LaTeX table (needs the package booktabs), scores in percent with their 95 % intervals.

    A `remark`, in whole sentences, ends its caption.
    """
    tiers = headline_tiers(headline)
    best = {*tiers.best, *tiers.level}
    asked = tuple(next((line.survives for line in headline.lines), {}))
    lines = []
    for line in headline.ranked:
        name = rf"\textbf{{{escape(line.method)}}}" if line.method in best else escape(line.method)
        mark = "$^{*}$" if line.is_significant else ""
        cells = [_cell(estimate) for estimate in (line.score, line.flips, line.drop, line.flip_rate)]
        cells += [_surviving_cell(line.survives[name]) for name in asked]
        lines.append(rf"{name}{mark} & {' & '.join(cells)} \\")
    caption = (
        f"Headline scores (%): 0 is no better than random regions of the same size, 100 as good as the best regions "
        f"that can be found. Attack {headline.condition.attack}; {words.sample(headline)}; 95 % intervals "
        f"by a bootstrap over videos."
    )
    if asked:
        caption += (
            f" {words.join(asked)}: the share of flips that the detector still calls Real after the picture went "
            f"through {'that' if len(asked) > 1 else 'it'}, of so many."
        )
    starred = r"$^{*}$ differs from 0 beyond chance; bold: not shown to be worse than the highest."
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)} {starred}{' ' * bool(remark)}{escape(remark)}}}",
            r"\label{tab:headline}",
            rf"\begin{{tabular}}{{lrrrr{'r' * len(asked)}}}",
            r"\toprule",
            rf"{' & '.join(('Explanation', 'Score', 'By flips', 'Drop', 'Flipped', *map(escape, asked)))} \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """A text with every character that LaTeX reads as a command made plain, on one line."""
    return "".join(_TEX.get(letter, letter) for letter in " ".join(text.split()) if letter.isprintable())


def ranking(headline: Headline) -> Figure:
    """The headline scores with their intervals, the best on top; one column of a paper wide."""
    lines = headline.ranked
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.5, 0.75 + 0.24 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for row, line in enumerate(lines):
            colour, score = BLUE if line.is_significant else GREY, line.score
            axes.plot([score.low, score.high], [row, row], color=colour, lw=1.4, solid_capstyle="round", zorder=2)
            fill = colour if line.is_significant else "white"
            axes.plot([score.value], [row], "o", ms=4.6, mfc=fill, mec=colour, mew=1.1, zorder=3)
        axes.axvline(0, color=GREY, lw=0.8, zorder=1)
        axes.axvline(1, color=GREY, lw=0.8, ls=(0, (2, 3)), zorder=1)
        axes.set_yticks(range(len(lines)), [_name(line.method) for line in lines])
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_xticks([0, 0.5, 1], ["0 %\nrandom", "50 %", "100 %\nbest possible"])
        axes.tick_params(length=0, pad=4)
        axes.spines[:].set_visible(False)
        return figure


def curves(rows: pd.DataFrame | ScoreTable, attack: str, stubborn: Collection[str] = ()) -> Figure:
    """Flips, drop and accuracy over the attacked area under one attack; two columns of a paper wide.

    Only in the accuracies do the `stubborn` frames count, which are those of `attackable_frames.unattackable`.
    """
    under = score_subsets.under(rows, attack)
    attackable = attackable_frames.attackable(under, stubborn)
    panels = (
        ("verdicts flipped", over_area(attackable, "flipped_to_real")),
        ("drop of the probability", over_area(attackable, "drop")),
        ("accuracy left", over_area(under, "correct_after")),
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


def _surviving_cell(flips: SurvivingFlips) -> str:
    """ "25 [4, 60] of 8"."""
    return f"{_cell(flips.share)} of ${flips.flips}$" if flips.flips else "--"


def _cell(value: Estimate) -> str:
    if math.isnan(value.value):
        return "--"
    number = f"${round(100 * value.value)}$"
    return number if math.isnan(value.low) else f"{number} $[{round(100 * value.low)}, {round(100 * value.high)}]$"
