"""What a user asks for on `python -m robustness`: which attacks, at which budgets, with which check and defence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from attacks.budgets import fraction, read_budget
from common.commands import changed_options
from common.errors import InputError
from detectors import Detector
from detectors.loading.conventions import NOTHING_SAID, Conventions
from detectors.registry import load, short_name
from robustness.deep_image_prior import DIP, DeepImagePrior, DipDefence
from robustness.gradient_masking import MaskingCheck
from robustness.whole_frame_attack import PGD_STEPS
from runs.run_options import RunOptions

CHECK = ("check_frames", "apgd_steps", "apgd_restarts", "square_queries")
"""The options of the check alone."""
BUDGETS = (1 / 255, 2 / 255, 4 / 255, 8 / 255)


@dataclass(frozen=True)
class AttackOptions(RunOptions):
    """What is done to whole frames; a limit is one of fakes, and of real frames.

    Attributes:
        attacks: names of attacks.
        epsilons: L-infinity budgets, as "2/255" or "0.01"; nothing for BUDGETS.
        steps: of PGD.
        overrides: settings of attacks, as ATTACK.FIELD=VALUE.
        check: whether stronger attacks run beside PGD. The check is for white boxes only.
        check_epsilon: its budget; None for the smallest. A defence meets attacks at this budget.
        check_frames: how many fakes it takes at most.
        apgd_steps, apgd_restarts, square_queries: of its attacks, see `gradient_masking.MaskingCheck`.
        defence: the name of a defence that is tried as well, or None.
        dip_frames: on how many fakes, and as many real frames.
        dip_iterations: after how many the reconstruction is taken.
    """

    attacks: Annotated[
        Sequence[str],
        typer.Option("--attack", metavar="NAME", help="fgsm, pgd, torchattacks:NAME, ...; repeatable. Default: both."),
    ] = ("fgsm", "pgd")
    epsilons: Annotated[
        Sequence[str],
        typer.Option(
            "--epsilon",
            metavar="E",
            help=f"L-infinity budget; repeatable. Default: {' '.join(fraction(budget) for budget in BUDGETS)}.",
        ),
    ] = ()
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Steps of PGD, each of 2.5 budgets / steps.")
    ] = PGD_STEPS
    overrides: Annotated[
        Sequence[str],
        typer.Option("--set", metavar="ATTACK.FIELD=VALUE", help="Another setting of an attack; repeatable."),
    ] = ()
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Stronger attacks beside PGD, and whether gradients vanish.")
    ] = True
    check_epsilon: Annotated[
        str | None, typer.Option("--check-epsilon", metavar="E", help="Budget of the check. Default: the smallest.")
    ] = None
    check_frames: Annotated[
        int, typer.Option("--check-frames", metavar="N", min=1, help="The check takes so many fakes at most.")
    ] = MaskingCheck.frames
    apgd_steps: Annotated[int, typer.Option("--apgd-steps", metavar="N", min=1, help="Of each start of APGD.")] = (
        MaskingCheck.apgd_steps
    )
    apgd_restarts: Annotated[int, typer.Option("--apgd-restarts", metavar="N", min=1, help="Starts of APGD.")] = (
        MaskingCheck.apgd_restarts
    )
    square_queries: Annotated[
        int, typer.Option("--square-queries", metavar="N", min=1, help="Forward passes of Square on a frame.")
    ] = MaskingCheck.square_queries
    defence: Annotated[
        str | None, typer.Option("--defence", metavar="NAME", help="Also try a defence before the detector: dip.")
    ] = None
    dip_frames: Annotated[
        int, typer.Option("--dip-frames", metavar="N", min=1, help="The defence takes so many fakes, and real frames.")
    ] = 4
    dip_iterations: Annotated[
        int, typer.Option("--dip-iterations", metavar="N", min=1, help="After how many the reconstruction is taken.")
    ] = DeepImagePrior.iterations

    def refuse_idle(self) -> None:
        """Raises InputError for an option of what is not run: it would do nothing."""
        idle = [] if self.check else changed_options(self, CHECK)
        if self.defence is None:
            idle += changed_options(self, ("dip_frames", "dip_iterations"))
            idle += [] if self.check else changed_options(self, ("check_epsilon",))
        if "pgd" not in self.attacks and not self.check:
            idle += changed_options(self, ("steps",))
        if idle:
            raise InputError(f"{idle[0]} does nothing here, as what it is of is not run (see --help): leave it out")

    @property
    def budgets(self) -> tuple[float, ...]:
        """The L-infinity budgets in pixel units, ascending. Raises InputError for one that is none."""
        return tuple(sorted({read_budget(text) for text in self.epsilons})) or BUDGETS

    @property
    def check_budget(self) -> float:
        """The budget of the check, and of the attacks that a defence meets. Raises InputError for one that is none."""
        if self.check_epsilon is None:
            return min(self.budgets)
        return read_budget(self.check_epsilon, "--check-epsilon")

    @property
    def masking_check(self) -> MaskingCheck | None:
        """The check for gradient masking, or None where it is not wanted."""
        if not self.check:
            return None
        return MaskingCheck(
            self.check_budget, self.check_frames, self.apgd_steps, self.apgd_restarts, self.square_queries
        )

    @property
    def dip_defence(self) -> DipDefence | None:
        """The defence, or None. Raises InputError for an unknown one."""
        if self.defence is None:
            return None
        if self.defence != DIP:
            raise InputError(f"unknown --defence {self.defence!r}; known: {DIP}")
        return DipDefence(DeepImagePrior(iterations=self.dip_iterations), self.dip_frames, self.check_budget)


@dataclass(frozen=True)
class NamedDetector:
    """A detector as the user names it.

    Attributes:
        label: what tables call it.
        detector: its name or checkpoint file.
        checkpoint: the weights of a detector given by name.
        conventions: what is said of it, where its file does not.
    """

    label: str
    detector: str
    checkpoint: Path | None = None
    conventions: Conventions = NOTHING_SAID

    def load(self, device: str) -> Detector:
        """Loads the detector. Raises InputError where there is none such."""
        return load(self.detector, self.checkpoint, device, conventions=self.conventions)


def attacked_detector(
    detector: str | None, checkpoint: Path | None, conventions: Conventions, frames: Path | None
) -> NamedDetector:
    """Chooses the detector of the attack command.

    Args:
        detector: its name or file, or None for the checkpoint alone, or for the demo's.
        checkpoint: the weights of a detector given by name, or a file that is recognised by itself.
        conventions: what is said of it, where its file does not.
        frames: the index that it is attacked on; None for demo faces.

    Raises:
        InputError: frames are given and no detector is.
    """
    if detector is not None:
        return NamedDetector(short_name(detector), detector, checkpoint, conventions)
    if checkpoint is not None:
        return NamedDetector(short_name(str(checkpoint)), str(checkpoint), None, conventions)
    if frames is not None:
        raise InputError("--frames needs --detector, a name or a checkpoint: the demo's detector knows demo faces only")
    return NamedDetector("demo", "demo", None, conventions)


def compared_detectors(texts: Sequence[str]) -> list[NamedDetector]:
    """Reads the detectors of the compare command. Raises InputError for fewer than two, or two of one name."""
    if len(texts) < 2:
        raise InputError("compare needs --detector at least twice, the base first, as --detector base=demo")
    named = [_labelled(text) for text in texts]
    labels = [detector.label for detector in named]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"two detectors are called {twice!r}; name them, as --detector base={texts[0]}")
    return named


def _labelled(text: str) -> NamedDetector:
    """A detector with its label: "NAME=DETECTOR", or the detector alone, called by its file's name."""
    label, equals, detector = text.partition("=")
    if not equals or Path(text).is_file():
        return NamedDetector(Path(text).stem, text)
    if label in ("", ".", "..") or Path(label).name != label or not detector:
        raise InputError(f"--detector {text!r}: write it as NAME=DETECTOR, NAME being fit for a folder")
    return NamedDetector(label, detector)
