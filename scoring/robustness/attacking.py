"""One detector from plan to files."""

from dataclasses import dataclass
from pathlib import Path

from scoring.robustness import figures, report, tables
from scoring.robustness.running import carry_out
from scoring.robustness.setup import Setup
from scoring.robustness.summary import Robustness, summarise


@dataclass(frozen=True, eq=False)
class Results:
    """What a finished run says, and the files for people."""

    summary: Robustness
    files: tuple[Path, ...]


def attack_detector(folder: Path, setup: Setup, title: str = "") -> Results:
    """Carries out a plan in `folder` and writes its tables and its picture there.

    The same call goes on where an interrupted one stopped. `title` begins the progress line. Raises InputError and
    OSError as `running.carry_out` does.
    """
    found = carry_out(folder, setup.plan, title)
    summary = summarise(found, setup)
    files = tables.write(folder, found, summary, setup)
    text, picture = folder / "robustness.md", folder / "robustness.png"
    report.write_markdown(text, summary, setup)
    if summary.overall[0].frames:
        attacked = summary.overall[0]
        title = f"{report.heading(setup)}\n{attacked.frames} fakes from {attacked.videos} videos, 95 % intervals."
        figures.save_curves(picture, summary, title)
        return Results(summary, (text, picture, *files))
    picture.unlink(missing_ok=True)
    return Results(summary, (text, *files))
