"""From what a command line names to detectors, filters and frames."""

from collections.abc import Sequence
from pathlib import Path

import torch

from attacks.malafide.filter_dataset import FilterDataset, open_dataset
from attacks.malafide.filter_files import Facts, StoredFilter
from attacks.malafide.filter_results import find_filters, plain_name
from attacks.malafide.filter_test import held_out
from attacks.malafide.fitting import TargetDetector
from attacks.malafide.known_filters import load_known
from attacks.malafide.open_videos import open_videos
from common.errors import InputError
from detectors.checks.consistency import probes, require_same_beside
from detectors.checks.fresh_process import require_same_in_fresh_process
from detectors.loading.conventions import Conventions
from detectors.registry import load as load_detector
from detectors.registry import short_name


def open_target(
    detector: str,
    checkpoint: Path | None,
    conventions: Conventions,
    name: str | None,
    device: str,
    batch_size: int,
    threads: int | None,
) -> TargetDetector:
    """Loads the detector that a command names, and sets torch's CPU threads.

    Args:
        detector: as `detectors.registry.load` takes it: a name, timm:NETWORK, package.module:Name or a checkpoint file.
        checkpoint: a file of weights, or None.
        conventions: what is said of the detector, where its file does not.
        name: what the results call the detector; None for its own name.
        device: auto, cpu, cuda, cuda:N or mps.
        batch_size: images in a forward pass, at least 1.
        threads: CPU threads, at least 1; None leaves torch's choice.

    Raises:
        InputError: the detector cannot be loaded, or its name in the results cannot name files.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    loaded = load_detector(detector, checkpoint, device, conventions=conventions)
    require_same_beside(loaded, probes(loaded), batch_size)
    return TargetDetector(name_of(detector, name), loaded, batch_size)


def require_same_of(target: TargetDetector, dataset: FilterDataset) -> None:
    """Raises InputError where a detector says of some of the frames otherwise in another process."""
    require_same_in_fresh_process(target.detector, len(dataset.frames), lambda index: dataset.frames[index].image)


def name_of(detector: str, name: str | None) -> str:
    """What the detector is called in the results: as given, else by its own name."""
    if name is not None:
        return plain_name(name, "--name")
    return plain_name(short_name(detector), "--detector (or its --name)")


def chosen_filters(
    out: Path,
    given: Sequence[Path] | None,
    manipulations: Sequence[str] | None,
    sizes: Sequence[int] | None,
    trained_on: str | None = None,
) -> list[tuple[StoredFilter, Facts]]:
    """The filters that were named, or those in the results, which fit; each with how it was made.

    They are sorted by the detector that they were trained on, their manipulations and their size.

    Args:
        out: the folder of the results.
        given: the files of filters; None or empty for all under `out`.
        manipulations: a filter fits that was trained on one of these; None or empty for any.
        sizes: a filter fits whose size is one of these; None or empty for any.
        trained_on: a filter fits that was trained on the detector of this name in the results; None for any.

    Raises:
        InputError: no filter fits, one cannot be read, or one does not say what it was trained on.
    """
    chosen = []
    for path in given or find_filters(out):
        stored = load_known(path)
        if stored.facts is None:
            raise InputError(f"{path} does not say what it was trained on, so no frames can be held out for it")
        fits = (
            (not manipulations or bool(set(manipulations) & set(stored.facts.manipulations)))
            and (not sizes or stored.filter.spec.size in sizes)
            and (trained_on is None or stored.facts.trained_on == trained_on)
        )
        if fits:
            chosen.append((stored, stored.facts))
    if not chosen:
        raise InputError(f"none of the filters in {out} is of this manipulation, size and detector")
    return sorted(chosen, key=lambda pair: (pair[1].trained_on, pair[1].manipulations, pair[0].filter.spec.size))


def frames_to_show(
    frames: Path | None,
    images: Path | None,
    videos: Path | None,
    face_detector: str,
    count: int,
    out: Path,
    chosen: Sequence[tuple[StoredFilter, Facts]],
) -> tuple[FilterDataset, Sequence[int]]:
    """The frames of an index or of videos, and the positions of those that may be shown.

    Args:
        frames: an index (CSV), of which the frames may be shown that the first filter was not trained on; None with
            `videos`.
        images: LMDB store or folder of the index's pictures; None for the index's folder.
        videos: a video or a folder of them, all of whose frames may be shown; None with `frames`.
        face_detector: for videos, a name that `PreprocessSettings.face_detector` takes.
        count: for videos, frames of each.
        out: the folder of the results, under which the faces of videos are cropped.
        chosen: the filters, each with how it was made; at least one.

    Raises:
        InputError: both or neither of `frames` and `videos` are given, or what is given cannot be used.
    """
    if (frames is None) == (videos is None):
        raise InputError("name what to look at: --frames INDEX, or --videos with a video or a folder of them")
    if videos is not None:
        dataset = open_videos(videos, out / "crops" / str(count), count, face_detector)
        return dataset, range(len(dataset.entries))
    assert frames is not None  # noqa: S101 - one of the two is given
    dataset = open_dataset(frames, images)
    return dataset, held_out(dataset, chosen[0][1])


def by_manipulation(
    dataset: FilterDataset, chosen: Sequence[tuple[StoredFilter, Facts]], named: Sequence[str] | None
) -> dict[str, dict[str, StoredFilter]]:
    """The filters by label, for each manipulation that there are frames of. Raises InputError where there is none."""
    several = len({facts.trained_on for _, facts in chosen}) > 1
    names = {id(s): f"{f.trained_on} {s.filter.spec.label}" if several else s.filter.spec.label for s, f in chosen}
    filters: dict[str, dict[str, StoredFilter]] = {}
    for family in dataset.manipulations:
        kept = {names[id(s)]: s for s, f in chosen if family in f.manipulations and (not named or family in named)}
        if kept:
            filters[family] = kept
    if filters:
        return filters
    raise InputError(
        f"the frames are of {', '.join(dataset.manipulations) or 'no manipulation'}, the filters for "
        f"{', '.join(sorted({family for _, facts in chosen for family in facts.manipulations}))}: none fits"
    )
