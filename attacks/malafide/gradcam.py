"""Which pixels make a detector call a frame fake: Grad-CAM (Selvaraju et al., ICCV 2017) by captum."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import Tensor
from torch.nn import functional

from attacks.malafide.scores import fakeness
from common.errors import InputError
from data.sample import spread
from detectors.base import Detector
from detectors.checks.gradient_check import remark_on_gradient
from detectors.gradients import differentiable, untouched
from detectors.layers import feature_layer, module, require_layer_on_frame
from detectors.queries import Queries, exact_float32

TRIED = 32
"""Images whose maps are made a second time, spread over all."""

OPTION = "--layer"
"""How the user names a layer."""

TOLERANCE = 0.05
"""Of a map's greatest value: what another order of additions may change."""


@dataclass(frozen=True, eq=False)
class GradCam:
    """Grad-CAM maps of a detector at one layer.

    Attributes:
        detector: whose.
        layer: the layer's name in the detector.
        is_named: whether the user named it.
    """

    detector: Detector
    layer: str
    is_named: bool = False

    def maps(self, images: Tensor, batch_size: int = 16) -> np.ndarray:
        """The maps (N, S, S) float32, at least 0, of images (N, 3, S, S) in [0, 1]: what speaks for fake.

        The gradient is that of log p(fake) - log p(Real), every class but Real being fake, so the maps of real, fake
        and filtered frames answer the same question. Maps are enlarged bilinearly; their scale is the gradient's.

        At most TRIED of the images are asked about once more, alone and in the opposite order. Raises InputError where
        the map of one is another then or is not finite, and where the layer does not serve for the first image
        (`detectors.layers.require_layer_on_frame`).
        """
        with differentiable(Queries(self.detector).device), untouched(self.detector):
            remark_on_gradient(self.detector, ("Grad-CAM's maps",), images[0])
            require_layer_on_frame(self.detector, self.layer, images[0], OPTION, is_named=self.is_named)
        maps = self._maps(images, batch_size)
        if lost := int((~np.isfinite(maps)).any(axis=(1, 2)).sum()):
            raise InputError(
                f"detector {type(self.detector).__name__} has gradients that are not finite for {lost} of "
                f"{len(images)} pictures, and so no maps: it divides by 0 or takes a root or logarithm of 0"
            )
        tried = spread(len(images), TRIED)[::-1]
        for map_, other in zip(maps[tried], self._maps(images[tried], 1), strict=True):
            if np.abs(map_ - other).max() > TOLERANCE * max(map_.max(), other.max()):
                raise InputError(
                    f"detector {type(self.detector).__name__} gives a picture another map alone than beside others: it "
                    "draws, keeps a state, or looks at the whole batch; mend its forward"
                )
        return maps

    def _maps(self, images: Tensor, batch_size: int) -> np.ndarray:
        device = Queries(self.detector).device
        cam = LayerGradCam(lambda x: fakeness(self.detector(x), self.detector.real), module(self.detector, self.layer))
        maps = []
        with differentiable(device), untouched(self.detector), exact_float32():
            for batch in images.split(batch_size):
                small = cam.attribute(batch.to(device).clone().requires_grad_(), relu_attributions=True)
                large = functional.interpolate(small.detach(), images.shape[-2:], mode="bilinear", align_corners=False)
                maps.append(large[:, 0].cpu())
        return torch.cat(maps).numpy().astype(np.float32)


def grad_cam(detector: Detector, layer: str | None = None) -> GradCam:
    """Grad-CAM at the named layer, or at the last feature map that everything passes through.

    Raises InputError as `detectors.layers.feature_layer` does.
    """
    remark_on_gradient(detector, ("Grad-CAM's maps",))
    with differentiable(Queries(detector).device), untouched(detector):
        return GradCam(detector, feature_layer(detector, layer, OPTION), is_named=layer is not None)


def normalised(maps: np.ndarray) -> np.ndarray:
    """Each map (N, S, S) divided by its own greatest value; one that is zero everywhere stays so."""
    greatest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, greatest, out=np.zeros_like(maps), where=greatest > 0)


def average(maps: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The mean (S, S) of maps, each scaled to its own maximum first, so that no frame outweighs another."""
    return normalised(np.asarray(maps)).mean(axis=0)
