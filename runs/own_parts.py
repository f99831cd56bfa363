"""Users' own explainers, attacks and metrics, tried on the first frame before any is scored.

What they give must follow from what they are given: the same picture with the same draws gives the same, in whichever
process (`runs.first_given`). An explainer that says it draws nothing must give the same with other draws, too.
"""

import contextlib

import numpy as np
from torch import Tensor

from common.console import warn
from common.errors import FAILED
from common.seeds import generator
from runs.asked_own_parts import (
    ASKED_TOLERANCE,
    DEPENDS,
    Asked,
    Given,
    OwnParts,
    asked_otherwise,
    measure,
    of_attack,
    of_prepare,
    of_values,
    trial,
)
from runs.first_given import TOLERANCE, FirstGiven
from runs.own_attacks import try_attack
from runs.own_explainers import is_filled, try_explainer
from runs.selection import Selection
from scoring.frame import Scorer
from scoring.metrics import Metric
from scoring.unchanged import Unchanged, UnchangedAnswers
from xai.explanation import FrameExplanations

OTHER_MAPS = 3
"""Of noise, about which a metric is asked besides."""


def try_own_parts(scorer: Scorer, selection: Selection, key: str, image: Tensor) -> FirstGiven | None:
    """Refuses users' own explainers that say they draw nothing and do; warns of parts that do not repeat themselves.

    An explainer says so by `deterministic = True`, or by a covariance of zeros from `sampled`. Warned of are those that
    give two maps of the frame by the same draws, with its mirror image, moved, in between, or one map of both, or one
    for the detector and for one that sees it upside down, or one of two fills where a method differs by its fill, and
    that ask about what is no picture in [0, 1]; attacks that make two pictures of the frame, or others of its regions
    together than of each alone, or propose no pictures of it; and metrics that give two values to its brightness as a
    map. What that takes, four to seven explanations, six attacks on a quarter of the frame, some ten proposals and two
    values, is in no cost. What fails there is left to fail when its frame's turn comes.

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
        given |= try_explainer(method, frame, other, is_filled(method, scorer.methods))
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


def _try_metric(name: str, metric: Metric, frame: FrameExplanations) -> Given:
    """Asks a metric twice about one map, and about some others where it judges the map that it is given."""
    asked = Asked()
    try:
        with asked.of(frame.detector):
            one, two = (measure(name, metric, frame) for _ in range(2))
    except FAILED:
        return {}
    asked.remark_range(f"metric {name}")
    values = [(each.full_name, each.value, again.value) for each, again in zip(one, two, strict=True)]
    if changed := [value for value in values if not np.isclose(value[1], value[2], rtol=TOLERANCE, equal_nan=True)]:
        full_name, first, second = changed[0]
        warn(f"metric {full_name} gave {first:g} and {second:g} of one map {DEPENDS}")
        return {}
    for how, other in asked_otherwise(frame).items():
        with contextlib.suppress(*FAILED):
            again = measure(name, metric, other)
            if differing := [
                f"{first.value:g} and {second.value:g}"
                for first, second in zip(one, again, strict=True)
                if not np.isclose(first.value, second.value, rtol=ASKED_TOLERANCE, atol=1e-3, equal_nan=True)
            ]:
                warn(f"metric {name} gave {differing[0]} of one map when asked {how}")
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
