"""The evaluation as published beside its twin: `python -m tests.evaluation_twins` compares them at 224 pixels.

Both score the same frames several times with other draws. How far the means of the two may be apart follows from how
far the draws of one frame are: see `Difference`.
"""

import argparse
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

import evaluate
from common import console
from data.demo.demo_frames import DemoFrames
from data.frames import CLASS_NAMES, Frame
from detectors import Detector, load
from tests.reimplemented_evaluation import METHODS, Evaluation, Sizes

FRAMES = 12
FAR = 3.5  # spreads: of 40 numbers, chance alone puts one beyond in 2 %
DROP, FLIPS, LINF, AREA, SCORED = "drop", "flipped", "linf", "area", "scored"
Numbers = npt.NDArray[np.float64]
Values = Mapping[tuple[str, str], Numbers]
"""By method and what: DROP, FLIPS, LINF or AREA, means over the three depths, NaN where a frame has no row; or SCORED,
1 where it has; each (frames, seeds)."""


@dataclass(frozen=True)
class Difference:
    """How far the product's mean over the frames is from the twin's, and how far draws alone move that.

    Were both the same evaluation, a frame's draws could be exchanged between them. Then the difference of the frame's
    means, of m draws and n, has the variance s^2 (1/m + 1/n), with s^2 that of the m + n values together; `spread` is
    the root of the sum over the frames, divided by their number.
    """

    product: float
    twin: float
    spread: float

    @property
    def within(self) -> bool:
        """Whether the two are at most FAR spreads apart."""
        return abs(self.product - self.twin) <= FAR * self.spread + 1e-6

    @property
    def spreads(self) -> float:
        """How many spreads the two are apart."""
        return (self.product - self.twin) / self.spread if self.spread else 0.0


def difference(product: Numbers, twin: Numbers) -> Difference:
    """Compares values (frames, draws), NaN where there is none, on the frames that have some of both."""
    pairs = [(a[~np.isnan(a)], b[~np.isnan(b)]) for a, b in zip(product, twin, strict=True)]
    pairs = [(a, b) for a, b in pairs if len(a) and len(b)]
    variances = [np.var([*a, *b], ddof=1) * (1 / len(a) + 1 / len(b)) for a, b in pairs]
    means = np.array([(a.mean(), b.mean()) for a, b in pairs]).mean(axis=0)
    return Difference(float(means[0]), float(means[1]), float(np.sqrt(np.sum(variances)) / len(pairs)))


def product_values(folder: Path, detector: str, sizes: Sizes, seeds: int, switches: Sequence[str] = ("All",)) -> Values:
    """What `evaluate.py --as-published` finds on the demo's first frames; its run is written to `folder`."""
    settings = {
        "protocol.depths": "1,2,3", "LIME.samples": sizes.lime_samples, "SHAP.evaluations": sizes.shap_evaluations,
        "SOBOL.grid": sizes.sobol_grid, "SOBOL.designs": sizes.sobol_designs, "RISE.samples": sizes.rise_samples,
        "nes.step": sizes.step, "nes.steps": sizes.steps, "adversarial.step": sizes.step,
        "adversarial.steps": sizes.adversarial_steps,
    }  # fmt: skip
    words = [
        "--method",
        "All",
        "--detector",
        detector,
        "--limit",
        FRAMES,
        "--preset",
        "published",
        "--baseline",
        "none",
    ]
    words += [word for name in switches for word in ("--as-published", name)]
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words += ["--seeds", seeds, "--device", "cpu", "--threads", 1, "--results", folder, "--run", "twins"]
    assert console.status(evaluate.app, [str(word) for word in words]) == 0
    rows = pd.read_csv(folder / "twins" / "rows_All.csv").rename(columns={"flipped_to_real": FLIPS})
    return _values(rows, [frame.key for frame in frames()], seeds)


def twin_values(
    detector: Detector,
    sizes: Sizes,
    seeds: int,
    without: Collection[str] = (),
    methods: Sequence[str] = METHODS,
    first: int = 0,
) -> Values:
    """What the twin finds on the same frames.

    Args:
        detector: what is explained and attacked.
        sizes: how many samples and steps.
        seeds: how many draws.
        without: the published differences that are left out.
        methods: which explanations are made.
        first: the first seed; another one gives other draws.
    """
    rows = []
    for number, frame in enumerate(frames()):
        image = detector.prepare(frame.image)
        for seed in range(seeds):
            one = Evaluation(detector, image, sizes, (first + seed, number), without)
            rows += [{"key": frame.key, "seed": seed, **asdict(row)} for row in one.rows(methods)]
    return _values(pd.DataFrame(rows), [frame.key for frame in frames()], seeds)


@cache
def frames() -> list[Frame]:
    """The demo's first frames as `evaluate.py --limit 12` takes them: each another person, the families in turn."""
    families = CLASS_NAMES[1:]
    made = DemoFrames(FRAMES * len(families), families=families, frames_per_video=1)
    return [made[person * len(families) + person % len(families)] for person in range(FRAMES)]


def _values(rows: pd.DataFrame, keys: Sequence[str], seeds: int) -> Values:
    values: dict[tuple[str, str], Numbers] = {}
    for method in rows["method"].unique():
        own = rows[rows["method"] == method].astype({FLIPS: float}).groupby(["key", "seed"])
        for name in (DROP, FLIPS, LINF, AREA):
            values[method, name] = own[name].mean().unstack().reindex(index=keys, columns=range(seeds)).to_numpy()
        values[method, SCORED] = (~np.isnan(values[method, DROP])).astype(float)
    return values


def compared(product: Values, twin: Values) -> dict[tuple[str, str], Difference]:
    """The difference in every number that both have."""
    return {place: difference(product[place], twin[place]) for place in product if place in twin}


def main() -> None:
    """Compares the two at the demo network's own 224 pixels: prints a table of Markdown.

    Four steps of 12/255 stand for the fifty published ones of 1/255, six for the eighty of the adversarial image.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    started, sizes = time.process_time(), Sizes(16, 16, 3, 2, 16, 7, 40, 12 / 255, 4, 6)
    with TemporaryDirectory() as folder:
        product = product_values(Path(folder), "demo", sizes, seeds)
    found = compared(product, twin_values(load("demo"), sizes, seeds))
    print("| row | drop: product, twin | spread | flips: product, twin | spread |\n|---|---|---|---|---|")
    for method in METHODS:
        drop, flips = found[method, DROP], found[method, FLIPS]
        print(
            f"| {method} | {drop.product:.3f}, {drop.twin:.3f} | {drop.spread:.3f} "
            f"| {flips.product:.3f}, {flips.twin:.3f} | {flips.spread:.3f} |"
        )
    print(f"{time.process_time() - started:.0f} s of processor time")


if __name__ == "__main__":
    main()
