"""Seconds, forwards and memory of every explanation of one frame, beside the packages people use today.

Run as `python -m benchmarks.explanations`. The ratio is a stage's time over (its forwards x the best time per
forward that this machine was measured to reach with this detector): 1.00 is a stage that does nothing but ask.
"""

import io
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import shap
import torch
import typer
from lime.lime_image import LimeImageExplainer

import detectors
import xai
from benchmarks.common import (
    BatchSizeOption,
    Clock,
    ClockOption,
    ImageOption,
    ThreadsOption,
    best_seconds,
    peak,
    picture,
    reset_peak,
)
from common.console import application, progress, run, say, table
from detectors import Detector, Queries
from detectors.batch_size import ON_CPU
from detectors.devices import resolve_device
from detectors.memory import keep_freed_memory
from detectors.options import CheckpointOption, DeviceOption
from detectors.queries import counting

app = application(__doc__ or "")


@dataclass(frozen=True)
class TimedStage:
    """What one stage took.

    Attributes:
        name: as the table shows it.
        seconds: on the clock that was chosen.
        forwards: images passed to the detector.
        peak: the highest resident memory of the whole process meanwhile, in MiB; None where it cannot be read.
    """

    name: str
    seconds: float
    forwards: int
    peak: float | None


@app.command()
def measure_explanations(
    image: ImageOption = None,
    detector: Annotated[str, typer.Option(help="As in evaluate.py.")] = "demo",
    checkpoint: CheckpointOption = None,
    preset: Annotated[str, typer.Option(help="published or quick.")] = "published",
    method: Annotated[list[str] | None, typer.Option(help="Repeatable; by default all eight.")] = None,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = ON_CPU,
    threads: ThreadsOption = 2,
    clock: ClockOption = Clock.WALL,
    packages: Annotated[bool, typer.Option(help="Also run lime's and shap's own explainers.")] = True,
) -> None:
    """Explains one frame by every method and prints what each stage took."""
    clock.check(resolve_device(device))
    torch.set_num_threads(threads)
    keep_freed_memory()
    model = detectors.load(detector, checkpoint, device)
    prepared = model.prepare(picture(image))
    probabilities = Queries(model).probabilities(prepared[None])[0]
    target = xai.explained_class(probabilities, model.real)
    chosen = [xai.parse_method(name) for name in method or xai.ALL]
    settings = xai.build_settings(preset, methods=chosen)
    frame = xai.FrameExplanations(model, prepared, target, settings, batch_size=batch_size)

    compiling = _compile_shap(model, prepared, target)
    best = best_seconds(model, clock, (batch_size,))  # larger batches afterwards, as they would raise the peak
    stages = [_stage("segments", model, clock, lambda: frame.segments)]
    with progress() as bar:
        jobs: list[tuple[str, Callable[[], Any]]] = []
        if any(one.fill == "adversarial" for one in chosen):
            jobs.append(("adversarial image", lambda: frame.adversarial))
        jobs += [(one.name, lambda one=one: frame.explain(one)) for one in chosen]  # type: ignore[misc]
        jobs += _package_jobs(frame, preset) if packages else []
        task = bar.add_task("measuring", total=len(jobs))
        for name, job in jobs:
            stages.append(_stage(name, model, clock, job))
            bar.advance(task)
    best = min(best, best_seconds(model, clock), key=lambda pair: pair[0])

    say(f"explained: {model.class_names[target]}, p = {probabilities[target]:.3f}; {frame.segments.max() + 1} segments")
    say(f"best time per forward: {best[0] * 1e3:.2f} ms, {best[1]} images at a time, {threads} threads, {device}")
    say(f"seconds are {clock} time")
    say(f"before the first SHAP of a process, shap compiles its loops once: {compiling:.1f} s, not counted below")
    say("the adversarial image is shared: it is counted in its own row, not in those of the methods that use it")
    _print(stages, best[0], preset)


def _stage(name: str, detector: Detector, clock: Clock, work: Callable[[], Any]) -> TimedStage:
    reset_peak()
    with counting(detector) as meter:
        started = clock.read()
        work()
        seconds = clock.read() - started
    return TimedStage(name, seconds, meter.images, peak())


def _package_jobs(frame: xai.FrameExplanations, preset: str) -> list[tuple[str, Callable[[], Any]]]:
    """lime's and shap's own image explainers as their users call them, with the preset's numbers of samples."""
    pixels = frame.image.permute(1, 2, 0).cpu().contiguous().numpy()
    explainers: Any = xai.PRESETS[preset].explainers
    device = frame.image.device

    def probabilities(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(np.asarray(images, dtype=np.float32)).permute(0, 3, 1, 2).to(device)
        with torch.no_grad():
            return frame.detector(batch).softmax(dim=1).cpu().numpy()

    def lime() -> None:
        with redirect_stderr(io.StringIO()):  # its progress bar cannot be turned off
            LimeImageExplainer(random_state=0).explain_instance(
                pixels,
                probabilities,
                labels=(frame.target,),
                top_labels=None,
                num_samples=explainers["LIME"].samples,
                segmentation_fn=lambda _: frame.segments,
            )

    def partition() -> None:
        explainer = shap.Explainer(probabilities, shap.maskers.Image("blur(128,128)", pixels.shape))
        settings = explainers["SHAP"]
        explainer(
            pixels[None],
            max_evals=settings.evaluations,
            batch_size=settings.batch,
            outputs=[frame.target],
            silent=True,
        )

    return [("lime package", lime), ("shap package", partition)]


def _compile_shap(detector: Detector, prepared: torch.Tensor, target: int) -> float:
    """Runs shap's compiled loops once, ours and its own image masker's, and says how long that took."""
    started = time.perf_counter()
    small = xai.FrameExplanations(
        detector, prepared, target, xai.build_settings("quick", {"SHAP": {"evaluations": 8, "batch": 8}})
    )
    small.explain("SHAP")
    compiling = time.perf_counter() - started
    tiny = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32)
    masker = shap.maskers.Image("blur(3,3)", tiny[0].shape)
    shap.Explainer(lambda images: images.mean(axis=(1, 2)), masker)(tiny, max_evals=20, outputs=[0], silent=True)
    return compiling


def _print(stages: list[TimedStage], best: float, preset: str) -> None:
    rows = []
    for stage in stages:
        asked = stage.forwards > 0
        rows.append(
            (
                stage.name,
                f"{stage.seconds:.2f}",
                f"{stage.forwards}",
                f"{stage.seconds / stage.forwards * 1e3:.2f}" if asked else "",
                f"{stage.seconds / (stage.forwards * best):.2f}" if asked else "",
                "" if stage.peak is None else f"{stage.peak:.0f}",
            )
        )
    table(
        f"one frame, preset {preset}",
        ("stage", "seconds", "forwards", "ms/forward", "ratio", "peak MiB"),
        rows,
    )


if __name__ == "__main__":
    run(app)
