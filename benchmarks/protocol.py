"""What the published evaluation costs: NES by exact derivatives beside finite differences, and whole frames.

Run as `python -m benchmarks.protocol`. Both kinds of NES attack the same regions of the same demo frames with the same
draws, turn by turn. `--whole-frame` scores one frame with every method, baseline and depth of the published preset and
says what each stage took. `--earlier FOLDER` names a checkout of an earlier commit: `evaluate.py` scores one frame at
published settings there and here, and here by the efficient preset, each in a process of its own; beside them stand the
published code's forwards at the speed of the network as torch runs it.
"""

import dataclasses
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

import attacks
import detectors
from attacks.nes import DERIVATIVES, EXACT, FINITE
from benchmarks.common import BatchSizeOption, Clock, ClockOption, ThreadsOption, best_seconds, peak, reset_peak
from common.console import application, progress, run, say, table
from common.errors import InputError
from common.seeds import derive_seed, generator
from data.demo.demo_frames import DemoFrames
from data.demo.forgeries import FAMILIES
from data.frames import Frame
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.options import DeviceOption
from scoring.costs import ProgressCallback
from scoring.frame import Scorer
from scoring.protocol import PRESETS
from scoring.scored import Scored
from xai.explanation_settings import build_settings
from xai.methods import ALL, parse_method
from xai.segments import Segments

app = application(__doc__ or "")

HERE = Path(__file__).resolve().parents[1]
SIZES = (1, 3, 6)  # segments of a region, in turn
WHOLE_FRAME = "--method All --attack nes --set protocol.depths=1,2,3 --limit 1 --run measured"
"""A frame by all methods at the published depths; without baselines, an option that was once named `--arm`."""
PUBLISHED_FORWARDS = 20_224 + 4 * 1_621 + 24 * 4_051
"""Of a frame by the published code, at most: eight explanations, four adversarial images, NES on 24 regions."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Regions of one frame: image (3, S, S), regions (N, S, S) bool, and a seed for each."""

    image: Tensor
    regions: Tensor
    seeds: list[int]


@dataclass(frozen=True, eq=False)
class Way:
    """What one kind of NES made of all pairs: seconds, what was passed and what would have been asked, and the end."""

    seconds: float
    forwards: int
    queries: int
    real: Tensor
    flipped: Tensor


@app.command()
def measure_protocol(
    frames: Annotated[int, typer.Option(min=1, help="How many demo forgeries are attacked.")] = 1,
    regions: Annotated[int, typer.Option(min=1, help="How many regions of each.")] = 6,
    whole_frame: Annotated[
        bool, typer.Option("--whole-frame/--attacks-only", help="Whether a frame is scored at published settings, too.")
    ] = False,
    earlier: Annotated[
        Path | None, typer.Option(help="A checkout of an earlier commit, to score a frame there and here.")
    ] = None,
    detector: Annotated[str, typer.Option(help="As in evaluate.py.")] = "demo",
    size: Annotated[int | None, typer.Option(min=32, help="Pixels of the network's input, if not its own.")] = None,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 1,
    clock: ClockOption = Clock.PROCESSOR,
) -> None:
    """Attacks regions by both kinds of derivatives, and scores whole frames where asked to."""
    if earlier is not None and not (earlier / "evaluate.py").is_file():
        raise InputError(f"--earlier {earlier} has no evaluate.py: give the folder of a checkout")
    if earlier is not None and size is not None:
        raise InputError("--earlier scores by evaluate.py, which has no --size; leave one out")
    clock.check(resolve_device(device))
    torch.set_num_threads(threads)
    plain = None if earlier is None else best_seconds(detectors.load(detector, None, device, optimise=False), clock)[0]
    keep_freed_memory()
    model = detectors.load(detector, None, device)
    if size is not None:
        model.input_size = size
    chosen = called_fake(model, frames)
    best, size = best_seconds(model, clock)
    say(f"best time per forward: {best * 1e3:.2f} ms, {size} images at a time, {threads} threads, {device}, by {clock}")
    print_ways(both_ways([pairs_of(model, frame, regions) for frame in chosen], model, batch_size, clock))
    if whole_frame:
        reset_peak()
        with progress() as bar:
            task = bar.add_task("scoring", total=None)
            scored = score(model, chosen[0], batch_size, lambda stage: bar.update(task, description=stage))
        print_stages(scored)
        memory = peak()
        say("highest resident memory: " + ("not known" if memory is None else f"{memory:.0f} MiB"))
    if earlier is not None and plain is not None:
        print_processes(earlier, HERE, threads, PUBLISHED_FORWARDS * plain)


def called_fake(detector: Detector, count: int) -> list[Frame]:
    """The first demo forgeries that the detector calls fake. Raises InputError where there are too few."""
    drawn = DemoFrames(4 * count + 8, families=FAMILIES)
    chosen = [
        frame
        for frame in (drawn[i] for i in range(len(drawn)))
        if int(Queries(detector).logits(detector.prepare(frame.image)[None]).argmax()) != detector.real
    ][:count]
    if len(chosen) < count:
        raise InputError(f"the detector calls only {len(chosen)} of {len(drawn)} demo forgeries fake")
    return chosen


def pairs_of(detector: Detector, frame: Frame, count: int) -> Pairs:
    """Regions of one, three or six random segments of a frame."""
    image = detector.prepare(frame.image)
    segments = Segments()(image)
    labels, masks = int(segments.max()) + 1, []
    for number in range(count):
        order = generator(0, frame.key, "benchmark", number).permutation(labels)
        masks.append(np.isin(segments, order[: SIZES[number % len(SIZES)]]))
    seeds = [derive_seed(0, frame.key, "benchmark", number) for number in range(count)]
    return Pairs(image, torch.from_numpy(np.stack(masks)), seeds)


def both_ways(
    pairs: Sequence[Pairs],
    detector: Detector,
    batch_size: int,
    clock: Clock,
    settings: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Way]:
    """NES by each kind of derivatives, turn by turn: frame by frame, exact first.

    Args:
        pairs: what is attacked, frame by frame.
        detector: whose verdicts are attacked.
        batch_size: images in a forward pass.
        clock: which seconds are counted.
        settings: of NES, where they are not the published ones.
    """
    parts: dict[str, list[Way]] = {derivatives: [] for derivatives in DERIVATIVES}
    with progress() as bar:
        task = bar.add_task("attacking", total=len(pairs) * len(DERIVATIVES))
        for frame_pairs in pairs:
            images = frame_pairs.image.expand(len(frame_pairs.seeds), *frame_pairs.image.shape)
            for derivatives in DERIVATIVES:
                attack = attacks.build_attack("nes", overrides={**settings, "derivatives": derivatives})
                started = clock.read()
                result = attack(detector, images, frame_pairs.regions, frame_pairs.seeds, batch_size)
                real = result.logits.softmax(dim=1)[:, detector.real]
                seconds = clock.read() - started
                spent, needed = int(result.forwards.sum()), int(result.queries.sum())
                parts[derivatives].append(Way(seconds, spent, needed, real, result.flipped))
                bar.advance(task)
    return {
        derivatives: Way(
            sum(way.seconds for way in ways),
            sum(way.forwards for way in ways),
            sum(way.queries for way in ways),
            torch.cat([way.real for way in ways]),
            torch.cat([way.flipped for way in ways]),
        )
        for derivatives, ways in parts.items()
    }


def print_ways(ways: Mapping[str, Way]) -> None:
    """What each kind of derivatives took, and how far they agree."""
    exact, finite = ways[EXACT], ways[FINITE]
    table(
        f"NES at published settings on {len(exact.real)} regions",
        ("derivatives", "seconds", "forwards", "queries", "flipped"),
        [
            (name, f"{way.seconds:.1f}", f"{way.forwards}", f"{way.queries}", f"{int(way.flipped.sum())}")
            for name, way in ways.items()
        ],
    )
    apart = (exact.real - finite.real).abs()
    say(f"finite differences take {finite.seconds / exact.seconds:.1f} times as long")
    say(
        f"verdicts differ on {int((exact.flipped != finite.flipped).sum())} regions; "
        f"p(Real) after the attack differs by {apart.mean():.4f} on average, {apart.max():.4f} at most"
    )


def score(detector: Detector, frame: Frame, batch_size: int, on_stage: ProgressCallback = lambda stage: None) -> Scored:
    """One frame with every method, baseline and depth of the published preset; `on_stage` is called as each begins."""
    methods = tuple(parse_method(name) for name in ALL)
    settings = build_settings("published", {}, methods)
    scorer = Scorer(
        detector, methods, settings, {"nes": attacks.build_attack("nes")}, PRESETS["published"], batch_size=batch_size
    )
    return scorer(frame, on_stage)


def print_stages(scored: Scored) -> None:
    """What each stage of a frame took, by wall time, and the rows it left."""
    table(
        "a frame at --preset published, all methods and baselines",
        ("stage", "wall seconds", "forwards", "passes"),
        [(cost.stage, f"{cost.seconds:.1f}", f"{cost.forwards}", f"{cost.calls}") for cost in scored.costs],
    )
    distinct = {dataclasses.astuple(row)[-8:]: row for row in scored.rows}.values()
    say(
        f"{len(scored.rows)} rows; attacks on their distinct regions: {sum(row.forwards for row in distinct)} forwards "
        f"in place of {sum(row.queries for row in distinct)} queries; "
        f"{sum(row.flipped_to_real for row in scored.rows)} rows flip"
    )


def print_processes(earlier: Path, here: Path, threads: int, reckoned: float) -> None:
    """The processor time of whole processes: one frame scored by `evaluate.py` of both checkouts, in turn.

    `reckoned` are the seconds of the published code's forwards alone. Raises InputError, with what it said last, where
    one of the processes fails.
    """
    before = process_seconds(earlier, "published", threads)
    rows = [("published code, reckoned", "", f"{reckoned:.0f}"), ("earlier", "published", f"{before:.0f}")]
    ratios = []
    for preset in ("published", "efficient"):
        now = process_seconds(here, preset, threads)
        rows.append(("here", preset, f"{now:.0f}"))
        ratios.append(f"at {preset} {before / now:.1f} times less than earlier, {reckoned / now:.1f} than reckoned")
    table(f"a frame by evaluate.py {WHOLE_FRAME}", ("by", "--preset", "processor seconds"), rows)
    for ratio in ratios:
        say(ratio)


def process_seconds(checkout: Path, preset: str, threads: int) -> float:
    """The processor seconds of one `evaluate.py` in a checkout, from its start to its end."""
    baselines = "--baseline" if "--baseline" in _evaluate(checkout, ("--help",)) else "--arm"
    options = [*WHOLE_FRAME.split(), baselines, "none", "--preset", preset, "--threads", str(threads)]
    with tempfile.TemporaryDirectory() as results:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _evaluate(checkout, (*options, "--results", results), threads)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _evaluate(checkout: Path, options: Sequence[str], threads: int = 1) -> str:
    """What `evaluate.py` of a checkout prints. Raises InputError, with what it said last, where it fails."""
    done = subprocess.run(
        [sys.executable, "evaluate.py", *options],
        cwd=checkout, env={"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(threads), "PATH": "", "COLUMNS": "120"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise InputError(f"evaluate.py failed in {checkout}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


if __name__ == "__main__":
    run(app)
