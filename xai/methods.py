"""The explanation methods by name: an explainer, and the fill that hides pixels from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from common.errors import InputError
from common.registry import resolve
from xai.base import Explainer
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
DEFAULT_FILLS: Mapping[str, str] = {"LIME": "segment_mean", "SHAP": "blur"}
"""What an explainer hides pixels with by default, where that is not "mean"."""


@dataclass(frozen=True)
class Method:
    """An explanation method: `fill` is a name of `xai.settings.Settings.fills`, or "adversarial".

    `explainer` is a name of EXPLAINERS or a user's `package.module:Name`.
    """

    name: str
    explainer: str
    fill: str


def _pair(explainer: str) -> tuple[Method, Method]:
    plain = Method(explainer, explainer, DEFAULT_FILLS.get(explainer, "mean"))
    return plain, Method(explainer + SUFFIX, explainer, ADVERSARIAL)


ALL: tuple[str, ...] = ("LIME", "LIME_adv", "SHAP", "SHAP_adv", "SOBOL", "SOBOL_adv", "RISE", "RISE_adv")
METHODS: Mapping[str, Method] = {method.name: method for name in EXPLAINERS for method in _pair(name)}


def parse(name: str) -> Method:
    """The method that a name on the command line stands for.

    A name of METHODS, or a user's explainer as `package.module:Name`; with `_adv` after it, the latter hides pixels
    by the adversarial image instead of the mean colour. Raises InputError for a name that stands for nothing.
    """
    if name in METHODS or ":" not in name:
        return resolve(name, METHODS, "method")
    explainer = name.removesuffix(SUFFIX)
    load_explainer(explainer)
    return Method(name, explainer, ADVERSARIAL if name.endswith(SUFFIX) else "mean")


def load_explainer(name: str) -> Explainer:
    """The explainer of that name with its default settings: one of EXPLAINERS, or a user's class or function.

    Raises InputError where it cannot be found, made without arguments, or called.
    """
    found = resolve(name, EXPLAINERS, "explainer")
    try:
        made: object = found() if isinstance(found, type) else found
    except TypeError as error:
        raise InputError(f"explainer {name!r} cannot be made without arguments ({error})") from error
    if not callable(made):
        raise InputError(f"explainer {name!r} is not callable: expected a class or function as xai.base.Explainer says")
    return cast(Explainer, made)
