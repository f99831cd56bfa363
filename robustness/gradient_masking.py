"""A check for gradient masking: does robustness to PGD survive stronger attacks, and do gradients vanish?"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from analysis.statistics import Estimate
from attacks import build_attack
from attacks.budgets import fraction
from common.errors import InputError
from robustness.attacked_frames import FrameEntry, spread_entries
from robustness.estimates import rate
from robustness.gradient_norms import GradientCheck
from robustness.stage_records import Record
from robustness.stages import AttackStage, Earlier, GradientStage, Stage, turned
from robustness.whole_frame_attack import WholeFrameAttack, whole_frame_attacks

APGD, SQUARE, GRADIENTS = "check apgd", "check square", "check gradients"
GRADIENTS_AFTER_PGD = "check gradients after pgd"
MARGIN = 0.10
VANISHING = 0.10


@dataclass(frozen=True)
class MaskingCheck:
    """The stronger attacks that run beside PGD at one budget, on fakes that PGD does not pass off as real.

    They are those of Croce and Hein (ICML 2020, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks"): APGD on the cross-entropy, whose step adapts and which starts anew from other
    points, and Square (Andriushchenko et al., ECCV 2020), which uses no gradient. Attacks go on where the ones before
    failed, so what they reach together is the worst case.

    Attributes:
        epsilon: the L-infinity budget.
        frames: how many fakes at most, an equal share of every manipulation.
        apgd_steps: of each start.
        apgd_restarts: starts from other points.
        square_queries: of Square, on a frame.
    """

    epsilon: float
    frames: int = 50
    apgd_steps: int = 100
    apgd_restarts: int = 2
    square_queries: int = 500

    def __post_init__(self) -> None:
        for name in ("frames", "apgd_steps", "apgd_restarts", "square_queries"):
            if getattr(self, name) < 1:
                raise InputError(f"the check's {name} must be at least 1, got {getattr(self, name)}")

    @property
    def pgd(self) -> str:
        """The stage that attacks by PGD at this budget."""
        return f"pgd {fraction(self.epsilon)}"

    def own_pgd(self, planned: Collection[str], steps: int, seed: int = 0) -> WholeFrameAttack | None:
        """PGD at this budget, where the run's stages, of which `planned` are the names, lack it; else None."""
        return None if self.pgd in planned else whole_frame_attacks(["pgd"], [self.epsilon], steps, seed)[0]

    def stages(self, fakes: Sequence[FrameEntry], planned: Sequence[str], steps: int, seed: int) -> list[Stage]:
        """Plans the stages of the check.

        Args:
            fakes: the fakes of the run, of which at most `frames` are checked.
            planned: names of the run's stages; PGD at this budget is a stage of the check where it is not among them.
            steps: of PGD, at least 1.
            seed: of the run's draws.
        """
        among = frozenset(frame.key for frame in spread_entries(fakes, self.frames))
        stages: list[Stage] = []
        if (pgd := self.own_pgd(planned, steps, seed)) is not None:
            stages.append(AttackStage(self.pgd, passes_of(pgd), frame_attack=pgd, among=among))
        apgd = build_attack(
            "torchattacks:APGD",
            overrides={
                "epsilon": self.epsilon,
                "steps": self.apgd_steps,
                "n_restarts": self.apgd_restarts,
                "loss": "ce",
            },
        )
        square = build_attack(
            "torchattacks:Square", overrides={"epsilon": self.epsilon, "n_queries": self.square_queries}
        )
        stronger = {
            APGD: (WholeFrameAttack("torchattacks:APGD", apgd, seed), 3 * self.apgd_steps * self.apgd_restarts),
            SQUARE: (WholeFrameAttack("torchattacks:Square", square, seed), self.square_queries),
        }
        earlier = [self.pgd]
        for name, (frame_attack, passes) in stronger.items():
            stages.append(AttackStage(name, passes, 1, frame_attack=frame_attack, among=among, spared=tuple(earlier)))
            earlier.append(name)
        stages.append(GradientStage(GRADIENTS, 100, epsilon=self.epsilon, seed=seed, among=among))
        again = whole_frame_attacks(["pgd"], [self.epsilon], steps, seed)[0]
        stages.append(
            GradientStage(
                GRADIENTS_AFTER_PGD, 100 + passes_of(again), epsilon=self.epsilon, seed=seed, among=among,
                frame_attack=again, spared=(self.pgd,),
            )
        )  # fmt: skip
        return stages


@dataclass(frozen=True)
class GradientMasking:
    """The results of the check; rates are shares of the detected fakes that were checked.

    Attributes:
        epsilon: the budget.
        frames: how many were checked.
        videos: that these are from.
        pgd: passed off as real by PGD.
        apgd: by PGD or APGD.
        stronger: by PGD, APGD or Square.
        beyond: by APGD or Square and not by PGD.
        vanishing: the share of frames whose gradient vanishes (see `gradient_norms.GradientCheck`), of the frame
            or, where PGD does not pass it off as real, of what PGD has made of it.
        misleading: the share of frames whose gradient is there, and denied by finite differences.
    """

    epsilon: float
    frames: int
    videos: int
    pgd: Estimate
    apgd: Estimate
    stronger: Estimate
    beyond: Estimate
    vanishing: float
    misleading: float = 0.0

    @property
    def misled(self) -> bool:
        """Whether robustness to PGD does not survive.

        Stronger attacks pass off more than a tenth of the fakes beyond those of PGD, and the 95 % interval of that
        share lies above 0 (with a single video there is none, and the tenth decides).
        """
        return self.beyond.value > MARGIN and not self.beyond.low <= 0

    @property
    def vanishes(self) -> bool:
        """Whether gradients vanish on more than a tenth of the frames."""
        return self.vanishing > VANISHING

    @property
    def misleads(self) -> bool:
        """Whether gradients are others than finite differences say on more than a tenth of the frames."""
        return self.misleading > VANISHING

    @property
    def flags(self) -> tuple[str, ...]:
        """What speaks against the numbers of FGSM and PGD, in words."""
        findings = {
            "PGD misled": self.misled, "gradients vanish": self.vanishes, "gradients mislead": self.misleads,
        }  # fmt: skip
        return tuple(name for name, raised in findings.items() if raised)


def examine(check: MaskingCheck, earlier: Earlier, fakes: Sequence[FrameEntry], seed: int) -> GradientMasking:
    """Sums up the check's stages.

    Args:
        check: what was planned.
        earlier: the records of the run by stage and frame.
        fakes: the run's fakes whose clean verdict is known; those with a record of their gradient count as checked.
        seed: of the run's draws, for the intervals.
    """
    probed = earlier[GRADIENTS]
    frames = [frame for frame in fakes if frame.key in probed]
    videos = [frame.video for frame in frames]

    def reached(*stages: str) -> list[bool]:
        return [any(turned(earlier[stage].get(frame.key)) for stage in stages) for frame in frames]

    probes = [
        [probe for stage in (GRADIENTS, GRADIENTS_AFTER_PGD) if (probe := _gradient(earlier[stage].get(frame.key)))]
        for frame in frames
    ]
    vanishing = [any(probe.vanishing for probe in of_frame) for of_frame in probes]
    misleading = [any(probe.misleads for probe in of_frame) for of_frame in probes]
    return GradientMasking(
        epsilon=check.epsilon,
        frames=len(frames),
        videos=len(set(videos)),
        pgd=rate(reached(check.pgd), videos, seed),
        apgd=rate(reached(check.pgd, APGD), videos, seed),
        stronger=rate(reached(check.pgd, APGD, SQUARE), videos, seed),
        beyond=rate(reached(APGD, SQUARE), videos, seed),
        vanishing=sum(vanishing) / len(frames) if frames else math.nan,
        misleading=sum(misleading) / len(frames) if frames else math.nan,
    )


def passes_of(frame_attack: WholeFrameAttack) -> int:
    """Estimates how many forward passes an attack takes on a frame, a gradient counting as two more."""
    return 3 * frame_attack.attack.steps_taken(frame_attack.attack.rounds) + 2


def _gradient(record: Record | None) -> GradientCheck | None:
    return record if isinstance(record, GradientCheck) else None
