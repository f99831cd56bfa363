"""The attention of a vision transformer, seen from outside: its weights, block by block, in one forward pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from common.errors import InputError
from detectors.base import Detector
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

        Raises InputError where the detector is no vision transformer whose blocks look at all tokens: none is there, or
        they look at windows of the image, at other numbers of tokens, or at tokens that are no square of patches.
        """
        watch = self.seen()
        with watch:
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
        return Blocks(tuple(blocks), last if pooled else None, logits)
