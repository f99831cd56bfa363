"""What captum's DeepLift (0.9) needs so that its attributions add up: two mends, undone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn
from torch.nn import functional

from xai.relus import own_inputs


@contextmanager
def mended(network: nn.Module) -> Iterator[None]:
    """Lets captum's DeepLift keep its own promise, summation to delta (Shrikumar et al. 2017), while it lasts.

    Where one activation feeds another directly, as a ReLU a max pooling, captum reads the first one's gradient before
    the second one's rule has changed it: here each activation gets a copy of its input. And where windows of a max
    pooling overlap, captum keeps one window's share of a pixel instead of their sum.
    """
    kinds = tuple(SUPPORTED_NON_LINEAR)
    rule = SUPPORTED_NON_LINEAR[nn.MaxPool2d]
    SUPPORTED_NON_LINEAR[nn.MaxPool2d] = max_pooling
    try:
        with own_inputs(network, lambda module: type(module) in kinds):
            yield
    finally:
        SUPPORTED_NON_LINEAR[nn.MaxPool2d] = rule


def max_pooling(
    module: nn.MaxPool2d, inputs: Tensor, outputs: Tensor, grad_input: Tensor, grad_output: Tensor, eps: float = 1e-10
) -> Tensor:
    """The multipliers of a max pooling's inputs, as captum's rules give them: (2N, C, H, W), frames and then baselines.

    What a window's maximum gained over the baseline's goes to the pixel that is the frame's maximum; what it lost, to
    the one that was the baseline's. A pixel sums over its windows.

    Args:
        module: the max pooling.
        inputs: (2N, C, H, W), what enters it: N frames, then their N baselines.
        outputs: (2N, C, h, w), what it gives for them.
        grad_input: (2N, C, H, W), the gradient of its inputs, taken where frame and baseline differ by less than `eps`.
        grad_output: (2N, C, h, w), the multipliers of its outputs.
        eps: below this absolute difference of a frame's and its baseline's value the multiplier would be a division by
            nearly zero.
    """
    output, baseline = outputs.chunk(2)
    highest = torch.maximum(output, baseline)
    change = torch.cat([highest - baseline, output - highest])
    with torch.enable_grad():
        pixels = inputs.detach().requires_grad_()
        pooled = functional.max_pool2d(
            pixels, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
        )
        (shares,) = torch.autograd.grad(pooled, pixels, grad_output * change)
    gained, lost = shares.chunk(2)
    difference = inputs[: len(output)] - inputs[len(output) :]
    multipliers = (gained + lost) / torch.where(difference.abs() < eps, torch.ones_like(difference), difference)
    plain = grad_input.chunk(2)
    return torch.cat([torch.where(difference.abs() < eps, own, multipliers) for own in plain])
