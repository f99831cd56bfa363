"""The adversarial fill as a detector allows it to be made."""

import dataclasses
from typing import cast

from torch import Tensor

from attacks.derivatives import usable_attacks
from attacks.nes import NES
from detectors.base import Detector
from xai.explanation_settings import ExplanationSettings
from xai.methods import ADVERSARIAL, Method


def with_usable_fill(
    settings: ExplanationSettings, method: Method, detector: Detector, image: Tensor, batch_size: int
) -> ExplanationSettings:
    """The settings, with an adversarial image made by finite differences where the detector's gradient is of no use.

    Args:
        settings: of the explanations.
        method: what explains; the detector is not asked where its fill is another.
        detector: what is explained.
        image: (3, S, S) float32 in [0, 1], at which the gradient is tried.
        batch_size: images in a forward pass.

    Raises:
        InputError: the detector computes in half precision.
    """
    if method.fill != ADVERSARIAL:
        return settings
    usable = usable_attacks({ADVERSARIAL: settings.adversarial}, detector, image, batch_size)
    return dataclasses.replace(settings, adversarial=cast(NES, usable[ADVERSARIAL]))
