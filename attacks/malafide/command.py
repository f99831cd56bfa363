"""`python -m attacks malafide`: train filters, test them, and show what they do."""

from pathlib import Path
from typing import Annotated, Any

import typer

from attacks.malafide import table as tables
from attacks.malafide.choosing import by_manipulation, chosen_filters, looked_at, name_of, open_opponent
from attacks.malafide.config_file import ConfigOption, write_config
from attacks.malafide.exhibits import exhibits, probabilities
from attacks.malafide.fidelity import Fidelity
from attacks.malafide.files import Facts, StoredFilter
from attacks.malafide.filter import IMAGE, FilterSpec
from attacks.malafide.fitting import Fitting, cell_of
from attacks.malafide.gradcam import grad_cam
from attacks.malafide.gradcam_pages import save_maps
from attacks.malafide.heatmap import save_heatmap
from attacks.malafide.material import open_material, split
from attacks.malafide.options import (
    OUT,
    BatchSizeOption,
    CountOption,
    DetectorOption,
    FaceDetectorOption,
    FilterOption,
    FramesOption,
    ImagesOption,
    LimitOption,
    ManipulationOption,
    NameOption,
    OutOption,
    SizeOption,
    SomeFramesOption,
    ThreadsOption,
    VideosOption,
)
from attacks.malafide.pictures import save_images
from attacks.malafide.results import read_json, tests_file, write_json
from attacks.malafide.settings import Settings
from attacks.malafide.testing import FilterTest, Testing, as_json
from common import log
from common.console import application, say, table
from data.preprocess.records import Recipe
from detectors.options import CheckpointOption, DeviceOption, PositiveOption

malafide_app = application("2D-Malafide: filters that make fakes pass as real.")


@malafide_app.command("train")
def train_filters(
    frames: FramesOption,
    detector: DetectorOption,
    images: ImagesOption = None,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    name: NameOption = None,
    manipulation: ManipulationOption = None,
    size: SizeOption = None,
    extent: Annotated[
        str,
        typer.Option("--range", help="Rescale each filtered image to its own range (image), or as published (batch)."),
    ] = IMAGE,
    fidelity: Annotated[
        str | None,
        typer.Option("--fidelity", help="Start at the identity and bound each image's change: psnr:30, linf:8/255."),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="At most so many passes over the fakes.")] = 100,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="For each filter, the time after which its training ends.")
    ] = None,
    batch_size: BatchSizeOption = 32,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help="Default: 1e-4 as published; with --fidelity half the bound."),
    ] = None,
    stop: Annotated[
        float | None,
        typer.Option("--stop", help="End once the training EER is above this. Default: 0.5, with --fidelity 0.9."),
    ] = None,
    split_by: Annotated[
        str, typer.Option("--split-by", help="How frames are held out: index, identity, time, frame, or auto.")
    ] = "auto",
    limit: LimitOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    out: OutOption = OUT,
    config: ConfigOption = None,
) -> None:
    """Train a filter for each manipulation and size, so that fakes pass a detector.

    The same command again goes on where it stopped. Writes OUT/DETECTOR/MANIPULATION/SIZE/: filter.safetensors,
    config.json, history.csv, last.ckpt; and OUT/DETECTOR/train.yaml, to be given as --config.
    """
    sizes = list(dict.fromkeys(size or [9]))
    bound = None if fidelity is None else Fidelity.parse(fidelity)
    specs = [FilterSpec(each, extent, bound) for each in sizes]
    settings = Settings(epochs, max_minutes, batch_size, learning_rate, stop=stop, seed=seed)
    opponent = open_opponent(detector, checkpoint, positive, name, device, batch_size, threads)
    material = open_material(frames, images)
    manipulations = material.chosen(manipulation or [])
    halves = split(material.entries, split_by, seed)
    resolved: dict[str, Any] = {
        "frames": frames, "images": images, "detector": detector, "checkpoint": checkpoint, "positive": positive,
        "name": opponent.name,
        "manipulation": manipulations, "size": sizes, "range": extent, "fidelity": fidelity, "epochs": epochs,
        "max_minutes": max_minutes, "batch_size": batch_size, "learning_rate": settings.rate(specs[0], 0),
        "stop": settings.enough(specs[0]), "split_by": halves.way, "limit": limit, "seed": seed, "device": device,
        "out": out,
    }  # fmt: skip
    say(
        f"{len(material.entries)} frames, split by {halves.way}: {len(halves.train)} to train on, "
        f"{len(halves.test)} to test on"
    )
    log.open_in(out / opponent.name)
    write_config(out / opponent.name / "train.yaml", resolved)
    fitting = Fitting(opponent, material, halves, limit)
    for family in manipulations:
        for spec in specs:
            cell = cell_of(out, opponent, [family], spec)
            stored = fitting.fit(cell, (family,), spec, settings)
            say(_summary(stored))
    say(f"filters in {out / opponent.name}; `python -m attacks malafide test --out {out} ...` tests them")


@malafide_app.command("test")
def run_test(
    frames: FramesOption,
    detector: DetectorOption,
    images: ImagesOption = None,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    name: NameOption = None,
    filters: FilterOption = None,
    manipulation: ManipulationOption = None,
    size: SizeOption = None,
    limit: LimitOption = None,
    batch_size: BatchSizeOption = 32,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    out: OutOption = OUT,
    config: ConfigOption = None,
) -> None:
    """Test filters on a detector, the one they were trained on (white box) or another (black box).

    Every filter in OUT is applied to fakes that it was not trained on, at the input size of the detector under test.
    Writes tests/DETECTOR.json beside each filter.
    """
    chosen = chosen_filters(out, filters, manipulation, size)
    opponent = open_opponent(detector, checkpoint, positive, name, device, batch_size, threads)
    testing = Testing(opponent, open_material(frames, images), limit)
    rows: dict[str, list[list[str]]] = {}
    for stored, facts in chosen:
        wanted = [each for each in facts.manipulations if not manipulation or each in manipulation]
        path = tests_file(stored.path, opponent.name)
        tests = [_earlier(path, testing, stored, facts, each) or testing.test(stored, facts, each) for each in wanted]
        write_json(path, as_json(tests))
        rows.setdefault(facts.trained_on, []).extend(_test_row(each) for each in tests)
    heads = ["filter", "clean", "EER", "AUC", "pass", "dB", "SSIM"]
    for trained, shown in rows.items():
        box = "white box" if trained == opponent.name else "black box"
        at = f"{opponent.name} at {opponent.detector.input_size} pixels"
        table(f"Trained on {trained}, tested on {at} ({box}); rates in %", heads, shown)
    say(
        "clean: EER without the filter. EER, AUC: filtered fakes against unfiltered real frames. pass: filtered\n"
        "fakes called real at the threshold of the clean EER. dB, SSIM: filtered to unfiltered fakes, means.\n"
        "The published attack rate, real frames called fake at the threshold of the EER, is in tests.csv."
    )


@malafide_app.command("table")
def make_table(out: OutOption = OUT, config: ConfigOption = None) -> None:
    """Make the paper's table of all tests in OUT: table.csv, table.md, table.png, and tests.csv with every number."""
    tests = tables.find_tests(out)
    made = tables.tabulate(tests)
    tables.write_csv(out / "table.csv", made)
    tables.write_tests(out / "tests.csv", tests)
    tables.write_markdown(out / "table.md", made)
    save_heatmap(out / "table.png", made)
    say(tables.markdown(made))
    say(f"written to {out}: table.csv, table.md, table.png, tests.csv")


@malafide_app.command("images")
def make_images(
    detector: DetectorOption,
    frames: SomeFramesOption = None,
    images: ImagesOption = None,
    videos: VideosOption = None,
    face_detector: FaceDetectorOption = Recipe.face_detector,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    name: NameOption = None,
    filters: FilterOption = None,
    manipulation: ManipulationOption = None,
    size: SizeOption = None,
    count: CountOption = 4,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    out: OutOption = OUT,
    config: ConfigOption = None,
) -> None:
    """Show real, fake and filtered frames, side by side and singly: OUT/images/DETECTOR/MANIPULATION/page.png."""
    chosen = chosen_filters(out, filters, manipulation, size, trained_on=None if filters else name_of(detector, name))
    opponent = open_opponent(detector, checkpoint, positive, name, device, 16, threads)
    material, positions = looked_at(frames, images, videos, face_detector, count, out, chosen)
    for family, kept in by_manipulation(material, chosen, manipulation).items():
        shown = exhibits(material, positions, family, opponent, kept, count)
        folder = out / "images" / opponent.name / family
        page = save_images(folder, f"{family}, as {opponent.name} sees it", shown, probabilities(opponent, shown))
        say(f"{page}: {len(shown)} frames, {len(kept)} filters")


@malafide_app.command("gradcam")
def make_maps(
    detector: DetectorOption,
    frames: SomeFramesOption = None,
    images: ImagesOption = None,
    videos: VideosOption = None,
    face_detector: FaceDetectorOption = Recipe.face_detector,
    checkpoint: CheckpointOption = None,
    positive: PositiveOption = None,
    name: NameOption = None,
    filters: FilterOption = None,
    manipulation: ManipulationOption = None,
    size: SizeOption = None,
    count: CountOption = 4,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Of the detector. Default: the last feature map before pooling.")
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    out: OutOption = OUT,
    config: ConfigOption = None,
) -> None:
    """Show what a detector looks at (Grad-CAM): OUT/gradcam/DETECTOR/MANIPULATION/page.png, maps as NPY and PNG."""
    chosen = chosen_filters(out, filters, manipulation, size, trained_on=None if filters else name_of(detector, name))
    opponent = open_opponent(detector, checkpoint, positive, name, device, 16, threads)
    cam = grad_cam(opponent.detector, layer)
    material, positions = looked_at(frames, images, videos, face_detector, count, out, chosen)
    for family, kept in by_manipulation(material, chosen, manipulation).items():
        shown = exhibits(material, positions, family, opponent, kept, count)
        title = f"{family}: what speaks for fake, to {opponent.name} at {cam.layer}"
        folder = out / "gradcam" / opponent.name / family
        page = save_maps(folder, title, cam, shown, probabilities(opponent, shown))
        say(f"{page}: {len(shown)} frames, {len(kept)} filters, layer {cam.layer}")


def _earlier(path: Path, testing: Testing, stored: StoredFilter, facts: Facts, manipulation: str) -> FilterTest | None:
    """The same test made before: of this filter and these weights, on these frames."""
    if not path.is_file():
        return None
    tests = read_json(path)
    for values in tests if isinstance(tests, list) else []:
        same = (
            isinstance(values, dict)
            and values.get("filter_sha256") == stored.sha256
            and values.get("tested_sha256") == testing.opponent.detector.weights_sha256
            and values.get("manipulation") == manipulation
            and values.get("frames") == testing.fingerprint(facts, manipulation)
        )
        if same:
            return FilterTest.from_json(values)
    return None


def _summary(stored: StoredFilter) -> str:
    facts = stored.facts
    assert facts is not None  # noqa: S101 - our own file
    why = {"eer": "the EER passed the limit", "epochs": "all epochs are done", "time": "the time is up"}[facts.ended]
    return (
        f"{'+'.join(facts.manipulations)} {stored.filter.spec.label}: training EER {100 * facts.clean_eer:.1f} -> "
        f"{100 * facts.eer:.1f} % after epoch {facts.best_epoch:g} ({why})"
    )


def _test_row(test: FilterTest) -> list[str]:
    rates = (test.clean_eer, test.eer, test.auc, test.success)
    ratio = "-" if test.psnr is None else f"{test.psnr:.1f}"
    shown = (f"{100 * rate:.1f}" for rate in rates)
    return [f"{test.manipulation} {test.filter}", *shown, ratio, f"{test.ssim:.3f}"]
