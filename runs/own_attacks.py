"""Users' own attacks, tried on a frame before a run or a test of robustness."""

import contextlib
import copy

import torch
from torch import Tensor

from attacks import RegionAttack
from common.console import warn
from common.errors import FAILED, described
from detectors import Detector
from runs.asked_own_parts import DEPENDS, QUARTERS, Proposed, attack_quarters, proposed
from runs.first_given import TOGETHER_TOLERANCE

ATTACK_TOLERANCE = 0.05
"""Of what an attack changes: a step along the sign of a gradient may turn in many pixels by rounding."""

MOST_CONTRAST, LEAST_CONTRAST, LINEAR = 1.5, 0.02, 0.9
"""By how much an attack may stretch a picture, of what standard deviation and r squared, without a remark."""

FAR = 4
"""By how many budgets, in the median, a first proposal may change a picture without a remark."""


def try_attack(name: str, attack: RegionAttack, detector: Detector, image: Tensor, batch_size: int) -> bool:
    """Whether an attack repeats itself on two quarters of an image: the first twice, each alone, and both together.

    Args:
        name: of the attack, a user's own, for the warning that says what it does not do.
        attack: is copied.
        detector: that is attacked.
        image: (3, S, S), a frame as it prepares it, that it calls fake.
        batch_size: images in a pass.
    """
    try:
        attack = copy.deepcopy(attack)  # what it keeps of this is not kept with the run's settings
    except FAILED as error:
        warn(
            f"attack {name} cannot be copied ({described(error)}), and so was not tried before the run: whether it "
            "makes the same each time is not known; keep locks, files and the like out of its fields"
        )
        return False
    try:
        first, again, second, both = (
            attack_quarters(attack, detector, image, batch_size, pairs) for pairs in ((0,), (0,), (1,), (0, 1))
        )
    except FAILED:
        return False
    if _apart(first, again, image[None]) > ATTACK_TOLERANCE:
        warn(f"attack {name} made two pictures of the first frame {DEPENDS}")
        return False
    if max(_apart(first, both[:1], image[None]), _apart(second, both[1:], image[None])) > TOGETHER_TOLERANCE:
        warn(
            f"attack {name} made other pictures of two regions of the first frame together than of each alone: it "
            "mixes the pairs of a batch, or puts them in another order, and its numbers depend on the batch size; let "
            "it treat each pair by itself, or be `one_by_one`"
        )
    else:
        with contextlib.suppress(*FAILED):
            if (made := proposed(attack, detector, image, batch_size)) is not None:
                _remark_on_proposed(name, attack, made, image.cpu())
    return True


def _remark_on_proposed(name: str, attack: RegionAttack, made: Proposed, image: Tensor) -> None:
    """Warns of proposals of an attack for parts of an image (3, S, S) that are not what they should be."""
    said = f"attack {name} proposed"
    if made.together is not None and _parts_apart(made.alone, made.together, made.regions, image):
        warn(
            f"{said} otherwise for {QUARTERS} regions of the first frame together than for each alone: it mixes the "
            "pairs of a batch (a mean over them, a stop for all), or follows what is rounding alone, and its numbers "
            "depend on the batch size; let it treat each pair by itself, or be `one_by_one`"
        )
    elif (
        made.last_alone is not None
        and made.last_together is not None
        and _parts_apart(made.last_alone, made.last_together, made.regions, image)
    ):
        warn(
            f"{said} otherwise for {QUARTERS} regions of the first frame, one in its last round and the others in "
            "their first, together than for each alone: it takes the round of one pair for that of all, and its "
            "numbers depend on the batch size; let it treat each pair by its own of `batch.rounds`, or be `one_by_one`"
        )
    inside = made.regions[0]
    before, after = image[:, inside], made.alone[0][:, inside]
    if torch.equal(before, after):
        warn(f"{said} the first frame itself: it changes nothing there; see its steps, and when it stops")
    elif float(after.abs().max()) <= 2 * attack.epsilon < float(before.median()) / 2 and after.std() > 0:
        warn(
            f"{said} values from {float(after.min()):.2g} to {float(after.max()):.2g} of the first frame, whose own "
            f"are from {float(before.min()):.2g} to {float(before.max()):.2g}: where that is the change, add the "
            "picture"
        )
    elif (slope := _slope(before, after)) > MOST_CONTRAST:
        warn(
            f"{said} the first frame at {slope:.1f} times its contrast, from {float(after.min()):.2g} to "
            f"{float(after.max()):.2g}: where that is a normalised picture, give it back in [0, 1]"
        )
    elif (changes := float((after - before).abs().median())) > FAR * attack.epsilon:
        warn(
            f"{said} changes of the first frame by {changes:.2g}, where its budget is {attack.epsilon:.2g}, to which "
            "they are cut: see whether its steps are in [0, 1], and its pictures in the shape and order that it got"
        )


def _slope(before: Tensor, after: Tensor) -> float:
    """By what an attack multiplies the values of a picture (3, P), where it follows them by a line; else 0."""
    before, after = (each.double() - each.double().mean(dim=1, keepdim=True) for each in (before, after))
    shared, own, other = (before * after).sum(), before.square().sum(), after.square().sum()
    if own <= LEAST_CONTRAST**2 * before.numel() or shared.square() < LINEAR * own * other:
        return 0.0
    return float(shared / own)


def _parts_apart(one: Tensor, two: Tensor, regions: Tensor, image: Tensor) -> bool:
    """Whether two proposals for regions (N, S, S) differ inside one of them beyond rounding."""
    return any(
        _apart(first[:, region], second[:, region], image[:, region]) > TOGETHER_TOLERANCE
        for first, second, region in zip(one, two, regions, strict=True)
    )


def _apart(one: Tensor, two: Tensor, image: Tensor) -> float:
    """How far two attacked pictures are from each other, as a share of how far the first is from the frame."""
    return float((one - two).abs().mean() / (one - image.cpu()).abs().mean().clamp(min=1e-12))
