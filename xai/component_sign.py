"""The sign of class activation maps that are principal components: turned to where the maps' sum is large."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_PROJECTIONS = ("get_2d_projection", "get_2d_projection_kernel")
"""What grad-cam calls its projections of K maps on their first component, in whatever module."""


@contextmanager
def signed_components() -> Iterator[None]:
    """While it lasts, grad-cam's components (EigenCAM, EigenGradCAM, KPCA_CAM, any map's `eigen_smooth`) have a sign.

    The first principal component of K maps is known but for its sign: which of both comes out is the linear algebra
    library's choice, and may be another for the next image; what is below 0 is cut off then, so that a map of the wrong
    sign is upside down. Here a component rises where the sum of the K maps does: of activations behind ReLU as the
    paper's own component does (Muhammad and Yeasin 2020), which is not centred, so that none of its weights is below 0
    (Perron and Frobenius); of a map that is smoothed as the map itself does.
    """
    places = [
        (module, name, getattr(module, name))
        for key, module in list(sys.modules.items())
        for name in _PROJECTIONS
        if key.startswith("pytorch_grad_cam.") and hasattr(module, name)
    ]
    for module, name, project in places:
        setattr(module, name, _signed(project))
    try:
        yield
    finally:
        for module, name, project in places:
            setattr(module, name, project)


def _signed(project: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A projection (N, K, h, w) -> (N, h, w) each of whose maps rises where the sum over K does."""

    @functools.wraps(project)
    def signed(maps: np.ndarray, *settings: Any) -> np.ndarray:
        components, sums = project(maps, *settings), maps.sum(axis=1, dtype=np.float64)
        sums -= sums.mean(axis=(1, 2), keepdims=True)
        downward = (components * sums).sum(axis=(1, 2), keepdims=True) < 0
        return np.where(downward, -components, components)

    return signed
