"""Several detectors in one table, the base detector first, and whether the published claim holds on these frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from attacks.budgets import fraction
from common.console import paragraph, say, table
from common.csv_files import save_csv
from common.errors import printable
from common.files import atomic_write
from robustness import robustness_curves
from robustness.deep_image_prior import DIP
from robustness.robustness_report import NOTE, defence_sentences, restored_table, seconds_text
from robustness.robustness_summary import AttackSummary, Restored, Robustness
from robustness.robustness_tables import markdown_table, percent_interval
from robustness.stages import CLEAN

KEPT = 0.03
DEFENDED = 0.90
CLAIMED = ("fgsm", "pgd")
CLAIM = (
    f"The published claim: clean accuracy is kept (within {100 * KEPT:.0f} points of the base detector) while more "
    f"than {100 * DEFENDED:.0f} % of FGSM and PGD examples are defended, that is, still called fake."
)

DEF = "def.: the defended share, 1 - success."


@dataclass(frozen=True)
class Claim:
    """Whether a detector does what is claimed of adversarial training, at one budget.

    Attributes:
        label: the detector.
        epsilon: the budget.
        lost: by how much clean accuracy is below the base detector's, a share in [-1, 1].
        defended: the line of each claimed attack at this budget.
        flags: what the check for gradient masking raised.
    """

    label: str
    epsilon: float
    lost: float
    defended: tuple[AttackSummary, ...]
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
        shares = " and ".join(f"{line.attack} {percent_interval(line.defended)} %" for line in self.defended)
        change = (
            f"{abs(100 * self.lost):.1f} points {'below' if self.lost > 0 else 'above'}" if self.lost else "equal to"
        )
        reasons = [f"clean accuracy {change} the base detector's", f"defended {shares}"]
        if self.flags:
            reasons.append(f"flagged: {', '.join(self.flags)}")
        if self.holds and not self.sure:
            reasons.append("the intervals reach below 90 %, so more videos are needed to be sure")
        verdict = "holds" if self.holds else "does not hold"
        return f"{self.label} at {fraction(self.epsilon)}: {verdict} ({'; '.join(reasons)})."


def claims(summaries: Sequence[Robustness]) -> list[Claim]:
    """Tests the claim for every detector but the first, at every budget at which FGSM and PGD were both run."""
    base = summaries[0].accuracy.value
    results = []
    for summary in summaries[1:]:
        for epsilon in sorted({line.epsilon for line in summary.overall}):
            lines = tuple(line for line in summary.overall if line.epsilon == epsilon and line.attack in CLAIMED)
            if {line.attack for line in lines} != set(CLAIMED) or not lines[0].frames:
                continue
            lost = base - summary.accuracy.value
            flags = summary.masking.flags if summary.masking is not None else ()
            results.append(Claim(summary.label, epsilon, lost, lines, flags))
    return results


def write_hardening_comparison(folder: Path, summaries: Sequence[Robustness]) -> list[Path]:
    """Writes the comparison as CSV, Markdown and a picture into `folder`; returns the files."""
    text, csv, picture = (folder / f"comparison.{suffix}" for suffix in ("md", "csv", "png"))
    save_csv(csv, comparison_rows(summaries), float_format="%.6g")
    with atomic_write(text) as file:
        file.write(printable(_markdown(summaries)))
    if all(summary.overall[0].frames for summary in summaries):
        first = summaries[0].overall[0]
        title = (
            f"Fakes taken for real after a white-box attack, by detector\n"
            f"{summaries[0].label}: {first.frames} fakes from {first.videos} videos; 95 % intervals."
        )
        robustness_curves.save_comparison(picture, summaries, title)
        return [text, csv, picture]
    picture.unlink(missing_ok=True)
    return [text, csv]


def show_hardening_comparison(summaries: Sequence[Robustness]) -> None:
    """Prints the tables and whether the claim holds."""
    say("")
    table("Before any attack, and the check against false security", *clean_table(summaries))
    paragraph(clean_note(summaries))
    table(
        "\nFakes taken for real after a white-box attack (%), and the defended share", *success_by_detector(summaries)
    )
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
    tested = claims(summaries)
    if not tested:
        return [CLAIM, "It was not tested: that needs FGSM and PGD at the same budget, and fakes that are detected."]
    sentences = [claim.sentence() for claim in tested]
    unchecked = [summary.label for summary in summaries[1:] if summary.masking is None]
    if unchecked:
        sentences.append(f"Not checked against false security: {', '.join(unchecked)} (--no-check).")
    return [CLAIM, *sentences]


def clean_table(summaries: Sequence[Robustness]) -> tuple[list[str], list[list[str]]]:
    """A line for each detector, and one for a defence before it."""
    columns = ["detector", "acc. (%)", "AUC", "missed", "s/frame", "stronger (%)", "flags"]
    rows = []
    for summary in summaries:
        masking = summary.masking
        reached = "-" if masking is None else percent_interval(masking.stronger)
        flags = "not checked" if masking is None else ", ".join(masking.flags) or "none"
        area = "-" if summary.auc is None else f"{summary.auc:.3f}"
        judging = seconds_text(summary.seconds.get(CLEAN, math.nan))
        missed = str(summary.clean[0].passed)
        rows.append([summary.label, percent_interval(summary.accuracy), area, missed, judging, reached, flags])
        both = _both(summary)
        if both is not None:
            name, drawing = f"{summary.label} + dip", seconds_text(summary.seconds.get(DIP, math.nan))
            rows.append(
                [name, f"{percent_interval(both.within)}, {both.frames} frames", "-", "-", drawing, "-", "not checked"]
            )
    return columns, rows


def clean_note(summaries: Sequence[Robustness]) -> str:
    """What the columns of `clean_table` are."""
    check = next((summary.masking for summary in summaries if summary.masking is not None), None)
    stronger = (
        "" if check is None else f" stronger: success of PGD, APGD and Square together at {fraction(check.epsilon)}."
    )
    return f"acc.: frames judged right, real and fake; missed: fakes called Real without any attack.{stronger}"


def success_by_detector(summaries: Sequence[Robustness]) -> tuple[list[str], list[list[str]]]:
    """Attacks and budgets down, detectors across: success with its interval, and what is defended."""
    columns = ["attack", *(summary.label for summary in summaries)]
    rows = []
    for position, line in enumerate(summaries[0].overall):
        cells = []
        for summary in summaries:
            own = summary.overall[position]
            defended = own.defended.value
            cells.append("-" if math.isnan(defended) else f"{percent_interval(own.success)}, def. {100 * defended:.0f}")
        rows.append([f"{line.attack} {fraction(line.epsilon)}", *cells])
    return columns, rows


def comparison_rows(summaries: Sequence[Robustness]) -> pd.DataFrame:
    """One row per detector, attack, budget and manipulation."""
    rows = []
    for summary in summaries:
        masking = summary.masking
        clean = {
            "detector": summary.label,
            "clean_accuracy": summary.accuracy.value,
            "clean_accuracy_low": summary.accuracy.low,
            "clean_accuracy_high": summary.accuracy.high,
            "auc": summary.auc,
            "seconds_per_frame": summary.seconds.get(CLEAN, math.nan),
            "flags": "not checked" if masking is None else "; ".join(masking.flags) or "none",
        }
        rows += [{**clean, **_attack_row(line)} for line in summary.lines]
        rows += [{**clean, **_dip_row(case, summary)} for case in summary.restored]
    return pd.DataFrame(rows)


def _attack_row(line: AttackSummary) -> dict[str, object]:
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


def _dip_row(case: Restored, summary: Robustness) -> dict[str, object]:
    """A row of the defence: what is judged right is what is defended; its seconds are those of drawing."""
    right = case.within
    return {
        "defence": DIP,
        "attack": case.case,
        "frames": case.frames,
        "videos": case.videos,
        "success": 1 - right.value,
        "success_low": 1 - right.high,
        "success_high": 1 - right.low,
        "defended": right.value,
        "seconds_per_frame": summary.seconds.get(DIP, math.nan),
    }


def _both(summary: Robustness) -> Restored | None:
    return next((case for case in summary.restored if case.case == "both"), None)


def _markdown(summaries: Sequence[Robustness]) -> str:
    parts = ["# Detectors under white-box attack\n", markdown_table(*clean_table(summaries)), clean_note(summaries)]
    parts += [
        "## Fakes taken for real (%), and the defended share\n",
        markdown_table(*success_by_detector(summaries)),
        f"{NOTE} {DEF}",
    ]
    for summary in summaries:
        if summary.restored:
            parts += [
                f"## Deep image prior before {summary.label}\n",
                markdown_table(*restored_table(summary.restored)),
            ]
            parts += defence_sentences(summary)
    parts += ["## The published claim\n", *verdict(summaries)]
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)
