"""Users' own explainers and attacks, tried on the first frame before any is scored.

What they give must follow from what they are given: the same picture with the same draws gives the same. An explainer
that says it draws nothing must give the same with other draws, too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

import attacks.registry
import xai.methods
from attacks import RegionAttack
from common.console import warn
from common.errors import FAILED, InputError
from detectors import Detector, Queries
from runs.selection import Selection
from runs.usable_attacks import first_image
from scoring.unchanged import Unchanged
from xai.base import SampledExplainer
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.explanation_settings import ExplanationSettings
from xai.methods import ADVERSARIAL, Method

TOLERANCE = 1e-3
"""Of the range of a map: what another order of additions may change."""

ATTACK_TOLERANCE = 0.05
"""Of what an attack changes: a step along the sign of a gradient may turn in many pixels by rounding."""

_OTHER_SEED = 1
_DEPENDS = (
    "by the same draws: it draws by a generator of its own, or keeps something from call to call. No run is the same "
    "again, and its numbers depend on what it saw before; draw from the generator that it is given, and keep nothing"
)


def try_own_parts(
    methods: Sequence[Method],
    settings: ExplanationSettings,
    attacked_by: Mapping[str, RegionAttack],
    selection: Selection,
    detector: Detector,
    batch_size: int,
) -> None:
    """Refuses users' own explainers that say they draw nothing and do; warns of parts that do not repeat themselves.

    An explainer says so by `deterministic = True`, or by a covariance of zeros from `sampled`. Warned of are those that
    give two maps of the frame by the same draws, with its mirror image in between, or one map of both, and attacks that
    make two pictures of it. What that takes, three or four explanations and two attacks on a quarter of the frame, is
    in no cost. What fails there is left to fail when its frame's turn comes.

    Args:
        methods: of the run.
        settings: of the explanations.
        attacked_by: the run's attacks by name.
        selection: the frames of the run.
        detector: that is explained and attacked.
        batch_size: images in a forward pass.

    Raises:
        InputError: naming the method; or one of them changes the detector or the settings of the explanations.
    """
    own = {method.explainer: method for method in methods if _is_own(method.explainer, xai.methods.FAMILIES)}
    own_attacks = {name: each for name, each in attacked_by.items() if _is_own(name, attacks.registry.FAMILIES)}
    image = first_image(selection, detector) if own or own_attacks else None
    if image is None:
        return
    unchanged = Unchanged(detector, settings, {})
    for method in own.values():
        plain = replace(method, fill="mean") if method.fill == ADVERSARIAL else method
        _try_explainer(plain, settings, detector, image, batch_size)
        unchanged.require()
    for name, attack in own_attacks.items():
        _try_attack(name, attack, detector, image, batch_size)
        unchanged.require()


def _try_explainer(
    method: Method, settings: ExplanationSettings, detector: Detector, image: Tensor, batch_size: int
) -> None:
    try:
        target = explained_class(Queries(detector).logits(image[None])[0], detector.real)
        frame = FrameExplanations(detector, image, target, settings, key="trial", batch_size=batch_size)
        first = frame.explain(method)
        mirrored, again = frame.again(image.flip(-1), detector).explain(method), frame.explain(method)
    except FAILED:
        return
    if spread := _differ(first, again):
        warn(f"method {method.name} gave two maps of the first frame, which differ by {spread}, {_DEPENDS}")
    elif np.array_equal(first.saliency, mirrored.saliency) and not torch.equal(image, image.flip(-1)):
        warn(
            f"method {method.name} gave the same map of the first frame and of its mirror image: it does not look at "
            "the picture, or gives what it made of an earlier one"
        )
    if not _claims(method, settings, first):
        return
    try:
        other = FrameExplanations(detector, image, target, settings, _OTHER_SEED, "trial", batch_size).explain(method)
    except FAILED:
        return
    if spread := _differ(first, other):
        raise InputError(
            f"method {method.name} says that it is deterministic, and gave two maps of the first frame, which differ "
            f"by {spread}: take `deterministic` (or its covariance of zeros) out of it, or say how often it is to be "
            "run (`repeats`)"
        )


def _try_attack(name: str, attack: RegionAttack, detector: Detector, image: Tensor, batch_size: int) -> None:
    quarter = image.shape[-1] // 4
    region = torch.zeros(1, *image.shape[1:], dtype=torch.bool)
    region[:, quarter:-quarter, quarter:-quarter] = True
    try:
        one, two = (attack(detector, image[None], region, [0], batch_size).images for _ in range(2))
    except FAILED:
        return
    if (one - two).abs().mean() > ATTACK_TOLERANCE * (one - image[None].cpu()).abs().mean():
        warn(f"attack {name} made two pictures of the first frame {_DEPENDS}")


def _differ(one: Explanation, two: Explanation) -> str:
    """By how much two maps of one picture differ, in words; "" where by no more than rounding."""
    spread, difference = float(np.ptp(one.saliency)), float(np.abs(one.saliency - two.saliency).max())
    return f"{difference:.2g} where a map's values span {spread:.2g}" if difference > TOLERANCE * spread else ""


def _claims(method: Method, settings: ExplanationSettings, made: Explanation) -> bool:
    """Whether a method says that it draws nothing."""
    explainer = settings.explainers.get(method.explainer)
    says = bool(getattr(explainer, "deterministic", False)) or isinstance(explainer, SampledExplainer)
    return says and made.covariance is not None and not made.covariance.any()


def _is_own(name: str, families: Collection[str]) -> bool:
    """Whether a name is of a user's own code, `package.module:Name`."""
    family, separator, _ = name.partition(":")
    return bool(separator) and family not in families
