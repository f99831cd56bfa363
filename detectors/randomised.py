"""The same detector with other weights: what an explanation of it shows, the detector cannot have learned.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018. Drawing weights anew is not enough here: a trained
network's biases, and the batch norms that `detectors.optimise` folds into them, are made for the old weights; with
new ones a deep network may answer the same to every image, and that leaves nothing to explain. So each drawn layer is
scaled and shifted, channel by channel, until on a few fixed images its output has the mean and spread of the old
layer's (as layer-sequential unit-variance initialisation does with a spread of one: Mishkin and Matas, ICLR 2016).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from common.console import warn
from common.errors import FAILED, InputError
from common.seeds import derive_seed
from detectors.answers import NotFiniteError
from detectors.base import Detector
from detectors.checks.foreign_tensors import foreign_tensors
from detectors.copying import copied
from detectors.queries import Queries, evaluating, exact_float32

PROBES = 8
"""How many images set the scale of the drawn layers."""

SAME = 1e-3
"""Of the largest logit: a copy whose answers differ by less has the original's weights."""

FOLLOWS = 0.01
"""Of how far a copy's logits move from image to image: the part that is no linear function of the original's logits."""

_SCALED = (nn.Conv2d, Conv2dSame, nn.Linear)  # exact types: a subclass may compute its weight anew in every forward
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_NORMS = (*_BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_MAKERS = (WeightNorm, SpectralNorm, BasePruningMethod)  # pre-hooks that make a weight of others in every forward


def randomised(detector: Detector, seed: int, layers: int | None = None) -> Detector:
    """A copy of a detector with weights drawn anew; the original is left alone.

    Every tensor of weights or biases is drawn from the normal distribution with its mean and standard deviation (where
    all its values are equal, with their size as the deviation). Then convolutions and linear layers get back the mean
    and spread that their outputs had in each channel on fixed images, and batch norms take their statistics from the
    same images; norms keep their scale and shift. `layers` draws only that many layers, from the logits' end: a step
    of the paper's cascade. None draws all, and so does a number beyond `layer_count`. What is drawn for a layer depends
    on the seed and the layer's name alone, so that a longer cascade goes on from a shorter one.

    A weight that each forward makes of others (weight norm, spectral norm, pruning, any parametrisation) is drawn as
    what it comes to, and is a plain parameter of the copy.

    The copy is in evaluation mode, on the same device, of the same class, and prepares frames alike; its
    `weights_sha256` is None. PROBES images go through the original once and through the copy twice. Raises InputError
    for a detector without weights or that cannot be copied (`detectors.copying`), for `layers` below 1, where the
    copy's logits are not finite, and where all weights are drawn and its answers are still the original's. One line
    warns of a layer that cannot be scaled.
    """
    name = type(detector).__name__
    if layers is not None and layers < 1:
        raise InputError(f"at least one layer must be randomised, got {layers}")
    count = layer_count(detector)
    if not count:
        raise InputError(f"detector {name} has no weights that could be randomised")
    probe = _probe(detector)
    with torch.no_grad(), exact_float32():
        runs, before = _observe(detector, probe)
        chosen = _bottom_up(detector, runs)[-(layers or 0) :]
        other = copied(detector)
        other.eval()
        _make_plain(other)
        for layer in chosen:
            _draw(other.get_submodule(layer), seed, layer)
        _remark_on_scripts(name, other, chosen)
        with _calibrating(other, chosen, runs), contextlib.suppress(NotFiniteError):
            other(probe)
        try:
            after = other(probe)
        except NotFiniteError:
            raise InputError(
                f"detector {name} gives logits that are not finite once its weights are randomised"
            ) from None
    if layers is None or layers >= count:
        _require_other(name, before, after)
    if _reaches_original(detector, other, probe):
        raise InputError(
            f"detector {name} computes with its own weights in a copy whose weights are drawn anew, so that nothing "
            "can be compared with random weights: a part of it reaches them by a weak reference, a global or a "
            "function that the copy shares; call its networks in forward"
        )
    other.weights_sha256 = None
    return other


def _remark_on_scripts(name: str, copied: Detector, drawn: Sequence[str]) -> None:
    """Warns of drawn layers that cannot be scaled, as they are of a traced or scripted network."""
    scripts = [layer for layer in drawn if isinstance(copied.get_submodule(layer), torch.jit.ScriptModule)]
    if scripts:
        warn(
            f"detector {name}: its {scripts[0]} is of a traced or scripted network and cannot be scaled, so that with "
            "random weights it may answer every picture alike, and what is compared with that says little: take the "
            "network that was traced"
        )


def _reaches_original(detector: Detector, other: Detector, probe: Tensor) -> bool:
    """Whether a copy computes with tensors that are none of its own, and its original does not.

    False where they cannot be watched, which is said where a user's own detector is loaded.
    """
    with contextlib.suppress(*FAILED):
        return bool(foreign_tensors(other, probe)) and not foreign_tensors(detector, probe)
    return False


def _require_other(name: str, before: Tensor, after: Tensor) -> None:
    """Refuses a copy that answers as its original does, (N, C) each, and warns of one that follows it.

    It computes with weights that a copy does not have, or that no drawing reaches.
    """
    first, second = (logits.double() - logits.double().mean(dim=1, keepdim=True) for logits in (before, after))
    varies = float((first - first[:1]).abs().max()) > SAME * float(first.abs().max())
    if varies and float((first - second).abs().max()) <= SAME * float(first.abs().max()):
        raise InputError(
            f"detector {name} answers the same once all its weights are drawn anew, so that nothing can be compared "
            "with random weights: it computes by a function made in __init__ (a lambda, torch.compile of a method), "
            "which a copy shares, with weights that are no parameters, or keeps its answers; call its networks in "
            "forward"
        )
    moves = before.double() - before.double().mean(dim=0)
    if not varies or moves.shape[1] > len(moves) - 3:  # so many classes that any answers could be made of them
        return
    second = second - second.mean(dim=0)
    if float((second - moves @ torch.linalg.pinv(moves) @ second).norm()) < FOLLOWS * float(second.norm()):
        warn(
            f"detector {name} still follows its former answers once its weights are drawn anew: most of its weights "
            "are no parameters (buffers, a frozen or compiled network), and what is compared with random weights is "
            "hardly another detector"
        )


def layer_count(detector: Detector) -> int:
    """How many layers `randomised` can draw: modules with weights of their own that are not norms."""
    return len(_layers(detector))


@dataclass(frozen=True, eq=False)
class _Moments:
    """The mean and spread of a layer's output in each channel, (C,) each."""

    mean: Tensor
    spread: Tensor


_Runs = dict[str, _Moments | None]
"""Layers and norms in the order in which they finish; the moments are those of layers that can be rescaled."""


def _layers(detector: Detector) -> list[str]:
    """The names of the modules with weights of their own that are not norms."""
    modules = detector.named_modules()
    return [name for name, module in modules if "parametrizations" not in name.split(".") and _has_weights(module)]


def _has_weights(module: nn.Module) -> bool:
    return not isinstance(module, _NORMS) and any(
        parameter.numel() > 1
        for name, parameter in module.named_parameters()
        if "." not in name or name.startswith("parametrizations.")
    )


def _make_plain(detector: Detector) -> None:
    """Makes parameters of the weights that every forward makes anew of others, which no scale would outlive."""
    for module in list(detector.modules()):
        for key, hook in reversed(list(module._forward_pre_hooks.items())):
            if isinstance(hook, _MAKERS):
                hook.remove(module)
                del module._forward_pre_hooks[key]
        if is_parametrized(module):
            names = [name for name, _ in module.get_submodule("parametrizations").named_children()]
            made = {name: getattr(module, name).detach() for name in names}
            plain = type_before_parametrizations(module)
            del module.parametrizations
            module.__class__ = plain  # torch's own removal would change the class, which the original has, too
            for name, weight in made.items():
                module.register_parameter(name, nn.Parameter(weight))


def _bottom_up(detector: Detector, runs: _Runs) -> list[str]:
    """The layers to draw by when they finish, the logits' last; those that no logit needs come first."""
    positions = {name: position for position, name in enumerate(runs)}
    return sorted(_layers(detector), key=lambda name: positions.get(name, -1))


def _draw(module: nn.Module, seed: int, layer: str) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        generator = torch.Generator().manual_seed(derive_seed(seed, "randomised", layer, name))
        numbers = torch.view_as_real(parameter) if parameter.is_complex() else parameter
        values = numbers.detach().cpu().double()
        mean, spread = values.mean(), values.std(correction=0)
        if values.numel() > 1 and spread == 0:
            spread = mean.abs()
        noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        numbers.copy_((mean + spread * noise).to(numbers))


def _observe(detector: Detector, probe: Tensor) -> tuple[_Runs, Tensor]:
    """What each layer and norm gives for the probe, the first time that it runs, and the logits."""
    runs: _Runs = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if name not in runs:
                scaled = type_before_parametrizations(module) in _SCALED
                runs[name] = _moments(output, _axis(module)) if scaled else None

        return hook

    with contextlib.ExitStack() as stack:
        layers = {*_layers(detector)}
        for name, module in detector.named_modules():
            if isinstance(module, _NORMS) or name in layers:
                stack.callback(module.register_forward_hook(watch(name)).remove)
        with evaluating(detector):
            logits = detector(probe)
    return runs, logits


@contextlib.contextmanager
def _calibrating(detector: Detector, drawn: Sequence[str], runs: _Runs) -> Iterator[None]:
    """In the forward pass inside, sets the scale of the drawn layers and the statistics of batch norms after them."""
    done: set[nn.Module] = set()

    def rescale(layer: str, like: _Moments) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor | None]:
        def hook(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if module in done or not isinstance(module, nn.Conv2d | nn.Linear):
                return None
            done.add(module)
            if "weight" not in module._parameters:
                warn(
                    f"detector {type(detector).__name__} makes the weight of its {layer} anew in each pass, so that "
                    "random ones cannot be scaled as the former were: its answers with random weights may be far "
                    "larger or smaller than its own"
                )
                return None
            return _rescale(module, output, like)

        return hook

    def restate(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, _BATCH_NORMS) and module.running_mean is not None and module.running_var is not None:
            moments = _moments(inputs[0], 1)
            module.running_mean.copy_(moments.mean)
            module.running_var.copy_(moments.spread.square())

    names = list(runs)
    first = min((names.index(name) for name in drawn if name in runs), default=len(names))
    with contextlib.ExitStack() as stack:
        for name in names[first:]:
            module, like = detector.get_submodule(name), runs[name]
            if like is not None and name in drawn:
                stack.callback(module.register_forward_hook(rescale(name, like)).remove)
            elif isinstance(module, _BATCH_NORMS):
                stack.callback(module.register_forward_pre_hook(restate).remove)
        yield


def _rescale(module: nn.Conv2d | nn.Linear, output: Tensor, like: _Moments) -> Tensor:
    """Gives a layer's output, by its weights, the moments of `like`; without a bias the spread alone."""
    axis = _axis(module)
    now = _moments(output, axis)
    scale = torch.where(now.spread > 0, like.spread / now.spread.clamp_min(1e-30), 1.0)
    module.weight.mul_(scale.view(-1, *[1] * (module.weight.ndim - 1)))
    shape = [1] * output.ndim
    shape[axis] = -1
    if module.bias is None:
        return output * scale.view(shape)
    module.bias.copy_((module.bias - now.mean) * scale + like.mean)
    return (output - now.mean.view(shape)) * scale.view(shape) + like.mean.view(shape)


def _axis(module: nn.Module) -> int:
    """Where a layer's output has its channels."""
    return -1 if isinstance(module, nn.Linear) else 1


def _moments(output: Tensor, axis: int) -> _Moments:
    rows = output.movedim(axis, -1).reshape(-1, output.shape[axis])
    return _Moments(rows.mean(0), rows.std(0, correction=0))


def _probe(detector: Detector) -> Tensor:
    """Fixed images (PROBES, 3, S, S) in [0, 1]: noise with detail of every size, as photographs have."""
    size = detector.input_size
    draws = torch.Generator().manual_seed(derive_seed(0, "randomised"))
    images = torch.zeros(PROBES, 3, size, size)
    for cells in (2, 4, 8, 16, 32, 64, 128):
        coarse = torch.randn(PROBES, 3, cells, cells, generator=draws)
        images += functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)
    images = (images - images.mean((1, 2, 3), keepdim=True)) / images.std((1, 2, 3), keepdim=True)
    return (0.5 + 0.2 * images).clamp(0, 1).to(Queries(detector).device)
