"""The records of a frame: its verdict, what an attack did to a region, what a flip outlives, thresholds, metrics."""

from dataclasses import dataclass

import pandas as pd

SURVIVES = "survives_"  # begins the names of rows' columns that a run has for transforms (`runs.transform_columns`)
UNKNOWN = -1  # in whole numbers and shares that tables leave empty (`tidy`)


@dataclass(frozen=True)
class Row:
    """What one attack did to one region of one frame.

    Attributes:
        key: the frame.
        video: the video it is from.
        family: the manipulation it was made with, "" where unknown.
        label: its `mc_label`, -1 where it has none.
        predicted: the class that the detector says.
        correct: whether that is the frame's class: 1 or 0, -1 where the detector has no class for it.
        target: the explained class: the predicted one, or where that is Real, the most probable other.
        seed: of the trial's draws.
        segmentation: "slic-50", ...: how the frame was divided.
        method: "LIME", "LIME_adv", ..., or a baseline: "random", "oracle", ... (`scoring.baselines`).
        of: the method that a baseline belongs to ("random-area" of "LIME"); "" for all others.
        draw: which of a baseline's random draws; 0 where there is one.
        fill: what hid pixels while explaining; "" for a baseline that explains nothing.
        weak: whether the ranking says little (`xai.ranking.is_weak`).
        completeness_error: how far the map is from adding up to the change of the score that its method promises, as a
            share of that change (`xai.completeness`); -1 where it promises nothing.
        stability: the probability that a re-run of the explanation with other draws has the same region, in [0, 1]; -1
            where that is not known, and for a baseline.
        attack: "nes", ...
        epsilon: its L-infinity budget, in (0, 1].
        depth: which region: "1", "2", "3" are the best segments together, "5%" as many as come nearest to that share
            of the frame, "all" the whole frame.
        k: how many segments the region has; 0 for an empty one.
        area: the attacked share of the frame's pixels, in [0, 1].
        mask_precision: the share of those that were truly manipulated, in [0, 1]; -1 where that is not known, as
            with a mask that has no manipulated pixel.
        before: p(target) of the frame.
        after: p(target) of the attacked frame.
        drop: before - after.
        predicted_after: the class that the detector says of the attacked frame.
        correct_after: as `correct`, of the attacked frame.
        flipped_to_real: whether the attack made the detector say Real; never where it did so before.
        linf: the largest change of a pixel's channel, in [0, 1].
        steps: the attack's steps; 0 where the detector said Real already.
        forwards: images passed to the detector for the attack on that region, the judge's included; a pass backward
            counts as one more.
        queries: forwards that an attacker without gradients would have needed; -1 where it could not do without.
    """

    key: str
    video: str
    family: str
    label: int
    predicted: str
    correct: int
    target: str
    seed: int
    segmentation: str
    method: str
    of: str
    draw: int
    fill: str
    weak: bool
    completeness_error: float
    stability: float
    attack: str
    epsilon: float
    depth: str
    k: int
    area: float
    mask_precision: float
    before: float
    after: float
    drop: float
    predicted_after: str
    correct_after: int
    flipped_to_real: bool
    linf: float
    steps: int
    forwards: int
    queries: int


@dataclass(frozen=True)
class FlipThreshold:
    """How much it takes to flip one frame's verdict along one ranking: a number where "flipped or not" saturates.

    Attributes:
        key, video, family, seed, segmentation, method, of, draw, fill: as in Row.
        attack: what was used to find out, and its budget where that is fixed: "pgd", "pgd 4/255".
        measure: "budget", the smallest L-infinity budget that flips, attacking the three best segments; or
            "fraction", the share of the segments that is needed when they are added best first.
        value: in [0, 1]; where `reached` is false, the largest that was tried.
        reached: whether the verdict flipped; a frame that never does is censored, not dropped.
    """

    key: str
    video: str
    family: str
    seed: int
    segmentation: str
    method: str
    of: str
    draw: int
    fill: str
    attack: str
    measure: str
    value: float
    reached: bool


@dataclass(frozen=True)
class MetricValue:
    """The value that one standard metric gives one explanation of one frame (`scoring.metrics`).

    Attributes:
        key, video, family, seed, segmentation, method, fill: as in Row.
        metric: its full name, "deletion" or "aopc.morf".
        value: 0 where it is undefined.
        better: "higher", "lower", or "" where neither is better.
        undefined: why there is no value; "" where there is one.
        forwards: images passed to detectors for the metric, all its values together.
    """

    key: str
    video: str
    family: str
    seed: int
    segmentation: str
    method: str
    fill: str
    metric: str
    value: float
    better: str
    undefined: str
    forwards: int


@dataclass(frozen=True)
class FrameVerdict:
    """What the detector says of one frame, and what became of it as a whole; one for each trial.

    Attributes:
        key, video, family, label, seed, segmentation, predicted, correct, target, before: as in Row.
        probabilities: of every class, in the order of the detector's class names, as numbers parted by spaces.
        segments: into how many the frame was divided; -1 where it was not, as the detector calls it Real.
        adversarial_flipped: whether the detector calls the adversarial image Real: 1 or 0, -1 where none was made.
        adversarial_steps: the steps of the attack that made it; -1 where none was made.
        adversarial_forwards: images passed to the detector to make it; likewise.
        adversarial_queries: forwards that an attacker without gradients would have needed for it; -1 also where the
            attack cannot do without.
        unscored: the parts of the trial that failed, with the reasons (`scoring.attempts.as_text`); "" for none.
    """

    key: str
    video: str
    family: str
    label: int
    seed: int
    segmentation: str
    predicted: str
    correct: int
    target: str
    before: float
    probabilities: str
    segments: int
    adversarial_flipped: int
    adversarial_steps: int
    adversarial_forwards: int
    adversarial_queries: int
    unscored: str = ""


@dataclass(frozen=True)
class TransformedVerdict:
    """What the detector says of a picture after each transform that a run asks for (`data.picture_transforms`).

    There is one for every row that flipped, of its attacked picture, and one for each trial of the frame itself.

    Attributes:
        key, video, family, seed, segmentation, method, of, draw, fill, attack, epsilon, depth: as in Row; of the frame
            itself, which nothing attacked, `method`, `attack` and `depth` are "" and `epsilon` is 0.
        real_after: the names of the transforms after which the detector calls the picture Real, parted by spaces.
    """

    key: str
    video: str
    family: str
    seed: int
    segmentation: str
    method: str
    of: str
    draw: int
    fill: str
    attack: str
    epsilon: float
    depth: str
    real_after: str


_WHOLE_NUMBERS = {
    "label", "correct", "correct_after", "queries", "segments", "adversarial_flipped", "adversarial_steps",
    "adversarial_forwards", "adversarial_queries",
}  # fmt: skip
_SHARES = {"mask_precision", "completeness_error", "stability"}


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """A table of records of one kind, with missing values for what is unknown or undefined."""
    table = table.copy(deep=False)
    for name in _WHOLE_NUMBERS & set(table):
        table[name] = table[name].astype("Int64").mask(table[name] == UNKNOWN)
    for name in [name for name in map(str, table) if name.startswith(SURVIVES)]:
        table[name] = (table[name] == 1).astype("boolean").mask(table[name] == UNKNOWN)
    if "undefined" in table:
        table["value"] = table["value"].mask(table["undefined"] != "")
    for name in _SHARES & set(table):
        table[name] = table[name].mask(table[name] == UNKNOWN)
    if "family" in table:
        table["family"] = table["family"].mask(table["family"] == "")
    return table
