"""The explainers as Quantus (Hedstroem et al. 2023) calls them: an `explain_func` for its metrics."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from common.errors import InputError
from detectors.base import Detector
from xai.explanation import FrameExplanations
from xai.explanation_settings import build_settings, check_settings
from xai.methods import parse_method
from xai.usable_fill import with_usable_fill

FARTHEST = (
    1.0  # beyond [0, 1]; a metric's noise leads out a little, a normalised input a lot, a shifted one on the mean
)


def explain_func(
    model: nn.Module,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    method: str = "LIME",
    preset: str = "published",
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    precision: str = "float32",
    device: str | None = None,
) -> np.ndarray:
    """Saliency maps (N, 1, S, S) of images, for `quantus.<Metric>(...)(..., explain_func=explain_func)`.

    A detector normalises by itself, so what Quantus perturbs are pixels: give its metrics images that are not
    normalised. Values that a metric's noise moved out of [0, 1] are clipped. All images get the same draws, so that a
    metric of sensitivity measures the change of the image alone. The keyword arguments, but `device`, go into Quantus'
    `explain_func_kwargs`.

    An image is divided into segments only where the method looks at them. The noise that a metric adds leaves SLIC few
    segments or one: `overrides={"segments": {"sigma": 2.0}}` smooths first, `{"segments": {"kind": "grid"}}` does
    without.

    Args:
        model: a Detector.
        inputs: (N, 3, S, S) in [0, 1] at its input size, as `detector.prepare` makes them.
        targets: (N,), the indices of the classes to explain.
        method: as in `xai.explain`.
        preset: as in `xai.explain`.
        overrides: as in `xai.explain`.
        seed: of every draw.
        batch_size: images in a forward pass, at least 1.
        precision: "float32" or "bfloat16", of the method's queries.
        device: given by Quantus itself and not used; the detector stays where it is.

    Raises:
        InputError: the model is no Detector, the inputs have another shape or are normalised, the detector has no such
            class, or `xai.explain` refuses the rest.
    """
    if not isinstance(model, Detector):
        raise InputError(
            f"{type(model).__name__} is no detectors.Detector; wrap the network in one, with its normalisation inside"
        )
    size = model.input_size
    if inputs.ndim != 4 or inputs.shape[1:] != (3, size, size) or len(targets) != len(inputs):
        raise InputError(
            f"expected inputs (N, 3, {size}, {size}) and N targets, got {inputs.shape} and {np.shape(targets)}"
        )
    images = torch.as_tensor(np.asarray(inputs, dtype=np.float32))
    low, high = (float(end) for end in images.aminmax()) if len(images) else (0.0, 1.0)
    means = images.mean(dim=(1, 2, 3))
    if not (low >= -FARTHEST and high <= 1 + FARTHEST and bool(((means >= 0) & (means <= 1)).all())):
        raise InputError(
            f"inputs must lie in [0, 1], but for a metric's noise, got values from {low:g} to {high:g}: the detector "
            "normalises by itself, so give the images as they are"
        )
    chosen = parse_method(method)
    settings = build_settings(preset, overrides, [chosen])
    images = images.clamp(0.0, 1.0)
    check_settings(settings, model, images[0] if len(images) else None)
    if len(images):
        settings = with_usable_fill(settings, chosen, model, images[0], batch_size)
    maps = []
    for image, target in zip(images, np.asarray(targets).tolist(), strict=True):
        frame = FrameExplanations(model, image, int(target), settings, seed, "", batch_size, precision)
        maps.append(frame.saliency(chosen)[None])
    return np.stack(maps) if maps else np.empty((0, 1, size, size), dtype=np.float32)
