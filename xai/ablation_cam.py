"""Ablation-CAM (Desai and Ramaswamy 2020) as grad-cam computes it, with channels at zero at every layer."""

from typing import Any

import pytorch_grad_cam
from pytorch_grad_cam import ablation_layer
from torch import Tensor, nn


class AblationCAM(pytorch_grad_cam.AblationCAM):
    """The package's map, which keeps its layer's output as the layer gave it.

    The package keeps the very tensor, on which what follows the layer may work in place (SiLU, ReLU); given back in the
    layer's place, it would pass there a second time.
    """

    def save_activation(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """Keeps a copy of the layer's output (N, K, h, w)."""
        self.activations = output.clone()

    def get_cam_weights(
        self, input_tensor: Tensor, target_layer: nn.Module, targets: Any, activations: Any, grads: Any
    ) -> Any:
        """The package's weights (N, K), of losses from what each picture itself scores: `aug_smooth` brings several."""
        relative = [_Relative() for _ in targets]
        return super().get_cam_weights(input_tensor, target_layer, relative, activations, grads)


class _Relative:
    """A score relative to the first that is asked for, plus 1: the package divides losses by the first, which turned
    maps upside down where the log-odds are below zero."""

    def __init__(self) -> None:
        self._first: Tensor | None = None

    def __call__(self, score: Tensor) -> Tensor:
        if self._first is None:
            self._first = score.detach()
        return score - self._first + 1


class WithoutChannel(ablation_layer.AblationLayer):
    """Stands in a layer's place and gives its output with one channel of each image at zero, as the paper has it.

    The package's own does so where the least value of the output is 0, as behind ReLU. Elsewhere (SiLU, a batch norm, a
    shortcut) it puts -1e7 in the channel's place: the map then shows how a network answers numbers that it never has.
    """

    def __call__(self, x: Tensor) -> Tensor:
        """The kept output (N, K, h, w); image n lacks channel `indices[n]`."""
        output: Tensor = self.activations
        output[range(len(output)), self.indices[: len(output)]] = 0
        return output
