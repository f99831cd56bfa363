"""Any attribution of captum (Kokhlikyan et al. 2020) as an explainer: `captum:IntegratedGradients`, ..."""

import functools
import inspect
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, make_dataclass
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
from detectors.gradients import differentiable, untouched
from detectors.queries import exact_float32, gradient_batch
from xai.base import Fill, Score, background, chunks
from xai.captum_samples import KeptSamples, covariance_of_parts
from xai.deep_lift import mended
from xai.libraries import LogOdds, one_line_errors, unknown
from xai.sampling_error import Covariance, SampledMap, without_draws

FAMILY = "captum"
SENSITIVITIES = frozenset({"Saliency", "GuidedBackprop", "Deconvolution"})
"""Attributions that say how fast the score changes with a pixel, not what the pixel contributes to it."""

_SOURCES = frozenset({"forward_func", "model", "inputs", "baselines"})  # what the bridge gives where it is asked for
_GIVEN = frozenset(
    {"internal_batch_size", "perturbations_per_eval", "return_convergence_delta", "return_input_shape"}
    | {"show_progress", "verbose"}
)  # by the bridge, or always at the library's default: not settings
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Occlusion": {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16)},  # captum has none
    "GradientShap": {"n_samples": 50},  # captum: 5; as many as IntegratedGradients has steps
    "KernelShap": {"n_samples": 2000},  # captum: 25, fewer than there are segments; as many as LIME and SHAP here
    "Lime": {"n_samples": 2000},
}
"""Settings where the library has none, or one that cannot distinguish some 50 segments."""

_DRAWN_TOGETHER = {captum.attr.GradientShap: 4, captum.attr.ShapleyValueSampling: 1}
"""Samples that are drawn at a time, where the attribution is a mean over samples; draws follow no batch size."""

_UNFIT = {
    "DeepLiftShap": "it averages over several baselines and a fill gives one: take captum:DeepLift",
    "FeaturePermutation": "it permutes a batch, and a frame is explained alone: take captum:FeatureAblation",
    "ShapleyValues": "it asks for every order of the segments: take captum:ShapleyValueSampling",
}


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
    passes a plain gradient. Settings are at the library's defaults, but for those of `_DEFAULTS`. Forwards go through
    in chunks of the batch size, those whose gradient is wanted in a quarter of it. Draws are the library's own after
    seeding by the frame's generator; no global generator changes.
    """

    algorithm: ClassVar[type[Attribution]]
    hides: ClassVar[bool]
    """Whether the fill matters to it."""

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
                attributions, covariance = self._attribute(
                    _Asked(score, hidden), difference, features, score.batch_size, segments
                )
            else:
                attributions, covariance = self._differentiate(score, hidden, difference, segments)
        return SampledMap(self._reduced(attributions).float().cpu().numpy(), covariance)

    def check(self, detector: Detector) -> None:
        """Raises InputError where the attribution has no rule for the detector's activations."""
        name = self.algorithm.__name__
        kinds = {type(module) for module in detector.modules()}
        activations = {kind for kind in kinds if _is_activation(kind)}
        if name in ("GuidedBackprop", "Deconvolution") and not any(issubclass(kind, nn.ReLU) for kind in kinds):
            has = f", only {_names(activations)}" if activations else ""
            raise InputError(
                f"captum:{name} changes the gradient of ReLUs, and {type(detector).__name__} has none{has}: "
                "it would be the plain gradient, captum:Saliency"
            )
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
        rules = mended(detector) if self.algorithm is captum.attr.DeepLift else nullcontext()
        with differentiable(difference.device), untouched(detector), exact_float32(), rules:
            function = LogOdds(detector, score.target, hidden).eval()
            return self._attribute(function, difference.clone().requires_grad_(), None, size, segments)

    def _attribute(
        self, function: Any, difference: Tensor, features: Tensor | None, size: int, segments: np.ndarray
    ) -> tuple[Tensor, Covariance]:
        """captum's attributions (3, H, W) with their sampling error; a mean over samples is taken a few at a time."""
        settings = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        settings |= {"perturbations_per_eval": size, "internal_batch_size": size, "feature_mask": features}
        settings |= {"baselines": torch.zeros_like(difference[:1]).detach()}
        algorithm = self.algorithm(function, **_accepted(self.algorithm.__init__, settings))
        attribute: Any = algorithm.attribute
        arguments = _accepted(self.algorithm.attribute, settings)
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
        raise unknown(name, _usable(), "captum")
    if reason := _unfit(algorithm):
        raise InputError(f"captum:{name} cannot explain a frame: {reason}")
    settings = [(setting, _kind(default), field(default=default)) for setting, default in _settings(algorithm).items()]
    namespace = {
        "algorithm": algorithm,
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


def _parameters(algorithm: type[Attribution]) -> list[inspect.Parameter]:
    """What the attribution can be given, when made and when asked."""
    attribute: Any = algorithm.attribute
    both = [*inspect.signature(algorithm).parameters.values(), *inspect.signature(attribute).parameters.values()]
    return [parameter for parameter in both if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD]


def _settings(algorithm: type[Attribution]) -> dict[str, Any]:
    """The arguments that are numbers, words or switches, each with its default here."""
    own = _DEFAULTS.get(algorithm.__name__, {})
    defaults = {
        parameter.name: own.get(parameter.name, parameter.default)
        for parameter in _parameters(algorithm)
        if parameter.name not in _GIVEN
    }
    return {
        name: default for name, default in defaults.items() if isinstance(default, bool | int | float | str | tuple)
    }


def _accepted(function: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function takes and that are not nothing."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in names and value is not None}


def _unfit(algorithm: type[Attribution]) -> str | None:
    """Why an attribution cannot explain one frame by the detector alone, or None."""
    if algorithm.__name__ in _UNFIT:
        return _UNFIT[algorithm.__name__]
    own = _DEFAULTS.get(algorithm.__name__, {})
    needed = [
        parameter.name
        for parameter in _parameters(algorithm)
        if parameter.default is parameter.empty and parameter.name not in own
    ]
    missing = [name for name in needed if name not in _SOURCES]
    if "layer" in missing or "neuron_selector" in missing:
        return f"it needs a {missing[0].split('_')[0]}; for maps of a layer take cam:GradCAM"
    return f"it needs {', '.join(missing)}" if missing else None


@functools.cache
def _usable() -> list[str]:
    """The names of captum's attributions that can explain a frame."""
    every = {name: getattr(captum.attr, name) for name in captum.attr.__all__}
    kinds = {n: c for n, c in every.items() if inspect.isclass(c) and issubclass(c, Attribution)}
    return [name for name, kind in kinds.items() if hasattr(kind, "attribute") and _unfit(kind) is None]


def _kind(default: Any) -> Any:
    return tuple[int, ...] if isinstance(default, tuple) else type(default)


def _is_activation(kind: type) -> bool:
    home = kind.__module__
    return home == "torch.nn.modules.activation" or home.startswith("timm.layers.activations")


def _names(kinds: set[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))
