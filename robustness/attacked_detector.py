"""One detector under attack, from the plan to the files."""

from dataclasses import dataclass
from pathlib import Path

from robustness import robustness_curves, robustness_report, robustness_tables
from robustness.attack_setup import AttackSetup
from robustness.robustness_summary import Robustness, summarise_robustness
from robustness.stage_runner import carry_out


@dataclass(frozen=True, eq=False)
class AttackedDetector:
    """The summary of a finished run, and the files for people, the one to read first in front."""

    summary: Robustness
    files: tuple[Path, ...]


def attack_detector(folder: Path, setup: AttackSetup, title: str = "") -> AttackedDetector:
    """Carries out a plan in `folder` and writes its tables and its picture there.

    The same call goes on where an interrupted one stopped. `title` begins the progress line. Raises InputError and
    OSError as `stage_runner.carry_out` does.
    """
    results = carry_out(folder, setup.plan, title)
    summary = summarise_robustness(results, setup)
    files = robustness_tables.write_robustness_tables(folder, results, summary, setup)
    text, picture = folder / "robustness.md", folder / "robustness.png"
    robustness_report.write_markdown(text, summary, setup)
    if summary.overall[0].frames:
        attacked = summary.overall[0]
        sample = f"{attacked.frames} fakes from {attacked.videos} videos, 95 % intervals."
        title = f"{robustness_report.heading(setup)}\n{sample}"
        robustness_curves.save_curves(picture, summary, title)
        return AttackedDetector(summary, (text, picture, *files))
    picture.unlink(missing_ok=True)
    return AttackedDetector(summary, (text, *files))
