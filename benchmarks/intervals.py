"""Which interval covers the truth: the one in use beside those that were not chosen, on the same simulated frames.

Run as `python -m benchmarks.intervals`: it prints two tables of docs/statistics.md. `benchmarks.calibration` has the
whole table of the one in use.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import typer
from scipy.stats import t

from analysis.statistics import LEVEL, Statistic, expanded_tail, intervals, intervals_of, mean_of, ratio_intervals
from analysis.statistics.videos import per_video, placed, resamples
from benchmarks.calibration import BATCH, DIFFERENCES, HEADLINES, MEANS, Draw, videos_of
from common.console import application, run, say
from common.seeds import generator

app = application(__doc__ or "")

OF_MEANS = ("percentile", "percentile, tails moved", "t", "bootstrap-t", "BCa, tails moved (in use)")
OF_RATIOS = ("percentile, tails moved", "BCa, tails moved", "t by the delta method", "Fieller (in use)")
_TINY = 1e-9


def of_means(values: np.ndarray, videos: np.ndarray, draws: np.random.Generator) -> list[np.ndarray]:
    """The limits (runs, 2) of the mean of each column of `values` (n, runs), in the order of OF_MEANS.

    Where all videos agree, every interval is the one in use.
    """
    used = intervals(values, videos, draws, (-1.0, 1.0))
    sums, counts = per_video(values, videos)
    count, mean = len(counts), values.mean(axis=0)
    weights = resamples(count, draws)
    drawn = mean_of(values, videos)(weights)
    residual = sums - counts[:, None] * mean
    error = np.sqrt((residual**2).sum(axis=0) * count / (count - 1)) / counts.sum()
    within = (
        weights @ sums**2 - 2 * drawn * (weights @ (counts[:, None] * sums)) + drawn**2 * (weights @ counts**2)[:, None]
    )
    errors = np.sqrt(np.maximum(within, 0) * count / (count - 1)) / (weights @ counts)[:, None]
    ahead = drawn - mean
    ratios = np.where(errors > _TINY, ahead / np.maximum(errors, _TINY), np.where(ahead > 0, np.inf, -np.inf))
    ratios = np.where(np.abs(ahead) <= _TINY, 0.0, ratios)
    tail, reach = (1 - LEVEL) / 2, t.ppf((1 + LEVEL) / 2, count - 1) * error
    student = np.quantile(ratios, [1 - tail, tail], axis=0, method="higher")
    with np.errstate(invalid="ignore"):  # no error times an infinite quantile: all agree
        studentised = mean - student * error
    alternatives = [
        np.quantile(drawn, [tail, 1 - tail], axis=0),
        np.quantile(drawn, [expanded_tail(count), 1 - expanded_tail(count)], axis=0),
        np.stack([mean - reach, mean + reach]),
        studentised,
    ]
    return [*(np.where((error <= _TINY)[:, None], used, alternative.T) for alternative in alternatives), used]


def of_ratios(top: np.ndarray, bottom: np.ndarray, videos: np.ndarray, draws: np.random.Generator) -> list[np.ndarray]:
    """The limits (runs, 2) of mean top / mean bottom of each column, in the order of OF_RATIOS.

    Where the one in use is undefined, all are.

    Args:
        top: (n, runs) values of the numerator.
        bottom: (n, runs) values of the denominator.
        videos: (n,) int, the video of each frame.
        draws: of the resamples.
    """
    used = ratio_intervals(top, bottom, videos, draws)
    sums, counts = per_video(np.hstack([top, bottom]), videos)
    count, above, below = len(counts), *np.split(sums, 2, axis=1)

    def divided(totals: np.ndarray) -> np.ndarray:
        high, low = np.split(totals, 2, axis=1)
        return high / np.where(np.abs(low) > _TINY, low, _TINY)

    ratio = Statistic(sums, divided)
    value = ratio.value
    spread = np.sqrt(((above - value * below) ** 2).sum(axis=0) * count / (count - 1))
    error = spread / np.maximum(np.abs(below.sum(axis=0)), _TINY)
    reach = t.ppf((1 + LEVEL) / 2, count - 1) * error
    tail = expanded_tail(count)
    limits = [
        np.quantile(ratio(resamples(count, draws)), [tail, 1 - tail], axis=0).T,
        intervals_of(ratio, placed(videos)[1], draws, (0.0, 1.0)),
        np.stack([value - reach, value + reach], axis=1),
        used,
    ]
    return [np.where(np.isnan(used), np.nan, kind) for kind in limits]


def coverage(draw: Draw, truth: float, uneven: bool, videos: int, runs: int, seed: int) -> list[float]:
    """The share of defined intervals of each kind that have the truth inside.

    Args:
        draw: simulates values (n, runs, columns): 3 columns for a ratio, 2 for a difference, 1 for a mean.
        truth: what `draw` simulates.
        uneven: whether videos have 1 to 12 frames instead of 5 each.
        videos: how many videos each run has.
        runs: how many runs are simulated.
        seed: of the simulation.
    """
    draws, frame_videos = generator(seed, "choice", str(truth), videos), videos_of(videos, uneven)
    batches: list[list[np.ndarray]] = []
    for start in range(0, runs, BATCH):
        values = draw(draws, min(BATCH, runs - start), frame_videos)
        first = values[:, :, 0] - (values[:, :, 1] if values.shape[2] > 1 else 0.0)
        if values.shape[2] == 3:
            batches.append(of_ratios(first, values[:, :, 2] - values[:, :, 1], frame_videos, draws))
        else:
            batches.append(of_means(first, frame_videos, draws))
    kinds = [np.concatenate(limits) for limits in zip(*batches, strict=True)]
    defined = ~np.isnan(kinds[-1][:, 0])
    return [
        float(np.mean((limits[defined, 0] <= truth + _TINY) & (limits[defined, 1] >= truth - _TINY)))
        for limits in kinds
    ]


@app.command()
def measure_coverage(
    runs: Annotated[int, typer.Option(min=50, help="Simulated runs for each number.")] = 4000,
    videos: Annotated[int, typer.Option(min=3, help="In each run.")] = 12,
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 0,
) -> None:
    """Prints the coverage of each kind of interval, in Markdown."""
    _print("Mean or difference", OF_MEANS, {**MEANS, **DIFFERENCES}, runs, videos, seed)
    _print("Headline: method, random, oracle", OF_RATIOS, HEADLINES, runs, videos, seed)


def _print(
    title: str, kinds: tuple[str, ...], cases: Mapping[str, tuple[Draw, float, bool]], runs: int, videos: int, seed: int
) -> None:
    say("")
    say(f"| {title} ({videos} videos, {runs} runs) | {' | '.join(kinds)} |")
    say(f"|{' --- |' * (1 + len(kinds))}")
    for name, case in cases.items():
        covered = coverage(*case, videos, runs, seed)
        say(f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in covered)} |")


if __name__ == "__main__":
    run(app)
