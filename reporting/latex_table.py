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

    A `remark`, in whole sentences, ends its caption.
    """
    headline = found.main
    asked = tuple(next((line.survives for line in headline.lines), {}))
    by_flips = has_flip_scores(headline)
    caption = (
        f"{answer_words.sentence(found)} Score (%): the drop, from random regions of the same size (0) to the best "
        f"that any region does (100); {answer_words.correction(headline)}. {answer_words.DEFINITIONS} Attack "
        f"{headline.condition.attack}, n = {words.sample(headline)}; other intervals are 95 % intervals by a bootstrap "
        f"over videos. Below the line: baselines that know nothing of the detector."
    )
    if asked:
        caption += (
            f" {words.join(asked)}: the share of flips that the detector still calls Real after the picture went "
            f"through {'that' if len(asked) > 1 else 'it'}, of so many."
        )
    starred = r"$^{*}$ differs from 0 beyond chance; bold: to be trusted."
    names = ("Explanation", "Score", *(("By flips",) if by_flips else ()), "Drop", "Flipped", *map(escape, asked))

    def rows(lines: Iterable[HeadlineLine]) -> list[str]:
        return [_row(line, found, by_flips, asked) for line in lines]

    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)} {starred}{' ' * bool(remark)}{escape(remark)}}}",
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


def has_flip_scores(headline: Headline) -> bool:
    """Whether any score by flips is known, so that a column for them holds something."""
    return any(not math.isnan(line.flips.value) for line in headline.ranked_with_baselines)


def _row(line: HeadlineLine, found: Answer, by_flips: bool, asked: Sequence[str]) -> str:
    name = rf"\textbf{{{escape(line.method)}}}" if line.method in found.trusted else escape(line.method)
    mark = "$^{*}$" if line.is_significant else ""
    cells = [_cell(line.score), *([_cell(line.flips)] if by_flips else [])]
    cells += [_cell(line.drop, 1, 2), _cell(line.flip_rate), *(_surviving_cell(line.survives[name]) for name in asked)]
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
    shown, low, high = (f"{scale * number:.{digits}f}" for number in (value.value, value.low, value.high))
    return f"${shown}$" if math.isnan(value.low) else f"${shown}$ $[{low}, {high}]$"
