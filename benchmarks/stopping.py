"""What `--preset efficient` saves of the published samples, and whether the best three segments stay the same.

Run as `python -m benchmarks.stopping`. Every method explains the same frames, segments and adversarial images by the
published settings, by these with other draws, by the efficient ones, and by the efficient ones without the stopping
rule: no rule can agree with the published run more often than another published run does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import typer

import detectors
import xai
from benchmarks.common import BatchSizeOption, Clock, ClockOption, ThreadsOption
from benchmarks.protocol import called_fake
from common.console import application, progress, run, say, table
from data.frames import Frame
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.memory import keep_freed_memory
from xai.explanation import Explanation, FrameExplanations

app = application(__doc__ or "")

PUBLISHED, REDRAWN, EFFICIENT, UNSTOPPED = "published", "published, other draws", "efficient", "efficient, all samples"
COMPARED = ((PUBLISHED, REDRAWN), (PUBLISHED, EFFICIENT), (UNSTOPPED, EFFICIENT), (PUBLISHED, UNSTOPPED))
BEST = 3


@dataclass(frozen=True)
class Way:
    """How explanations are made: the preset's settings, its overrides, and the seed of the draws."""

    preset: str
    overrides: Mapping[str, Mapping[str, str]]
    seed: int


WAYS = {
    PUBLISHED: Way("published", {}, 0),
    REDRAWN: Way("published", {}, 1),
    EFFICIENT: Way("efficient", {}, 0),
    UNSTOPPED: Way("efficient", {"stopping": {"probability": "1"}}, 0),
}


@dataclass(frozen=True)
class Explained:
    """One method on one frame, by way: the best three segments, images passed, and seconds."""

    best: Mapping[str, frozenset[int]]
    forwards: Mapping[str, int]
    seconds: Mapping[str, float]


@app.command()
def measure_stopping(
    frames: Annotated[int, typer.Option(min=1, help="How many demo forgeries.")] = 12,
    method: Annotated[list[str] | None, typer.Option(help="Repeatable; by default all eight.")] = None,
    size: Annotated[int, typer.Option(help="Pixels of the demo network's input, 64 to 224; fewer are faster.")] = 224,
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 1,
    clock: ClockOption = Clock.PROCESSOR,
) -> None:
    """Explains demo frames in each way, turn by turn, and prints what that took and how often they agree."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    model = detectors.load("demo", None, "cpu")
    model.input_size = size
    names = method or list(xai.ALL)
    found: dict[str, list[Explained]] = {name: [] for name in names}
    with progress() as bar:
        task = bar.add_task("explaining", total=frames * len(names))
        for frame in called_fake(model, frames):
            shared = frame_explanations(model, frame, WAYS[PUBLISHED], batch_size)
            for name in names:
                found[name].append(explained(model, frame, name, shared, batch_size, clock))
                bar.advance(task)
    say(f"{frames} demo frames at {size} pixels, {threads} threads, by {clock}")
    print_costs(found)
    print_agreement(found)


def frame_explanations(model: Detector, frame: Frame, way: Way, batch_size: int) -> FrameExplanations:
    """Ready to explain a frame's verdict in one way."""
    image = model.prepare(frame.image)
    target = xai.explained_class(Queries(model).probabilities(image[None])[0], model.real)
    settings = xai.build_settings(way.preset, way.overrides)
    return FrameExplanations(model, image, target, settings, way.seed, frame.key, batch_size)


def explained(
    model: Detector, frame: Frame, name: str, shared: FrameExplanations, batch_size: int, clock: Clock
) -> Explained:
    """One method on one frame in each way, with the segments and the adversarial image of `shared`."""
    own = shared.adversarial.forwards if name.endswith("_adv") else 0
    made: dict[str, Explanation] = {}
    seconds: dict[str, float] = {}
    for label, way in WAYS.items():
        again = frame_explanations(model, frame, way, batch_size)
        again.segments = shared.segments
        if name.endswith("_adv"):
            again.adversarial = shared.adversarial
        started = clock.read()
        made[label] = again.explain(name)
        seconds[label] = clock.read() - started
    return Explained(
        {label: frozenset(explanation.ranking[:BEST].tolist()) for label, explanation in made.items()},
        {label: explanation.forwards - own for label, explanation in made.items()},
        seconds,
    )


def agreement(found: list[Explained], first: str, second: str) -> float:
    """The share of the frames on which two ways have the same best three segments."""
    return sum(one.best[first] == one.best[second] for one in found) / len(found)


def print_costs(found: Mapping[str, list[Explained]]) -> None:
    """Images passed and seconds of each method, mean of the frames, and in all."""
    lines = []
    everything = [one for explanations in found.values() for one in explanations]
    for name, explanations in [*found.items(), ("all", everything)]:
        frames = len(next(iter(found.values())))
        forwards = {label: sum(one.forwards[label] for one in explanations) / frames for label in WAYS}
        seconds = {label: sum(one.seconds[label] for one in explanations) / frames for label in WAYS}
        lines.append(
            (
                name,
                f"{forwards[PUBLISHED]:.0f}",
                f"{forwards[EFFICIENT]:.0f}",
                f"{forwards[EFFICIENT] / forwards[PUBLISHED]:.2f}",
                f"{seconds[PUBLISHED]:.1f}",
                f"{seconds[EFFICIENT]:.1f}",
            )
        )
    header = ("method", "published: images", "efficient", "share", "published: seconds", "efficient")
    table("what an explanation takes, mean of the frames; the adversarial image, made once a frame, left out",
          header, lines)  # fmt: skip


def print_agreement(found: Mapping[str, list[Explained]]) -> None:
    """How often two ways have the same best three segments, by method and in all."""
    everything = [one for explanations in found.values() for one in explanations]
    table(
        "frames with the same best three segments (%)",
        ("method", *(f"{first} | {second}" for first, second in COMPARED)),
        [
            (name, *(f"{agreement(explanations, *pair):.0%}" for pair in COMPARED))
            for name, explanations in [*found.items(), ("all", everything)]
        ],
    )


if __name__ == "__main__":
    run(app)
