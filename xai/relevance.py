"""Relevance through a transformer: what each attention weight contributed to a logit (Chefer et al., CVPR 2021).

Layer-wise relevance propagation by the rules of that paper's sections 3.1 and 3.2 and of the code published with it.
Here a rule is what a function gives backward in place of its gradient: autograd then carries relevance in place of
derivatives, through whatever the network is written in. Rules:

- linear layers: the z+ rule, by the parts of inputs and weights whose product is positive;
- sums of two branches: by each one's part of every value, scaled to its part of the whole (equation 10);
- products of two tensors (query and key, weights and values): half to each, by its gradient times itself;
- means and sums: by each value's part;
- normalisations, activations, softmax and factors that do not depend on the image: passed as it is;
- what only moves values (views, selections, concatenations): moved back.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from xai.attention import Attention

_SMALL = 1e-9

_SUMS = frozenset({"add", "radd", "iadd"})
_PRODUCTS = frozenset({"mul", "rmul", "imul", "div", "truediv", "itruediv"})
_MEANS = frozenset({"mean", "sum"})
_PASSED = frozenset(
    {
        "layer_norm", "rms_norm", "gelu", "silu", "relu", "relu6", "leaky_relu", "elu", "mish", "tanh", "sigmoid",
        "hardswish", "softmax", "neg", "pow",
    }
)  # fmt: skip
_MOVED = frozenset(
    {
        "reshape", "view", "view_as", "permute", "transpose", "movedim", "swapaxes", "t", "flatten", "unflatten",
        "squeeze", "unsqueeze", "contiguous", "getitem", "select", "narrow", "index_select", "gather", "unbind",
        "chunk", "split", "cat", "concat", "stack", "expand", "expand_as", "clone", "to", "float", "type", "type_as",
        "dropout", "roll", "get", "requires_grad",
    }
)  # fmt: skip


class Relevant(Attention):
    """Computes what the network computes, and gives relevance backward from the first attention on."""

    def compared(self, query: Tensor, key: Tensor, scale: float) -> Tensor:
        """The scores of pairs of tokens; relevance goes to query and key by halves."""
        scores = super().compared(query, key, scale)
        return _Product.apply(scores.detach(), query, key, _compare)

    def soft(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """The weights, whose relevance is passed to the scores."""
        return _Passed.apply(super().soft(scores, mask).detach(), scores)

    def mixed(self, weights: Tensor, value: Tensor) -> Tensor:
        """The weighted values; relevance goes to weights and values by halves."""
        return _Product.apply((weights @ value).detach(), weights, value, torch.matmul)

    def other(self, func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What any other function gives, with its rule; one without raises InputError once relevance gets there."""
        result = func(*args, **named)
        if not self.weights or not _depends(result):  # below the first attention nothing is asked for
            return result
        name = getattr(func, "__name__", str(func)).strip("_")
        if func is functional.linear:
            return _Linear.apply(result.detach(), *(args + tuple(named.values()))[:2])
        if func is functional.layer_norm or name in _PASSED:
            return _Passed.apply(result.detach(), next(part for part in args if _depends(part)))
        if name in _SUMS | _PRODUCTS:
            parts = [part for part in args[:2] if _depends(part)]
            if len(parts) == 1:  # the other is of the network, not of the image
                return _Passed.apply(result.detach(), parts[0].expand(result.shape))
            if name in _SUMS:
                return _Sum.apply(result.detach(), *(part.expand(result.shape) for part in parts))
            return _Product.apply(result.detach(), *parts, torch.mul if "mul" in name else torch.div)
        if name in _MEANS or name.startswith("adaptive_avg_pool"):
            return _Mean.apply(result.detach(), args[0], lambda values: func(values, *args[1:], **named))
        if name in _MOVED:
            return result
        return _without_rule(result, name)


def _depends(part: Any) -> bool:
    if isinstance(part, (tuple, list)):
        return any(map(_depends, part))
    return isinstance(part, Tensor) and part.requires_grad


def _without_rule(result: Any, name: str) -> Any:
    if isinstance(result, (tuple, list)):
        return type(result)(_without_rule(part, name) for part in result)
    return _Unruled.apply(result, name) if _depends(result) else result


def _compare(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1)


def shares(relevance: Tensor, whole: Tensor) -> Tensor:
    """Relevance over what it is of; 0 where that is 0."""
    small = torch.where(whole < 0, -_SMALL, _SMALL)
    return torch.where(whole == 0, 0.0, relevance / (whole + small))


def _back(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], relevance: Tensor) -> list[Tensor]:
    """Gradient times input of a function, for relevance over its result."""
    with torch.enable_grad():
        copies = [part.detach().requires_grad_() for part in inputs]
        result = function(*copies)
        gradients = torch.autograd.grad(result, copies, shares(relevance, result.detach()))
    return [part.detach() * gradient for part, gradient in zip(copies, gradients, strict=True)]


class _Passed(torch.autograd.Function):
    """A value whose relevance is another's."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, _source: Tensor) -> Tensor:
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[None, Tensor]:
        return None, relevance[0]


class _Linear(torch.autograd.Function):
    """A linear layer: the z+ rule."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[None, Tensor, None]:
        inputs, weight = ctx.saved_tensors
        above, below = inputs.clamp(min=0), inputs.clamp(max=0)
        whole = functional.linear(above, weight.clamp(min=0)) + functional.linear(below, weight.clamp(max=0))
        part = shares(relevance[0], whole)
        return None, above * (part @ weight.clamp(min=0)) + below * (part @ weight.clamp(max=0)), None


class _Sum(torch.autograd.Function):
    """The sum of two branches."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, one: Tensor, other: Tensor) -> Tensor:
        ctx.save_for_backward(one, other)
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[None, Tensor, Tensor]:
        one, other = ctx.saved_tensors
        part = shares(relevance[0], one + other)
        parts = one * part, other * part
        sizes = [values.sum().abs() for values in parts]
        whole, both = relevance[0].sum(), sizes[0] + sizes[1]
        first, second = (
            values * shares(shares(size, both) * whole, values.sum()) for values, size in zip(parts, sizes, strict=True)
        )
        return None, first, second


class _Product(torch.autograd.Function):
    """A product of two tensors: half the relevance to each."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, one: Tensor, other: Tensor, function: Any) -> Tensor:
        ctx.save_for_backward(one, other)
        ctx.function = function
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[None, Tensor, Tensor, None]:
        one, other = _back(ctx.function, ctx.saved_tensors, relevance[0])
        return None, one / 2, other / 2, None


class _Mean(torch.autograd.Function):
    """A mean or sum: by each value's part."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, inputs: Tensor, function: Any) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.function = function
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[None, Tensor, None]:
        return None, _back(ctx.function, ctx.saved_tensors, relevance[0])[0], None


class _Unruled(torch.autograd.Function):
    """What a function without a rule gives."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, name: str) -> Tensor:
        ctx.name = name
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor, None]:
        raise InputError(
            f"vit:Relevance has no rule for {ctx.name}, which the network uses: take vit:Rollout or cam:GradCAM"
        )
