"""What users' own explainers say of their draws, tried on the first frame before any is scored."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.errors import FAILED, InputError
from detectors import Detector, Queries
from runs.selection import Selection
from runs.usable_attacks import first_image
from xai.base import SampledExplainer
from xai.explanation import FrameExplanations, explained_class
from xai.explanation_settings import ExplanationSettings
from xai.methods import ADVERSARIAL, FAMILIES, Method

TOLERANCE = 1e-3
"""Of the range of a map: what another order of additions may change."""

_OTHER_SEED = 1


def require_deterministic(
    methods: Sequence[Method],
    settings: ExplanationSettings,
    selection: Selection,
    detector: Detector,
    batch_size: int,
) -> None:
    """Refuses users' own explainers that say they draw nothing and give two maps of the first frame.

    They say so by `deterministic = True`, or by a covariance of zeros from `sampled`. Each such explainer explains that
    frame twice, with other draws; what that takes is in no cost. An explainer that fails there is left to fail when its
    frame's turn comes.

    Args:
        methods: of the run.
        settings: of the explanations.
        selection: the frames of the run.
        detector: that is explained.
        batch_size: images in a forward pass.

    Raises:
        InputError: naming the method.
    """
    claiming = {method.explainer: method for method in methods if _may_claim(method, settings)}
    image = first_image(selection, detector) if claiming else None
    if image is None:
        return
    for method in claiming.values():
        plain = replace(method, fill="mean") if method.fill == ADVERSARIAL else method
        try:
            target = explained_class(Queries(detector).probabilities(image[None])[0], detector.real)
            frame = FrameExplanations(detector, image, target, settings, key="claims", batch_size=batch_size)
            other = FrameExplanations(detector, image, target, settings, _OTHER_SEED, "claims", batch_size)
            explanation, again = frame.explain(plain), other.explain(plain)
        except FAILED:
            continue
        if explanation.covariance is None or explanation.covariance.any():
            continue
        one, two = explanation.saliency, again.saliency
        spread, difference = float(np.ptp(one)), float(np.abs(one - two).max())
        if difference > TOLERANCE * spread:
            raise InputError(
                f"method {method.name} says that it is deterministic, and gave two maps of the first frame, which "
                f"differ by {difference:.2g} where a map's values span {spread:.2g}: take `deterministic` (or its "
                "covariance of zeros) out of it, or say how often it is to be run (`repeats`)"
            )


def _may_claim(method: Method, settings: ExplanationSettings) -> bool:
    """Whether a method is a user's own and may say that it draws nothing."""
    family = method.explainer.partition(":")[0]
    explainer = settings.explainers.get(method.explainer)
    claims = bool(getattr(explainer, "deterministic", False)) or isinstance(explainer, SampledExplainer)
    return ":" in method.explainer and family not in FAMILIES and claims
