"""From what a command line names to detectors, filters and frames."""

from collections.abc import Sequence
from pathlib import Path

import torch

from attacks.malafide.files import Facts, StoredFilter, load
from attacks.malafide.fitting import Opponent
from attacks.malafide.material import Material, open_material
from attacks.malafide.results import find_filters, plain_name
from attacks.malafide.testing import held_out
from attacks.malafide.videos import open_videos
from common.errors import InputError
from detectors.registry import load as load_detector
from detectors.registry import short_name


def open_opponent(
    detector: str,
    checkpoint: Path | None,
    positive: str | None,
    name: str | None,
    device: str,
    batch_size: int,
    threads: int | None,
) -> Opponent:
    if threads is not None:
        torch.set_num_threads(threads)
    return Opponent(name_of(detector, name), load_detector(detector, checkpoint, device, positive=positive), batch_size)


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
    """The filters that were named, or those in the results that fit; each with how it was made."""
    chosen = []
    for path in given or find_filters(out):
        stored = load(path)
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


def looked_at(
    frames: Path | None,
    images: Path | None,
    videos: Path | None,
    face_detector: str,
    count: int,
    out: Path,
    chosen: Sequence[tuple[StoredFilter, Facts]],
) -> tuple[Material, Sequence[int]]:
    """The frames to look at and which of them: of an index those that filters were not trained on, of videos all."""
    if (frames is None) == (videos is None):
        raise InputError("name what to look at: --frames INDEX, or --videos with a video or a folder of them")
    if videos is not None:
        material = open_videos(videos, out / "crops" / str(count), count, face_detector)
        return material, range(len(material.entries))
    assert frames is not None  # noqa: S101 - one of the two is given
    material = open_material(frames, images)
    return material, held_out(material, chosen[0][1])


def by_manipulation(
    material: Material, chosen: Sequence[tuple[StoredFilter, Facts]], named: Sequence[str] | None
) -> dict[str, dict[str, StoredFilter]]:
    """The filters for each manipulation that there are frames of."""
    several = len({facts.trained_on for _, facts in chosen}) > 1
    names = {id(s): f"{f.trained_on} {s.filter.spec.label}" if several else s.filter.spec.label for s, f in chosen}
    found: dict[str, dict[str, StoredFilter]] = {}
    for family in material.manipulations:
        kept = {names[id(s)]: s for s, f in chosen if family in f.manipulations and (not named or family in named)}
        if kept:
            found[family] = kept
    if found:
        return found
    raise InputError(
        f"the frames are of {', '.join(material.manipulations) or 'no manipulation'}, the filters for "
        f"{', '.join(sorted({each for _, facts in chosen for each in facts.manipulations}))}: none fits"
    )
