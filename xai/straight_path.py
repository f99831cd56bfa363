"""Integrated gradients along a path that bends: more steps where they are needed, until the attributions add up."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from xai.completeness import FLOOR

PIECE_STEPS = 10
"""Gradients on each piece of a divided path: by Gauss-Legendre exact for polynomials of degree 19."""

SHORTEST = 2.0**-20
"""No piece is divided below this length: float32 does not tell its ends apart."""


Integrate = Callable[[float, float, int], Tensor]
"""The integrated gradients between two places of the path, (3, H, W), in so many steps."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of the straight path from the hidden frame (0) to the frame (1), with its integrated gradients.

    Attributes:
        start, stop: where it lies, in [0, 1].
        before, after: the score at its ends.
        attributions: (3, H, W).
    """

    start: float
    stop: float
    before: float
    after: float
    attributions: Tensor

    @cached_property
    def error(self) -> float:
        """How far beyond the change of the score over it its attributions add up; below 0 where they fall short."""
        return float(self.attributions.sum(dtype=torch.float64)) - (self.after - self.before)

    def halves(self, integrate: Integrate, value: Callable[[float], float]) -> list["Piece"]:
        """The same part of the path in two pieces."""
        middle = (self.start + self.stop) / 2
        between = value(middle)
        return [
            Piece(self.start, middle, self.before, between, integrate(self.start, middle, PIECE_STEPS)),
            Piece(middle, self.stop, between, self.after, integrate(middle, self.stop, PIECE_STEPS)),
        ]


def along_path(
    integrate: Integrate,
    value: Callable[[float], float],
    steps: int,
    most_steps: int,
    tolerance: float,
) -> Tensor:
    """The integrated gradients of the whole path, (3, H, W).

    By the fundamental theorem of calculus the attributions of every piece of the path add up to the change of the score
    over that piece, so each piece knows its own error. The piece with the largest is halved, again and again: so steps
    gather where the path bends, as behind a layer norm, whose answer to a scaled input changes in the first thousandth
    of the path alone. It ends where the errors, without their signs, are within the tolerance together: what two pieces
    miss does not cancel. Where that is not reached, what came nearest to adding up is given.

    Args:
        integrate: see `Integrate`.
        value: the score at a place of the path.
        steps: of the first try, which takes the path as one piece.
        most_steps: beyond which no piece is divided.
        tolerance: the error that is good enough, as a share of the change of the score.
    """
    pieces = [Piece(0.0, 1.0, value(0.0), value(1.0), integrate(0.0, 1.0, steps))]
    allowed = tolerance * max(abs(pieces[0].after - pieces[0].before), FLOOR)
    nearest, taken = pieces, steps
    while sum(abs(piece.error) for piece in pieces) > allowed and taken + 2 * PIECE_STEPS <= most_steps:
        worst = max(pieces, key=lambda piece: abs(piece.error))
        if worst.stop - worst.start <= SHORTEST:
            break
        pieces = [part for piece in pieces for part in (piece.halves(integrate, value) if piece is worst else [piece])]
        taken += 2 * PIECE_STEPS
        nearest = min(nearest, pieces, key=_error)
    return torch.stack([piece.attributions for piece in nearest]).sum(dim=0)


def _error(pieces: list[Piece]) -> float:
    """How far pieces are from adding up together."""
    return abs(sum(piece.error for piece in pieces))
