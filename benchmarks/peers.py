"""The explainers here beside the packages and loops that people use today: seconds, forwards and ratios.

Run as `python -m benchmarks.peers`. Both sides explain the same class of the same frame with the same detector, the
same segments and as many samples, in one process, turn by turn, several rounds; what counts is the median. A peer is
called as its users call it, with its own defaults where they are not named below, and asks the network as torch runs
it (`detectors.load(..., optimise=False)`); with `--folded` it is given the same faster copy of the network as ours.

    lime      LimeImageExplainer.explain_instance, ten images in a forward pass, its default
    captum    Lime with the segments as features and their mean colours as baseline, one image at a time, its default
    shap      Explainer with maskers.Image("blur(128,128)"), 50 evaluations at a time, as in the published code
    RISE      a loop as in a script: draw a mask, upsample and crop it, blend, ask, add; one image at a time
    SOBOL     a loop as in a script: a grid of the design, upsample it, blend, ask; one image at a time
"""

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Annotated, Any

import captum.attr
import numpy as np
import shap
import torch
import typer
from lime.lime_image import LimeImageExplainer
from scipy.stats import qmc, spearmanr
from torch import Tensor
from torch.nn import functional

import detectors
import xai
from benchmarks.common import Clock, ClockOption, ImageOption, ThreadsOption, picture
from common.console import application, progress, run, say, table
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.options import CheckpointOption, DeviceOption
from detectors.queries import counting
from xai.fills import SegmentMean

app = application(__doc__ or "")

CELLS, KEEP, GRID = 7, 0.5, 8  # of RISE's and SOBOL's masks, as published


@dataclass(frozen=True, eq=False)
class PeerScene:
    """What both sides are given.

    Attributes:
        network: the detector that a peer asks.
        pixels: (3, S, S) float32 in [0, 1], on the detector's device.
        segments: (S, S) labels.
        target: the explained class.
        samples: how many; SOBOL takes the largest power of two of designs that is not more.
    """

    network: Detector
    pixels: Tensor
    segments: np.ndarray
    target: int
    samples: int

    @property
    def designs(self) -> int:
        """SOBOL's: a power of two, so that designs * (cells + 2) forwards are at most the samples."""
        return 2 ** max(1, int(np.log2(self.samples / (GRID**2 + 2))))

    def probability(self, images: Tensor) -> Tensor:
        """p(target), (N,), as a user's few lines ask for it."""
        with torch.no_grad():
            return self.network(images).softmax(dim=1)[:, self.target]

    def array_probabilities(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (N, C) of images (N, S, S, 3), as lime and shap want them."""
        batch = torch.from_numpy(np.asarray(images, dtype=np.float32)).permute(0, 3, 1, 2).to(self.pixels.device)
        with torch.no_grad():
            return self.network(batch).softmax(dim=1).cpu().numpy()


def lime_package(scene: PeerScene) -> np.ndarray:
    """lime's own image explainer."""
    with redirect_stderr(io.StringIO()):  # its progress bar cannot be turned off
        explanation = LimeImageExplainer(random_state=0).explain_instance(
            scene.pixels.permute(1, 2, 0).cpu().double().numpy(),
            scene.array_probabilities,
            labels=(scene.target,),
            top_labels=None,
            num_samples=scene.samples,
            segmentation_fn=lambda _: scene.segments,
        )
    weights = dict(explanation.local_exp[scene.target])
    return np.array([weights[label] for label in range(int(scene.segments.max()) + 1)])[scene.segments]


def captum_lime(scene: PeerScene) -> np.ndarray:
    """captum's Lime."""
    features = torch.from_numpy(scene.segments).long().to(scene.pixels.device)
    baseline = SegmentMean()(scene.pixels, scene.segments, scene.network.mean)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attributions = captum.attr.Lime(scene.probability).attribute(
            scene.pixels[None], baselines=baseline[None], feature_mask=features[None, None], n_samples=scene.samples
        )
    saliency: np.ndarray = attributions[0, 0].cpu().numpy()
    return saliency


def shap_package(scene: PeerScene) -> np.ndarray:
    """shap's own Explainer of images."""
    pixels = scene.pixels.permute(1, 2, 0).cpu().contiguous().numpy()
    explainer = shap.Explainer(scene.array_probabilities, shap.maskers.Image("blur(128,128)", pixels.shape))
    explanation = explainer(pixels[None], max_evals=scene.samples, batch_size=50, outputs=[scene.target], silent=True)
    saliency: np.ndarray = explanation.values[0, ..., 0].sum(axis=-1)
    return saliency


def rise_loop(scene: PeerScene) -> np.ndarray:
    """RISE, mask by mask."""
    draws, size = np.random.default_rng(0), scene.pixels.shape[-1]
    colour = torch.tensor(scene.network.mean)[:, None, None].to(scene.pixels)
    cell = -(-size // CELLS)
    total = torch.zeros(size, size, device=scene.pixels.device)
    for _ in range(scene.samples):
        grid = torch.from_numpy((draws.random((1, 1, CELLS, CELLS)) < KEEP).astype(np.float32)).to(scene.pixels.device)
        large = functional.interpolate(grid, ((CELLS + 1) * cell,) * 2, mode="bilinear", align_corners=False)
        y, x = draws.integers(0, cell, size=2)
        mask = large[0, 0, y : y + size, x : x + size]
        shown = mask * scene.pixels + (1 - mask) * colour
        total += scene.probability(shown[None])[0] * mask
    return (total / (scene.samples * KEEP)).cpu().numpy()


def sobol_loop(scene: PeerScene) -> np.ndarray:
    """SOBOL, image by image: total-order indices of the grid's cells by Jansen's estimator."""
    cells, size = GRID**2, scene.pixels.shape[-1]
    colour = torch.tensor(scene.network.mean)[:, None, None].to(scene.pixels)

    def ask(points: np.ndarray) -> np.ndarray:
        answers = []
        for point in points:
            grid = torch.from_numpy(point.astype(np.float32)).view(1, 1, GRID, GRID).to(scene.pixels.device)
            mask = functional.interpolate(grid, (size, size), mode="nearest")[0]
            answers.append(float(scene.probability((mask * scene.pixels + (1 - mask) * colour)[None])))
        return np.array(answers)

    points = qmc.Sobol(2 * cells, scramble=True, rng=np.random.default_rng(0)).random(scene.designs)
    a, b = points[:, :cells], points[:, cells:]
    of_a, of_b, indices = ask(a), ask(b), np.zeros(cells)
    variance = np.concatenate([of_a, of_b]).var(ddof=1)
    for cell in range(cells):
        c = a.copy()
        c[:, cell] = b[:, cell]
        indices[cell] = ((of_a - ask(c)) ** 2).mean() / (2 * variance)
    rows = np.arange(size) * GRID // size
    return indices.reshape(GRID, GRID)[rows[:, None], rows]


PEERS: Mapping[str, tuple[str, Callable[[PeerScene], np.ndarray]]] = {
    "lime": ("LIME", lime_package),
    "captum's Lime": ("LIME", captum_lime),
    "shap": ("SHAP", shap_package),
    "RISE, loop": ("RISE", rise_loop),
    "SOBOL, loop": ("SOBOL", sobol_loop),
}
"""The peers by name: the method here that each is compared with, and what runs it."""


@dataclass(frozen=True, eq=False)
class Side:
    """What one side took in each round, with how many forwards, and the map it ended with."""

    seconds: list[float]
    forwards: int
    saliency: np.ndarray

    @property
    def median(self) -> float:
        """Seconds, the median of the rounds."""
        return float(np.median(self.seconds))


@app.command()
def measure_peers(
    image: ImageOption = None,
    detector: Annotated[str, typer.Option(help="As in evaluate.py.")] = "demo",
    checkpoint: CheckpointOption = None,
    samples: Annotated[int, typer.Option(min=132, help="Of every explainer; 2000 are LIME's and SHAP's.")] = 528,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side has its turn.")] = 3,
    folded: Annotated[bool, typer.Option(help="Give the peers the network with folded batch norms, too.")] = False,
    device: DeviceOption = "cpu",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Of our forward passes.")] = None,
    threads: ThreadsOption = 2,
    clock: ClockOption = Clock.WALL,
) -> None:
    """Explains one frame by every method, here and as people do today, and prints how much longer they take."""
    clock.check(resolve_device(device))
    torch.set_num_threads(threads)
    keep_freed_memory()
    ours = detectors.load(detector, checkpoint, device)
    theirs = ours if folded else detectors.load(detector, checkpoint, device, optimise=False)
    size = batch_size or (ON_CPU if resolve_device(device).type == "cpu" else 128)
    frame, scene = opposed(ours, theirs, picture(image), samples, size)
    with progress() as bar:
        task = bar.add_task("measuring", total=len(PEERS) * (1 + rounds))
        sides = {}
        for name in PEERS:
            sides[name] = contest(frame, scene, name, rounds, clock, lambda: bar.advance(task))
    say(f"explained: {ours.class_names[scene.target]}; {scene.segments.max() + 1} segments; {samples} samples")
    say(f"{rounds} rounds after one to warm up; {size} images in our forward passes; {threads} threads; {device}")
    say(f"seconds are {clock} time")
    _print(sides, folded)


def opposed(
    ours: Detector, theirs: Detector, image: np.ndarray, samples: int, batch_size: int
) -> tuple[xai.FrameExplanations, PeerScene]:
    """What each side is given of an image.

    Args:
        ours: the detector as we ask it.
        theirs: the same, as a peer asks it.
        image: (H, W, 3) uint8.
        samples: of every explainer.
        batch_size: images in our forward passes.
    """
    prepared = ours.prepare(image)
    target = xai.explained_class(Queries(ours).probabilities(prepared[None])[0], ours.real)
    numbers = {name: {"samples": samples} for name in ("LIME", "RISE")}
    designs = PeerScene(theirs, prepared, np.zeros((1, 1)), target, samples).designs
    settings = xai.build_settings(
        "published", {**numbers, "SHAP": {"evaluations": samples}, "SOBOL": {"grid": GRID, "designs": designs}}
    )
    frame = xai.FrameExplanations(ours, prepared, target, settings, batch_size=batch_size)
    return frame, PeerScene(theirs.eval(), frame.image, frame.segments, target, samples)


def contest(
    frame: xai.FrameExplanations,
    scene: PeerScene,
    name: str,
    rounds: int,
    clock: Clock = Clock.WALL,
    on_round: Callable[[], Any] = lambda: None,
) -> tuple[Side, Side]:
    """What we and a peer took, turn by turn; each side's first turn is not counted, as libraries compile in it.

    Args:
        frame: our explanations of the frame.
        scene: what the peer explains.
        name: the peer, one of `PEERS`.
        rounds: how often each side has its turn and is counted, at least 1.
        clock: which seconds are counted.
        on_round: called after each round, the one that is not counted included.
    """
    method, peer = PEERS[name]
    works: tuple[Callable[[], np.ndarray], ...] = (lambda: frame.explain(method).saliency, lambda: peer(scene))
    seconds: tuple[list[float], list[float]] = ([], [])
    forwards, maps = [0, 0], [np.empty(0), np.empty(0)]
    for _ in range(1 + rounds):
        for side, (work, asked) in enumerate(zip(works, (frame.detector, scene.network), strict=True)):
            with counting(asked) as meter:
                started = clock.read()
                maps[side] = work()
                seconds[side].append(clock.read() - started)
            forwards[side] = meter.images
        on_round()
    one, other = (Side(seconds[side][1:], forwards[side], maps[side]) for side in (0, 1))
    return one, other


def agreement(one: np.ndarray, other: np.ndarray, segments: np.ndarray) -> float:
    """Spearman's rank correlation of two maps (H, W) over the segments' mean values."""
    count = np.bincount(segments.ravel())
    first, second = (
        np.bincount(segments.ravel(), weights=saliency.astype(float).ravel()) / count for saliency in (one, other)
    )
    return float(spearmanr(first, second).statistic)


def _print(sides: Mapping[str, tuple[Side, Side]], folded: bool) -> None:
    table(
        f"the peers ask the network {'with folded batch norms, as we do' if folded else 'as torch runs it'}",
        ("here", "seconds", "forwards", "peer", "seconds", "forwards", "ratio"),
        [
            (
                PEERS[name][0],
                f"{ours.median:.2f}",
                f"{ours.forwards}",
                name,
                f"{theirs.median:.2f}",
                f"{theirs.forwards}",
                f"{theirs.median / ours.median:.2f}",
            )
            for name, (ours, theirs) in sides.items()
        ],
    )


if __name__ == "__main__":
    run(app)
