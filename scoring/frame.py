"""One frame to rows: its verdict, its explanations and the references, the attacks on what they point at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from attacks import RegionAttack
from attacks.budgets import with_budget
from data.frames import Frame
from detectors import Detector, Queries
from detectors.queries import counting
from detectors.randomised import randomised
from scoring.arms import oracle
from scoring.arms.references import references, unexplained
from scoring.attacking import Assailant, Outcome, Verdict
from scoring.costs import Cost, Ledger
from scoring.explaining import Explained, explain, explain_untaught
from scoring.grading import Grading
from scoring.metrics.base import Metric
from scoring.metrics.cases import case_of
from scoring.metrics.measuring import measure
from scoring.protocol import ORACLE, RANDOM_MODEL, Protocol
from scoring.recording import Recorder, correct
from scoring.regions import Choice, Ranking, choose, digest_of
from scoring.rows import Grade, Measured, Row
from xai.explanation import FrameExplanations, explained_class
from xai.methods import Method
from xai.settings import Settings

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Views:
    """What there is to see of a scored frame, at the detector's size: for pictures, not for numbers.

    Attributes:
        explained: the frame, its explanations and segments.
        attacked: by method, the image (3, H, W) after the first attack on its best three segments.
    """

    explained: Explained
    attacked: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Scored:
    """What scoring a frame gave.

    Attributes:
        rows: by repeat, attack, budget, ranking and depth.
        grades: how much it takes to flip the verdict, by repeat, measure and ranking.
        measured: what the standard metrics say, by repeat, method and metric.
        costs: by stage.
        views: of the first repeat; None where the detector calls the frame Real, so that nothing was explained.
    """

    rows: list[Row]
    grades: list[Grade]
    measured: list[Measured]
    costs: list[Cost]
    views: Views | None

    @property
    def records(self) -> dict[type, Sequence[Any]]:
        """What a run keeps, by kind."""
        return {Row: self.rows, Grade: self.grades, Measured: self.measured}


@dataclass(frozen=True, eq=False)
class Repeat:
    """One seed and one way to divide a frame: everything that is drawn or follows from segments is made anew for it."""

    seed: int
    segmentation: str
    settings: Settings


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores frames; what a frame gives depends on it and these settings alone, not on other frames.

    Attributes:
        detector: whose verdicts are explained and attacked.
        methods: what explains them.
        settings: of the explanations.
        attacks: by name.
        metrics: standard metrics that judge each explanation beside the attacks, by name.
        protocol: what else is attacked, and how finely.
        seed: of every draw.
        seeds: how many repeats, with the seeds `seed`, `seed` + 1, ...
        segmentations: further ways to divide a frame, by name, in place of the settings' own.
        budgets: L-infinity budgets at which each attack runs, the main one first; empty for its own.
        batch_size: images in a forward pass.
        precision: of the explanations' queries; verdicts and attacks are always float32.
    """

    detector: Detector
    methods: tuple[Method, ...]
    settings: Settings
    attacks: Mapping[str, RegionAttack]
    protocol: Protocol = field(default_factory=Protocol)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    seed: int = 0
    seeds: int = 1
    segmentations: Mapping[str, Settings] = field(default_factory=dict)
    budgets: tuple[float, ...] = ()
    batch_size: int = 32
    precision: str = "float32"

    @cached_property
    def repeats(self) -> tuple[Repeat, ...]:
        """Every seed with every way to divide a frame, the main one first."""
        divided = self.segmentations or {self.settings.segments.name: self.settings}
        return tuple(
            Repeat(seed, name, settings)
            for seed in range(self.seed, self.seed + self.seeds)
            for name, settings in divided.items()
        )

    @cached_property
    def assaults(self) -> tuple[tuple[str, RegionAttack], ...]:
        """Every attack at every budget, the main one first."""
        return tuple(
            (name, each)
            for name, attack in self.attacks.items()
            for each in ([with_budget(attack, budget) for budget in self.budgets] or [attack])
        )

    @cached_property
    def untaught(self) -> Detector:
        """The detector with random weights, for the arm "random-model"."""
        return randomised(self.detector, self.seed)

    def __call__(self, frame: Frame, tell: Tell = lambda stage: None) -> Scored:
        """The rows of a frame and what each stage cost; `tell` hears each stage begin.

        A method with the adversarial fill is charged the adversarial image, which is made once and also listed by
        itself. A frame that the detector calls Real already has no verdict to explain: its regions are empty and
        nothing changes. Raises InputError for a frame that cannot be explained.
        """
        image = self.detector.prepare(frame.image)
        with counting(self.detector) as meter:
            ledger = Ledger(meter, tell)
            with ledger.stage("verdict"):
                verdict = self._judge(frame, image)
            found = [_Repeated(self, frame, image, verdict, repeat, ledger)() for repeat in self.repeats]
        return Scored(
            rows=[row for each in found for row in each.rows],
            grades=[grade for each in found for grade in each.grades],
            measured=[each for part in found for each in part.measured],
            costs=ledger.costs,
            views=found[0].views,
        )

    def _judge(self, frame: Frame, image: Tensor) -> Verdict:
        probabilities = Queries(self.detector, self.batch_size).probabilities(image[None])[0]
        predicted = int(probabilities.argmax())
        target = explained_class(probabilities, self.detector.real)
        return Verdict(probabilities, predicted, target, correct(self.detector, frame, predicted))


@dataclass(frozen=True, eq=False)
class _Repeated:
    """One repeat of one frame."""

    scorer: Scorer
    frame: Frame
    image: Tensor
    verdict: Verdict
    repeat: Repeat
    ledger: Ledger

    def __call__(self) -> Scored:
        if self.verdict.predicted == self.scorer.detector.real:
            methods = [(method.name, method.fill) for method in self.scorer.methods]
            choices = unexplained(methods, self.scorer.protocol, tuple(self.image.shape[1:]))
            return Scored(self._rows(choices, None)[0], [], [], self.ledger.costs, None)
        explained = self._explain()
        choices = explained.choices + self._references(explained)
        rows, found, attacked = self._rows(choices, explained)
        grades = self._grades(found, explained) if self.scorer.attacks else []
        return Scored(rows, grades, self._measured(explained), self.ledger.costs, Views(explained, attacked))

    @cached_property
    def _assailant(self) -> Assailant:
        scorer = self.scorer
        return Assailant(scorer.detector, self.image, self.verdict, self.repeat.seed, self.frame.key, scorer.batch_size)

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.frame, self.verdict, self.scorer.detector, self.repeat.seed, self.repeat.segmentation)

    def _explain(self) -> Explained:
        scorer, repeat = self.scorer, self.repeat
        frames = FrameExplanations(
            scorer.detector,
            self.image,
            self.verdict.target,
            repeat.settings,
            repeat.seed,
            self.frame.key,
            scorer.batch_size,
            scorer.precision,
        )
        return explain(frames, self.frame, scorer.methods, scorer.protocol.depths, self.ledger)

    def _references(self, explained: Explained) -> list[Choice]:
        def untaught() -> list[Ranking]:
            with self.ledger.stage(RANDOM_MODEL):
                return explain_untaught(explained, self.scorer.untaught, self.scorer.methods, RANDOM_MODEL)

        return references(explained, self.scorer.protocol, self.repeat.seed, self.frame.key, untaught)

    def _rows(
        self, choices: list[Choice], explained: Explained | None
    ) -> tuple[list[Row], list[Choice], dict[str, Tensor]]:
        """The rows of all attacks; with the choices, the first attack's oracle among them, and its attacked images."""
        rows: list[Row] = []
        first: tuple[list[Choice], dict[str, Tensor]] | None = None
        shown = {method: digest_of(region) for method, region in explained.shown.items()} if explained else {}
        for name, attack in self.scorer.assaults:
            with self.ledger.stage(f"attack {name}"):
                regions = {choice.digest: choice.region for choice in choices}
                outcomes, images = self._assailant.outcomes(name, attack, regions, () if first else shown.values())
                found = choices + (self._oracle(name, attack, choices, explained, outcomes) if explained else [])
            rows += [self._recorder.row(choice, name, attack.epsilon, outcomes[choice.digest]) for choice in found]
            first = first or (found, {method: images[digest] for method, digest in shown.items() if digest in images})
        return rows, *(first or (choices, {}))

    def _oracle(
        self,
        name: str,
        attack: RegionAttack,
        choices: list[Choice],
        explained: Explained,
        outcomes: dict[str, Outcome],
    ) -> list[Choice]:
        """The oracle's regions under this attack; what attacking them and its candidates did goes to `outcomes`."""
        protocol, segments = self.scorer.protocol, explained.segments
        if ORACLE not in protocol.arms:
            return []

        def attacked(regions: list[np.ndarray]) -> None:
            new = {digest_of(region): region for region in regions}
            new = {digest: region for digest, region in new.items() if digest not in outcomes}
            outcomes.update(self._assailant.outcomes(name, attack, new)[0])

        tried = oracle.candidates(segments, [c.ranking for c in choices], protocol.oracle_pool)
        attacked([segments == label for label in tried])
        found = choose(oracle.ranked(segments, tried, outcomes), segments, protocol.depths)
        attacked([choice.region for choice in found])
        return found

    def _grades(self, choices: list[Choice], explained: Explained) -> list[Grade]:
        (_, main), *_ = self.scorer.assaults
        with self.ledger.stage("grades"):
            graded = Grading(self._assailant, explained.segments, self.scorer.protocol, main.epsilon)(choices)
        return [self._recorder.grade(*each) for each in graded]

    def _measured(self, explained: Explained) -> list[Measured]:
        found = []
        for method in self.scorer.methods if self.scorer.metrics else ():
            with self.ledger.stage(f"metrics of {method.name}"):
                case = case_of(explained.frames, method, explained.explanations[method.name], self.frame.mask)
                found += [self._recorder.measured(method, each) for each in measure(case, self.scorer.metrics)]
        return found
