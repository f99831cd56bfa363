"""One frame to rows: its verdict, its explanations, the attacks on what they point at."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from attacks import RegionAttack
from common.seeds import derive_seed
from data.frames import Frame
from detectors import Detector, Queries
from detectors.queries import counting
from scoring.costs import Cost, Ledger
from scoring.rows import UNKNOWN, Row
from xai.explanation import FrameExplanations, explained_class
from xai.methods import ADVERSARIAL, Method
from xai.ranking import top_region
from xai.settings import Settings

DEPTHS = (1, 2, 3)


@dataclass(frozen=True)
class Verdict:
    """What the detector says of a frame.

    Attributes:
        probabilities: (C,) float32.
        predicted: the index of the most probable class.
        target: the index of the explained class.
        correct: whether `predicted` is the frame's class: 1 or 0, -1 where the detector has no class for it.
    """

    probabilities: Tensor
    predicted: int
    target: int
    correct: int


@dataclass(frozen=True, eq=False)
class Choice:
    """The region that a method ranks highest: (H, W) bool, nothing where there is no fake verdict to explain."""

    method: Method
    k: int
    weak: bool
    region: np.ndarray

    @property
    def digest(self) -> str:
        """Names the region by its pixels: the same pixels, whoever chose them, are attacked once and alike."""
        return hashlib.sha256(repr(self.region.shape).encode() + np.packbits(self.region).tobytes()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What an attack on one region did: p(target) and the class after it, whether it flipped, and its size."""

    after: float
    predicted: int
    flipped: bool
    linf: float
    steps: int


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores frames; what a frame gives depends on it and these settings alone, not on other frames.

    Attributes:
        detector: whose verdicts are explained and attacked.
        methods: what explains them.
        settings: of the explanations.
        attacks: by name.
        seed: of every draw.
        batch_size: images in a forward pass.
        precision: of the explanations' queries; verdicts and attacks are always float32.
    """

    detector: Detector
    methods: tuple[Method, ...]
    settings: Settings
    attacks: Mapping[str, RegionAttack]
    seed: int = 0
    batch_size: int = 32
    precision: str = "float32"

    def __call__(self, frame: Frame, tell: Callable[[str], None] = lambda stage: None) -> tuple[list[Row], list[Cost]]:
        """The rows of a frame, by attack, method and k, and what each stage cost; `tell` hears each stage begin.

        A method with the adversarial fill is charged the adversarial image, which is made once and also listed by
        itself. A frame that the detector calls Real already has no verdict to explain: its regions are empty and
        nothing changes. Raises InputError for a frame that cannot be explained.
        """
        image = self.detector.prepare(frame.image)
        with counting(self.detector) as meter:
            ledger = Ledger(meter, tell)
            with ledger.stage("verdict"):
                verdict = self._judge(frame, image)
            choices = self._choose(frame, image, verdict, ledger)
            regions = {choice.digest: choice.region for choice in choices}
            rows = []
            for name, attack in self.attacks.items():
                with ledger.stage(f"attack {name}"):
                    outcomes = self._attack(name, attack, frame, image, verdict, regions)
                rows += [self._row(frame, verdict, choice, name, outcomes[choice.digest]) for choice in choices]
        return rows, ledger.costs

    def _judge(self, frame: Frame, image: Tensor) -> Verdict:
        probabilities = Queries(self.detector, self.batch_size).probabilities(image[None])[0]
        predicted = int(probabilities.argmax())
        target = explained_class(probabilities, self.detector.real)
        return Verdict(probabilities, predicted, target, self._correct(frame, predicted))

    def _correct(self, frame: Frame, predicted: int) -> int:
        label = self.detector.label_of(frame.family)
        return UNKNOWN if label is None else int(predicted == label)

    def _choose(self, frame: Frame, image: Tensor, verdict: Verdict, ledger: Ledger) -> list[Choice]:
        """Every method's top regions; empty ones where there is no fake verdict to explain."""
        if verdict.predicted == self.detector.real:
            nothing = np.zeros(image.shape[1:], dtype=bool)
            return [Choice(method, k, False, nothing) for method in self.methods for k in DEPTHS]
        explanations = FrameExplanations(
            self.detector, image, verdict.target, self.settings, self.seed, frame.key, self.batch_size, self.precision
        )
        with ledger.stage("segments"):
            segments = explanations.segments
        if any(method.fill == ADVERSARIAL for method in self.methods):
            with ledger.stage(ADVERSARIAL):
                explanations.adversarial  # noqa: B018 - made here, so that its cost is its own stage
        choices = []
        for method in self.methods:
            with ledger.stage(method.name, including=ADVERSARIAL if method.fill == ADVERSARIAL else None):
                explanation = explanations.explain(method)
            ranking = explanation.ranking
            choices += [Choice(method, k, explanation.weak, top_region(segments, ranking, k)) for k in DEPTHS]
        return choices

    def _attack(
        self,
        name: str,
        attack: RegionAttack,
        frame: Frame,
        image: Tensor,
        verdict: Verdict,
        regions: Mapping[str, np.ndarray],
    ) -> dict[str, Outcome]:
        """What the attack does to each distinct region, all of them in one batch.

        The attack's own judge says what flipped; where another batch's rounding would break a tie between classes
        differently, its word stands.
        """
        masks = torch.from_numpy(np.stack(list(regions.values())))
        images = image.expand(len(masks), *image.shape)
        seeds = [derive_seed(self.seed, frame.key, "attack", name, digest) for digest in regions]
        result = attack(self.detector, images, masks, seeds, self.batch_size)
        probabilities = Queries(self.detector, self.batch_size).probabilities(result.images)
        change = (result.images - image).abs().amax(dim=(1, 2, 3))
        probabilities[change == 0] = verdict.probabilities
        verdicts = probabilities.clone()
        verdicts[~result.flipped, self.detector.real] = -1.0
        verdicts[result.flipped, self.detector.real] = 2.0
        return {
            digest: Outcome(
                after=float(probabilities[i, verdict.target]),
                predicted=int(verdicts[i].argmax()),
                flipped=bool(result.flipped[i]) and verdict.predicted != self.detector.real,
                linf=float(change[i]),
                steps=int(result.steps[i]),
            )
            for i, digest in enumerate(regions)
        }

    def _row(self, frame: Frame, verdict: Verdict, choice: Choice, attack: str, outcome: Outcome) -> Row:
        names = self.detector.class_names
        before = float(verdict.probabilities[verdict.target])
        return Row(
            key=frame.key,
            video=frame.video,
            family=frame.family or "",
            label=UNKNOWN if frame.label is None else frame.label,
            predicted=names[verdict.predicted],
            correct=verdict.correct,
            target=names[verdict.target],
            method=choice.method.name,
            fill=choice.method.fill,
            weak=choice.weak,
            attack=attack,
            k=choice.k,
            area=float(choice.region.mean()),
            inside=share_inside(choice.region, frame.mask),
            before=before,
            after=outcome.after,
            drop=before - outcome.after,
            predicted_after=names[outcome.predicted],
            correct_after=self._correct(frame, outcome.predicted),
            flipped_to_real=outcome.flipped,
            linf=outcome.linf,
            steps=outcome.steps,
        )


def share_inside(region: np.ndarray, mask: np.ndarray | None) -> float:
    """The share of a region (H, W) bool that lies in a frame's mask (H', W') bool; -1 without a mask or a region.

    The mask is stretched to the region's size, as the frame was for the detector, by its share of each pixel.
    """
    if mask is None or not region.any():
        return UNKNOWN
    height, width = region.shape
    share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return float((share[region] >= 0.5).mean())
