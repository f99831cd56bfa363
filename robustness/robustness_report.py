"""The report on one detector: printed tables and sentences, and the same in Markdown."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from attacks.budgets import fraction
from common.console import count, paragraph, say, table
from common.errors import printable
from common.files import atomic_write
from data.frames import SHORT_NAMES
from robustness.attack_setup import AttackSetup
from robustness.deep_image_prior import DIP
from robustness.gradient_masking import MARGIN, GradientMasking
from robustness.robustness_summary import ALL, Restored, Robustness
from robustness.robustness_tables import markdown_table, percent_interval
from robustness.stages import CLEAN

SHORT = {family: short for short, family in SHORT_NAMES.items()}
FALL = 0.10
NOTE = (
    "Success: of the fakes that the detector called fake, the share that it calls Real after the attack. "
    "[ ]: 95 % interval, with videos as the sample."
)


def introduce_attack(setup: AttackSetup, folder: Path) -> None:
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


def show_robustness(summary: Robustness, setup: AttackSetup, folder: Path, files: Sequence[Path]) -> None:
    """Prints the tables, what they say, and the files.

    Args:
        summary: of the run.
        setup: what the run was.
        folder: the run's folder.
        files: what was written into it.
    """
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


def write_markdown(path: Path, summary: Robustness, setup: AttackSetup) -> None:
    """Writes what `show_robustness` prints as Markdown, whole or not at all."""
    parts = [f"# {heading(setup)}\n", markdown_table(*success_table(summary)), NOTE]
    parts += _sentences(summary, setup)
    if summary.restored:
        parts += [f"## {_defence_heading(setup)}\n", markdown_table(*restored_table(summary.restored))]
        parts += defence_sentences(summary)
    with atomic_write(path) as file:
        file.write(printable("\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)))


def heading(setup: AttackSetup) -> str:
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
        key = line.attack, line.epsilon
        shares = [_share(by_family[family][key].success.value) for family in families]
        seconds = summary.seconds.get(f"{line.attack} {fraction(line.epsilon)}", math.nan)
        success = percent_interval(line.success)
        rows.append([line.attack, fraction(line.epsilon), success, *shares, seconds_text(seconds)])
    return columns, rows


def clean_sentences(summary: Robustness) -> list[str]:
    """Accuracy and AUC before any attack, and the fakes that need none."""
    clean, area = summary.clean[0], "" if summary.auc is None else f", AUC {summary.auc:.3f}"
    fakes = sum(line.frames for line in summary.clean if line.family not in (ALL, "Real"))
    attacked = summary.overall[0]
    return [
        f"Before any attack: accuracy {percent_interval(clean.accuracy)} % on {count(clean.frames, 'frame')}{area}; "
        f"{seconds_text(summary.seconds.get(CLEAN, math.nan))} s per frame.",
        f"Attacked: {count(attacked.frames, 'fake')} from {count(attacked.videos, 'video')} that the detector calls "
        f"fake. Of all {count(fakes, 'fake')} it calls {clean.passed} Real without any attack; they do not count.",
    ]


def budget_sentences(summary: Robustness) -> list[str]:
    """Where an attack of many steps does worse with a larger budget: then it needs more steps."""
    sentences = []
    for before, after in itertools.pairwise(summary.overall):
        if before.attack == after.attack != "fgsm" and after.success.value < before.success.value - FALL:
            larger, smaller = fraction(after.epsilon), fraction(before.epsilon)
            sentences.append(
                f"{after.attack} does worse at {larger} than at {smaller}, though it may do more there: it needs more "
                f"steps, and understates the danger."
            )
    return sentences


def transfer_sentences(summary: Robustness, setup: AttackSetup) -> list[str]:
    """How the attacks did on the detector that they were made on; nothing in a white box."""
    if setup.source is None:
        return []
    rates = ", ".join(f"{line.attack} {fraction(line.epsilon)}: {_share(line.on_source)} %" for line in summary.overall)
    return [
        _transfer(setup),
        f"On {setup.source} itself these attacks succeed on {rates}; {summary.unattacked} of the fakes it calls Real "
        f"already, so they are not changed.",
    ]


def check_sentences(summary: Robustness) -> list[str]:
    """The results of the check for gradient masking; nothing without one."""
    masking = summary.masking
    if masking is None:
        return []
    if not masking.frames:
        return ["Check against false security: the detector calls no fake a fake, so there was nothing to check."]
    sentences = [
        f"Check against false security at {fraction(masking.epsilon)}, {count(masking.frames, 'fake')} from "
        f"{count(masking.videos, 'video')}: PGD {percent_interval(masking.pgd)} %, with APGD "
        f"{percent_interval(masking.apgd)} %, with Square too {percent_interval(masking.stronger)} %; gradients "
        f"vanish on {_share(masking.vanishing)} % of the frames, and finite differences deny them on "
        f"{_share(masking.misleading)} %."
    ]
    return [*sentences, *_flag_sentences(masking)]


def _flag_sentences(masking: GradientMasking) -> list[str]:
    flags = []
    if masking.misled:
        flags.append(
            f"FLAG, PGD misled: stronger attacks pass off {percent_interval(masking.beyond)} % more than PGD, over "
            f"{100 * MARGIN:.0f} points and beyond chance. The detector is not as robust as FGSM and PGD say."
        )
    if masking.vanishes:
        flags.append(
            "FLAG, gradients vanish: at a frame or where PGD ended, they are zero or promise less than a tenth of what "
            "random changes do. Attacks by gradient cannot tell how robust the detector is."
        )
    if masking.misleads:
        flags.append(
            "FLAG, gradients mislead: finite differences measure another direction than they give, at frames or where "
            "PGD ended. Attacks by gradient cannot tell how robust the detector is."
        )
    return flags or ["No flag: stronger attacks do not contradict PGD, and gradients are there."]


def restored_table(restored: Sequence[Restored]) -> tuple[list[str], list[list[str]]]:
    """Cases down; the share judged right without and with the defence across."""
    columns = ["frames", "number", "right without (%)", "right with it (%)"]
    return columns, [
        [case.case, str(case.frames), _share(case.without), percent_interval(case.within)] for case in restored
    ]


def defence_sentences(summary: Robustness) -> list[str]:
    """What the defence costs, and what its numbers do not say."""
    drawing = summary.seconds.get(DIP, math.nan)
    judging = summary.seconds.get(CLEAN, math.nan)
    ratio = f", {drawing / judging:,.0f} times a verdict" if judging > 0 and drawing > 0 else ""
    real = next((case for case in summary.restored if case.case == "real frames"), None)
    harmed = real is not None and real.within.value < real.without - FALL
    price = (
        "It has its price: real frames are called fake. A defence that calls every frame fake would defend all fakes; "
        "more iterations keep more of a face."
    )
    return [
        f"Drawing a frame anew takes {seconds_text(drawing)} s{ratio}. On attacked fakes, the share judged right is "
        f"the defended share. The attacks do not know of the defence; one that does would succeed more often.",
        *([price] if harmed else []),
    ]


def seconds_text(seconds: float) -> str:
    """Seconds with a sensible number of digits; "-" for none."""
    return "-" if math.isnan(seconds) else f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def _sentences(summary: Robustness, setup: AttackSetup) -> list[str]:
    """All sentences below the main table, the defence's apart."""
    ours = [*clean_sentences(summary), *budget_sentences(summary)]
    return [*ours, *transfer_sentences(summary, setup), *check_sentences(summary)]


def _transfer(setup: AttackSetup) -> str:
    source, detector = setup.plan.threat_model.source.input_size, setup.plan.threat_model.detector.input_size
    way = (
        "both take frames of the same size, so nothing is resized"
        if source == detector
        else f"frames are attacked at its {source} pixels, rounded to 8 bits and resized to {detector} as the detector "
        f"resizes every picture; a fake counts where it is called fake on that way without an attack"
    )
    return f"Transfer: the attacks are made on {setup.source} and judged by {setup.label}; {way}."


def _defence_heading(setup: AttackSetup) -> str:
    settings = setup.defence
    steps = "" if settings is None else f", {settings.prior.iterations} iterations"
    return f"Deep image prior before {setup.label}{steps}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.0f}"
