"""Users' own explainers, attacks and metrics, tried on the first frame before any is scored.

What they give must follow from what they are given: the same picture with the same draws gives the same, in whichever
process (`runs.first_given`). An explainer that says it draws nothing must give the same with other draws, too.
"""

import contextlib
import copy

import numpy as np
import torch
from torch import Tensor

from attacks import RegionAttack
from common.console import warn
from common.errors import FAILED, InputError, described
from common.seeds import generator
from detectors import Detector
from runs.asked_own_parts import (
    Given,
    OwnParts,
    attack_quarters,
    measure,
    of_attack,
    of_map,
    of_prepare,
    of_values,
    proposed_in_other_rounds,
    trial,
)
from runs.first_given import TOGETHER_TOLERANCE, TOLERANCE, FirstGiven
from runs.selection import Selection
from scoring.frame import Scorer
from scoring.metrics import Metric
from scoring.unchanged import Unchanged, UnchangedAnswers
from xai.base import SampledExplainer
from xai.explanation import Explanation, FrameExplanations
from xai.methods import Method

ATTACK_TOLERANCE = 0.05
"""Of what an attack changes: a step along the sign of a gradient may turn in many pixels by rounding."""

OTHER_MAPS = 3
"""Of noise, about which a metric is asked besides."""

_DEPENDS = (
    "by the same draws: it draws by a generator of its own, or keeps something from call to call. No run is the same "
    "again, and its numbers depend on what it saw before; draw from the generator that it is given, and keep nothing"
)


def try_own_parts(scorer: Scorer, selection: Selection, key: str, image: Tensor) -> FirstGiven | None:
    """Refuses users' own explainers that say they draw nothing and do; warns of parts that do not repeat themselves.

    An explainer says so by `deterministic = True`, or by a covariance of zeros from `sampled`. Warned of are those that
    give two maps of the frame by the same draws, with its mirror image, moved, in between, or one map of both, or one
    for the detector and for one that sees it upside down, attacks that make two pictures of it, or others of two of its
    regions together than of each alone, also where the two are in other rounds, and metrics that give two values to its
    brightness as a map. What that takes, four or five explanations, six attacks on a quarter of the frame, three
    proposals and two values, is in no cost. What fails there is left to fail when its frame's turn comes.

    Args:
        scorer: with the parts.
        selection: of the run's frames.
        key: of the frame, the run's first that can be prepared and is answered.
        image: (3, S, S), that frame as the detector prepares it.

    Returns:
        What those that repeat themselves gave of the frame, a detector's own `prepare` among them; None where the run
        has no own parts.

    Raises:
        InputError: naming the method, or where one of them changes the detector, what it says of the frame, its
            gradient there, or its own settings.
    """
    own = OwnParts.of(scorer)
    if not (own.prepares or own.explain_or_attack):
        return None
    given: dict[str, np.ndarray] = {}
    if own.prepares:
        one, two = (of_prepare(scorer.detector, selection, key) for _ in range(2))
        given |= {name: made for name, made in one.items() if np.array_equal(made, two[name])}
    if not own.explain_or_attack:
        return FirstGiven(key, given)
    unchanged = Unchanged(scorer.detector, scorer.settings, scorer.metrics)
    answers = UnchangedAnswers(scorer.detector)
    answers.see(image)
    frame, other = (trial(scorer, image, seed) for seed in (0, 1))
    for method in own.methods.values():
        given |= _try_explainer(method, frame, other)
        unchanged.require()
        answers.require(f"method {method.name}")
    for name, attack in own.attacks.items():
        if try_attack(name, attack, scorer.detector, frame.image, scorer.batch_size):
            with contextlib.suppress(*FAILED):
                given |= of_attack(name, attack, scorer.batch_size, frame)
        unchanged.require()
        answers.require(f"attack {name}")
    for name, metric in own.metrics.items():
        given |= _try_metric(name, metric, frame)
        unchanged.require()
        answers.require(f"metric {name}")
    return FirstGiven(key, given)


class _UpsideDown(Detector):
    """A detector that sees pictures upside down."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.class_names, self.real, self.input_size = detector.class_names, detector.real, detector.input_size
        self.mean, self.std = detector.mean, detector.std

    def forward(self, images: Tensor) -> Tensor:
        return self.detector(images.flip(-2))


def _try_explainer(method: Method, frame: FrameExplanations, other: FrameExplanations) -> Given:
    """Explains a frame by a method, and again in `other` with other draws where it says that it has none."""
    image = frame.image
    moved = image.flip(-1).roll(image.shape[-1] // 3, dims=-1)  # a face may be its own mirror image
    try:
        first = frame.explain(method)
        elsewhere, again = frame.again(moved, frame.detector).explain(method), frame.explain(method)
    except FAILED:
        return {}
    given: Given = of_map(method, first)
    is_alike = np.array_equal(first.saliency, elsewhere.saliency) and not torch.equal(image, moved)
    if spread := _differ(first, again):
        warn(f"method {method.name} gave two maps of the first frame, which differ by {spread}, {_DEPENDS}")
        given = {}
    elif is_alike:
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
    if _claims(explainer, first):
        _require_same(method, first, other)
    if given and not is_alike and _same_for_another(method, frame, first):
        warn(
            f"method {method.name} gave the same map of the first frame for the detector and for one that sees it "
            "upside down: it does not ask the detector, or gives what it made of a picture before, whatever is asked"
        )
    return given


def _require_same(method: Method, made: Explanation, other: FrameExplanations) -> None:
    """Refuses a method that says it draws nothing, and gives another map by other draws."""
    try:
        drawn_anew = other.explain(method)
    except FAILED:
        return
    if spread := _differ(made, drawn_anew):
        raise InputError(
            f"method {method.name} says that it is deterministic, and gave two maps of the first frame, which differ "
            f"by {spread}: take `deterministic` (or its covariance of zeros) out of it, or say how often it is to be "
            "run (`repeats`)"
        )


def _same_for_another(method: Method, frame: FrameExplanations, made: Explanation) -> bool:
    """Whether a map is the same, bit by bit, for a detector that sees the frame otherwise; False where it fails."""
    if not np.ptp(made.saliency) or torch.equal(frame.image, frame.image.flip(-2)):
        return False
    with contextlib.suppress(*FAILED):
        return np.array_equal(
            made.saliency, frame.again(frame.image, _UpsideDown(frame.detector)).explain(method).saliency
        )
    return False


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
        warn(f"attack {name} made two pictures of the first frame {_DEPENDS}")
        return False
    if max(_apart(first, both[:1], image[None]), _apart(second, both[1:], image[None])) > TOGETHER_TOLERANCE:
        warn(
            f"attack {name} made other pictures of two regions of the first frame together than of each alone: it "
            "mixes the pairs of a batch, or puts them in another order, and its numbers depend on the batch size; let "
            "it treat each pair by itself, or be `one_by_one`"
        )
    elif _mixes_rounds(attack, detector, image, batch_size):
        warn(
            f"attack {name} proposed otherwise for two regions of the first frame, one in its first round and one in "
            "its last, together than for each alone: it takes the round of one pair for that of all, and its numbers "
            "depend on the batch size; let it treat each pair by its own of `batch.rounds`, or be `one_by_one`"
        )
    return True


def _mixes_rounds(attack: RegionAttack, detector: Detector, image: Tensor, batch_size: int) -> bool:
    """Whether what an attack proposes for a pair depends on the round of another; False where that cannot be asked."""
    with contextlib.suppress(*FAILED):
        if (proposed := proposed_in_other_rounds(attack, detector, image, batch_size)) is not None:
            together, alone = proposed
            return _apart(alone, together, image[None]) > ATTACK_TOLERANCE
    return False


def _apart(one: Tensor, two: Tensor, image: Tensor) -> float:
    """How far two attacked pictures are from each other, as a share of how far the first is from the frame."""
    return float((one - two).abs().mean() / (one - image.cpu()).abs().mean().clamp(min=1e-12))


def _try_metric(name: str, metric: Metric, frame: FrameExplanations) -> Given:
    """Asks a metric twice about one map, and about some others where it judges the map that it is given."""
    try:
        one, two = (measure(name, metric, frame) for _ in range(2))
    except FAILED:
        return {}
    values = [(each.full_name, each.value, again.value) for each, again in zip(one, two, strict=True)]
    if changed := [value for value in values if not np.isclose(value[1], value[2], rtol=TOLERANCE, equal_nan=True)]:
        full_name, first, second = changed[0]
        warn(f"metric {full_name} gave {first:g} and {second:g} of one map {_DEPENDS}")
        return {}
    others = [] if metric.about.needs == "explaining" else [*range(OTHER_MAPS)]
    maps = [generator(0, "map", other).random(frame.image.shape[1:]).astype(np.float32) for other in others]
    try:
        elsewhere = [{each.full_name: each.value for each in measure(name, metric, frame, map_)} for map_ in maps]
    except FAILED:
        return of_values(one)
    for each in one:
        if maps and each.value not in (0.0, 1.0) and all(said.get(each.full_name) == each.value for said in elsewhere):
            warn(
                f"metric {each.full_name} gave {each.value:g} of {len(maps) + 1} different maps of one picture: it "
                "does not look at the map, or gives what it made of an earlier one"
            )
    return of_values(one)


def _differ(one: Explanation, two: Explanation) -> str:
    """By how much two maps of one picture differ, in words; "" where by no more than rounding."""
    spread, difference = float(np.ptp(one.saliency)), float(np.abs(one.saliency - two.saliency).max())
    return f"{difference:.2g} where a map's values span {spread:.2g}" if difference > TOLERANCE * spread else ""


def _claims(explainer: object, made: Explanation) -> bool:
    """Whether an explainer says that it draws nothing."""
    says = bool(getattr(explainer, "deterministic", False)) or isinstance(explainer, SampledExplainer)
    return says and made.covariance is not None and not made.covariance.any()
