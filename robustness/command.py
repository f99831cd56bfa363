"""`python -m robustness attack` and `compare`: parse, wire, print."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from common import log
from common.commands import with_options
from common.console import application, paragraph
from detectors.loading.conventions import NOTHING_SAID, Conventions
from detectors.options import CheckpointOption, DetectorOption
from detectors.registry import short_name
from robustness.attack_options import AttackOptions, NamedDetector, attacked_detector, compared_detectors
from robustness.attack_setup import open_frames_of, prepare_attack
from robustness.attacked_detector import attack_detector
from robustness.hardening_comparison import show_hardening_comparison, write_hardening_comparison
from robustness.robustness_report import introduce_attack, show_robustness
from runs.run_names import folder_name
from runs.run_options import ResultsOption

app = application("Attack whole frames, and compare hardened detectors.")


@app.command("attack")
@with_options()
def attack_fakes(
    options: AttackOptions,
    detector: DetectorOption = None,
    checkpoint: CheckpointOption = None,
    conventions: Conventions = NOTHING_SAID,
    transfer_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Attack this detector, and judge by --detector; there is no check then."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--run", metavar="NAME", help="The folder's name; the same command continues it.")
    ] = "robustness",
    results: ResultsOption = Path("results"),
) -> None:
    """How easily do attacks pass fakes off as real?

    Attacks every fake that the detector calls fake, at each budget, and counts those that it then calls Real. A check
    against false security runs stronger attacks beside PGD. Prints a table; CSVs, Markdown and a robustness curve go to
    the run's folder. Without --frames and --detector it runs on demo faces.
    """
    options.refuse_idle()
    _use_threads(options)
    folder = results / folder_name(name)
    judged = attacked_detector(detector, checkpoint, conventions, options.frames)
    source = None if transfer_from is None else NamedDetector(short_name(transfer_from), transfer_from)
    setup = prepare_attack(options, judged, open_frames_of(options), source)
    log.open_in(folder)
    introduce_attack(setup, folder)
    attacked = attack_detector(folder, setup)
    show_robustness(attacked.summary, setup, folder, attacked.files)


@app.command("compare")
@with_options()
def compare_detectors(
    options: AttackOptions,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector", metavar="NAME=DETECTOR", help="As evaluate.py's; repeatable, the base detector first."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--run", metavar="NAME", help="The folder's name; the same command continues it.")
    ] = "comparison",
    results: ResultsOption = Path("results"),
) -> None:
    """Does a hardened detector hold what it promises?

    Attacks each detector as the attack command does, in a white box, and puts them in one table, with the check against
    false security, and whether the published claim holds: clean accuracy kept, more than 90 % of FGSM and PGD examples
    defended. --defence tries a defence before the first detector, the base.
    """
    options.refuse_idle()
    _use_threads(options)
    folder = results / folder_name(name)
    base, *others = compared_detectors(detectors or ())
    undefended = replace(options, defence=None)
    chosen = open_frames_of(options)
    setups = [prepare_attack(options, base, chosen), *(prepare_attack(undefended, other, chosen) for other in others)]
    width = max(len(setup.label) for setup in setups)
    log.open_in(folder)
    summaries = []
    for setup in setups:
        introduce_attack(setup, folder / setup.label)
        summaries.append(attack_detector(folder / setup.label, setup, f"{setup.label:<{width}}  ").summary)
    files = write_hardening_comparison(folder, summaries)
    show_hardening_comparison(summaries)
    paragraph(f"Files in {folder}: {', '.join(path.name for path in files)}, and a folder for each detector.")


def _use_threads(options: AttackOptions) -> None:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
