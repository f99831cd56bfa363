"""An examination that is ready to start: the detector, the methods and their settings, resolved from the options."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from attacks.budgets import read_budget
from attacks.registry import describe_attack
from common.errors import InputError
from detectors import Detector, Queries
from detectors.answers import says
from detectors.checks.consistency import probes, require_same_beside
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.preparing import prepared
from examination.case import Setting
from examination.evidence import FEWEST, regions_needed
from examination.frame import Examiner
from examination.usable import usable_examination
from runs.chosen_parts import chosen_batch_size, chosen_methods, open_detector, split_overrides, with_stopping
from runs.configuration import describe_device, identify_detector, versions
from runs.own_explainers import try_explainers
from runs.run_options import EvaluationOptions
from runs.unused_settings import warn_of_unused
from xai.explanation_settings import ExplanationSettings, build_settings, check_settings, describe_settings
from xai.methods import ADVERSARIAL, Method

PRESET = "quick"
"""Of the explanations, where nothing is said: the others take more than five minutes for one picture."""
METHODS = ("LIME_adv", "SHAP_adv", "SOBOL_adv", "RISE_adv")
"""Where nothing is said: each explainer with the fill that hides what made the verdict."""
BUDGET = "16/255"


@dataclass(frozen=True, eq=False)
class ExaminationSetup:
    """What is examined by, before the first picture is seen.

    Attributes:
        options: that were given.
        name: of the detector.
        detector: whose verdicts.
        methods: what explains them.
        settings: of the explanations.
        preset: their name.
        regions: how many random ones.
        budget: L-infinity, in (0, 1].
        batch_size: images in a forward pass.
    """

    options: EvaluationOptions
    name: str
    detector: Detector
    methods: tuple[Method, ...]
    settings: ExplanationSettings
    preset: str
    regions: int
    budget: float
    batch_size: int

    def examiner(self, pictures: Sequence[np.ndarray], on_stage: Callable[[str], None]) -> Examiner:
        """For pictures (H, W, 3) uint8; at the first that is not called Real the detector's gradient is tried."""
        picture = next(filter(self._is_manipulated, pictures), pictures[0])
        settings, attack = usable_examination(self.detector, self.settings, picture, self.batch_size, self.budget)
        try_explainers(self.detector, self.methods, settings, prepared(self.detector, picture), self.batch_size)
        return Examiner(
            self.detector, self.methods, settings, attack, self.regions, self.options.seed, self.batch_size, on_stage
        )

    def _is_manipulated(self, picture: np.ndarray) -> bool:
        logits = Queries(self.detector, self.batch_size).logits(prepared(self.detector, picture)[None])
        return not says(logits, self.detector.real)[0]

    def described(self, examiner: Examiner, face_detector: str | None, command: tuple[str, ...]) -> Setting:
        """Everything that the numbers of a case depend on, but the file."""
        device = resolve_device(self.options.device)
        return Setting(
            detector=asdict(identify_detector(self.name, self.detector)),
            methods=tuple(method.name for method in self.methods),
            preset=self.preset,
            settings=describe_settings(examiner.settings),
            attack=describe_attack(examiner.attack),
            regions=self.regions,
            seed=self.options.seed,
            batch_size=self.batch_size,
            threads=torch.get_num_threads(),
            device=describe_device(device),
            versions=versions((self.name, *(method.explainer for method in self.methods))),
            face_detector=face_detector,
            command=command,
        )


def prepare_examination(options: EvaluationOptions, regions: int | None, budget: str) -> ExaminationSetup:
    """Loads the detector and resolves the methods and settings.

    Args:
        options: what the user asked for.
        regions: random ones on each picture; None for as many as the methods need.
        budget: L-infinity, as "16/255".

    Raises:
        InputError: anything is unknown, missing or does not fit together.
    """
    if options.detector is None and options.checkpoint is None:
        raise InputError("--detector is missing: a name, timm:NETWORK, package.module:Name or a checkpoint file")
    if regions is not None and regions < FEWEST:
        raise InputError(f"--regions {regions}: give at least {FEWEST}, or no p-value can be 0.01")
    epsilon = read_budget(budget, "--budget")
    preset = options.preset or PRESET
    methods = chosen_methods(options.every_method)
    overrides = with_stopping(split_overrides(options.overrides, ())[1], options.until_stable)
    settings = build_settings(preset, overrides, methods)
    device = resolve_device(options.device)
    name, detector = open_detector(replace(options, frames=None))
    check_settings(settings, detector)
    if device.type == "cpu":
        keep_freed_memory()
    batch_size = chosen_batch_size(options, detector, device, None)
    Queries(detector, batch_size, options.precision)
    require_same_beside(detector, probes(detector), batch_size)
    of_regions = (ADVERSARIAL,) if "derivatives" in overrides.get(ADVERSARIAL, {}) else ()  # how they are attacked
    warn_of_unused(overrides, methods, settings, of_regions)
    return ExaminationSetup(
        options, name, detector, methods, settings, preset, regions or regions_needed(len(methods)), epsilon, batch_size
    )
