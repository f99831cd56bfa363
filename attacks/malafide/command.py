"""`python -m attacks malafide`: train filters, test them, and show what they do."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from attacks.malafide import table as tables
from attacks.malafide.choosing import (
    by_manipulation,
    chosen_filters,
    frames_to_show,
    name_of,
    open_target,
    require_same_of,
)
from attacks.malafide.filter_dataset import open_dataset, split
from attacks.malafide.filter_files import Facts, StoredFilter
from attacks.malafide.filter_options import (
    NOTHING_SAID,
    OUT,
    BatchSizeOption,
    CountOption,
    DetectorOption,
    FaceDetectorOption,
    FilterOption,
    FilterOptions,
    FramesOption,
    ImagesOption,
    LimitOption,
    ManipulationOption,
    NameOption,
    OutOption,
    SizeOption,
    SomeFramesOption,
    TargetConventions,
    TargetOptions,
    ThreadsOption,
    VideosOption,
)
from attacks.malafide.filter_pictures import save_images
from attacks.malafide.filter_results import tests_file
from attacks.malafide.filter_test import FilterTest, Testing
from attacks.malafide.filtered_frames import filtered_frames, probabilities
from attacks.malafide.fitting import FILTERS, Fitting, cell_of
from attacks.malafide.gradcam import grad_cam
from attacks.malafide.gradcam_pages import save_maps
from attacks.malafide.heatmap import save_heatmap
from attacks.malafide.stored_tests import load_tests, save_tests
from common import log
from common.commands import with_options
from common.config_file import SharedConfigOption, write_config
from common.console import application, say, table, warn
from common.errors import InputError
from data.preprocess.crop_records import PreprocessSettings
from data.source import warn_of_doubt
from detectors.checks.gradient_check import remark_on_gradient
from detectors.options import CheckpointOption, DeviceOption

malafide_app = application("2D-Malafide: filters that make fakes pass as real.")


@malafide_app.command("train")
@with_options()
def train_filters(
    target: TargetOptions,
    conventions: TargetConventions,
    options: FilterOptions,
    out: OutOption = OUT,
    config: SharedConfigOption = None,
) -> None:
    """Train a filter for each manipulation and size, so that fakes pass a detector.

    The same command again goes on where it stopped. Writes OUT/DETECTOR/MANIPULATION/SIZE/: filter.safetensors,
    config.json, history.csv, last.ckpt; and OUT/DETECTOR/train.yaml, to be given as --config.
    """
    specs, settings = options.specs, options.settings(target.batch_size)
    detector = target.open(conventions)
    dataset = open_dataset(target.frames, target.images)
    warn_of_doubt(dataset.entries)
    require_same_of(detector, dataset)
    remark_on_gradient(detector.detector, (FILTERS,))
    manipulations = dataset.chosen(options.manipulation)
    halves = split(dataset.entries, options.split_by, options.seed, manipulations=manipulations)
    say(
        f"{len(dataset.entries)} frames, split by {halves.way}: {len(halves.train)} to train on, "
        f"{len(halves.test)} to test on"
    )
    log.open_in(out / detector.name)
    shared = ("frames", "images", "detector", "checkpoint", "device")
    resolved = options.resolved(settings, manipulations, halves.way)
    named = {
        **{name: getattr(target, name) for name in shared},
        **asdict(conventions),
        "name": detector.name,
        **resolved,
        "out": out,
    }
    write_config(out / detector.name / "train.yaml", named)
    fitting = Fitting(detector, dataset, halves, options.limit, options.logger)
    for family in manipulations:
        for spec in specs:
            say(_summary(fitting.fit(cell_of(out, detector, [family], spec), (family,), spec, settings)))
    say(f"filters in {out / detector.name}; `python -m attacks malafide test --out {out} ...` tests them")


@malafide_app.command("test")
@with_options()
def run_test(
    frames: FramesOption,
    detector: DetectorOption,
    images: ImagesOption = None,
    checkpoint: CheckpointOption = None,
    conventions: TargetConventions = NOTHING_SAID,
    name: NameOption = None,
    filters: FilterOption = None,
    manipulation: ManipulationOption = None,
    size: SizeOption = None,
    limit: LimitOption = None,
    batch_size: BatchSizeOption = 32,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    out: OutOption = OUT,
    config: SharedConfigOption = None,
) -> None:
    """Test filters on a detector, the one they were trained on (white box) or another (black box).

    Every filter in OUT is applied to fakes that it was not trained on, at the input size of the detector under test.
    Writes tests/DETECTOR.json beside each filter.
    """
    chosen = chosen_filters(out, filters, manipulation, size)
    target_detector = open_target(detector, checkpoint, conventions, name, device, batch_size, threads)
    dataset = open_dataset(frames, images)
    warn_of_doubt(dataset.entries)
    require_same_of(target_detector, dataset)
    testing = Testing(target_detector, dataset, limit)
    rows: dict[str, list[list[str]]] = {}
    for stored, facts in chosen:
        wanted = [family for family in facts.manipulations if not manipulation or family in manipulation]
        path = tests_file(stored.path, target_detector.name)
        earlier = _earlier(path, stored)
        tests = [_same(earlier, testing, facts, family) or testing.test(stored, facts, family) for family in wanted]
        save_tests(path, tests)
        rows.setdefault(facts.trained_on, []).extend(_test_row(test) for test in tests)
    heads = ["filter", "clean", "EER", "AUC", "pass", "dB", "SSIM"]
    for trained, shown in rows.items():
        box = "white box" if trained == target_detector.name else "black box"
        at = f"{target_detector.name} at {target_detector.detector.input_size} pixels"
        table(f"Trained on {trained}, tested on {at} ({box}); rates in %", heads, shown)
    say(
        "clean: EER without the filter. EER, AUC: filtered fakes against unfiltered real frames. pass: filtered\n"
        "fakes called real at the threshold of the clean EER. dB, SSIM: filtered to unfiltered fakes, means.\n"
        "The published attack rate, real frames called fake at the threshold of the EER, is in tests.csv."
    )


@malafide_app.command("table")
def make_table(out: OutOption = OUT, config: SharedConfigOption = None) -> None:
    """Make the paper's table of all tests in OUT: table.csv, table.md, table.png, and tests.csv with every number."""
    tests = tables.find_tests(out)
    results_table = tables.tabulate(tests)
    tables.write_csv(out / "table.csv", results_table)
    tables.write_tests(out / "tests.csv", tests)
    tables.write_markdown(out / "table.md", results_table)
    save_heatmap(out / "table.png", results_table)
    say(tables.markdown(results_table))
    say(f"written to {out}: table.csv, table.md, table.png, tests.csv")


@malafide_app.command("images")
@with_options()
def make_images(
    detector: DetectorOption,
    frames: SomeFramesOption = None,
    images: ImagesOption = None,
    videos: VideosOption = None,
    face_detector: FaceDetectorOption = PreprocessSettings.face_detector,
    checkpoint: CheckpointOption = None,
    conventions: TargetConventions = NOTHING_SAID,
    name: NameOption = None,
    filters: FilterOption = None,
    manipulation: ManipulationOption = None,
    size: SizeOption = None,
    count: CountOption = 4,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    out: OutOption = OUT,
    config: SharedConfigOption = None,
) -> None:
    """Show real, fake and filtered frames, side by side and singly: OUT/images/DETECTOR/MANIPULATION/page.png."""
    chosen = chosen_filters(out, filters, manipulation, size, trained_on=None if filters else name_of(detector, name))
    target_detector = open_target(detector, checkpoint, conventions, name, device, 16, threads)
    dataset, positions = frames_to_show(frames, images, videos, face_detector, count, out, chosen)
    require_same_of(target_detector, dataset)
    for family, kept in by_manipulation(dataset, chosen, manipulation).items():
        shown = filtered_frames(dataset, positions, family, target_detector, kept, count)
        folder = out / "images" / target_detector.name / family
        page = save_images(
            folder, f"{family}, as {target_detector.name} sees it", shown, probabilities(target_detector, shown)
        )
        say(f"{page}: {len(shown)} frames, {len(kept)} filters")


@malafide_app.command("gradcam")
@with_options()
def make_maps(
    detector: DetectorOption,
    frames: SomeFramesOption = None,
    images: ImagesOption = None,
    videos: VideosOption = None,
    face_detector: FaceDetectorOption = PreprocessSettings.face_detector,
    checkpoint: CheckpointOption = None,
    conventions: TargetConventions = NOTHING_SAID,
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
    config: SharedConfigOption = None,
) -> None:
    """Show what a detector looks at (Grad-CAM): OUT/gradcam/DETECTOR/MANIPULATION/page.png, maps as NPY and PNG."""
    chosen = chosen_filters(out, filters, manipulation, size, trained_on=None if filters else name_of(detector, name))
    target_detector = open_target(detector, checkpoint, conventions, name, device, 16, threads)
    cam = grad_cam(target_detector.detector, layer)
    dataset, positions = frames_to_show(frames, images, videos, face_detector, count, out, chosen)
    require_same_of(target_detector, dataset)
    for family, kept in by_manipulation(dataset, chosen, manipulation).items():
        shown = filtered_frames(dataset, positions, family, target_detector, kept, count)
        title = f"{family}: what speaks for fake, to {target_detector.name} at {cam.layer}"
        folder = out / "gradcam" / target_detector.name / family
        page = save_maps(folder, title, cam, shown, probabilities(target_detector, shown))
        say(f"{page}: {len(shown)} frames, {len(kept)} filters, layer {cam.layer}")


def _earlier(path: Path, stored: StoredFilter) -> tuple[FilterTest, ...]:
    """The tests of a filter that were made before; none, with a warning, where the file cannot be believed."""
    if not path.exists():
        return ()
    try:
        found = load_tests(path, stored.sha256)
    except InputError as error:
        warn(f"{error}; the filter is tested again")
        return ()
    if not found.sealed:
        warn(f"{path} is of an earlier version, without a checksum; the filter is tested again")
    return found.tests if found.sealed else ()


def _same(earlier: Sequence[FilterTest], testing: Testing, facts: Facts, manipulation: str) -> FilterTest | None:
    """The same test made before: with these weights of the detector, on these frames."""
    wanted = (testing.target_detector.detector.identity, manipulation, testing.fingerprint(facts, manipulation))
    return next((test for test in earlier if (test.tested_sha256, test.manipulation, test.frames) == wanted), None)


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
