"""Whether a detector answers a picture the same whenever and beside whatever it is asked: tried once, at the start."""

import torch
from torch import Tensor
from torch.nn import functional

from common.errors import InputError
from common.seeds import derive_seed
from detectors.base import Detector
from detectors.half_precision import half_types
from detectors.queries import Queries

TOLERANCE = 1e-3
"""Of the largest logit: what another batch's order of additions may change in float32, with room to spare."""

HALF_TOLERANCE = 5e-2
"""The same where the detector computes in half precision."""


def require_consistent(detector: Detector, images: Tensor) -> None:
    """Refuses a detector whose answer for a picture depends on more than the picture.

    Asked are the first picture alone, all together, all once more, and all in the opposite order. Answers that differ
    beyond rounding say which promise is broken: the same twice (dropout that is left on, a state that is kept between
    calls), the same at every place of a batch, the same beside others (statistics of the batch). Five passes.

    Args:
        detector: in any mode; it is asked as everywhere, in evaluation mode.
        images: (N, 3, S, S) float32 in [0, 1], all different, N at least 2.

    Raises:
        InputError: naming the difference; also for answers of another shape or type, or not finite
            (`detectors.answers`).
    """
    name, queries = type(detector).__name__, Queries(detector, batch_size=len(images))
    alone, together, again = (queries.logits(asked) for asked in (images[:1], images, images))
    turned = queries.logits(images.flip(0)).flip(0)
    share = HALF_TOLERANCE if half_types(detector, images[0]) else TOLERANCE
    allowed = share * max(float(together.abs().max()), float(alone.abs().max()))
    for one, other, broken in (
        (
            together,
            again,
            "answers the same picture differently the second time: dropout is on, or a state is kept",
        ),
        (together, turned, "answers a picture differently at another place of a batch"),
        (alone, together[:1], "answers a picture differently beside others: statistics of the batch are in its answer"),
    ):
        difference = float((one - other).abs().max())
        if difference > allowed:
            raise InputError(f"detector {name} {broken} (a logit differs by {difference:.2g}); mend its forward")


def probes(detector: Detector) -> Tensor:
    """Three fixed pictures of noise (3, 3, S, S), on the CPU, of which each has another brightness and grain."""
    generator = torch.Generator().manual_seed(derive_seed(0, "consistency"))
    size = detector.input_size
    coarse = torch.rand(3, 3, 8, 8, generator=generator)
    smooth = functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)
    fine = torch.rand(3, 3, size, size, generator=generator)
    return torch.stack([0.75 * smooth[0] + 0.25 * fine[0], 0.5 * smooth[1], 0.25 * fine[2] + 0.5 * smooth[2] + 0.25])
