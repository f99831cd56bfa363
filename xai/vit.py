"""Explanations of vision transformers by their attention: `vit:Rollout` and `vit:Relevance`."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from detectors.base import Detector
from detectors.gradients import differentiable, require_gradient, untouched
from detectors.layers import patch_grid
from detectors.queries import Queries, exact_float32
from xai.attention import Blocks, ViT
from xai.base import Fill, Score
from xai.relevance import Relevant
from xai.token_place import require_patches_in_rows

FAMILY = "vit"


@dataclass(frozen=True)
class AttentionMap:
    """A map of how much each patch has to do with the verdict, by attention; enlarged bilinearly to the image.

    What the verdict reads after the last block is found by its gradient: the class token, several tokens (of which the
    mean is taken), or a pooling by attention. Tokens that are no patches have no place in the map.
    """

    hides: ClassVar[bool] = False
    uses_segments: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The map, (H, W) float32, at least 0. Raises InputError where the detector is no vision transformer."""
        patches = self.patches(score.queries.detector, image, score.target)
        enlarged = functional.interpolate(patches[None, None], image.shape[1:], mode="bilinear", align_corners=False)
        saliency: np.ndarray = enlarged[0, 0].cpu().numpy().astype(np.float32)
        return saliency

    def check(self, detector: Detector) -> None:
        """Tries it on noise.

        Raises InputError where the detector is no vision transformer that it can read, gives no gradient, or has tokens
        that are not the patches of its picture in rows.
        """
        require_gradient(detector, self.name)
        device, side = Queries(detector).device, detector.input_size
        image = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
        self.patches(detector, image, detector.real)
        with untouched(detector), exact_float32():
            require_patches_in_rows(detector, image[None], 1 - image[None], self.name)

    def patches(self, detector: Detector, image: Tensor, target: int) -> Tensor:
        """The value of each patch, (h, w), for an image (3, S, S)."""
        with differentiable(image.device), untouched(detector), exact_float32():
            tokens = self.tokens(detector, image[None], target)
        grid = patch_grid(len(tokens))
        if grid is None:
            raise InputError(f"{self.name}: {len(tokens)} tokens are no square of patches")
        prefix, side = grid
        return tokens[prefix:].reshape(side, side)

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{FAMILY}:{type(self).__name__}"

    def tokens(self, detector: Detector, image: Tensor, target: int) -> Tensor:
        """The value of each token, (T,), for an image (1, 3, S, S); with gradients on and weights frozen."""
        raise NotImplementedError


class Rollout(AttentionMap):
    """Attention rollout (Abnar and Zuidema, ACL 2020): how attention passes the tokens on, block after block.

    The weights of a block, A, are the mean over its heads; with the residual connection they are 0.5 A + 0.5 I; the
    product of all blocks says how much of each token is in what the verdict reads. It knows no class.
    """

    def tokens(self, detector: Detector, image: Tensor, target: int) -> Tensor:
        """The row of the rollout that the verdict reads."""
        blocks = ViT(detector, self.name)(image)
        gradients, _ = _gradients(blocks, target)
        means = [weights.detach().double().mean(dim=1)[0] for weights in blocks.every]
        identity = torch.eye(means[0].shape[0]).to(means[0])
        squares = means[: len(blocks.weights)]
        joint = functools.reduce(lambda below, mean: (0.5 * mean + 0.5 * identity) @ below, squares, identity)
        return _row(blocks, gradients, means[-1], joint).float()


class Relevance(AttentionMap):
    """Gradient-weighted relevance (Chefer et al., CVPR 2021): which tokens' attention spoke for the class.

    The weights of a block are I + E[max(0, gradient x relevance)] over its heads, the gradient that of the class's
    logit, the relevance what layer-wise propagation gives the weights (`xai.relevance`); their product, as in rollout,
    is the map, without I itself, which is the same for every patch. The logit of a class that a one-logit network holds
    constant is explained by the other's, negated.
    """

    follows_gradient: ClassVar[bool] = True

    def tokens(self, detector: Detector, image: Tensor, target: int) -> Tensor:
        """The row of the product that the verdict reads."""
        blocks = ViT(detector, self.name)(image)
        gradients, start = _gradients(blocks, target)
        relevant = ViT(detector, self.name, Relevant)(image)
        relevances = torch.autograd.grad(relevant.logits, relevant.every, start, allow_unused=True)
        parts = [
            torch.zeros_like(gradient[0, 0]).double()
            if relevance is None
            else (gradient.double() * relevance.double()).clamp(min=0).mean(dim=1)[0]
            for gradient, relevance in zip(gradients, relevances, strict=True)
        ]
        identity = torch.eye(parts[0].shape[0]).to(parts[0])
        squares = parts[: len(blocks.weights)]
        beyond = functools.reduce(lambda below, part: below + part @ (identity + below), squares, 0 * identity)
        joint = beyond if blocks.pooling is None or not gradients[-1].any() else beyond + identity
        return _row(blocks, gradients, parts[-1], joint).float()


EXPLAINERS: dict[str, Callable[[], AttentionMap]] = {"Rollout": Rollout, "Relevance": Relevance}


def vit_explainer(name: str) -> Callable[[], AttentionMap]:
    """The explainer of that name. Raises InputError for another."""
    if name not in EXPLAINERS:
        raise InputError(f"vit has no {name!r}; it has: {', '.join(EXPLAINERS)}")
    return EXPLAINERS[name]


def _gradients(blocks: Blocks, target: int) -> tuple[list[Tensor], Tensor]:
    """The gradient of a class's logit by each block's weights, and where relevance starts: (1, C)."""
    start = torch.zeros_like(blocks.logits)
    start[0, target] = 1.0
    found = _derivatives(blocks, start)
    if not any(gradient.any() for gradient in found):  # a constant logit: the others are all there is
        start = 1.0 - start
        found = _derivatives(blocks, -start)
    return found, start


def _derivatives(blocks: Blocks, of: Tensor) -> list[Tensor]:
    if not blocks.logits.requires_grad:
        return [torch.zeros_like(weights) for weights in blocks.every]
    found = torch.autograd.grad(blocks.logits, blocks.every, of, allow_unused=True, retain_graph=True)
    return [
        torch.zeros_like(weights) if gradient is None else gradient
        for weights, gradient in zip(blocks.every, found, strict=True)
    ]


def _row(blocks: Blocks, gradients: list[Tensor], pooling: Tensor, joint: Tensor) -> Tensor:
    """What the verdict reads of a product of blocks (T, T): (T,), by the pooling's weights (1, T) or as a mean of rows.

    The rows are those of the tokens on whose last attention the logit depends, by its gradient.
    """
    if blocks.pooling is not None and gradients[-1].any():
        return (pooling @ joint)[0]
    read = gradients[len(blocks.weights) - 1][0].abs().sum(dim=(0, 2)) > 0
    return joint[read if bool(read.any()) else torch.ones_like(read)].mean(dim=0)
