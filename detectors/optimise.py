"""The same detector, faster: batch norms folded, channels-last weights, no weight gradients, small batches too."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.layers.activations import Swish
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from common.seeds import derive_seed
from detectors.answers import NotFiniteError
from detectors.base import Detector
from detectors.pointwise import use_pointwise
from detectors.timm_network import PaddedConv2d

_FOLDED = (nn.Conv2d, Conv2dSame, PaddedConv2d)  # exact types: a subclass may compute its weight anew in every forward
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Mish, Swish)


def optimise(detector: Detector, tolerance: float = 1e-5) -> Detector:
    """A copy of a detector for inference and attacks, faster with the same logits; the original is left alone.

    In evaluation mode a batch norm is a fixed affine map, so it is folded into the convolution before it (Jacob et al.,
    CVPR 2018, section 3.2). Weights are stored channels last, which the CPU's and the GPU's convolutions prefer, unless
    its `memory_format` is another, and take no gradients; gradients to the image are unchanged. Activations no longer
    write over their input: a gradient needs that input, and autograd would copy it first. 1x1 convolutions become
    `PointwiseConv2d`, which is faster in small batches. The copy is compared with the original on one fixed noise
    image: where logits differ by more than `tolerance` of the largest, or are not finite, the original itself is
    returned, in evaluation mode.
    """
    detector = detector.eval()
    probe = _probe(detector)
    fast = copy.deepcopy(detector).requires_grad_(False)
    _fold_batch_norms(fast, probe)
    use_pointwise(fast)
    for module in fast.modules():
        if isinstance(module, _ACTIVATIONS) and getattr(module, "inplace", False):
            module.inplace = False
    for parameter in fast.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=detector.memory_format)
    try:
        with torch.no_grad():
            before, after = detector(probe), fast(probe)
    except NotFiniteError:
        return detector
    same = (after - before).abs().max() <= tolerance * before.abs().max()
    return fast if bool(same) else detector


def _probe(detector: Detector) -> Tensor:
    parameter = next(detector.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(derive_seed(0, "optimise"))
    return torch.rand(1, 3, detector.input_size, detector.input_size, generator=generator).to(parameter.device)


def _fold_batch_norms(network: nn.Module, probe: Tensor) -> None:
    for first, second in _observed_pairs(network, probe):
        convolution, norm = network.get_submodule(first), network.get_submodule(second)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            activation = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
            network.set_submodule(first, fuse_conv_bn_eval(convolution, norm))
            network.set_submodule(second, activation.eval())


@dataclass
class _Uses:
    """How often a module ran in one forward pass, and on and to which tensors (kept alive, so `is` is safe)."""

    runs: int = 0
    source: Tensor | None = None
    result: Tensor | None = None


def _observed_pairs(network: nn.Module, probe: Tensor) -> list[tuple[str, str]]:
    """The (convolution, batch norm) names where the second took the first's output, each running once."""
    uses = {name: _Uses() for name, module in network.named_modules() if type(module) in (*_FOLDED, *_NORMS)}

    def watch(use: _Uses) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            use.runs, use.source, use.result = use.runs + 1, inputs[0], output

        return hook

    handles = [network.get_submodule(name).register_forward_hook(watch(use)) for name, use in uses.items()]
    try:
        with torch.no_grad():
            network(probe)
    finally:
        for handle in handles:
            handle.remove()
    once = {name: use for name, use in uses.items() if use.runs == 1}
    convolutions = {id(use.result): name for name, use in once.items() if type(network.get_submodule(name)) in _FOLDED}
    return [
        (convolutions[id(use.source)], name)
        for name, use in once.items()
        if type(network.get_submodule(name)) in _NORMS and id(use.source) in convolutions
    ]
