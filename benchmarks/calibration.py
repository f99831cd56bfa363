"""How often intervals cover the truth, and how often tests find what is not there, on simulated frames of videos.

Run as `python -m benchmarks.calibration`: it prints the tables of docs/statistics.md. Every simulated run is analysed
by the functions that analyse a real one. Frames of a video are alike: what they share is ICC of the variance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import typer
from scipy.special import ndtr

from analysis.statistics import (
    against_draws_p,
    friedman,
    holm,
    intervals,
    ratio_intervals,
    sign_flip_ps,
    variance_components,
)
from analysis.survival import restricted_mean
from common.console import application, run, say
from common.seeds import generator

app = application(__doc__ or "")

VIDEOS = (7, 12, 20, 40)
FRAMES = 5
ICC = 0.3
METHODS = 8
BATCH = 250
UNEVEN = (1, 2, 4, 6, 12)  # frames of the videos, in turn, where they differ; 5 in the mean

Draw = Callable[[np.random.Generator, int, np.ndarray], np.ndarray]
"""A generator, how many runs, and each frame's video (n,) -> simulated values (n, runs, ...)."""


@dataclass(frozen=True)
class Coverage:
    """How often intervals covered the truth.

    Attributes:
        runs: with an interval.
        covered: share of these whose interval has the truth inside.
        below, above: shares where the truth is below or above the interval.
        defined: share of all runs that have an interval.
    """

    runs: int
    covered: float
    below: float
    above: float
    defined: float = 1.0


def videos_of(count: int, uneven: bool = False) -> np.ndarray:
    """The video of each frame: so many videos, of 5 frames each, or of 1 to 12."""
    frames = [UNEVEN[i % len(UNEVEN)] if uneven else FRAMES for i in range(count)]
    return np.repeat(np.arange(count), frames)


def latent(draws: np.random.Generator, runs: int, videos: np.ndarray, columns: int = 1, icc: float = ICC) -> np.ndarray:
    """Standard normal values (n, runs, columns): a video's frames share `icc` of the variance.

    Half of the variance between videos, and half of that within them, is the same in all columns.

    Args:
        draws: of every value.
        runs: how many runs are simulated.
        videos: (n,) int, the video of each frame, numbered from 0.
        columns: how many values each frame has: one for each method or baseline.
        icc: the share of the variance that lies between videos, in [0, 1].
    """
    count = int(videos.max()) + 1
    shared = draws.normal(size=(count, runs, 1)) + draws.normal(size=(count, runs, columns))
    own = draws.normal(size=(len(videos), runs, 1)) + draws.normal(size=(len(videos), runs, columns))
    return np.asarray(np.sqrt(icc / 2) * shared[videos] + np.sqrt((1 - icc) / 2) * own)


def flips(rates: Sequence[float], draws: np.random.Generator, runs: int, videos: np.ndarray) -> np.ndarray:
    """Draws values that are 0 or 1, (n, runs, K).

    Args:
        rates: K shares of ones, each in [0, 1].
        draws: of every value.
        runs: how many runs are simulated.
        videos: (n,) int, the video of each frame, numbered from 0.
    """
    return (ndtr(latent(draws, runs, videos, len(rates))) < np.array(rates)).astype(float)


def drops(means: Sequence[float], draws: np.random.Generator, runs: int, videos: np.ndarray) -> np.ndarray:
    """Draws values in [0, 1], piled up near 0 where the mean is low, (n, runs, K).

    Args:
        means: K means, each in (0, 1).
        draws: of every value.
        runs: how many runs are simulated.
        videos: (n,) int, the video of each frame, numbered from 0.
    """
    return np.asarray(ndtr(latent(draws, runs, videos, len(means))) ** (1 / np.array(means) - 1))


def normal(draws: np.random.Generator, runs: int, videos: np.ndarray) -> np.ndarray:
    """Standard normal values, (n, runs, 1)."""
    return latent(draws, runs, videos)


def exponential(draws: np.random.Generator, runs: int, videos: np.ndarray) -> np.ndarray:
    """Exponential values of mean 1, (n, runs, 1)."""
    return np.asarray(-np.log(ndtr(latent(draws, runs, videos))))


MEANS: Mapping[str, tuple[Draw, float, bool]] = {
    "normal": (normal, 0.0, False),
    "exponential": (exponential, 1.0, False),
    "drops, mean 0.2": (partial(drops, (0.2,)), 0.2, False),
    "flips, 50 %": (partial(flips, (0.5,)), 0.5, False),
    "flips, 20 %": (partial(flips, (0.2,)), 0.2, False),
    "flips, 20 %, 1 to 12 frames": (partial(flips, (0.2,)), 0.2, True),
    "flips, 90 %": (partial(flips, (0.9,)), 0.9, False),
    "flips, 5 %": (partial(flips, (0.05,)), 0.05, False),
    "flips, 2 %": (partial(flips, (0.02,)), 0.02, False),
}
DIFFERENCES: Mapping[str, tuple[Draw, float, bool]] = {
    "flips, 50 % against 20 %": (partial(flips, (0.5, 0.2)), 0.3, False),
    "flips, 30 % against 20 %": (partial(flips, (0.3, 0.2)), 0.1, False),
    "the same, 1 to 12 frames": (partial(flips, (0.3, 0.2)), 0.1, True),
    "flips, 95 % against 90 %": (partial(flips, (0.95, 0.9)), 0.05, False),
    "flips, 5 % against 2 %": (partial(flips, (0.05, 0.02)), 0.03, False),
    "drops, 0.5 against 0.2": (partial(drops, (0.5, 0.2)), 0.3, False),
    "drops, 0.2 against 0.1": (partial(drops, (0.2, 0.1)), 0.1, False),
}
HEADLINES: Mapping[str, tuple[Draw, float, bool]] = {
    "flips, 50, 20, 80 %": (partial(flips, (0.5, 0.2, 0.8)), 0.5, False),
    "flips, 30, 20, 60 %": (partial(flips, (0.3, 0.2, 0.6)), 0.25, False),
    "the same, 1 to 12 frames": (partial(flips, (0.3, 0.2, 0.6)), 0.25, True),
    "flips, 20, 20, 50 %": (partial(flips, (0.2, 0.2, 0.5)), 0.0, False),
    "flips, 90, 70, 95 %": (partial(flips, (0.9, 0.7, 0.95)), 0.8, False),
    "drops, 0.5, 0.2, 0.8": (partial(drops, (0.5, 0.2, 0.8)), 0.5, False),
    "drops, 0.2, 0.1, 0.4": (partial(drops, (0.2, 0.1, 0.4)), 1 / 3, False),
    "drops, 0.10, 0.05, 0.15": (partial(drops, (0.10, 0.05, 0.15)), 0.5, False),
}
"""Method, random regions of its area, oracle."""


def mean_coverage(draw: Draw, truth: float, uneven: bool, videos: int, runs: int, seed: int) -> Coverage:
    """The coverage of intervals of a mean, or of the first column's less the second's where there are two.

    Args:
        draw: simulates values (n, runs, 1 or 2).
        truth: the mean, or the difference of the means, that `draw` simulates.
        uneven: whether videos have 1 to 12 frames instead of 5 each.
        videos: how many videos each run has.
        runs: how many runs are simulated.
        seed: of the simulation.
    """

    def limits_of(values: np.ndarray, frame_videos: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        column, low = (values[:, :, 0], 0.0) if values.shape[2] == 1 else (values[:, :, 0] - values[:, :, 1], -1.0)
        return intervals(column, frame_videos, draws, (low, 1.0))

    return _covered(limits_of, draw, truth, videos_of(videos, uneven), runs, seed)


def headline_coverage(draw: Draw, truth: float, uneven: bool, videos: int, runs: int, seed: int) -> Coverage:
    """The coverage of intervals of (first column - second) / (third - second), each column's mean over the frames.

    Args:
        draw: simulates values (n, runs, 3) of a method, random regions and the oracle.
        truth: the ratio that `draw` simulates.
        uneven: whether videos have 1 to 12 frames instead of 5 each.
        videos: how many videos each run has.
        runs: how many runs are simulated.
        seed: of the simulation.
    """

    def limits_of(values: np.ndarray, frame_videos: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        return ratio_intervals(
            values[:, :, 0] - values[:, :, 1], values[:, :, 2] - values[:, :, 1], frame_videos, draws
        )

    return _covered(limits_of, draw, truth, videos_of(videos, uneven), runs, seed)


def survival_coverage(videos: int, runs: int, seed: int) -> Coverage:
    """The coverage of intervals of a restricted mean.

    Budgets are exponential of mean 1, censored at 1, where a third is left.
    """

    def limits_of(values: np.ndarray, frame_videos: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        estimates = (restricted_mean(np.minimum(x, 1.0), x < 1, frame_videos, 1.0, draws) for x in values[:, :, 0].T)
        return np.array([(estimate.low, estimate.high) for estimate in estimates])

    return _covered(limits_of, exponential, 1 - np.exp(-1), videos_of(videos), runs, seed)


SPREADS = {"video": 0.3, "frame": 0.5, "noise": 0.2}


def component_coverage(videos: int, runs: int, seed: int, seeds: int = 5) -> dict[str, Coverage]:
    """The coverage of intervals of variance components, by component: seed 0.02, video 0.3, frame 0.5, noise 0.2.

    Args:
        videos: how many videos of 5 frames each run has.
        runs: how many runs are simulated.
        seed: of the simulation.
        seeds: how many seeds score the frames of each run.
    """
    draws, frame_videos = generator(seed, "components", videos), videos_of(videos)
    truths, limits = {"seed": 0.02, **SPREADS}, []
    for _ in range(runs):
        shared = np.sqrt(truths["video"]) * draws.normal(size=videos)[frame_videos]
        frame = np.sqrt(truths["frame"]) * draws.normal(size=len(frame_videos))
        noise = np.sqrt(truths["noise"]) * draws.normal(size=(seeds, len(frame_videos)))
        values = np.sqrt(truths["seed"]) * draws.normal(size=(seeds, 1)) + shared + frame + noise
        components = variance_components(values, frame_videos, draws)
        limits.append([(getattr(components, name).low, getattr(components, name).high) for name in truths])
    table = np.array(limits)
    return {name: _count(table[:, index], truth) for index, (name, truth) in enumerate(truths.items())}


def false_alarms(
    kind: str, rate: float, control: int, videos: int, runs: int, seed: int, averaged: bool = False
) -> float:
    """The share of runs in which Holm-corrected tests of 8 methods against random regions find anything.

    No method differs from random regions in the mean; frames, videos and methods in videos do.

    Args:
        kind: "drops" or "flips".
        rate: the mean of the values, in (0, 1).
        control: how many draws of random regions there are.
        videos: how many videos of 5 frames each run has.
        runs: how many runs are simulated.
        seed: of the simulation.
        averaged: whether the test is what should not be done: sign flips on the method less the mean of the draws.
    """
    draws, frame_videos = generator(seed, "null", kind, str(rate), control, videos), videos_of(videos)
    alarms = 0
    for _ in range(runs):
        noise = latent(draws, 1, frame_videos, METHODS + control)[:, 0]
        values = ndtr(noise) ** (1 / rate - 1) if kind == "drops" else (ndtr(noise) < rate).astype(float)
        methods, chance = values[:, :METHODS], values[:, METHODS:]
        if averaged:
            p = sign_flip_ps(methods - chance.mean(axis=1, keepdims=True), frame_videos, draws)
        else:
            p = np.array([against_draws_p(method, chance, frame_videos, draws) for method in methods.T])
        alarms += bool((holm(p) < 0.05).any())
    return alarms / runs


def rank_alarms(methods: int, videos: int, runs: int, seed: int) -> tuple[float, float]:
    """The shares of runs where Friedman's p is below 0.05, and where Nemenyi's test finds a difference; there is none.

    Args:
        methods: how many methods are ranked.
        videos: how many videos of 5 frames each run has.
        runs: how many runs are simulated.
        seed: of the simulation.
    """
    draws, frame_videos = generator(seed, "ranks", methods, videos), videos_of(videos)
    values = drops((0.2,) * methods, draws, runs, frame_videos)
    names = [f"{i}" for i in range(methods)]
    results = [friedman(values[:, i], names, frame_videos) for i in range(runs)]
    apart = np.mean([result.ranks[-1] - result.ranks[0] > result.critical for result in results])
    return float(np.mean([result.p < 0.05 for result in results])), float(apart)


def _covered(
    limits_of: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray],
    draw: Draw,
    truth: float,
    frame_videos: np.ndarray,
    runs: int,
    seed: int,
) -> Coverage:
    draws = generator(seed, "coverage", str(truth), len(frame_videos))
    batches = [min(BATCH, runs - start) for start in range(0, runs, BATCH)]
    return _count(
        np.concatenate([limits_of(draw(draws, size, frame_videos), frame_videos, draws) for size in batches]), truth
    )


def _count(limits: np.ndarray, truth: float) -> Coverage:
    given = limits[~np.isnan(limits[:, 0])]
    if not len(given):
        return Coverage(0, np.nan, np.nan, np.nan, 0.0)
    below, above = (float(np.mean(outside)) for outside in (truth < given[:, 0] - 1e-9, truth > given[:, 1] + 1e-9))
    return Coverage(len(given), 1 - below - above, below, above, len(given) / len(limits))


@app.command()
def measure_calibration(
    runs: Annotated[int, typer.Option(min=50, help="Simulated runs for each number.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 0,
) -> None:
    """Prints the tables of docs/statistics.md, in Markdown."""
    head = [f"{count} videos" for count in VIDEOS]
    slow = max(50, runs // 10)
    for title, cases, coverage in (
        ("Mean", MEANS, mean_coverage),
        ("Difference", DIFFERENCES, mean_coverage),
        ("Headline: method, random, oracle", HEADLINES, headline_coverage),
    ):
        _print(
            [f"{title} ({runs} runs)", *head],
            {name: [_cell(coverage(*case, count, runs, seed)) for count in VIDEOS] for name, case in cases.items()},
        )
    components = [component_coverage(count, slow, seed) for count in VIDEOS]
    _print(
        [f"Others ({slow} runs)", *head],
        {
            "restricted mean": [_cell(survival_coverage(count, slow, seed)) for count in VIDEOS],
            **{f"variance: {name}": [_cell(coverages[name]) for coverages in components] for name in components[0]},
        },
    )
    alarms = {
        f"{kind}, {rate}, {control} draw{'s' * (control > 1)}{', averaged' * averaged}": [
            f"{100 * false_alarms(kind, rate, control, count, slow, seed, averaged):.1f}" for count in VIDEOS
        ]
        for control, averaged in ((1, False), (20, False), (20, True))
        for kind, rate in (("drops", 0.2), ("flips", 0.5), ("flips", 0.2), ("flips", 0.05))
    }
    _print([f"Any of 8 methods found different, Holm ({slow} runs)", *head], alarms)
    ranks = {
        f"{methods} methods": [
            "{:.1f}, {:.1f}".format(*(100 * x for x in rank_alarms(methods, n, slow, seed))) for n in VIDEOS
        ]
        for methods in (3, 9)
    }
    _print([f"Friedman p < 0.05, Nemenyi any two apart ({slow} runs)", *head], ranks)


def _cell(coverage: Coverage) -> str:
    """ "95.1 (2.0/2.9)": covered (truth below the interval/above it); with how many runs are defined, if not all."""
    if not coverage.runs:
        return "never defined"
    defined = "" if coverage.defined == 1 else f", {100 * coverage.defined:.0f} % defined"
    return f"{100 * coverage.covered:.1f} ({100 * coverage.below:.1f}/{100 * coverage.above:.1f}){defined}"


def _print(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    say("")
    for cells in (head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())):
        say(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    run(app)
