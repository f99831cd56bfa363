"""The attention of a vision transformer, seen from outside: its weights, block by block, in one forward pass."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from common.errors import InputError
from detectors.base import Detector
from detectors.gradients import graph_nodes
from detectors.layers import patch_grid


@dataclass(frozen=True, eq=False)
class Blocks:
    """The attention weights of a vision transformer for one image.

    Attributes:
        weights: of each block from the first on, (1, heads, T, T) each: a row says where a token looks.
        pooling: of a head that pools the tokens by attention, (1, heads, 1, T); None where there is none.
        logits: (1, C).
    """

    weights: tuple[Tensor, ...]
    pooling: Tensor | None
    logits: Tensor

    @property
    def every(self) -> tuple[Tensor, ...]:
        """All weights in order."""
        return self.weights if self.pooling is None else (*self.weights, self.pooling)


class Attention(TorchFunctionMode):
    """Computes each scaled dot product attention by its formula while it lasts, and keeps the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs a function as it is, but for attention."""
        if func is functional.scaled_dot_product_attention:
            return self.attend(*args, **(kwargs or {}))
        return self.other(func, args, dict(kwargs or {}))

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """softmax(query key' scale) value (Vaswani et al., NeurIPS 2017), of (N, heads, T, d) each."""
        if is_causal or enable_gqa or dropout_p:
            raise InputError("attention that is causal, shared by queries or dropped has no map")
        weights = self.soft(self.compared(query, key, query.shape[-1] ** -0.5 if scale is None else scale), attn_mask)
        self.weights.append(weights)
        return self.mixed(weights, value)

    def compared(self, query: Tensor, key: Tensor, scale: float) -> Tensor:
        """The scores of pairs of tokens, (N, heads, T, T')."""
        return query @ key.transpose(-2, -1) * scale

    def soft(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """The weights that scores give; a mask says which pairs count, or is added to them."""
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        return scores.softmax(dim=-1)

    def mixed(self, weights: Tensor, value: Tensor) -> Tensor:
        """Each token's values, weighted."""
        return weights @ value

    def other(self, func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What any other function gives."""
        return func(*args, **named)


class Beside(TorchDispatchMode):
    """Counts attention of tokens to each other while it lasts, by whatever function: each softmax over a square."""

    def __init__(self) -> None:
        super().__init__()
        self._squares: list[int] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs an operation as it is."""
        name = func.overloadpacket.__name__
        if name in ("_softmax", "_safe_softmax") and args[0].ndim > 1:
            self._keep(*args[0].shape[-2:])
        elif name.startswith("_scaled_dot_product"):
            self._keep(args[0].shape[-2], args[1].shape[-2])
        return func(*args, **(kwargs or {}))

    def _keep(self, looking: int, seen: int) -> None:
        self._squares += [seen] if looking == seen else []

    def over(self, tokens: int) -> int:
        """How often so many tokens, or those of them that are patches, looked at each other."""
        prefix, _ = patch_grid(tokens) or (0, 0)
        return sum(self._squares.count(many) for many in {tokens, tokens - prefix})


def _side_by_side(weights: Sequence[Tensor]) -> int:
    """How many of the attentions do not depend on the one before, by the graph that autograd has of them."""
    return sum(
        all(node is not before.grad_fn for node in graph_nodes(after.grad_fn))
        for before, after in itertools.pairwise(weights)
    )


@dataclass(frozen=True)
class ViT:
    """Reads a detector as a vision transformer.

    Attributes:
        detector: in evaluation mode, its weights frozen.
        who: what reads it, for messages.
        seen: makes what watches the forward pass.
    """

    detector: Detector
    who: str
    seen: Callable[[], Attention] = field(default=Attention)

    def __call__(self, image: Tensor) -> Blocks:
        """One forward pass, with gradients, of an image (1, 3, S, S).

        Raises InputError where the detector is no vision transformer whose blocks look at all tokens, one after the
        other: none is there, or they look at windows of the image, at other numbers of tokens, or at tokens that are no
        square of patches; some blocks attend otherwise than by scaled_dot_product_attention; or some side by side.
        """
        watch, beside = self.seen(), Beside()
        with beside, watch:
            logits = self.detector(image.clone().requires_grad_())
        name = type(self.detector).__name__
        unfit = InputError(
            f"{self.who} needs a vision transformer whose blocks look at all patches; {name} has none (nor has Swin): "
            "take cam:GradCAM"
        )
        if not watch.weights:
            raise unfit
        *most, last = watch.weights
        pooled = last.shape[-2] == 1 and bool(most)
        blocks = most if pooled else watch.weights
        shapes = {tuple(weights.shape[:1] + weights.shape[2:]) for weights in blocks}
        tokens = blocks[0].shape[-1]
        if shapes != {(1, tokens, tokens)} or (pooled and last.shape[-1] != tokens) or patch_grid(tokens) is None:
            raise unfit
        if not last.requires_grad:
            raise InputError(f"{name} gives no gradient, which {self.who} needs")
        if unread := beside.over(tokens) - len(blocks):
            raise InputError(
                f"{self.who} reads scaled_dot_product_attention, by which the tokens of {name} attend to each other "
                f"{len(blocks)} times, and {unread} times otherwise, which its map would lack: set fused_attn=True in "
                "every block (timm) or attn_implementation='sdpa' (transformers), or call that function in place of a "
                "softmax or nn.MultiheadAttention; or take cam:GradCAM"
            )
        if aside := _side_by_side(watch.weights):
            raise InputError(
                f"{self.who} multiplies attention block by block, and {name} attends {aside} times beside another "
                "attention, whose result it does not see (as differential attention or parallel blocks do): take "
                "cam:GradCAM"
            )
        return Blocks(tuple(blocks), last if pooled else None, logits)
