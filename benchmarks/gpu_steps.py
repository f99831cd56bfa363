"""What is measured on a GPU, step by step: `python -m benchmarks.gpu` runs each in a process of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import attacks
import detectors
import xai
from attacks.nes import EXACT, FINITE
from benchmarks.bounded_steps import Job, Line, Tell
from benchmarks.common import Clock
from benchmarks.gpu_passes import Kind, PassCost, TwoWayMeter, best_pass, forget_memory, most_memory, pass_cost
from benchmarks.peers import PEERS, PeerScene, contest, opposed
from benchmarks.precision import compare_precisions
from benchmarks.protocol import Way, both_ways, called_fake, pairs_of, score
from common.console import count
from data.frames import Frame
from detectors import Detector, Queries
from detectors.batch_size import TRIED, fastest
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.queries import counting, gradient_batch

ROOT = Path(__file__).resolve().parents[1]
USUAL = ("LIME", "SHAP", "SOBOL", "RISE")
FASTER = {
    "lime": "at least 10",
    "captum's Lime": "at least 10",
    "RISE, loop": "at least 10",
    "SOBOL, loop": "at least 10",
}
NO_WASTE, CHEAPER = "at most 1.10", "at least 20"
WORTH_A_LINE = 0.05  # the share of a frame's time from which on a stage has a line of its own


@dataclass(frozen=True)
class Extent:
    """How much is measured, and where.

    Attributes:
        device: as `detectors.resolve_device` reads it.
        sizes: images in a pass, in turn.
        batch_size: images in a forward pass of explanations and attacks; None for what is measured to be fastest.
        preset: of the explanations.
        peers: which of `PEERS`, with so many samples, in so many rounds.
        pairs: attacked for the ratio to pure passes.
        compared: pairs attacked by both kinds of derivatives.
        attack: settings of NES and of the adversarial image that are not the published ones.
        methods: what is explained.
    """

    device: str
    sizes: tuple[int, ...] = TRIED
    batch_size: int | None = None
    preset: str = "published"
    peers: tuple[str, ...] = tuple(PEERS)
    samples: int = 528
    rounds: int = 2
    pairs: int = 32
    compared: int = 6
    attack: Mapping[str, int] = field(default_factory=dict)
    methods: tuple[str, ...] = USUAL

    @classmethod
    def tiny(cls, device: str) -> "Extent":
        """As little as every step takes to run."""
        return cls(
            device, sizes=(1, 2), batch_size=4, preset="quick", peers=("SOBOL, loop",), samples=132, rounds=1, pairs=2,
            compared=1, attack={"pairs": 4, "steps": 2}, methods=("SOBOL",),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """What is measured with: a detector, a frame that it calls fake, and images in a forward pass."""

    detector: Detector
    frame: Frame
    batch_size: int

    @property
    def device(self) -> torch.device:
        """The detector's."""
        return Queries(self.detector).device


def scene_of(extent: Extent) -> Scene:
    """The demo detector where it is to run, warmed up; on a CPU, one thread of it."""
    keep_freed_memory()
    if resolve_device(extent.device).type == "cpu":
        torch.set_num_threads(1)
    detector = detectors.load("demo", None, extent.device)
    batch_size = extent.batch_size or fastest(detector, resolve_device(extent.device))
    for size, kind in ((batch_size, Kind.FORWARD), (batch_size, Kind.ROUNDED), (gradient_batch(batch_size), Kind.BOTH)):
        pass_cost(detector, size, kind, repeats=1)
    return Scene(detector, called_fake(detector, 1)[0], batch_size)


class TestCounter:
    """A plugin of pytest that tells which test begins, and keeps how each ended."""

    __test__ = False

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.passed = 0
        self.failed: list[str] = []
        self.skipped: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tells its name."""
        self._tell(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts it once: where it was called, or else where it could not be."""
        if report.skipped:
            why = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else "expected to fail"
            self.skipped.append(why.removeprefix("Skipped: "))
        elif report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call":
            self.passed += 1


def gpu_tests(_extent: Extent, tell: Tell) -> Iterator[Job]:
    """The tests marked gpu."""

    def measure() -> list[Line]:
        counter = TestCounter(tell)
        folder = str(ROOT / "tests" / "gpu")
        status = pytest.main(["-q", "-m", "gpu", "-p", "no:cacheprovider", "--rootdir", str(ROOT), folder], [counter])
        broken = status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        why = f" ({', '.join(sorted(set(counter.skipped)))})" if counter.skipped else ""
        text = f"{counter.passed} passed, {len(counter.failed)} failed, {len(counter.skipped)} skipped{why}"
        first = Line("tests marked gpu", f"pytest ended with {status!r}" if broken else text, "all pass", bool(broken))
        return [first, *(Line(name, "failed", failed=True) for name in counter.failed)]

    yield Job("tests marked gpu", measure)


def passes(extent: Extent, _tell: Tell) -> Iterator[Job]:
    """Milliseconds an image and memory by images in a pass: forward, in bfloat16, and forward and backward."""
    scene = scene_of(extent)
    yield Job("batch size", lambda: [Line("batch size auto", f"{scene.batch_size} images")])
    for size in extent.sizes:
        yield Job(f"passes of {size}", partial(_passes_of, scene.detector, size))


def _passes_of(detector: Detector, size: int) -> list[Line]:
    costs = {kind: pass_cost(detector, size, kind) for kind in Kind}
    text = ", ".join(f"{kind} {_cost_words(cost)}" for kind, cost in costs.items())
    return [Line(f"ms an image and most memory, {count(size, 'image')} a pass", text)]


def _cost_words(cost: PassCost | None) -> str:
    if cost is None:
        return "does not fit"
    return f"{cost.seconds * 1e3:.3f}" + (f" ({cost.memory:.0f} MiB)" if cost.memory is not None else "")


def ratios(extent: Extent, _tell: Tell) -> Iterator[Job]:
    """Wall time over (forwards and backwards x the best time of each), of explanations and attacks."""
    scene = scene_of(extent)
    best = Best.of(scene.detector, extent.sizes)
    alone = Best.of(scene.detector, (1,))
    words = f"{best.forward * 1e3:.3f} ms an image forward, {best.both * 1e3:.3f} ms forward and backward"
    yield Job("best passes", lambda: [Line("best passes", words)])
    explanations = _explanations(scene, extent)
    for name in extent.methods:
        yield Job(
            name, partial(_ratio, f"{name}, preset {extent.preset}", scene, best, partial(explanations.explain, name))
        )
    pairs = pairs_of(scene.detector, scene.frame, extent.pairs)
    images = pairs.image.expand(extent.pairs, *pairs.image.shape)
    for name, settings in (("nes", extent.attack), ("pgd", {})):
        attack = attacks.build_attack(name, overrides=settings)
        work = partial(attack, scene.detector, images, pairs.regions, pairs.seeds, scene.batch_size)
        what = f"{name} on {count(extent.pairs, 'region')} of a frame"
        yield Job(what, partial(_ratio, what, scene, best, work))
    whole = torch.ones_like(pairs.regions[:1])
    for name, beside in (("to the best passes", best), ("to passes of one image", alone)):
        attack = attacks.build_attack("nes", overrides=extent.attack)
        work = partial(attack, scene.detector, images[:1], whole, pairs.seeds[:1], scene.batch_size)
        yield Job(
            "whole frame", partial(_ratio, f"nes on a whole frame, one image a pass, {name}", scene, beside, work)
        )


@dataclass(frozen=True)
class Best:
    """The least seconds that an image takes, forward, and forward and backward."""

    forward: float
    both: float

    @classmethod
    def of(cls, detector: Detector, sizes: tuple[int, ...]) -> "Best":
        """As passes of these sizes take."""
        return cls(best_pass(detector, sizes, Kind.FORWARD), best_pass(detector, sizes, Kind.BOTH))

    def seconds(self, meter: TwoWayMeter) -> float:
        """Of as many passes."""
        return meter.forwards * self.forward + meter.backwards * (self.both - self.forward)


def _ratio(what: str, scene: Scene, best: Best, work: Callable[[], Any]) -> list[Line]:
    """How long work takes the second time: the first, libraries compile and choose their kernels."""
    work()
    forget_memory(scene.device)
    meter = TwoWayMeter()
    with counting(scene.detector, meter):
        started = Clock.WALL.read()
        work()
        seconds = Clock.WALL.read() - started
    passed = f"{meter.forwards} images forward, {meter.backwards} back{_memory_words(scene.device)}"
    return [Line(what, f"{seconds / best.seconds(meter):.2f}: {seconds:.2f} s, {passed}", NO_WASTE)]


def _memory_words(device: torch.device) -> str:
    memory = most_memory(device)
    return "" if memory is None else f", at most {memory:.0f} MiB"


def _explanations(scene: Scene, extent: Extent) -> xai.FrameExplanations:
    detector, prepared = scene.detector, scene.detector.prepare(scene.frame.image)
    target = xai.explained_class(Queries(detector).probabilities(prepared[None])[0], detector.real)
    settings = xai.build_settings(extent.preset)
    return xai.FrameExplanations(detector, prepared, target, settings, 0, scene.frame.key, scene.batch_size)


def precision(extent: Extent, _tell: Tell) -> Iterator[Job]:
    """Explanations in bfloat16: how much faster, and how alike their rankings are."""
    scene = scene_of(extent)
    for name in extent.methods:
        _explanations(scene, extent).explain(name)  # in its first turn a library compiles
        yield Job(f"{name} in bfloat16", partial(_precision_of, scene, extent.preset, name))


def _precision_of(scene: Scene, preset: str, name: str) -> list[Line]:
    settings = xai.build_settings(preset)
    compared = compare_precisions(scene.detector, scene.frame, settings, name, scene.batch_size)
    full, rounded = compared.seconds
    text = f"{full / rounded:.2f} times faster ({full:.2f} s in float32); rank agreement {compared.rounded:.3f}"
    return [Line(f"{name} in bfloat16", f"{text}, of other draws in float32 {compared.other_draws:.3f}")]


def peers(extent: Extent, _tell: Tell) -> Iterator[Job]:
    """The explainers beside the packages and loops that people use."""
    scene = scene_of(extent)
    theirs = detectors.load("demo", None, extent.device, optimise=False)
    explanations, peer = opposed(scene.detector, theirs, scene.frame.image, extent.samples, scene.batch_size)
    for name in extent.peers:
        yield Job(f"{PEERS[name][0]} beside {name}", partial(_beside, explanations, peer, name, extent.rounds))


def _beside(explanations: xai.FrameExplanations, scene: PeerScene, name: str, rounds: int) -> list[Line]:
    ours, theirs = contest(explanations, scene, name, rounds)
    text = f"{theirs.median / ours.median:.1f} times faster: {ours.median:.3f} s, the other {theirs.median:.3f} s"
    return [Line(f"{PEERS[name][0]} beside {name}, {scene.samples} samples", text, FASTER.get(name, ""))]


def derivatives(extent: Extent, _tell: Tell) -> Iterator[Job]:
    """NES by exact derivatives beside finite differences."""
    scene = scene_of(extent)

    def measure() -> list[Line]:
        forget_memory(scene.device)
        pairs = pairs_of(scene.detector, scene.frame, extent.compared)
        ways = both_ways([pairs], scene.detector, scene.batch_size, Clock.WALL, extent.attack)
        exact, finite = ways[EXACT], ways[FINITE]
        verdicts, apart = int((exact.flipped != finite.flipped).sum()), (exact.real - finite.real).abs().mean()
        differences = f"{verdicts} verdicts differ, p(Real) by {apart:.4f} on average"
        text = f"{finite.seconds / exact.seconds:.1f} times faster; {differences}{_memory_words(scene.device)}"
        ways_lines = [_way_line(name, way, extent.compared) for name, way in ways.items()]
        return [*ways_lines, Line("exact beside finite", text, CHEAPER)]

    yield Job("exact beside finite", measure)


def _way_line(name: str, way: Way, pairs: int) -> Line:
    text = f"{way.seconds:.2f} s, {way.forwards} images passed, {way.queries} queries, {int(way.flipped.sum())} flipped"
    return Line(f"nes on {count(pairs, 'region')}, {name} derivatives", text)


def whole_frame(extent: Extent, tell: Tell) -> Iterator[Job]:
    """A frame with every method, baseline and depth of the published preset."""
    scene = scene_of(extent)

    def measure() -> list[Line]:
        forget_memory(scene.device)
        started = Clock.WALL.read()
        scored = score(scene.detector, scene.frame, scene.batch_size, lambda stage: tell(f"a published frame, {stage}"))
        seconds = Clock.WALL.read() - started
        images = sum(cost.forwards for cost in scored.costs)
        text = f"{seconds:.1f} s, {images} images passed, {len(scored.rows)} rows" + _memory_words(scene.device)
        stages = [
            Line(f"a published frame, {cost.stage}", f"{cost.seconds:.1f} s, {cost.forwards} images passed")
            for cost in scored.costs
            if cost.seconds >= WORTH_A_LINE * seconds
        ]
        return [Line("a published frame, all methods and baselines", text, "at most 600 s on two CPU cores"), *stages]

    yield Job("a published frame", measure)
