"""Which of captum's attributions can explain a frame, and which of their arguments are settings."""

import functools
import inspect
from typing import Any

import captum.attr
from captum.attr import Attribution

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

_OWN: dict[str, dict[str, Any]] = {"IntegratedGradients": {"tolerance": 0.01, "most_steps": 1000}}
"""Settings that are not the library's: when a path that bends has enough steps (`xai.straight_path`)."""

_UNFIT = {
    "DeepLiftShap": "it averages over several baselines and a fill gives one: take captum:DeepLift",
    "FeaturePermutation": "it permutes a batch, and a frame is explained alone: take captum:FeatureAblation",
    "ShapleyValues": "it asks for every order of the segments: take captum:ShapleyValueSampling",
}


def _parameters(algorithm: type[Attribution]) -> list[inspect.Parameter]:
    """What the attribution can be given, when made and when asked."""
    attribute: Any = algorithm.attribute
    both = [*inspect.signature(algorithm).parameters.values(), *inspect.signature(attribute).parameters.values()]
    return [parameter for parameter in both if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD]


def settings_of(algorithm: type[Attribution]) -> dict[str, Any]:
    """The arguments that are numbers, words or switches, and settings of our own, each with its default here."""
    own = _DEFAULTS.get(algorithm.__name__, {})
    defaults = {
        parameter.name: own.get(parameter.name, parameter.default)
        for parameter in _parameters(algorithm)
        if parameter.name not in _GIVEN
    }
    taken = {n: default for n, default in defaults.items() if isinstance(default, bool | int | float | str | tuple)}
    return taken | _OWN.get(algorithm.__name__, {})


def accepted(function: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function takes and that are not nothing."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in names and value is not None}


def unfit(algorithm: type[Attribution]) -> str | None:
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
def usable() -> list[str]:
    """The names of captum's attributions that can explain a frame."""
    every = {name: getattr(captum.attr, name) for name in captum.attr.__all__}
    kinds = {n: c for n, c in every.items() if inspect.isclass(c) and issubclass(c, Attribution)}
    return [name for name, kind in kinds.items() if hasattr(kind, "attribute") and unfit(kind) is None]


def kind_of(default: Any) -> Any:
    """The type of a setting, by its default."""
    return tuple[int, ...] if isinstance(default, tuple) else type(default)
