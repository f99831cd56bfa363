"""What each explanation costs: means over the frames of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.costs import Cost
from xai.methods import ADVERSARIAL, Method


@dataclass(frozen=True)
class MethodCost:
    """What a method takes on one frame: means over frames.

    Attributes:
        method: its name.
        fill: what hides pixels.
        frames: how many it explained.
        forwards: images passed to the detector, forward and backward, those of making the adversarial image included.
        calls: passes they went in.
        seconds: wall time, likewise.
        seconds_sd: its standard deviation over frames; NaN with one frame.
        adversarial_forwards: the part of `forwards` that makes the adversarial image; 0 for other fills.
        adversarial_seconds: the part of `seconds`, likewise.
    """

    method: str
    fill: str
    frames: int
    forwards: float
    calls: float
    seconds: float
    seconds_sd: float
    adversarial_forwards: float
    adversarial_seconds: float


def mean_costs(costs: Mapping[str, Sequence[Cost]], methods: Sequence[Method]) -> list[MethodCost]:
    """The mean costs of each method over the frames that it explained; no entry for a method without any.

    `costs` are by the frame's key.
    """
    method_costs = []
    for method in methods:
        explained = [frame for frame in costs.values() if any(cost.stage == method.name for cost in frame)]
        own = [cost for frame in explained for cost in frame if cost.stage == method.name]
        shared = [cost for frame in explained for cost in frame if cost.stage == method.fill == ADVERSARIAL]
        if not own:
            continue
        seconds = np.array([cost.seconds for cost in own])
        method_costs.append(
            MethodCost(
                method=method.name,
                fill=method.fill,
                frames=len(own),
                forwards=float(np.mean([cost.forwards for cost in own])),
                calls=float(np.mean([cost.calls for cost in own])),
                seconds=float(seconds.mean()),
                seconds_sd=float(seconds.std(ddof=1)) if len(own) > 1 else float("nan"),
                adversarial_forwards=sum(cost.forwards for cost in shared) / len(own),
                adversarial_seconds=sum(cost.seconds for cost in shared) / len(own),
            )
        )
    return method_costs
