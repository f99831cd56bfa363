"""One picture examined: its verdict, each method's map and region, the evidence, stability and agreement."""

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from attacks import RegionAttack
from common.console import count
from common.errors import InputError
from detectors import Detector, Queries
from detectors.answers import require_unequal
from detectors.checks.spot_checks import SpotChecks
from detectors.preparing import prepared
from detectors.queries import probabilities
from examination.areas import best_region, common_area, random_regions
from examination.evidence import FrameEvidence, find_evidence
from examination.moves import RegionMoves
from examination.stability import Overlap, Variation, changed_copies, compare, overlap_of
from scoring.asked_again import OF_A_FRAME, AskedAgain, changed_pictures
from scoring.attempts import Attempts, StageFailure
from scoring.region_attacker import RegionAttacker, Verdict
from scoring.unchanged import Unchanged, UnchangedAnswers
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.explanation_settings import ExplanationSettings
from xai.methods import Method
from xai.stability import is_flat

Stage = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture to examine.

    Attributes:
        name: what it is called; with the seed of every draw.
        picture: (H, W, 3) uint8 RGB, the face or what else the detector sees.
        time: in the film, in seconds; None for a picture.
        neighbours: the same face on the neighbouring frames of the film.
    """

    name: str
    picture: np.ndarray
    time: float | None = None
    neighbours: tuple[Variation, ...] = ()


@dataclass(frozen=True, eq=False)
class ExaminedFrame:
    """What was found of one picture; where it is called Real, or no method explains it, its verdict alone.

    Attributes:
        shot: the picture.
        image: (3, S, S) float32, as the detector sees it.
        probabilities: (C,) of the classes.
        predicted: the class that the detector gives, by its index.
        target: the class that is explained.
        explanations: by method.
        regions: by method, (S, S) bool, all of one area.
        evidence: what attacking them does; None where there are none.
        stability: by method and by the variation's name.
        agreement: (m, m) the overlap of every two methods' regions, in the order of `regions`.
        chance: the mean overlap of two random regions.
        failures: methods that could not explain it or a variation of it.
    """

    shot: Shot
    image: Tensor
    probabilities: Tensor
    predicted: int
    target: int
    explanations: Mapping[str, Explanation]
    regions: Mapping[str, np.ndarray]
    evidence: FrameEvidence | None
    stability: Mapping[str, Mapping[str, Overlap]]
    agreement: np.ndarray
    chance: float
    failures: tuple[StageFailure, ...]


@dataclass(frozen=True, eq=False)
class Examiner:
    """Examines pictures.

    Attributes:
        detector: whose verdicts.
        methods: what explains them.
        settings: of the explanations.
        attack: on every region.
        regions: how many random ones, at least 99.
        seed: of every draw.
        batch_size: images in a forward pass.
        on_stage: called with what begins, in words.
    """

    detector: Detector
    methods: tuple[Method, ...]
    settings: ExplanationSettings
    attack: RegionAttack
    regions: int
    seed: int
    batch_size: int
    on_stage: Stage = lambda stage: None

    def __call__(self, shot: Shot) -> ExaminedFrame:
        """Everything that is found of a picture; its verdict alone where that is Real, or no method explains it.

        Raises InputError where the detector says otherwise of it, or of what was asked about it, at the end.
        """
        detector, attempts = self.detector, Attempts()
        self._unchanged.require()
        spot_checks = SpotChecks(detector, self.batch_size, OF_A_FRAME, self.seed, shot.name)
        self._answers.see(prepared(detector, shot.picture))

        def begin(stage: str) -> None:
            spot_checks.begin(stage)
            self.on_stage(stage)

        with spot_checks.listening():
            verdict, image, logits = self.judged(shot.picture)
            moved = RegionMoves(detector, image, self.attack, self.seed, shot.name, self.batch_size)
            explanations: dict[str, Explanation] = {}
            segments: np.ndarray | None = None
            if verdict.predicted != detector.real:
                begin("maps of the picture")
                explanations = self._explained(image, verdict.target, self.seed, shot.name, attempts)
            if explanations:
                segments = self.settings.segments(image)
                frame = self._put_to_the_test(shot, image, verdict, explanations, segments, moved, attempts, begin)
            else:
                frame = _without_maps(shot, image, verdict, attempts)
        self._unchanged.require()
        self._ask_again(shot.name, image, logits, segments)
        spot_checks.require_answers()
        self._answers.require_gradient("an explainer of this examination")
        spot_checks.require_gradients()
        moved.require_gradients(OF_A_FRAME)
        return frame

    def _put_to_the_test(
        self,
        shot: Shot,
        image: Tensor,
        verdict: Verdict,
        explanations: Mapping[str, Explanation],
        segments: np.ndarray,
        moved: RegionMoves,
        attempts: Attempts,
        begin: Stage,
    ) -> ExaminedFrame:
        """The evidence, stability and agreement of the maps of a picture."""
        detector, target = self.detector, verdict.target
        area = common_area(segments)
        regions = {name: _region(explanation, area) for name, explanation in explanations.items()}
        drawn = random_regions(segments, area, self.regions, self.seed, shot.name)
        begin(f"attacks on {count(len(regions), 'region')} and {self.regions} random ones")
        attacker = RegionAttacker(detector, image, verdict, self.seed, shot.name, self.batch_size)
        evidence = find_evidence(segments, regions, moved, drawn, attacker)
        stability: dict[str, dict[str, Overlap]] = {name: {} for name in regions}
        made_anew = self._made_anew(regions, attempts)
        for number, variation in enumerate((*changed_copies(shot.picture), *shot.neighbours), start=1):
            begin(f"stability: {variation.name}")
            other, changed, _ = self.judged(variation.picture)
            said = detector.class_names[other.predicted]
            again = self._explained(changed, target, self.seed + number, shot.name, attempts, variation.name, made_anew)
            for name, explanation in again.items():
                second = explanation, _region(explanation, area)
                stability[name][variation.name] = compare((explanations[name], regions[name]), second, drawn, said)
        own = list(regions.values())
        return ExaminedFrame(
            shot, image, verdict.probabilities, verdict.predicted, target, explanations, regions, evidence, stability,
            np.array([[overlap_of(one, other) for other in own] for one in own]),
            float(np.mean([overlap_of(one, other) for one, other in itertools.pairwise(drawn)])),
            tuple(attempts.failures),
        )  # fmt: skip

    def _made_anew(self, names: Collection[str], attempts: Attempts) -> list[str]:
        """The methods that can explain a variation; a map from a file cannot, which is noted as a failure."""
        saved = {method.name for method in self.methods if self.settings.is_kept(method)}
        for name in saved & set(names):
            with attempts.at(f"{name}, stability"):
                raise InputError("its map is from a file and cannot be made anew, so how stable it is is not known")
        return [name for name in names if name not in saved]

    @cached_property
    def _answers(self) -> UnchangedAnswers:
        return UnchangedAnswers(self.detector)

    @cached_property
    def _asked_again(self) -> AskedAgain:
        return AskedAgain(self.detector, self.batch_size)

    @cached_property
    def _unchanged(self) -> Unchanged:
        return Unchanged(self.detector, self.settings, {})

    def _ask_again(self, name: str, image: Tensor, logits: Tensor, segments: np.ndarray | None) -> None:
        """Raises InputError where the detector says something else by now, of this picture or of the first one."""
        changed = image.new_empty(0, *image.shape)
        if segments is not None:
            changed = changed_pictures(self.detector, image, segments, ())
        if (drift := self._asked_again(name, image, logits, changed)) is not None:
            raise InputError(
                f"detector {type(self.detector).__name__} drifts: at the end of {drift.noticed} it answers "
                f"{drift.first} otherwise than before (a logit differs by {drift.difference:.2g}); mend its forward"
            )

    def judged(self, picture: np.ndarray) -> tuple[Verdict, Tensor, Tensor]:
        """What the detector says of a picture (H, W, 3) uint8, the image that it sees, and its logits (1, C)."""
        image = prepared(self.detector, picture)
        logits = Queries(self.detector, self.batch_size).logits(image[None])
        require_unequal(self.detector, self.detector.class_names, logits[0])
        chances = probabilities(logits)[0]
        verdict = Verdict(chances, int(logits[0].argmax()), explained_class(logits[0], self.detector.real), -1)
        return verdict, image, logits

    def _explained(
        self,
        image: Tensor,
        target: int,
        seed: int,
        key: str,
        attempts: Attempts,
        variation: str = "",
        wanted: Collection[str] | None = None,
    ) -> dict[str, Explanation]:
        """The explanations by method, of those `wanted`; one that fails is noted, with the variation it failed on."""
        shared = FrameExplanations(self.detector, image, target, self.settings, seed, key, self.batch_size)
        made = {}
        for method in self.methods:
            if wanted is None or method.name in wanted:
                with attempts.at(f"{method.name}, {variation}" if variation else method.name):
                    explanation = shared.explain(method)
                    if is_flat(explanation.importance):
                        raise InputError("its map is flat: all segments count alike, so it points at nothing")
                    made[method.name] = explanation
        return made


def _without_maps(shot: Shot, image: Tensor, verdict: Verdict, attempts: Attempts) -> ExaminedFrame:
    failures = tuple(attempts.failures)
    return ExaminedFrame(
        shot, image, verdict.probabilities, verdict.predicted, verdict.target, {}, {}, None, {}, np.zeros((0, 0)),
        float("nan"), failures,
    )  # fmt: skip


def _region(explanation: Explanation, area: int) -> np.ndarray:
    return best_region(explanation.segments, explanation.ranking, area)
