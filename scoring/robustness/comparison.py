"""Several detectors in one table, the baseline first, and whether the published claim holds on these frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from attacks.budgets import fraction
from common.console import say, table
from common.files import atomic_write
from scoring.csv_files import save_csv
from scoring.report import paragraph
from scoring.robustness import figures
from scoring.robustness.report import NOTE, defence_sentences, restored_table, seconds_text
from scoring.robustness.setup import REDRAWN
from scoring.robustness.stages import CLEAN
from scoring.robustness.summary import Line, Restored, Robustness
from scoring.robustness.tables import markdown, percent

KEPT = 0.03
DEFENDED = 0.90
CLAIMED = ("fgsm", "pgd")
CLAIM = (
    f"The published claim: clean accuracy is kept (within {100 * KEPT:.0f} points of the baseline) while more than "
    f"{100 * DEFENDED:.0f} % of FGSM and PGD examples are defended, that is, still called fake."
)

DEF = "def.: the defended share, 1 - success."


@dataclass(frozen=True)
class Claim:
    """Whether a detector does what is claimed of adversarial training, at one budget.

    Attributes:
        label: the detector.
        epsilon: the budget.
        lost: points of clean accuracy below the baseline's, in [-1, 1].
        defended: the line of each claimed attack at this budget.
        flags: what the check against false security raised.
    """

    label: str
    epsilon: float
    lost: float
    defended: tuple[Line, ...]
    flags: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether clean accuracy is kept."""
        return self.lost <= KEPT + 1e-9  # 3 points exactly are within 3 points, whatever their rounding

    @property
    def withstands(self) -> bool:
        """Whether more than 90 % of the examples of each attack are defended."""
        return all(line.defended.value > DEFENDED for line in self.defended)

    @property
    def holds(self) -> bool:
        """Whether both are true and no flag speaks against the numbers."""
        return self.kept and self.withstands and not self.flags

    @property
    def sure(self) -> bool:
        """Whether the defended shares are above 90 % with their whole intervals."""
        return all(line.defended.low > DEFENDED for line in self.defended)

    def sentence(self) -> str:
        """The verdict and its reasons."""
        shares = " and ".join(f"{line.attack} {percent(line.defended)} %" for line in self.defended)
        change = (
            f"{abs(100 * self.lost):.1f} points {'below' if self.lost > 0 else 'above'}" if self.lost else "equal to"
        )
        reasons = [f"clean accuracy {change} the baseline's", f"defended {shares}"]
        if self.flags:
            reasons.append(f"flagged: {', '.join(self.flags)}")
        if self.holds and not self.sure:
            reasons.append("the intervals reach below 90 %, so more videos are needed to be sure")
        verdict = "holds" if self.holds else "does not hold"
        return f"{self.label} at {fraction(self.epsilon)}: {verdict} ({'; '.join(reasons)})."


def claims(summaries: Sequence[Robustness]) -> list[Claim]:
    """The claim for every detector but the first, at every budget at which FGSM and PGD were both run."""
    baseline = summaries[0].accuracy.value
    found = []
    for summary in summaries[1:]:
        for epsilon in sorted({line.epsilon for line in summary.overall}):
            lines = tuple(line for line in summary.overall if line.epsilon == epsilon and line.attack in CLAIMED)
            if {line.attack for line in lines} != set(CLAIMED) or not lines[0].frames:
                continue
            lost = baseline - summary.accuracy.value
            flags = summary.security.flags if summary.security is not None else ()
            found.append(Claim(summary.label, epsilon, lost, lines, flags))
    return found


def write(folder: Path, summaries: Sequence[Robustness]) -> list[Path]:
    """Writes the comparison as CSV, Markdown and a picture into `folder`; returns the files."""
    text, csv, picture = (folder / f"comparison.{suffix}" for suffix in ("md", "csv", "png"))
    save_csv(csv, tidy(summaries), float_format="%.6g")
    with atomic_write(text) as file:
        file.write(_markdown(summaries))
    if all(summary.overall[0].frames for summary in summaries):
        first = summaries[0].overall[0]
        title = (
            f"Fakes taken for real after a white-box attack, by detector\n"
            f"{summaries[0].label}: {first.frames} fakes from {first.videos} videos; 95 % intervals."
        )
        figures.save_comparison(picture, summaries, title)
        return [text, csv, picture]
    picture.unlink(missing_ok=True)
    return [text, csv]


def show(summaries: Sequence[Robustness]) -> None:
    """Prints the tables and whether the claim holds."""
    say("")
    table("Before any attack, and the check against false security", *clean_table(summaries))
    paragraph(clean_note(summaries))
    table("\nFakes taken for real after a white-box attack (%), and the defended share", *success_table(summaries))
    paragraph(f"{NOTE} {DEF}")
    for summary in summaries:
        if summary.restored:
            table(f"\nDeep image prior before {summary.label}", *restored_table(summary.restored))
            for sentence in defence_sentences(summary):
                paragraph(sentence)
    say("")
    for sentence in verdict(summaries):
        paragraph(sentence)


def verdict(summaries: Sequence[Robustness]) -> list[str]:
    """The claim, and for every hardened detector and budget whether it holds."""
    found = claims(summaries)
    if not found:
        return [CLAIM, "It was not tested: that needs FGSM and PGD at the same budget, and fakes that are detected."]
    sentences = [claim.sentence() for claim in found]
    unchecked = [summary.label for summary in summaries[1:] if summary.security is None]
    if unchecked:
        sentences.append(f"Not checked against false security: {', '.join(unchecked)} (--no-check).")
    return [CLAIM, *sentences]


def clean_table(summaries: Sequence[Robustness]) -> tuple[list[str], list[list[str]]]:
    """A line for each detector, and one for a defence before it."""
    columns = ["detector", "acc. (%)", "AUC", "missed", "s/frame", "stronger (%)", "flags"]
    rows = []
    for summary in summaries:
        found = summary.security
        reached = "-" if found is None else percent(found.stronger)
        flags = "not checked" if found is None else ", ".join(found.flags) or "none"
        area = "-" if summary.auc is None else f"{summary.auc:.3f}"
        judging = seconds_text(summary.seconds.get(CLEAN, math.nan))
        missed = str(summary.clean[0].passed)
        rows.append([summary.label, percent(summary.accuracy), area, missed, judging, reached, flags])
        both = _both(summary)
        if both is not None:
            name, drawing = f"{summary.label} + dip", seconds_text(summary.seconds.get(REDRAWN, math.nan))
            rows.append([name, f"{percent(both.within)}, {both.frames} frames", "-", "-", drawing, "-", "not checked"])
    return columns, rows


def clean_note(summaries: Sequence[Robustness]) -> str:
    """What the columns of `clean_table` are."""
    check = next((summary.security for summary in summaries if summary.security is not None), None)
    stronger = (
        "" if check is None else f" stronger: success of PGD, APGD and Square together at {fraction(check.epsilon)}."
    )
    return f"acc.: frames told right, real and fake; missed: fakes called Real without any attack.{stronger}"


def success_table(summaries: Sequence[Robustness]) -> tuple[list[str], list[list[str]]]:
    """Attacks and budgets down, detectors across: success with its interval, and what is defended."""
    columns = ["attack", *(summary.label for summary in summaries)]
    rows = []
    for position, line in enumerate(summaries[0].overall):
        cells = []
        for summary in summaries:
            own = summary.overall[position]
            defended = own.defended.value
            cells.append("-" if math.isnan(defended) else f"{percent(own.success)}, def. {100 * defended:.0f}")
        rows.append([f"{line.attack} {fraction(line.epsilon)}", *cells])
    return columns, rows


def tidy(summaries: Sequence[Robustness]) -> pd.DataFrame:
    """One row per detector, attack, budget and manipulation."""
    rows = []
    for summary in summaries:
        security = summary.security
        clean = {
            "detector": summary.label,
            "clean_accuracy": summary.accuracy.value,
            "clean_accuracy_low": summary.accuracy.low,
            "clean_accuracy_high": summary.accuracy.high,
            "auc": summary.auc,
            "seconds_per_frame": summary.seconds.get(CLEAN, math.nan),
            "flags": "not checked" if security is None else "; ".join(security.flags) or "none",
        }
        rows += [{**clean, **_success(line)} for line in summary.lines]
        rows += [{**clean, **_redrawn(each, summary)} for each in summary.restored]
    return pd.DataFrame(rows)


def _success(line: Line) -> dict[str, object]:
    success, defended = line.success, line.defended
    return {
        "defence": "",
        "attack": line.attack,
        "epsilon": line.epsilon,
        "family": line.family,
        "frames": line.frames,
        "videos": line.videos,
        "success": success.value,
        "success_low": success.low,
        "success_high": success.high,
        "defended": defended.value,
    }


def _redrawn(case: Restored, summary: Robustness) -> dict[str, object]:
    """A line of the defence: what is told right is what is defended; its seconds are those of drawing."""
    right = case.within
    return {
        "defence": REDRAWN,
        "attack": case.case,
        "frames": case.frames,
        "videos": case.videos,
        "success": 1 - right.value,
        "success_low": 1 - right.high,
        "success_high": 1 - right.low,
        "defended": right.value,
        "seconds_per_frame": summary.seconds.get(REDRAWN, math.nan),
    }


def _both(summary: Robustness) -> Restored | None:
    return next((case for case in summary.restored if case.case == "both"), None)


def _markdown(summaries: Sequence[Robustness]) -> str:
    parts = ["# Detectors under white-box attack\n", markdown(*clean_table(summaries)), clean_note(summaries)]
    parts += [
        "## Fakes taken for real (%), and the defended share\n",
        markdown(*success_table(summaries)),
        f"{NOTE} {DEF}",
    ]
    for summary in summaries:
        if summary.restored:
            parts += [f"## Deep image prior before {summary.label}\n", markdown(*restored_table(summary.restored))]
            parts += defence_sentences(summary)
    parts += ["## The published claim\n", *verdict(summaries)]
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)
