"""Users' own explainers, attacks and metrics, tried on the first frame before any is scored.

What they give must follow from what they are given: the same picture with the same draws gives the same. An explainer
that says it draws nothing must give the same with other draws, too.
"""

import copy
from collections.abc import Collection
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

import attacks.registry
import xai.methods
from attacks import RegionAttack
from common.console import warn
from common.errors import FAILED, InputError, described
from common.seeds import generator
from detectors import Queries
from runs.selection import Selection
from runs.usable_attacks import first_image
from scoring.frame import Scorer
from scoring.metrics import Case, Metric
from scoring.metrics.measuring import measure_case
from scoring.unchanged import Unchanged
from xai.base import SampledExplainer
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.methods import ADVERSARIAL, Method

TOLERANCE = 1e-3
"""Of the range of a map: what another order of additions may change."""

ATTACK_TOLERANCE = 0.05
"""Of what an attack changes: a step along the sign of a gradient may turn in many pixels by rounding."""

TOGETHER_TOLERANCE = 0.1
"""The same beside another region, as a batch of two rounds otherwise in every step."""

_DEPENDS = (
    "by the same draws: it draws by a generator of its own, or keeps something from call to call. No run is the same "
    "again, and its numbers depend on what it saw before; draw from the generator that it is given, and keep nothing"
)


def try_own_parts(scorer: Scorer, selection: Selection) -> None:
    """Refuses users' own explainers that say they draw nothing and do; warns of parts that do not repeat themselves.

    An explainer says so by `deterministic = True`, or by a covariance of zeros from `sampled`. Warned of are those
    that give two maps of the frame by the same draws, with its mirror image, moved, in between, or one map of both,
    attacks that make two pictures of it, or others of two of its regions together than of each alone, and metrics
    that give two values to its brightness as a map. What that takes, three or four explanations, five attacks on a
    quarter of the frame and two values, is in no cost. What fails there is left to fail when its frame's turn comes.

    Raises InputError, naming the method, or where one of them changes the detector or its own settings.
    """
    own = {each.explainer: each for each in scorer.methods if _is_own(each.explainer, xai.methods.FAMILIES)}
    own_attacks = {name: each for name, each in scorer.attacks.items() if _is_own(name, attacks.registry.FAMILIES)}
    own_metrics = {name: each for name, each in scorer.metrics.items() if _is_own(name, ())}
    image = first_image(selection, scorer.detector) if own or own_attacks or own_metrics else None
    if image is None:
        return
    unchanged = Unchanged(scorer.detector, scorer.settings, scorer.metrics)
    target = explained_class(Queries(scorer.detector).logits(image[None])[0], scorer.detector.real)
    frame, other = (
        FrameExplanations(scorer.detector, image, target, scorer.settings, seed, "trial", scorer.batch_size)
        for seed in (0, 1)
    )
    for method in own.values():
        _try_explainer(replace(method, fill="mean") if method.fill == ADVERSARIAL else method, frame, other)
        unchanged.require()
    for name, attack in own_attacks.items():
        _try_attack(name, attack, frame, scorer.batch_size)
        unchanged.require()
    for name, metric in own_metrics.items():
        _try_metric(name, metric, frame)
        unchanged.require()


def _try_explainer(method: Method, frame: FrameExplanations, other: FrameExplanations) -> None:
    """Explains a frame by a method, and again in `other` with other draws where it says that it has none."""
    image = frame.image
    moved = image.flip(-1).roll(image.shape[-1] // 3, dims=-1)  # a face may be its own mirror image
    try:
        first = frame.explain(method)
        elsewhere, again = frame.again(moved, frame.detector).explain(method), frame.explain(method)
    except FAILED:
        return
    if spread := _differ(first, again):
        warn(f"method {method.name} gave two maps of the first frame, which differ by {spread}, {_DEPENDS}")
    elif np.array_equal(first.saliency, elsewhere.saliency) and not torch.equal(image, moved):
        warn(
            f"method {method.name} gave the same map of the first frame and of its mirror image, moved: it does not "
            "look at the picture, or gives what it made of an earlier one"
        )
    explainer = frame.settings.explainers.get(method.explainer)
    repeats = getattr(explainer, "repeats", None)
    if repeats is not None and first.covariance is None:
        warn(
            f"method {method.name} gave the same map {repeats} times, by other draws: it does not draw by "
            "the generator that it is given, and how far its maps would move is not known"
        )
    if not _claims(explainer, first):
        return
    try:
        drawn_anew = other.explain(method)
    except FAILED:
        return
    if spread := _differ(first, drawn_anew):
        raise InputError(
            f"method {method.name} says that it is deterministic, and gave two maps of the first frame, which differ "
            f"by {spread}: take `deterministic` (or its covariance of zeros) out of it, or say how often it is to be "
            "run (`repeats`)"
        )


def _try_attack(name: str, attack: RegionAttack, frame: FrameExplanations, batch_size: int) -> None:
    """Attacks two quarters of a frame: the first twice, each alone, and both together."""
    image = frame.image[None]
    regions = torch.from_numpy(np.stack([_quarter(frame.image), np.roll(_quarter(frame.image), -7, axis=(0, 1))]))

    def made(*pairs: int) -> Tensor:
        """What the attack makes of these regions together."""
        images = image.expand(len(pairs), -1, -1, -1)
        return attack(frame.detector, images, regions[list(pairs)], list(pairs), batch_size).images

    try:
        attack = copy.deepcopy(attack)  # what it keeps of this is not kept with the run's settings
    except FAILED as error:
        warn(
            f"attack {name} cannot be copied ({described(error)}), and so was not tried before the run: whether it "
            "makes the same each time is not known; keep locks, files and the like out of its fields"
        )
        return
    try:
        first, again, second, both = made(0), made(0), made(1), made(0, 1)
    except FAILED:
        return
    if _apart(first, again, image) > ATTACK_TOLERANCE:
        warn(f"attack {name} made two pictures of the first frame {_DEPENDS}")
    elif max(_apart(first, both[:1], image), _apart(second, both[1:], image)) > TOGETHER_TOLERANCE:
        warn(
            f"attack {name} made other pictures of two regions of the first frame together than of each alone: it "
            "mixes the pairs of a batch, or puts them in another order, and its numbers depend on the batch size; let "
            "it treat each pair by itself, or be `one_by_one`"
        )


def _apart(one: Tensor, two: Tensor, image: Tensor) -> float:
    """How far two attacked pictures are from each other, as a share of how far the first is from the frame."""
    return float((one - two).abs().mean() / (one - image.cpu()).abs().mean().clamp(min=1e-12))


def _try_metric(name: str, metric: Metric, frame: FrameExplanations) -> None:
    try:
        case = Case(
            score=frame.score,
            image=frame.image,
            saliency=_brightness(frame.image),
            segments=frame.segments,
            mask=_quarter(frame.image),
            background=frame.image.mean(dim=(1, 2), keepdim=True).expand_as(frame.image),
            explain=lambda image, _: _brightness(image),
            draws=partial(generator, 0, "trial"),
        )
        one, two = (measure_case(case, {name: metric}) for _ in range(2))
    except FAILED:
        return
    values = [(each.full_name, each.value, again.value) for each, again in zip(one, two, strict=True)]
    if changed := [value for value in values if not np.isclose(value[1], value[2], rtol=TOLERANCE, equal_nan=True)]:
        full_name, first, second = changed[0]
        warn(f"metric {full_name} gave {first:g} and {second:g} of one map {_DEPENDS}")


def _brightness(image: Tensor) -> np.ndarray:
    """A map that follows the picture at no cost, (H, W)."""
    return image.mean(dim=0).cpu().numpy()


def _quarter(image: Tensor) -> np.ndarray:
    """The middle of a picture, half as wide and high, (H, W) bool."""
    middle, edge = np.zeros(image.shape[1:], dtype=bool), image.shape[-1] // 4
    middle[edge:-edge, edge:-edge] = True
    return middle


def _differ(one: Explanation, two: Explanation) -> str:
    """By how much two maps of one picture differ, in words; "" where by no more than rounding."""
    spread, difference = float(np.ptp(one.saliency)), float(np.abs(one.saliency - two.saliency).max())
    return f"{difference:.2g} where a map's values span {spread:.2g}" if difference > TOLERANCE * spread else ""


def _claims(explainer: object, made: Explanation) -> bool:
    """Whether an explainer says that it draws nothing."""
    says = bool(getattr(explainer, "deterministic", False)) or isinstance(explainer, SampledExplainer)
    return says and made.covariance is not None and not made.covariance.any()


def _is_own(name: str, families: Collection[str]) -> bool:
    """Whether a name is of a user's own code, `package.module:Name`."""
    family, separator, _ = name.partition(":")
    return bool(separator) and family not in families
