"""Any attribution of captum (Kokhlikyan et al. 2020) as an explainer: `captum:IntegratedGradients`, ..."""

import functools
import inspect
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Any, ClassVar

import captum.attr
import numpy as np
import torch
from captum.attr import Attribution, PerturbationAttribution
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn

from common.errors import InputError
from common.global_generators import isolated
from detectors.base import Detector
from detectors.gradients import differentiable, require_gradient, untouched
from detectors.queries import Queries, exact_float32, gradient_batch
from xai.base import Fill, Score, background, chunks
from xai.captum_arguments import accepted, kind_of, settings_of, unfit, usable
from xai.captum_samples import KeptSamples, covariance_of_parts
from xai.completeness import Completeness, sum_over_segments
from xai.deep_lift import mended
from xai.libraries import LogOdds, one_line_errors, unknown
from xai.relevance_start import StartedLogOdds, require_no_joins
from xai.relus import own_inputs, remark_on_functions
from xai.sampling_error import Covariance, SampledMap, without_draws
from xai.straight_path import along_path

FAMILY = "captum"
SENSITIVITIES = frozenset({"Saliency", "GuidedBackprop", "Deconvolution"})
"""Attributions that say how fast the score changes with a pixel, not what the pixel contributes to it."""

CHANGE_RELUS = frozenset({"GuidedBackprop", "Deconvolution"})
"""Attributions that change the gradient of ReLUs, by hooks on them."""

PIXELS_ADD_UP = frozenset({"IntegratedGradients", "GradientShap", "DeepLift", "LRP"})
"""Attributions whose pixels promise to add up to the score, or to its change from the fill's background."""

SEGMENTS_ADD_UP = frozenset({"ShapleyValueSampling", "KernelShap"})
"""Attributions whose segments do."""

_REMEDIES = {
    "IntegratedGradients": "raise captum:IntegratedGradients.most_steps or n_steps, or begin at another image: "
    "captum:IntegratedGradients_adv",
    "GradientShap": "it adds up on the mean over draws: raise captum:GradientShap.n_samples",
    "KernelShap": "raise captum:KernelShap.n_samples",
}

_DRAWN_TOGETHER = {captum.attr.GradientShap: 4, captum.attr.ShapleyValueSampling: 1}
"""Samples that are drawn at a time, where the attribution is a mean over samples; draws follow no batch size."""


@dataclass(frozen=True)
class CaptumAttribution:
    """One attribution of captum; `captum_explainer(NAME)` makes the class, its fields the attribution's arguments.

    What is explained is the log-odds of the class: unlike a probability it does not saturate, and unlike a logit it
    is the same however a detector writes its classes. The library sees the frame's difference to the fill's
    background, so that its baseline, zero, is that background, as is what an occluded pixel shows; with the mean
    colour this is the usual input to a network that takes normalised images. Attributions of features get the
    frame's segments as features.

    The saliency of a pixel keeps the sign, as what speaks against the class should rank last:

    - gradient methods that share out the score (IntegratedGradients, InputXGradient, DeepLift, ...): the sum over the
      channels, so that the pixels add up to what the channels do;
    - gradients alone (SENSITIVITIES, or `multiply_by_inputs` off): the sum of the channels' absolute values, since
      their sign says whether a pixel should be brighter, not whether it speaks for the class;
    - perturbations (Occlusion, FeatureAblation, KernelShap, ...), where the channels of a pixel are hidden together:
      the mean over the channels, which is the value of what was hidden.

    DeepLift adds up where every activation is a module (see `xai.deep_lift`); one that a network calls as a function
    passes a plain gradient. IntegratedGradients takes more steps than `n_steps` where those do not add up within
    `tolerance` (see `xai.straight_path`). Other settings are at the library's defaults, but for those of
    `xai.captum_arguments`. Forwards go through in chunks of the batch size, those whose gradient is wanted in a quarter
    of it. Draws are the library's own after seeding by the frame's generator; no global generator changes.
    """

    algorithm: ClassVar[type[Attribution]]
    hides: ClassVar[bool]
    """Whether the fill matters to it."""
    uses_segments: ClassVar[bool]
    """Whether the segments do."""

    def __post_init__(self) -> None:
        """Raises ValueError for a setting of our own that cannot be."""
        if not getattr(self, "tolerance", 0.0) >= 0:
            raise ValueError(f"tolerance must be at least 0, got {getattr(self, 'tolerance', None)}")
        if not getattr(self, "most_steps", 1) >= 1:
            raise ValueError(f"most_steps must be at least 1, got {getattr(self, 'most_steps', None)}")

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The reduced attributions, (H, W) float32. Raises InputError where captum cannot explain the detector."""
        return self.sampled(score, image, segments, fill, generator).saliency

    def sampled(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> SampledMap:
        """The same with its sampling error (`xai.captum_samples`)."""
        hidden = background(fill, image)
        difference = (image - hidden)[None]
        features = torch.from_numpy(segments).long().to(image.device)[None, None]
        name = f"{FAMILY}:{self.algorithm.__name__}"
        with isolated(int(generator.integers(2**31))), one_line_errors(name, score.queries.detector):
            if issubclass(self.algorithm, PerturbationAttribution):
                asked, nothing = _Asked(score, hidden), torch.zeros_like(difference)
                attributions, covariance = self._attribute(
                    asked, difference, nothing, features, score.batch_size, segments
                )
            else:
                attributions, covariance = self._differentiate(score, hidden, difference, segments)
        return SampledMap(self._reduced(attributions).float().cpu().numpy(), covariance)

    def completeness(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, saliency: np.ndarray
    ) -> Completeness | None:
        """What a map adds up to, and what it should (`xai.completeness`); None where the attribution promises nothing.

        LRP promises the frame's own log-odds, all others their change from the fill's background.
        """
        name = self.algorithm.__name__
        if name in SEGMENTS_ADD_UP:
            total = sum_over_segments(saliency, segments)
        elif name in PIXELS_ADD_UP and getattr(self, "multiply_by_inputs", True):
            total = float(saliency.sum(dtype=np.float64))
            score = Score(Queries(score.queries.detector, score.batch_size), score.target)  # gradients are float32
        else:
            return None
        frame, hidden = score.log_odds(torch.stack([image, background(fill, image)])).tolist()
        found = Completeness(total, frame if name == "LRP" else frame - hidden)
        missed = found.error > self._tolerance if name == "IntegratedGradients" else found.broken
        return replace(found, remedy=_REMEDIES.get(name, "") if missed else "")

    def check(self, detector: Detector) -> None:
        """Raises InputError where the attribution has no gradient, or no rule for what the detector computes.

        Warns where it would change the gradient of some ReLUs alone.
        """
        name = self.algorithm.__name__
        if self.follows_gradient:
            require_gradient(detector, f"{FAMILY}:{name}")
        if name == "LRP":
            require_no_joins(detector)
        kinds = {type(module) for module in detector.modules()}
        activations = {kind for kind in kinds if _is_activation(kind)}
        if name in CHANGE_RELUS and not any(issubclass(kind, nn.ReLU) for kind in kinds):
            has = f", only {_names(activations)}" if activations else ""
            raise InputError(
                f"captum:{name} changes the gradient of ReLUs, and {type(detector).__name__} has none{has}: "
                "it would be the plain gradient, captum:Saliency"
            )
        if name in CHANGE_RELUS:
            remark_on_functions(detector, f"{FAMILY}:{name}")
        without = activations - set(SUPPORTED_NON_LINEAR)
        if name == "DeepLift" and without:
            raise InputError(
                f"captum:DeepLift has no rule for {_names(without)}, which {type(detector).__name__} uses: "
                "take captum:IntegratedGradients"
            )

    def _differentiate(
        self, score: Score, hidden: Tensor, difference: Tensor, segments: np.ndarray
    ) -> tuple[Tensor, Covariance]:
        detector = score.queries.detector
        size = gradient_batch(score.batch_size)
        rules: AbstractContextManager[None] = nullcontext()
        if self.algorithm is captum.attr.DeepLift:
            rules = mended(detector)
        elif self.algorithm.__name__ in CHANGE_RELUS:
            rules = own_inputs(detector, lambda module: isinstance(module, nn.ReLU))
        with differentiable(difference.device), untouched(detector), exact_float32(), rules:
            kind = StartedLogOdds if self.algorithm is captum.attr.LRP else LogOdds
            function = kind(detector, score.target, hidden).eval()

            def attribute(start: float, stop: float, **changed: Any) -> tuple[Tensor, Covariance]:
                inputs = (stop * difference).requires_grad_()
                return self._attribute(function, inputs, start * difference, None, size, segments, **changed)

            def value(place: float) -> float:
                with torch.no_grad():
                    return float(function(place * difference))

            if self.algorithm.__name__ in CHANGE_RELUS:
                made, covariance = attribute(0.0, 1.0)
                self._require_changed(made, function, difference, detector)
                return made, covariance
            if self.algorithm is not captum.attr.IntegratedGradients or not getattr(self, "multiply_by_inputs", True):
                return attribute(0.0, 1.0)
            steps, most = (int(getattr(self, setting)) for setting in ("n_steps", "most_steps"))
            path = along_path(
                lambda start, stop, count: attribute(start, stop, n_steps=count)[0], value, steps, most, self._tolerance
            )
            return path, without_draws(segments)

    def _require_changed(self, made: Tensor, function: Any, difference: Tensor, detector: Detector) -> None:
        """Raises InputError where a method that changes the gradient of ReLUs has given the plain one."""
        inputs = difference.detach().clone().requires_grad_()
        (plain,) = torch.autograd.grad(function(inputs).sum(), inputs)
        if torch.allclose(made, plain[0], rtol=1e-4, atol=1e-6 * float(plain.abs().max())):
            name = self.algorithm.__name__
            raise InputError(
                f"captum:{name} gives the plain gradient of {type(detector).__name__}, which its ReLUs' hooks were to "
                "change: they are not called (torch.compile, a forward that clears hooks); take captum:Saliency"
            )

    @property
    def follows_gradient(self) -> bool:
        """Whether its map is made of the detector's gradient."""
        return not issubclass(self.algorithm, PerturbationAttribution)

    @property
    def _tolerance(self) -> float:
        return float(getattr(self, "tolerance", 0.0))

    def _attribute(
        self,
        function: Any,
        difference: Tensor,
        nothing: Tensor,
        features: Tensor | None,
        size: int,
        segments: np.ndarray,
        **changed: Any,
    ) -> tuple[Tensor, Covariance]:
        """captum's attributions (3, H, W) with their sampling error; a mean over samples is taken a few at a time.

        Args:
            function: what is attributed.
            difference: (1, 3, H, W), the input.
            nothing: (1, 3, H, W), the baseline.
            features: (1, 1, H, W) labels, or None.
            size: inputs in a forward pass.
            segments: (H, W) labels, whose importance the error is of.
            changed: settings in place of its own.
        """
        settings = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        settings |= {"perturbations_per_eval": size, "internal_batch_size": size, "feature_mask": features}
        settings |= {"baselines": nothing, **changed}
        algorithm = self.algorithm(function, **accepted(self.algorithm.__init__, settings))
        attribute: Any = algorithm.attribute
        arguments = accepted(self.algorithm.attribute, settings)
        if self.algorithm in _DRAWN_TOGETHER:
            together, samples = _DRAWN_TOGETHER[self.algorithm], settings["n_samples"]
            counts = [len(range(samples)[at]) for at in chunks(samples, together)]
            parts = [(n, attribute(difference, **{**arguments, "n_samples": n}).detach()[0]) for n in counts]
            mean = sum(count * values for count, values in parts) / torch.tensor(samples).to(difference)
            return mean, covariance_of_parts(parts, self._reduced, segments)
        kept = KeptSamples(algorithm) if isinstance(algorithm, captum.attr.Lime) else None
        attributions = attribute(difference, **arguments).detach()[0]
        return attributions, without_draws(segments) if kept is None else kept.covariance()

    def _reduced(self, attributions: Tensor) -> Tensor:
        """(H, W) of (3, H, W)."""
        if issubclass(self.algorithm, PerturbationAttribution):
            return attributions.mean(dim=0)
        if self.algorithm.__name__ in SENSITIVITIES or not getattr(self, "multiply_by_inputs", True):
            return attributions.abs().sum(dim=0)
        return attributions.sum(dim=0)


@functools.cache
def captum_explainer(name: str) -> type[CaptumAttribution]:
    """The explainer that runs `captum.attr.NAME`: a dataclass with that attribution's arguments as fields.

    Raises InputError for a name that captum does not have, and for what cannot explain one frame by the detector
    alone.
    """
    algorithm = getattr(captum.attr, name, None)
    if not (inspect.isclass(algorithm) and issubclass(algorithm, Attribution) and hasattr(algorithm, "attribute")):
        raise unknown(name, usable(), "captum")
    if reason := unfit(algorithm):
        raise InputError(f"captum:{name} cannot explain a frame: {reason}")
    settings = [
        (setting, kind_of(default), field(default=default)) for setting, default in settings_of(algorithm).items()
    ]
    namespace = {
        "algorithm": algorithm,
        "uses_segments": "feature_mask" in inspect.signature(algorithm.attribute).parameters,
        "hides": "baselines" in inspect.signature(algorithm.attribute).parameters or name == "InputXGradient",
        "__doc__": f"captum.attr.{name} as an explainer; see CaptumAttribution.",
        "__module__": __name__,
    }
    return make_dataclass(name, settings, bases=(CaptumAttribution,), namespace=namespace, frozen=True)


class _Asked:
    """The log-odds of `hidden + difference` through the counted queries, for attributions without gradients."""

    def __init__(self, score: Score, hidden: Tensor) -> None:
        self._score, self._hidden = score, hidden

    def __call__(self, difference: Tensor) -> Tensor:
        return self._score.log_odds(self._hidden + difference).to(difference.device)


def _is_activation(kind: type) -> bool:
    home = kind.__module__
    return home == "torch.nn.modules.activation" or home.startswith("timm.layers.activations")


def _names(kinds: set[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))
