"""What a detector looks at when it calls a frame fake: Grad-CAM (Selvaraju et al., ICCV 2017) by captum."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn import functional

from attacks.base import differentiable, untouched
from attacks.malafide.scores import fakeness
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import Queries, exact_float32


@dataclass(frozen=True, eq=False)
class GradCam:
    """Grad-CAM maps of a detector at one layer.

    Attributes:
        detector: whose.
        layer: the layer's name in the detector.
    """

    detector: Detector
    layer: str

    def maps(self, images: Tensor, batch_size: int = 16) -> np.ndarray:
        """The maps (N, S, S) float32, at least 0, of images (N, 3, S, S) in [0, 1]: what speaks for fake.

        The gradient is that of log p(fake) - log p(Real), every class but Real being fake, so the maps of real, fake
        and filtered frames answer the same question. Maps are enlarged bilinearly; their scale is the gradient's.
        """
        device = Queries(self.detector).device
        cam = LayerGradCam(lambda x: fakeness(self.detector(x), self.detector.real), _module(self.detector, self.layer))
        found = []
        with differentiable(device), untouched(self.detector), exact_float32():
            for batch in images.split(batch_size):
                small = cam.attribute(batch.to(device).clone().requires_grad_(), relu_attributions=True)
                large = functional.interpolate(small.detach(), images.shape[-2:], mode="bilinear", align_corners=False)
                found.append(large[:, 0].cpu())
        return torch.cat(found).numpy().astype(np.float32)


def grad_cam(detector: Detector, layer: str | None = None) -> GradCam:
    """Grad-CAM at the named layer, or at the last feature map that everything passes through.

    That is the last layer whose output (N, C, h, w), h and w above 1, decides the verdict alone: where it is cut off,
    the verdict no longer depends on the image. In a timm network it is what enters the pooling; a side branch after
    it (CADDM's anchors) is none, as the verdict goes past it.

    Raises InputError for a name that the detector does not have, a layer that gives no feature map, or where there
    is none to be found.
    """
    probe = torch.rand(1, 3, detector.input_size, detector.input_size, generator=torch.Generator().manual_seed(0))
    probe = probe.to(Queries(detector).device)
    with differentiable(probe.device), untouched(detector):
        candidates = _feature_maps(detector, probe)
        if layer is not None:
            _module(detector, layer)
            if layer not in candidates:
                near = f"; it has, among others, {', '.join(candidates[-3:])}" if candidates else ""
                raise InputError(f"the layer {layer!r} gives no feature map that Grad-CAM could weigh{near}")
            return GradCam(detector, layer)
        for name in reversed(candidates):
            if _decides(detector, name, probe):
                return GradCam(detector, name)
    raise InputError(
        f"{type(detector).__name__} has no feature map that everything passes through, as transformers have none; "
        "name a layer with --layer"
    )


def normalised(maps: np.ndarray) -> np.ndarray:
    """Each map (N, S, S) divided by its own greatest value; one that is zero everywhere stays so."""
    greatest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, greatest, out=np.zeros_like(maps), where=greatest > 0)


def average(maps: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The mean (S, S) of maps, each scaled to its own maximum first, so that no frame outweighs another."""
    return normalised(np.asarray(maps)).mean(axis=0)


def _feature_maps(detector: Detector, probe: Tensor) -> list[str]:
    """The names of the modules that ran once and gave a feature map of more than one cell, as they finished."""
    finished: list[str] = []
    runs: dict[str, int] = {}

    def watch(name: str, output: Any) -> None:
        runs[name] = runs.get(name, 0) + 1
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            finished.append(name)

    with _hooked(detector, [name for name, _ in detector.named_modules() if name], watch):
        detector(probe)
    return [name for name in finished if runs[name] == 1]


def _decides(detector: Detector, name: str, probe: Tensor) -> bool:
    """Whether the verdict no longer depends on the image where the layer's output is cut off."""
    image = probe.clone().requires_grad_()
    handle = _module(detector, name).register_forward_hook(lambda _module, _inputs, output: output.detach())
    try:
        verdict = fakeness(detector(image), detector.real).sum()
    finally:
        handle.remove()
    if not verdict.requires_grad:
        return True
    (gradient,) = torch.autograd.grad(verdict, image, allow_unused=True)
    return gradient is None or not bool(gradient.any())


@contextmanager
def _hooked(detector: Detector, names: Sequence[str], watch: Any) -> Iterator[None]:
    """Calls `watch(name, output)` whenever one of the modules has run."""
    handles = [
        detector.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: watch(name, output)
        )
        for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _module(detector: Detector, name: str) -> nn.Module:
    try:
        return detector.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"the detector has no layer {name!r}; its parts: {', '.join(n for n, _ in detector.named_children())}"
        ) from error
