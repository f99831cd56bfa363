"""The answer as a LaTeX table."""

import math
from collections.abc import Iterable, Sequence

from analysis.headline import Headline, HeadlineLine
from analysis.statistics import Estimate
from analysis.surviving_flips import SurvivingFlips
from analysis.trust import Answer
from reporting import answer_words, words

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def latex(found: Answer, remark: str = "") -> str:
    """The main headline as a LaTeX table (needs the package booktabs), shares in percent with their intervals.

    Its caption says what the table holds, and nothing of what it does not. A `remark`, in whole sentences, ends it.
    """
    headline = found.main
    asked = tuple(next((line.survives for line in headline.lines), {}))
    by_flips = has_flip_scores(headline)
    caption = " ".join(filter(None, [escape(_caption(found, asked)), _marks(found), escape(remark)]))
    re_run = _has_stability(headline)
    names = ["Explanation", "Score", *(["By flips"] if by_flips else []), "Drop", "Flipped", *map(escape, asked)]
    names += ["Same on a re-run"] if re_run else []

    def rows(lines: Iterable[HeadlineLine]) -> list[str]:
        return [_row(line, found, by_flips, asked, re_run) for line in lines]

    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            r"\label{tab:headline}",
            rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
            r"\toprule",
            rf"{' & '.join(names)} \\",
            r"\midrule",
            *rows(headline.ranked),
            *([r"\midrule"] if headline.baselines else []),
            *rows(line for line in headline.ranked_with_baselines if line in headline.baselines),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _caption(found: Answer, asked: Sequence[str]) -> str:
    """The answer, what the numbers of the table are, and of how many frames; `asked` are transforms it shows."""
    headline = found.main
    lines = headline.ranked_with_baselines
    parts = [answer_words.sentence(found)]
    if any(not math.isnan(line.score.value) for line in lines):
        parts.append(
            "Score (%): the drop, from random regions of the same size (0) to the best that any region does (100); "
            f"{answer_words.correction(headline)}."
        )
    parts += [
        answer_words.DEFINITIONS,
        f"Attack {headline.condition.attack}, n = {words.sample(headline)}",
    ]
    spread = any(not math.isnan(value.low) for line in lines for value in (line.drop, line.flip_rate))
    parts[-1] += "; other intervals are 95 % intervals by a bootstrap over videos." if spread else "."
    parts += filter(None, [words.other_frames((line.method, line.frames, 0) for line in lines)])
    if _has_stability(headline):
        parts.append(answer_words.RE_RUN.capitalize())
    if headline.baselines:
        parts.append("Below the line: baselines that know nothing of the detector.")
    if asked:
        parts.append(
            f"{words.join(asked)}: the share of flips that the detector still calls Real after the picture went "
            f"through {'that' if len(asked) > 1 else 'it'}, of so many."
        )
    return " ".join(parts)


def _marks(found: Answer) -> str:
    """What stars and bold names mean, where there are any."""
    shown = found.main.ranked_with_baselines
    star = r"$^{*}$ differs from 0 beyond chance" if any(line.is_significant for line in shown) else ""
    bold = "bold: to be trusted" if any(line.method in found.trusted for line in shown) else ""
    said = "; ".join(filter(None, [star, bold]))
    return f"{said[0].upper()}{said[1:]}." if said else ""


def has_flip_scores(headline: Headline) -> bool:
    """Whether any score by flips is known, so that a column for them holds something."""
    return any(not math.isnan(line.flips.value) for line in headline.ranked_with_baselines)


def _has_stability(headline: Headline) -> bool:
    return any(not math.isnan(line.stability) for line in headline.lines)


def _row(line: HeadlineLine, found: Answer, by_flips: bool, asked: Sequence[str], re_run: bool) -> str:
    name = rf"\textbf{{{escape(line.method)}}}" if line.method in found.trusted else escape(line.method)
    mark = "$^{*}$" if line.is_significant else ""
    cells = [_cell(line.score), *([_cell(line.flips)] if by_flips else [])]
    cells += [_cell(line.drop, 1, 2), _cell(line.flip_rate), *(_surviving_cell(line.survives[name]) for name in asked)]
    cells += [_cell(Estimate(line.stability))] if re_run else []
    return rf"{name}{mark} & {' & '.join(cells)} \\"


def escape(text: str) -> str:
    """A text with every character that LaTeX reads as a command made plain, on one line."""
    return "".join(_TEX.get(letter, letter) for letter in " ".join(text.split()) if letter.isprintable())


def _surviving_cell(flips: SurvivingFlips) -> str:
    """ "25 [4, 60] of 8"."""
    return f"{_cell(flips.share)} of ${flips.flips}$" if flips.flips else "--"


def _cell(value: Estimate, scale: float = 100.0, digits: int = 0) -> str:
    if math.isnan(value.value):
        return "--"
    shown, low, high = (f"{scale * number:z.{digits}f}" for number in (value.value, value.low, value.high))
    return f"${shown}$" if math.isnan(value.low) else f"${shown}$ $[{low}, {high}]$"
