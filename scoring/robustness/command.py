"""`python -m detectors attack` and `compare`: parse, wire, print."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from attacks.budgets import read_budget
from common import log
from common.errors import InputError
from detectors.batch_size import ON_CPU
from detectors.options import CheckpointOption, DetectorOption, DeviceOption, PositiveOption
from detectors.registry import short_name
from scoring.options import (
    FramesOption,
    ImagesOption,
    ResultsOption,
    SeedOption,
    SplitOption,
    ThreadsOption,
)
from scoring.robustness import comparison, report
from scoring.robustness.assault import PGD_STEPS
from scoring.robustness.attacking import attack_detector
from scoring.robustness.dip import DeepImagePrior
from scoring.robustness.security import Check
from scoring.robustness.setup import BUDGETS, REDRAWN, Defended, Named, Options, open_frames_of, prepare
from scoring.setup import folder_name

LimitOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="At most so many fakes, and as many real frames. Default: all."),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help=f"Images in a forward pass. Default: {ON_CPU} on a CPU, 128 elsewhere."),
]
AttackOption = Annotated[
    list[str] | None,
    typer.Option("--attack", metavar="NAME", help="fgsm, pgd, torchattacks:NAME, ...; repeatable. Default: fgsm, pgd."),
]
EpsilonOption = Annotated[
    list[str] | None,
    typer.Option("--epsilon", metavar="E", help="L-infinity budget; repeatable. Default: 1/255 2/255 4/255 8/255."),
]
StepsOption = Annotated[
    int, typer.Option("--steps", metavar="N", min=1, help="Steps of PGD, each of 2.5 budgets / steps.")
]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="ATTACK.FIELD=VALUE", help="Another setting of an attack; repeatable."),
]
CheckOption = Annotated[
    bool, typer.Option("--check/--no-check", help="Stronger attacks beside PGD, and whether gradients vanish.")
]
CheckEpsilonOption = Annotated[
    str | None, typer.Option("--check-epsilon", metavar="E", help="Budget of the check. Default: the smallest.")
]
CheckFramesOption = Annotated[
    int, typer.Option("--check-frames", metavar="N", min=1, help="The check takes so many fakes at most.")
]
ApgdStepsOption = Annotated[int, typer.Option("--apgd-steps", metavar="N", min=1, help="Of each start of APGD.")]
ApgdRestartsOption = Annotated[int, typer.Option("--apgd-restarts", metavar="N", min=1, help="Starts of APGD.")]
SquareQueriesOption = Annotated[
    int, typer.Option("--square-queries", metavar="N", min=1, help="Forward passes of Square on a frame.")
]
DefenceOption = Annotated[
    str | None, typer.Option("--defence", metavar="NAME", help="Also try a defence before the detector: dip.")
]
DipFramesOption = Annotated[
    int, typer.Option("--dip-frames", metavar="N", min=1, help="The defence takes so many fakes, and real frames.")
]
DipIterationsOption = Annotated[
    int, typer.Option("--dip-iterations", metavar="N", min=1, help="After how many the reconstruction is taken.")
]


def attack(
    frames: FramesOption = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    limit: LimitOption = None,
    detector: DetectorOption = None,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    transfer_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Attack this detector, and judge by --detector; there is no check then."
        ),
    ] = None,
    attack: AttackOption = None,
    epsilon: EpsilonOption = None,
    steps: StepsOption = PGD_STEPS,
    override: OverrideOption = None,
    check: CheckOption = True,
    check_epsilon: CheckEpsilonOption = None,
    check_frames: CheckFramesOption = Check.frames,
    apgd_steps: ApgdStepsOption = Check.apgd_steps,
    apgd_restarts: ApgdRestartsOption = Check.apgd_restarts,
    square_queries: SquareQueriesOption = Check.square_queries,
    defence: DefenceOption = None,
    dip_frames: DipFramesOption = 4,
    dip_iterations: DipIterationsOption = DeepImagePrior.iterations,
    name: Annotated[
        str, typer.Option("--run", metavar="NAME", help="The folder's name; the same command continues it.")
    ] = "robustness",
    results: ResultsOption = Path("results"),
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """How easily do attacks pass fakes off as real?

    Attacks every fake that the detector calls fake, at each budget, and counts those that it then calls Real. A check
    against false security runs stronger attacks beside PGD. Prints a table; CSVs, Markdown and a robustness curve go to
    the run's folder. Without --frames and --detector it runs on demo faces.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    budgets = _budgets(epsilon)
    options = Options(
        frames=frames,
        images=images,
        split=split,
        limit=limit,
        attacks=_attacks(attack),
        budgets=budgets,
        steps=steps,
        overrides=override or (),
        check=_check(check, check_epsilon, budgets, check_frames, apgd_steps, apgd_restarts, square_queries),
        defence=_defence(defence, budgets, check_epsilon, dip_frames, dip_iterations),
        seed=seed,
        device=device,
        batch_size=batch_size,
    )
    folder = results / folder_name(name)
    judged = _named(detector, checkpoint, positive, frames)
    source = None if transfer_from is None else Named(short_name(transfer_from), transfer_from)
    setup = prepare(options, judged, open_frames_of(options), source)
    log.open_in(folder)
    report.introduce(setup, folder)
    found = attack_detector(folder, setup)
    report.show(found.summary, setup, folder, found.files)


def compare(
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", metavar="NAME=DETECTOR", help="As evaluate.py's; repeatable, the baseline first."),
    ] = None,
    frames: FramesOption = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    limit: LimitOption = None,
    attack: AttackOption = None,
    epsilon: EpsilonOption = None,
    steps: StepsOption = PGD_STEPS,
    override: OverrideOption = None,
    check: CheckOption = True,
    check_epsilon: CheckEpsilonOption = None,
    check_frames: CheckFramesOption = Check.frames,
    apgd_steps: ApgdStepsOption = Check.apgd_steps,
    apgd_restarts: ApgdRestartsOption = Check.apgd_restarts,
    square_queries: SquareQueriesOption = Check.square_queries,
    defence: DefenceOption = None,
    dip_frames: DipFramesOption = 4,
    dip_iterations: DipIterationsOption = DeepImagePrior.iterations,
    name: Annotated[
        str, typer.Option("--run", metavar="NAME", help="The folder's name; the same command continues it.")
    ] = "comparison",
    results: ResultsOption = Path("results"),
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Does a hardened detector hold what it promises?

    Attacks each detector as the attack command does, in a white box, and puts them in one table, with the check against
    false security, and whether the published claim holds: clean accuracy kept, more than 90 % of FGSM and PGD examples
    defended. --defence tries a defence before the first detector, the baseline.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    budgets = _budgets(epsilon)
    options = Options(
        frames=frames,
        images=images,
        split=split,
        limit=limit,
        attacks=_attacks(attack),
        budgets=budgets,
        steps=steps,
        overrides=override or (),
        check=_check(check, check_epsilon, budgets, check_frames, apgd_steps, apgd_restarts, square_queries),
        seed=seed,
        device=device,
        batch_size=batch_size,
    )
    folder = results / folder_name(name)
    baseline, *others = _several(detector or ())
    before = replace(options, defence=_defence(defence, budgets, check_epsilon, dip_frames, dip_iterations))
    chosen = open_frames_of(options)
    setups = [prepare(before, baseline, chosen), *(prepare(options, each, chosen) for each in others)]
    width = max(len(setup.label) for setup in setups)
    log.open_in(folder)
    summaries = []
    for setup in setups:
        report.introduce(setup, folder / setup.label)
        summaries.append(attack_detector(folder / setup.label, setup, f"{setup.label:<{width}}  ").summary)
    files = comparison.write(folder, summaries)
    comparison.show(summaries)
    report.paragraph(f"Files in {folder}: {', '.join(path.name for path in files)}, and a folder for each detector.")


def _attacks(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names or Options.attacks))


def _budgets(texts: Sequence[str] | None) -> tuple[float, ...]:
    return tuple(sorted({read_budget(text) for text in texts})) if texts else BUDGETS


def _check(
    wanted: bool, epsilon: str | None, budgets: Sequence[float], frames: int, steps: int, restarts: int, queries: int
) -> Check | None:
    if not wanted:
        return None
    return Check(_check_budget(epsilon, budgets), frames, steps, restarts, queries)


def _check_budget(epsilon: str | None, budgets: Sequence[float]) -> float:
    return min(budgets) if epsilon is None else read_budget(epsilon, "--check-epsilon")


def _defence(
    name: str | None, budgets: Sequence[float], epsilon: str | None, frames: int, iterations: int
) -> Defended | None:
    """The defence meets attacks at the budget of the check."""
    if name is None:
        return None
    if name != REDRAWN:
        raise InputError(f"unknown --defence {name!r}; known: {REDRAWN}")
    return Defended(DeepImagePrior(iterations=iterations), frames, _check_budget(epsilon, budgets))


def _named(detector: str | None, checkpoint: Path | None, positive: str | None, frames: Path | None) -> Named:
    """The detector of the attack command. Raises InputError where frames are given and none is."""
    if detector is not None:
        return Named(short_name(detector), detector, checkpoint, positive)
    if checkpoint is not None:
        return Named(short_name(str(checkpoint)), str(checkpoint), None, positive)
    if frames is not None:
        raise InputError("--frames needs --detector, a name or a checkpoint: the demo's detector knows demo faces only")
    return Named("demo", "demo", None, positive)


def _several(texts: Sequence[str]) -> list[Named]:
    """The detectors of the compare command. Raises InputError for fewer than two, or two of one name."""
    if len(texts) < 2:
        raise InputError("compare needs --detector at least twice, the baseline first, as --detector base=demo")
    named = [_labelled(text) for text in texts]
    labels = [each.label for each in named]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"two detectors are called {twice!r}; name them, as --detector base={texts[0]}")
    return named


def _labelled(text: str) -> Named:
    """A detector with its label: "NAME=DETECTOR", or the detector alone, called by its file's name."""
    label, equals, detector = text.partition("=")
    if not equals or Path(text).is_file():
        return Named(Path(text).stem, text)
    if label in ("", ".", "..") or Path(label).name != label or not detector:
        raise InputError(f"--detector {text!r}: write it as NAME=DETECTOR, NAME being fit for a folder")
    return Named(label, detector)
