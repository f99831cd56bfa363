"""The explanation methods by name: an explainer, and the fill that hides pixels from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from torch import Tensor

from common.errors import InputError
from common.registry import make, resolve
from xai import cam_bridge, captum_bridge, saved, vit
from xai.base import Explainer, FrameExplainer
from xai.lime import LIME
from xai.partition_shap import SHAP
from xai.rise import RISE
from xai.sobol import SOBOL

ADVERSARIAL = "adversarial"
SUFFIX = "_adv"

EXPLAINERS: Mapping[str, type[Explainer]] = {
    "LIME": LIME,
    "SHAP": SHAP,
    "SOBOL": SOBOL,
    "RISE": RISE,
}
FAMILIES: Mapping[str, Callable[[str], object]] = {
    captum_bridge.FAMILY: captum_bridge.captum_explainer,
    cam_bridge.FAMILY: cam_bridge.cam_explainer,
    vit.FAMILY: vit.vit_explainer,
    saved.FAMILY: saved.SavedMaps.read,
}
"""Explainers named `family:MEMBER`, by what makes a family's members."""

DEFAULT_FILLS: Mapping[str, str] = {"LIME": "segment_mean", "SHAP": "blur"}
"""What an explainer hides pixels with by default, where that is not "mean"."""


@dataclass(frozen=True)
class Method:
    """An explanation method: an explainer, and what hides pixels from it.

    Attributes:
        name: of the method, on the command line and in tables.
        explainer: a name of EXPLAINERS, a `family:MEMBER` of FAMILIES, or a user's `package.module:Name`.
        fill: a name of `xai.explanation_settings.ExplanationSettings.fills`, or "adversarial".
        segments: divides a frame for this method alone, as `xai.segments.Segments` does; None for the division that
            all methods share.
        softmaxes: how often the softmax is taken in the probability that is explained.
        fewest_positive: of how many segments the mean saliency must be above 0, else the frame is left out of the
            method's rows.
    """

    name: str
    explainer: str
    fill: str
    segments: Callable[[Tensor], np.ndarray] | None = None
    softmaxes: int = 1
    fewest_positive: int = 0


def _pair(explainer: str) -> tuple[Method, Method]:
    plain = Method(explainer, explainer, DEFAULT_FILLS.get(explainer, "mean"))
    return plain, Method(explainer + SUFFIX, explainer, ADVERSARIAL)


ALL: tuple[str, ...] = ("LIME", "LIME_adv", "SHAP", "SHAP_adv", "SOBOL", "SOBOL_adv", "RISE", "RISE_adv")
METHODS: Mapping[str, Method] = {method.name: method for name in EXPLAINERS for method in _pair(name)}


def parse_method(name: str) -> Method:
    """The method that a name on the command line stands for.

    A name of METHODS, `captum:NAME`, `cam:NAME`, `vit:NAME`, `saliency:FOLDER`, or a user's explainer as
    `package.module:Name`; with `_adv` after it, the explainer hides pixels by the adversarial image instead of the mean
    colour. Raises InputError for a name that stands for nothing, and for `_adv` after what hides nothing.
    """
    if name in METHODS or ":" not in name:
        return resolve(name, METHODS, "method")
    if _is_saved(name):
        return Method(title(name), name, "mean")  # its maps are read once, when it is loaded
    explainer = name.removesuffix(SUFFIX)
    load_explainer(explainer)
    if explainer == name:
        return Method(name, explainer, "mean")
    if not hides(name):
        raise InputError(f"{explainer} hides no pixels, so {name} would be the same; leave {SUFFIX} out")
    return Method(name, explainer, ADVERSARIAL)


def hides(name: str) -> bool:
    """Whether the method of that name hides pixels, so that the fill matters to it; true of a user's own."""
    return not _is_saved(name) and getattr(load_explainer(name.removesuffix(SUFFIX)), "hides", True)


def title(name: str) -> str:
    """What the method of that name is called in tables: a saliency after its folder, any other by its name."""
    return Path(name.removeprefix(f"{saved.FAMILY}:")).resolve().name if _is_saved(name) else name


def _is_saved(name: str) -> bool:
    return name.startswith(f"{saved.FAMILY}:")


def load_explainer(name: str) -> Explainer | FrameExplainer:
    """The explainer of that name with its default settings: of EXPLAINERS or FAMILIES, or a user's class or function.

    Raises InputError where it cannot be found, made without arguments, or called.
    """
    family, _, member = name.partition(":")
    factory = FAMILIES[family](member) if family in FAMILIES else resolve(name, EXPLAINERS, "explainer")
    explainer: object = make(factory, name, "explainer") if isinstance(factory, type) else factory
    if isinstance(explainer, FrameExplainer):
        return explainer
    if not callable(explainer):
        raise InputError(f"explainer {name!r} is not callable: expected a class or function as xai.base.Explainer says")
    return cast(Explainer, explainer)
