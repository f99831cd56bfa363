"""What a user reads of one detector: the printed tables, the sentences, and the same in Markdown."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from attacks.budgets import fraction
from common.console import count, say, table
from common.files import atomic_write
from scoring.report import paragraph
from scoring.robustness.security import MARGIN, Security
from scoring.robustness.setup import REDRAWN, Setup
from scoring.robustness.stages import CLEAN
from scoring.robustness.summary import ALL, Restored, Robustness
from scoring.robustness.tables import markdown, percent
from scoring.tables import FAMILIES

SHORT = {family: short for short, family in FAMILIES.items()}
FALL = 0.10
NOTE = (
    "Success: of the fakes that the detector called fake, the share that it calls Real after the attack. "
    "[ ]: 95 % interval, with videos as the sample."
)


def introduce(setup: Setup, folder: Path) -> None:
    """Prints what is about to be attacked, how, and where it goes."""
    plan = setup.plan
    chosen, detector = plan.chosen, plan.configuration.detector
    if setup.on_demo:
        paragraph(
            "Demo: faces and forgeries drawn by this program. The numbers are real, but say nothing about other "
            "frames or detectors; bring yours with --frames and --detector."
        )
    paragraph(
        f"Detector {setup.label} ({count(len(detector.class_names), 'class', 'classes')}, {detector.input_size} "
        f"pixels) on {plan.configuration.device}; {count(len(chosen.fakes), 'fake')} and "
        f"{count(len(chosen.real), 'real frame')}; seed {plan.configuration.seed}."
    )
    if chosen.unlabelled:
        paragraph(f"Left out: {count(chosen.unlabelled, 'frame')} without a label.")
    if not chosen.real:
        paragraph("There is no real frame, so there is no AUC, and the accuracy is that of fakes alone.")
    if setup.source is not None:
        paragraph(_transfer(setup))
    paragraph(f"Results go to {folder}; stop at any time, the same command goes on from there.")


def show(summary: Robustness, setup: Setup, folder: Path, files: Sequence[Path]) -> None:
    """Prints the tables, what they say, and the files."""
    columns, rows = success_table(summary)
    table(f"\n{heading(setup)} (%)", columns, rows)
    paragraph(NOTE)
    for sentence in _sentences(summary, setup):
        paragraph(sentence)
    if summary.restored:
        table(f"\n{_defence_heading(setup)}", *restored_table(summary.restored))
        for sentence in defence_sentences(summary):
            paragraph(sentence)
    if summary.failures:
        say("")
        paragraph(
            f"Left out: {count(len(summary.failures), 'frame')} that could not be read; failures.csv says why, and "
            f"the same command tries them again."
        )
    paragraph(f"Files in {folder}: {', '.join(path.name for path in files)}")


def write_markdown(path: Path, summary: Robustness, setup: Setup) -> None:
    """Writes what `show` prints as Markdown."""
    parts = [f"# {heading(setup)}\n", markdown(*success_table(summary)), NOTE]
    parts += _sentences(summary, setup)
    if summary.restored:
        parts += [f"## {_defence_heading(setup)}\n", markdown(*restored_table(summary.restored))]
        parts += defence_sentences(summary)
    with atomic_write(path) as file:
        file.write("\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts))


def heading(setup: Setup) -> str:
    """What the main table shows."""
    way = "white box" if setup.source is None else f"transferred from {setup.source}"
    return f"Fakes that {setup.label} takes for real, {way}"


def success_table(summary: Robustness) -> tuple[list[str], list[list[str]]]:
    """Attacks and budgets down; all manipulations with an interval, each one, and seconds across."""
    families = summary.families if len(summary.families) > 1 else []
    columns = ["attack", "L-inf", "all", *(SHORT.get(family, family) for family in families), "s/frame"]
    by_family = {family: summary.of(family) for family in families}
    rows = []
    for line in summary.overall:
        place = line.attack, line.epsilon
        each = [_share(by_family[family][place].success.value) for family in families]
        seconds = summary.seconds.get(f"{line.attack} {fraction(line.epsilon)}", math.nan)
        rows.append([line.attack, fraction(line.epsilon), percent(line.success), *each, seconds_text(seconds)])
    return columns, rows


def clean_sentences(summary: Robustness) -> list[str]:
    """Accuracy and AUC before any attack, and the fakes that need none."""
    clean, area = summary.clean[0], "" if summary.auc is None else f", AUC {summary.auc:.3f}"
    fakes = sum(each.frames for each in summary.clean if each.family not in (ALL, "Real"))
    attacked = summary.overall[0]
    return [
        f"Before any attack: accuracy {percent(clean.accuracy)} % on {count(clean.frames, 'frame')}{area}; "
        f"{seconds_text(summary.seconds.get(CLEAN, math.nan))} s per frame.",
        f"Attacked: {count(attacked.frames, 'fake')} from {count(attacked.videos, 'video')} that the detector calls "
        f"fake. Of all {count(fakes, 'fake')} it calls {clean.passed} Real without any attack; they do not count.",
    ]


def budget_sentences(summary: Robustness) -> list[str]:
    """Where an attack of many steps does worse with a larger budget, which can only be its own fault."""
    found = []
    for before, after in itertools.pairwise(summary.overall):
        if before.attack == after.attack != "fgsm" and after.success.value < before.success.value - FALL:
            larger, smaller = fraction(after.epsilon), fraction(before.epsilon)
            found.append(
                f"{after.attack} does worse at {larger} than at {smaller}, though it may do more there: it needs more "
                f"steps, and understates the danger."
            )
    return found


def transfer_sentences(summary: Robustness, setup: Setup) -> list[str]:
    """How the attacks did where they were made."""
    if setup.source is None:
        return []
    rates = ", ".join(f"{line.attack} {fraction(line.epsilon)}: {_share(line.on_source)} %" for line in summary.overall)
    return [
        _transfer(setup),
        f"On {setup.source} itself these attacks succeed on {rates}; {summary.unattacked} of the fakes it calls Real "
        f"already, so they are not changed.",
    ]


def check_sentences(summary: Robustness) -> list[str]:
    """What the check against false security found."""
    found = summary.security
    if found is None:
        return []
    if not found.frames:
        return ["Check against false security: the detector calls no fake a fake, so there was nothing to check."]
    sentences = [
        f"Check against false security at {fraction(found.epsilon)}, {count(found.frames, 'fake')} from "
        f"{count(found.videos, 'video')}: PGD {percent(found.pgd)} %, with APGD {percent(found.apgd)} %, with Square "
        f"too {percent(found.stronger)} %; gradients vanish on {_share(found.vanishing)} % of the frames."
    ]
    return [*sentences, *_flag_sentences(found)]


def _flag_sentences(found: Security) -> list[str]:
    flags = []
    if found.misled:
        flags.append(
            f"FLAG, PGD misled: stronger attacks pass off {percent(found.beyond)} % more than PGD, over "
            f"{100 * MARGIN:.0f} points and beyond chance. The detector is not as robust as FGSM and PGD say."
        )
    if found.vanishes:
        flags.append(
            "FLAG, gradients vanish: they are zero, or promise less than a tenth of what random changes do. Attacks by "
            "gradient cannot tell how robust the detector is."
        )
    return flags or ["No flag: stronger attacks do not contradict PGD, and gradients are there."]


def restored_table(restored: Sequence[Restored]) -> tuple[list[str], list[list[str]]]:
    """Cases down; the share told right without and with the defence across."""
    columns = ["frames", "number", "right without (%)", "right with it (%)"]
    return columns, [[each.case, str(each.frames), _share(each.without), percent(each.within)] for each in restored]


def defence_sentences(summary: Robustness) -> list[str]:
    """What the defence costs, and what its numbers do not say."""
    drawing = summary.seconds.get(REDRAWN, math.nan)
    judging = summary.seconds.get(CLEAN, math.nan)
    ratio = f", {drawing / judging:,.0f} times a verdict" if judging > 0 and drawing > 0 else ""
    real = next((case for case in summary.restored if case.case == "real frames"), None)
    harmed = real is not None and real.within.value < real.without - FALL
    price = (
        "It has its price: real frames are called fake. A defence that calls every frame fake would defend all fakes; "
        "more iterations keep more of a face."
    )
    return [
        f"Drawing a frame anew takes {seconds_text(drawing)} s{ratio}. On attacked fakes, the share told right is the "
        f"defended share. The attacks do not know of the defence; one that does would succeed more often.",
        *([price] if harmed else []),
    ]


def seconds_text(seconds: float) -> str:
    """Seconds with a sensible number of digits; "-" for none."""
    return "-" if math.isnan(seconds) else f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def _sentences(summary: Robustness, setup: Setup) -> list[str]:
    """All that there is to say, the defence apart."""
    ours = [*clean_sentences(summary), *budget_sentences(summary)]
    return [*ours, *transfer_sentences(summary, setup), *check_sentences(summary)]


def _transfer(setup: Setup) -> str:
    source, detector = setup.plan.sight.source.input_size, setup.plan.sight.detector.input_size
    way = (
        "both take frames of the same size, so nothing is resized"
        if source == detector
        else f"frames are attacked at its {source} pixels, rounded to 8 bits and resized to {detector} as the detector "
        f"resizes every picture; a fake counts where it is called fake on that way without an attack"
    )
    return f"Transfer: the attacks are made on {setup.source} and judged by {setup.label}; {way}."


def _defence_heading(setup: Setup) -> str:
    settings = setup.defence
    steps = "" if settings is None else f", {settings.prior.iterations} iterations"
    return f"Deep image prior before {setup.label}{steps}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.0f}"
