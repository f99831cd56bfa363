"""The model that torchattacks attacks: composites that only the regions enter, every answer judged as it is given."""

from enum import Enum

import torch
from torch import Tensor, nn

from common.errors import InputError
from detectors.answers import in_float32, says
from detectors.gradients import tell_followed
from detectors.queries import Queries, log_odds

ROUNDING = 1e-6
"""How far a pixel may lie off the L-infinity ball or [0, 1] and still count as inside."""


class View(Enum):
    """What the library is shown of a detector's answer."""

    CLASSES = "the logits"
    LIFTED = "the logits, moved so that the least is 1"
    REAL_OR_NOT = "two classes, not Real and Real: 0 and the log-odds of Real, in units of the first image's"
    LIFTED_REAL_OR_NOT = "the same two, moved so that the lesser is 1"


class AllFlippedError(Exception):
    """No pair is left to attack; raised through the library to stop it."""


class ShownModel(nn.Module):
    """The detector as the library sees it: x counts inside the regions, the originals elsewhere.

    It judges whatever it is asked about. For each pair it keeps the first image that the detector calls Real, else
    that of the highest log p(Real), of those inside the L-infinity ball and [0, 1]. A pair that has flipped is passed
    to the detector no more, and is charged nothing more: it fares in a batch as it would alone. Once all have
    flipped, AllFlippedError stops the library.

    Some losses of the library take 0 for "not this class" (CW, EADL1, EADEN, margins): a negative logit is then lost
    in a maximum with 0, and its gradient with it. LIFTED keeps them right. REAL_OR_NOT is for attacks that can only go
    away from a class: away from class 0 is towards Real, along the gradient of log p(Real), and past the verdict to
    p(Real) = 1/2. Its unit keeps float32's cross-entropy from rounding to 0 where Real is improbable; it changes no
    sign and no direction.

    LIFTED_REAL_OR_NOT is for losses of logits over the largest of them (Jitter): of 0 and the log-odds that is
    constant, and has no gradient.

    Attributes:
        images: (n, 3, H, W), the best of each pair; the original as long as nothing was judged.
        flipped: of each pair, whether the detector calls that image Real.
        forwards: of each pair, images passed for it, backward passes among them.
    """

    def __init__(self, queries: Queries, originals: Tensor, regions: Tensor, epsilon: float, view: View) -> None:
        super().__init__()
        self.detector, self.batch_size = queries.detector, queries.batch_size
        self.originals, self.regions, self.epsilon, self.view = originals, regions, epsilon, view
        self.images, self.flipped, self.forwards = originals.clone(), [False] * len(originals), [0] * len(originals)
        self._heights = [-torch.inf] * len(originals)
        self._unit: Tensor | None = None
        # the library asks a model's first parameter for its device, and some detectors have no parameter
        self.where = nn.Parameter(torch.empty(0, device=originals.device), requires_grad=False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """What `view` shows of the composites (N, C); with one pair, x may hold any number of candidates for it."""
        images = torch.where(self.regions, x, self.originals)
        if images.requires_grad:  # the library calls `view` on gradients
            images.register_hook(lambda gradient: gradient.contiguous())
        owners = [0] * len(images) if len(self.originals) == 1 else list(range(len(images)))
        logits = self._asked(images, owners)
        if all(self.flipped):
            raise AllFlippedError
        return self._shown(logits)

    def settle(self, results: Tensor) -> Tensor:
        """Judges the library's results (n, 3, H, W) as well, projected; returns the best image of each pair."""
        results = torch.where(self.regions & results.isfinite(), results, self.originals)
        with torch.no_grad():
            self._asked(self._projected(results, self.originals), list(range(len(results))))
        return self.images

    def _asked(self, images: Tensor, owners: list[int]) -> Tensor:
        """Logits (N, C) of images, which belong to those pairs; 0 for pairs that have flipped."""
        rows = [row for row, pair in enumerate(owners) if not self.flipped[pair]]
        asked = [owners[row] for row in rows]
        if not rows:
            return images.new_zeros(len(images), len(self.detector.class_names))
        passed = images if len(rows) == len(images) else images[rows]
        passed = passed.contiguous(memory_format=self.detector.memory_format)
        logits = torch.cat([in_float32(self.detector(chunk)) for chunk in passed.split(self.batch_size)])
        if images.requires_grad and not logits.requires_grad:
            raise InputError(
                f"{type(self.detector).__name__} gives no gradient, which this attack needs: let its forward run "
                "without no_grad or detach, or attack with nes"
            )
        self._charge(asked)
        self._judge(passed.detach(), logits.detach(), asked)
        if logits.requires_grad:
            tell_followed(
                self.detector, passed.detach(), logits.detach().cpu(), self.detector.real,
                torch.ones(len(passed), dtype=torch.bool),
            )  # fmt: skip
            open_pairs = [pair for pair in asked if not self.flipped[pair]]
            logits.register_hook(lambda _gradient: self._charge(open_pairs))
        if len(rows) == len(images):
            return logits
        return logits.new_zeros(len(images), logits.shape[1]).index_copy(
            0, torch.tensor(rows, device=logits.device), logits
        )

    def _charge(self, pairs: list[int]) -> None:
        for pair in pairs:
            self.forwards[pair] += 1

    def _judge(self, images: Tensor, logits: Tensor, owners: list[int]) -> None:
        """Keeps the images that are better than what their pairs have."""
        near = self._projected(images, self.originals[owners])
        inside = ((images - near).abs() <= ROUNDING).flatten(1).all(dim=1).tolist()
        heights = logits.cpu().double().log_softmax(dim=1)[:, self.detector.real].tolist()
        real = says(logits, self.detector.real).tolist()
        for row, pair in enumerate(owners):
            if inside[row] and not self.flipped[pair] and (real[row] or heights[row] > self._heights[pair]):
                self.images[pair], self._heights[pair], self.flipped[pair] = near[row], heights[row], real[row]

    def _projected(self, images: Tensor, originals: Tensor) -> Tensor:
        """Images in the L-infinity ball around originals, and in [0, 1]."""
        near = torch.minimum(torch.maximum(images, originals - self.epsilon), originals + self.epsilon)
        return near.clamp(0.0, 1.0)

    def _shown(self, logits: Tensor) -> Tensor:
        if self.view is View.CLASSES:
            return logits
        if self.view is View.LIFTED:
            return _lifted(logits)
        odds = log_odds(logits, self.detector.real)
        if self._unit is None:
            self._unit = odds.detach()[: len(self.originals)].abs().clamp(min=1.0)
        both = torch.stack([torch.zeros_like(odds), odds / self._unit], dim=1)
        return both if self.view is View.REAL_OR_NOT else _lifted(both)


def _lifted(logits: Tensor) -> Tensor:
    """Logits (N, C) moved so that the least is 1."""
    return logits - logits.detach().amin(dim=1, keepdim=True) + 1
