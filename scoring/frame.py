"""One frame to rows: its verdict, its explanations and the baselines, the attacks on their regions, and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from attacks import RegionAttack
from attacks.budgets import with_budget
from common.console import warn
from common.errors import InputError
from data.frames import Frame
from data.picture_transforms import PictureTransform
from detectors import Detector, Queries
from detectors.answers import require_unequal
from detectors.checks.consistency import require_same_in
from detectors.checks.spot_checks import SpotChecks
from detectors.preparing import prepared, prepared_mask
from detectors.queries import counting, probabilities
from detectors.randomised import randomised
from scoring.asked_again import OF_A_FRAME, AskedAgain, changed_pictures
from scoring.attempts import Attempts, NothingScoredError
from scoring.baselines.baseline_regions import baseline_regions, unexplained
from scoring.baselines.table import RANDOM_MODEL
from scoring.costs import VERDICT, CostTracker, ProgressCallback
from scoring.explaining import Explained, explain_frame, explain_randomised
from scoring.frame_attacks import FrameAttacks
from scoring.metrics.base import Metric
from scoring.metrics.cases import case_of
from scoring.metrics.measuring import measure_case
from scoring.protocol import Protocol
from scoring.recording import Recorder, correct
from scoring.records import FlipThreshold, MetricValue, Row, TransformedVerdict
from scoring.region_attacker import RegionAttacker, Verdict
from scoring.scored import Scored, Views
from scoring.transformed_pictures import TransformedPictures
from scoring.unchanged import Unchanged, UnchangedAnswers
from xai.explanation import FrameExplanations, explained_class
from xai.explanation_settings import ExplanationSettings
from xai.methods import Method
from xai.regions import RankedRegion, Ranking


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
        nothing changes. A method, attack or metric that fails leaves the others standing (`Scored.failures`). Raises
        NothingScoredError where every method or every attack fails.
        """
        self._unchanged.require()
        image = prepared(self.detector, frame.image)
        if frame.mask is not None:
            frame = replace(frame, mask=prepared_mask(self.detector, frame.mask, frame.image))
        spot_checks = SpotChecks(self.detector, self.batch_size, OF_A_FRAME, self.seed, frame.key)
        self._answers.see(image)

        def begin(stage: str) -> None:
            spot_checks.begin(stage)
            on_stage(stage)

        with counting(self.detector) as meter, spot_checks.listening():
            tracker = CostTracker(meter, begin)
            with tracker.stage(VERDICT):
                logits = Queries(self.detector, self.batch_size).logits(image[None])
                verdict = self._judge(frame, logits)
            parts = [_FrameTrial(self, frame, image, verdict, trial, tracker)() for trial in self.trials]
        self._unchanged.require()
        changed = self._changed(image, parts[0].views)
        drift = self._asked_again(frame.key, image, logits, changed)
        self._remark_on_precision(frame.key, torch.cat([image[None].cpu(), changed.cpu()]))
        spot_checks.require_answers()
        if drift is None and not self._asked_again.has_drifted:
            self._answers.require_gradient("an explainer, attack or metric of this run")
        spot_checks.require_gradients()
        failures = [failure for part in parts for failure in part.failures]
        stands = any(part.rows if self.attacks else part.views for part in parts)
        if failures and not stands:
            raise NothingScoredError(failures)
        return Scored(
            rows=[row for part in parts for row in part.rows],
            flip_thresholds=[flip_threshold for part in parts for flip_threshold in part.flip_thresholds],
            metric_values=[metric_value for part in parts for metric_value in part.metric_values],
            costs=tracker.costs,
            views=parts[0].views,
            frame_verdicts=[frame_verdict for part in parts for frame_verdict in part.frame_verdicts],
            transformed=[verdict for part in parts for verdict in part.transformed or ()] if self.transforms else None,
            failures=failures,
            drift=drift,
        )

    @cached_property
    def _asked_again(self) -> AskedAgain:
        return AskedAgain(self.detector, self.batch_size)

    def _remark_on_precision(self, key: str, images: Tensor) -> None:
        """Warns where a frame, or a changed picture of it, is answered otherwise in the explanations' precision."""
        try:
            require_same_in(self.precision, self.detector, images.to(Queries(self.detector).device))
        except InputError as error:
            warn(f"{key}: {error}")

    def _changed(self, image: Tensor, views: Views | None) -> Tensor:
        if views is None:
            return image.new_empty(0, *image.shape)
        return changed_pictures(self.detector, image, views.explained.segments, list(views.attacked.values())[:1])

    @cached_property
    def _unchanged(self) -> Unchanged:
        return Unchanged(self.detector, self.settings, self.metrics)

    @cached_property
    def _answers(self) -> UnchangedAnswers:
        return UnchangedAnswers(self.detector)

    def _judge(self, frame: Frame, logits: Tensor) -> Verdict:
        require_unequal(self.detector, self.detector.class_names, logits[0])
        chances = probabilities(logits)[0]
        predicted = int(logits[0].argmax())
        target = explained_class(logits[0], self.detector.real)
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
            shape, has_mask = tuple(self.image.shape[1:]), self.frame.mask is not None
            ranked_regions = unexplained(methods, self.scorer.protocol, shape, has_mask)
            frame_verdict = self._recorder.frame_verdict(None, None)
            rows = self._attacks(ranked_regions, None, self.image).rows
            return Scored(rows, [], [], self.tracker.costs, None, [frame_verdict])
        explained = self._explain()
        if explained is None:
            return self._scored([], [], [], None)
        ranked_regions = explained.ranked_regions + self._baseline_regions(explained)
        attacked = self._attacks(ranked_regions, explained, self.image)
        with_oracle, segments = attacked.ranked_regions, explained.segments
        flip_thresholds = self._attacks.flip_thresholds(with_oracle, segments) if attacked.rows else []
        views = Views(explained, attacked.images, self.scorer.mark)
        return self._scored(attacked.rows, flip_thresholds, self._metric_values(explained), views, attacked.transformed)

    def _scored(
        self,
        rows: list[Row],
        flip_thresholds: list[FlipThreshold],
        metric_values: list[MetricValue],
        views: Views | None,
        transformed: list[TransformedVerdict] | None = None,
    ) -> Scored:
        """What became of a trial whose verdict is fake."""
        segments, adversarial = (views.explained.segments, views.explained.adversarial) if views else (None, None)
        failures = self._attempts.failures
        frame_verdict = self._recorder.frame_verdict(segments, adversarial, failures)
        return Scored(
            rows, flip_thresholds, metric_values, self.tracker.costs, views, [frame_verdict], transformed, failures
        )

    @cached_property
    def _attempts(self) -> Attempts:
        return Attempts()

    @cached_property
    def _attacks(self) -> FrameAttacks:
        scorer, recorder, tracker = self.scorer, self._recorder, self.tracker
        attacker = RegionAttacker(
            scorer.detector, self.image, self.verdict, self.trial.seed, self.frame.key, scorer.batch_size,
            keeps_flips=bool(scorer.transforms),
        )  # fmt: skip
        transformed = TransformedPictures(scorer.detector, scorer.transforms, scorer.batch_size, recorder, tracker)
        return FrameAttacks(
            scorer.attack_variants, bool(scorer.budgets), scorer.protocol, attacker, transformed, recorder, tracker,
            self._attempts,
        )  # fmt: skip

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.frame, self.verdict, self.scorer.detector, self.trial.seed, self.trial.segmentation)

    def _explain(self) -> Explained | None:
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
        depths = scorer.protocol.depths
        return explain_frame(frames, self.frame, scorer.methods, depths, self.tracker, self._attempts)

    def _baseline_regions(self, explained: Explained) -> list[RankedRegion]:
        def randomised_rankings() -> list[Ranking]:
            rankings: list[Ranking] = []
            scorer, attempts = self.scorer, self._attempts
            with attempts.at(RANDOM_MODEL):
                other, share = scorer.randomised_detector, scorer.protocol.random_model_share
                with self.tracker.stage(RANDOM_MODEL), self.tracker.also(other):
                    rankings = explain_randomised(explained, other, scorer.methods, RANDOM_MODEL, attempts, share)
            return rankings

        return baseline_regions(explained, self.scorer.protocol, self.trial.seed, self.frame.key, randomised_rankings)

    def _metric_values(self, explained: Explained) -> list[MetricValue]:
        metric_values: list[MetricValue] = []
        attempts, metrics = self._attempts, self.scorer.metrics
        for method in self.scorer.methods if metrics else ():
            if (explanation := explained.explanations.get(method.name)) is None:
                continue
            stage = f"metrics of {method.name}"
            with attempts.at(stage), self.tracker.stage(stage):
                case = case_of(explained.frames, method, explanation, self.frame.mask)
                for name, metric in metrics.items():
                    with attempts.at(f"metric {name} of {method.name}"):
                        metric_values += [
                            self._recorder.metric_value(method, measurement)
                            for measurement in measure_case(case, {name: metric}, self.tracker.also)
                        ]
        return metric_values
