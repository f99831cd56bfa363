"""The ReLUs that a network computes, and what captum's hooks on nn.ReLU modules need to change their gradient."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from common.console import warn
from detectors.base import Detector
from detectors.gradients import differentiable, graph_nodes, untouched
from detectors.queries import Queries


@contextmanager
def own_inputs(network: nn.Module, chosen: Callable[[nn.Module], bool]) -> Iterator[None]:
    """Gives each chosen module a copy of its input while it lasts.

    captum (0.9) takes the hook on a module's input for that of the module alone: where something else reads the same
    tensor, as a shortcut that begins before an activation (Xception), it would change that branch's gradient, too.
    """
    with ExitStack() as handles:
        for module in filter(chosen, network.modules()):
            handle = module.register_forward_pre_hook(
                lambda _module, inputs: tuple(tensor.clone() for tensor in inputs)
            )
            handles.callback(handle.remove)
        yield


_TOLD: WeakKeyDictionary[Detector, set[str]] = WeakKeyDictionary()
"""Who had the ReLUs counted, by detector."""


def remark_on_functions(detector: Detector, who: str) -> None:
    """Warns, once for a detector, where only some of its ReLUs are modules, the only ones that captum changes.

    Where none is, the map is the plain gradient, which is refused when it is made.

    Args:
        detector: in any mode.
        who: what changes the gradient of ReLUs, for the message.
    """
    told = _TOLD.setdefault(detector, set())
    if who in told:
        return
    told.add(who)
    changed, every = relus_of_modules(detector)
    if 0 < changed < every:
        warn(
            f"{who} changes the gradient of {changed} of the {every} ReLUs of {type(detector).__name__}, those that "
            "are nn.ReLU modules; what passes the others, functions as torch.relu or clamp(min=0), is the plain "
            "gradient, so that its map is a mixture: have nn.ReLU modules in their place"
        )


def relus_of_modules(detector: Detector) -> tuple[int, int]:
    """How many ReLUs of a forward pass nn.ReLU modules compute, as captum sees them, and how many there are.

    One pass, of noise, charged to no frame. Counted is what the verdict's gradient passes, as autograd knows it: relu,
    clamps and thresholds at 0 from below, the maximum with zeros; a module that runs twice counts twice. A product with
    a mask is not known for a ReLU, and bounded, leaky and smooth activations are none.
    """
    device, side = Queries(detector).device, detector.input_size
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    seen = list[Any]()
    with differentiable(device), untouched(detector), ExitStack() as handles:
        for module in detector.modules():
            if isinstance(module, nn.ReLU):
                handle = module.register_forward_hook(
                    lambda _module, _inputs, output: seen.append(output.grad_fn if isinstance(output, Tensor) else None)
                )
                handles.callback(handle.remove)
        logits = detector.forward(image.requires_grad_().clone())  # past the hooks that count
        every = [node for node in graph_nodes(logits.grad_fn) if _is_relu(node)]
    return sum(node in seen for node in every), len(every)


def _is_relu(node: Any) -> bool:
    kind = node.name().rstrip("0123456789")
    if kind in ("ClampBackward", "ClampMinBackward"):
        return getattr(node, "_saved_max", None) is None and _is_zero(node._saved_min)
    if kind == "ThresholdBackward":
        return _is_zero(node._saved_threshold)
    if kind == "MaximumBackward":
        return _is_zero(node._saved_self) or _is_zero(node._saved_other)
    return bool(kind == "ReluBackward")


def _is_zero(bound: Any) -> bool:
    return not bool(bound.any()) if isinstance(bound, Tensor) else bound == 0
