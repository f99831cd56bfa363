"""1x1 convolutions that stay fast in small batches on one thread of a CPU."""

import torch
from torch import Tensor, nn

OWN_LOOPS = 16  # images: on one thread, torch computes 1x1 convolutions of fewer by its own loops
DILATION = (2, 2)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution that oneDNN computes in batches of 2 to 15 images on one thread, too.

    On one thread torch leaves these to loops of its own, which take up to 1.5 times as long (benchmarks/NOTES.md has
    the times). A dilated convolution is not left to them, and a kernel of one pixel has nothing to dilate: the result
    is the same. One image alone is faster in torch's loops.
    """

    def _conv_forward(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        small = images.ndim == 4 and 1 < len(images) < OWN_LOOPS
        spread = small and images.device.type == "cpu" and torch.get_num_threads() == 1
        dilation = DILATION if spread else self.dilation
        return nn.functional.conv2d(images, weight, bias, self.stride, self.padding, dilation, self.groups)


def use_pointwise(network: nn.Module) -> None:
    """Puts a PointwiseConv2d with the same weights in the place of each plain 1x1 convolution of a network."""
    for name, module in list(network.named_modules()):
        if type(module) is nn.Conv2d and _is_pointwise(module):
            network.set_submodule(name, _faster(module))


def _is_pointwise(convolution: nn.Conv2d) -> bool:
    plain = convolution.padding in ((0, 0), "valid") and convolution.stride == (1, 1)
    return plain and convolution.kernel_size == (1, 1) and convolution.groups == 1


def _faster(convolution: nn.Conv2d) -> PointwiseConv2d:
    has_bias = convolution.bias is not None
    faster = PointwiseConv2d(convolution.in_channels, convolution.out_channels, 1, bias=has_bias, device="meta")
    faster.weight, faster.bias = convolution.weight, convolution.bias
    return faster.train(convolution.training)
