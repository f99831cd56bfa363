"""One frame to rows: its verdict, its explanations and the baselines, and the attacks on their regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from attacks import RegionAttack
from attacks.budgets import with_budget
from data.frames import Frame
from data.picture_transforms import PictureTransform
from detectors import Detector, Queries
from detectors.answers import require_unequal
from detectors.queries import counting, probabilities
from detectors.randomised import randomised
from scoring.baselines import oracle
from scoring.baselines.baseline_regions import baseline_regions, unexplained
from scoring.baselines.table import ORACLE, RANDOM_MODEL
from scoring.costs import Cost, CostTracker, ProgressCallback
from scoring.explaining import Explained, explain_frame, explain_randomised
from scoring.flip_threshold import FlipThresholdSearch
from scoring.metrics.base import Metric
from scoring.metrics.cases import case_of
from scoring.metrics.measuring import measure_case
from scoring.protocol import Protocol
from scoring.recording import Recorder, correct
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row, TransformedVerdict
from scoring.region_attacker import Outcome, RegionAttacker, Verdict
from scoring.transformed_pictures import TransformedPictures
from xai.explanation import FrameExplanations, explained_class
from xai.explanation_settings import ExplanationSettings
from xai.methods import Method
from xai.regions import RankedRegion, Ranking, digest_of, regions_at


@dataclass(frozen=True, eq=False)
class Views:
    """What there is to see of a scored frame, at the detector's size: for pictures, not for numbers.

    Attributes:
        explained: the frame, its explanations and segments.
        attacked: by method, the image (3, H, W) after the first attack on its best three segments.
        mark: what sets the run apart, for its pictures; "" for nothing.
    """

    explained: Explained
    attacked: Mapping[str, Tensor]
    mark: str = ""


@dataclass(frozen=True, eq=False)
class Scored:
    """What scoring a frame gave.

    Attributes:
        rows: by trial, attack, budget, ranking and depth.
        flip_thresholds: how much it takes to flip the verdict, by trial, measure and ranking.
        metric_values: of the standard metrics, by trial, method and metric.
        costs: by stage.
        views: of the first trial; None where the detector calls the frame Real, so that nothing was explained.
        frame_verdicts: what the detector says of the frame and of its adversarial image, by trial.
        transformed: what it says of the frame and of every flip after each transform; None where none is asked for.
    """

    rows: list[Row]
    flip_thresholds: list[FlipThreshold]
    metric_values: list[MetricValue]
    costs: list[Cost]
    views: Views | None
    frame_verdicts: list[FrameVerdict] = field(default_factory=list)
    transformed: list[TransformedVerdict] | None = None

    @property
    def records(self) -> dict[type, Sequence[Any]]:
        """What a run keeps, by kind."""
        return ({} if self.transformed is None else {TransformedVerdict: self.transformed}) | {
            FrameVerdict: self.frame_verdicts,
            FlipThreshold: self.flip_thresholds,
            MetricValue: self.metric_values,
            Row: self.rows,
        }


@dataclass(frozen=True, eq=False)
class Trial:
    """One seed and one way to divide a frame: everything that is drawn or follows from segments is made anew for it."""

    seed: int
    segmentation: str
    settings: ExplanationSettings


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
        seeds: how many trials of each way to divide a frame, with the seeds `seed`, `seed` + 1, ...
        segmentations: further ways to divide a frame, by name, in place of the settings' own.
        budgets: L-infinity budgets at which each attack runs, the main one first; empty for its own.
        batch_size: images in a forward pass.
        precision: of the explanations' queries; verdicts and attacks are always float32.
        transforms: what every flip is asked about again, after its picture went through each.
        mark: what its pictures say of it, see `Views`.
    """

    detector: Detector
    methods: tuple[Method, ...]
    settings: ExplanationSettings
    attacks: Mapping[str, RegionAttack]
    protocol: Protocol = field(default_factory=Protocol)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    seed: int = 0
    seeds: int = 1
    segmentations: Mapping[str, ExplanationSettings] = field(default_factory=dict)
    budgets: tuple[float, ...] = ()
    batch_size: int = 32
    precision: str = "float32"
    transforms: tuple[PictureTransform, ...] = ()
    mark: str = ""

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """Every seed with every way to divide a frame, the main one first."""
        divided = self.segmentations or {self.settings.segments.name: self.settings}
        return tuple(
            Trial(seed, name, settings)
            for seed in range(self.seed, self.seed + self.seeds)
            for name, settings in divided.items()
        )

    @cached_property
    def attack_variants(self) -> tuple[tuple[str, RegionAttack], ...]:
        """Every attack at every budget, the main one first."""
        return tuple(
            (name, variant)
            for name, attack in self.attacks.items()
            for variant in ([with_budget(attack, budget) for budget in self.budgets] or [attack])
        )

    @cached_property
    def randomised_detector(self) -> Detector:
        """The detector with random weights, for the baseline "random-model"."""
        return randomised(self.detector, self.seed)

    def __call__(self, frame: Frame, on_stage: ProgressCallback = lambda stage: None) -> Scored:
        """The rows of a frame and what each stage cost; `on_stage` is called as each stage begins.

        A method with the adversarial fill is charged the adversarial image, which is made once and is also a stage of
        its own. A frame that the detector calls Real already has no verdict to explain: its regions are empty and
        nothing changes. Raises InputError for a frame that cannot be explained.
        """
        image = self.detector.prepare(frame.image)
        with counting(self.detector) as meter:
            tracker = CostTracker(meter, on_stage)
            with tracker.stage("verdict"):
                verdict = self._judge(frame, image)
            parts = [_FrameTrial(self, frame, image, verdict, trial, tracker)() for trial in self.trials]
        return Scored(
            rows=[row for part in parts for row in part.rows],
            flip_thresholds=[flip_threshold for part in parts for flip_threshold in part.flip_thresholds],
            metric_values=[metric_value for part in parts for metric_value in part.metric_values],
            costs=tracker.costs,
            views=parts[0].views,
            frame_verdicts=[frame_verdict for part in parts for frame_verdict in part.frame_verdicts],
            transformed=[verdict for part in parts for verdict in part.transformed or ()] if self.transforms else None,
        )

    def _judge(self, frame: Frame, image: Tensor) -> Verdict:
        logits = Queries(self.detector, self.batch_size).logits(image[None])
        require_unequal(self.detector, self.detector.class_names, logits[0])
        chances = probabilities(logits)[0]
        predicted = int(logits[0].argmax())
        target = explained_class(chances, self.detector.real)
        return Verdict(chances, predicted, target, correct(self.detector, frame, predicted))


@dataclass(frozen=True, eq=False)
class _FrameTrial:
    """One trial of one frame."""

    scorer: Scorer
    frame: Frame
    image: Tensor
    verdict: Verdict
    trial: Trial
    tracker: CostTracker

    def __call__(self) -> Scored:
        if self.verdict.predicted == self.scorer.detector.real:
            methods = [(method.name, method.fill) for method in self.scorer.methods]
            ranked_regions = unexplained(methods, self.scorer.protocol, tuple(self.image.shape[1:]))
            frame_verdict = self._recorder.frame_verdict(None, None)
            return Scored(self._rows(ranked_regions, None)[0], [], [], self.tracker.costs, None, [frame_verdict])
        explained = self._explain()
        ranked_regions = explained.ranked_regions + self._baseline_regions(explained)
        rows, with_oracle, attacked, transformed = self._rows(ranked_regions, explained)
        flip_thresholds = self._flip_thresholds(with_oracle, explained) if self.scorer.attacks else []
        metric_values, views = self._metric_values(explained), Views(explained, attacked, self.scorer.mark)
        frame_verdicts = [self._recorder.frame_verdict(explained.segments, explained.adversarial)]
        return Scored(rows, flip_thresholds, metric_values, self.tracker.costs, views, frame_verdicts, transformed)

    @cached_property
    def _attacker(self) -> RegionAttacker:
        scorer = self.scorer
        return RegionAttacker(
            scorer.detector, self.image, self.verdict, self.trial.seed, self.frame.key, scorer.batch_size,
            keeps_flips=bool(scorer.transforms),
        )  # fmt: skip

    @cached_property
    def _transformed(self) -> TransformedPictures:
        scorer = self.scorer
        return TransformedPictures(scorer.detector, scorer.transforms, scorer.batch_size, self._recorder, self.tracker)

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.frame, self.verdict, self.scorer.detector, self.trial.seed, self.trial.segmentation)

    def _explain(self) -> Explained:
        scorer, trial = self.scorer, self.trial
        frames = FrameExplanations(
            scorer.detector,
            self.image,
            self.verdict.target,
            trial.settings,
            trial.seed,
            self.frame.key,
            scorer.batch_size,
            scorer.precision,
        )
        return explain_frame(frames, self.frame, scorer.methods, scorer.protocol.depths, self.tracker)

    def _baseline_regions(self, explained: Explained) -> list[RankedRegion]:
        def randomised_rankings() -> list[Ranking]:
            other, share = self.scorer.randomised_detector, self.scorer.protocol.random_model_share
            with self.tracker.stage(RANDOM_MODEL), self.tracker.also(other):
                return explain_randomised(explained, other, self.scorer.methods, RANDOM_MODEL, share)

        return baseline_regions(explained, self.scorer.protocol, self.trial.seed, self.frame.key, randomised_rankings)

    def _rows(
        self, ranked_regions: list[RankedRegion], explained: Explained | None
    ) -> tuple[list[Row], list[RankedRegion], dict[str, Tensor], list[TransformedVerdict]]:
        """The rows of all attacks, the regions with the first attack's oracle among them, its attacked images, and
        what the detector says of the frame and of every flip after each transform.
        """
        rows: list[Row] = []
        transformed = self._transformed.of_frame(self.image) if explained else []
        first: tuple[list[RankedRegion], dict[str, Tensor]] | None = None
        shown = {method: digest_of(region) for method, region in explained.shown.items()} if explained else {}
        for name, attack in self.scorer.attack_variants:
            with self.tracker.stage(f"attack {name}"):
                regions = {ranked_region.digest: ranked_region.region for ranked_region in ranked_regions}
                outcomes, images = self._attacker.outcomes(name, attack, regions, () if first else shown.values())
                with_oracle = ranked_regions + (
                    self._oracle(name, attack, ranked_regions, explained, outcomes) if explained else []
                )
            rows += [
                self._recorder.row(ranked_region, name, attack.epsilon, outcomes[ranked_region.digest])
                for ranked_region in with_oracle
            ]
            transformed += self._transformed.of_flips(name, attack.epsilon, with_oracle, outcomes)
            first = first or (
                with_oracle,
                {method: images[digest] for method, digest in shown.items() if digest in images},
            )
        return rows, *(first or (ranked_regions, {})), transformed

    def _oracle(
        self,
        name: str,
        attack: RegionAttack,
        ranked_regions: list[RankedRegion],
        explained: Explained,
        outcomes: dict[str, Outcome],
    ) -> list[RankedRegion]:
        """The oracle's regions under this attack; what attacking them and its candidates did goes to `outcomes`."""
        protocol, segments = self.scorer.protocol, explained.segments
        if ORACLE not in protocol.baselines:
            return []

        def attacked(regions: list[np.ndarray]) -> None:
            new = {digest_of(region): region for region in regions}
            new = {digest: region for digest, region in new.items() if digest not in outcomes}
            outcomes.update(self._attacker.outcomes(name, attack, new)[0])

        tried = oracle.candidates(segments, [c.ranking for c in ranked_regions], protocol.oracle_pool)
        attacked([segments == label for label in tried])
        oracle_regions = regions_at(oracle.ranked(segments, tried, outcomes), segments, protocol.depths)
        attacked([ranked_region.region for ranked_region in oracle_regions])
        return oracle_regions

    def _flip_thresholds(self, ranked_regions: list[RankedRegion], explained: Explained) -> list[FlipThreshold]:
        (_, main), *_ = self.scorer.attack_variants
        with self.tracker.stage("grades"):
            flip_thresholds = FlipThresholdSearch(
                self._attacker, explained.segments, self.scorer.protocol, main.epsilon
            )(ranked_regions)
        return [self._recorder.flip_threshold(*threshold) for threshold in flip_thresholds]

    def _metric_values(self, explained: Explained) -> list[MetricValue]:
        metric_values = []
        for method in self.scorer.methods if self.scorer.metrics else ():
            with self.tracker.stage(f"metrics of {method.name}"):
                case = case_of(explained.frames, method, explained.explanations[method.name], self.frame.mask)
                metric_values += [
                    self._recorder.metric_value(method, measurement)
                    for measurement in measure_case(case, self.scorer.metrics, self.tracker.also)
                ]
        return metric_values
