"""The published selection of frames: a few of every manipulated video, spread evenly."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from common.console import say, warn
from common.errors import InputError
from data.index import Entry, read_index, write_index
from data.source import of_split, warn_of_doubt

PER_VIDEO = 10


def spread(total: int, count: int) -> list[int]:
    """At most `count` of the positions 0 to total - 1, spread evenly, first and last included, ascending.

    Position i is i (total - 1) / (count - 1), rounded to the nearest, halves up. Where `total` is not more than
    `count` all positions are taken, and a single one is the middle (the lower of two).
    """
    if count < 1:
        raise ValueError(f"expected a count of at least 1, got {count}")
    if total <= count:
        return list(range(total))
    if count == 1:
        return [(total - 1) // 2]
    return [(2 * i * (total - 1) + count - 1) // (2 * (count - 1)) for i in range(count)]


def select(entries: Sequence[Entry], per_video: int = PER_VIDEO) -> list[Entry]:
    """`per_video` frames of each manipulated video, spread evenly over its frames in natural order of their names.

    The natural order compares numbers as numbers: frame 9 comes before frame 10. A video with fewer frames gives
    all it has. The order of `entries` is kept.
    """
    videos: dict[str, list[int]] = defaultdict(list)
    for position, entry in enumerate(entries):
        if entry.fake:
            videos[entry.video].append(position)
    chosen: list[int] = []
    for positions in videos.values():
        ordered = sorted(positions, key=lambda position: natural(entries[position].key))
        chosen += (ordered[index] for index in spread(len(ordered), per_video))
    return [entries[position] for position in sorted(chosen)]


def natural(text: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """A sort key that compares runs of digits as numbers; equal numbers written differently keep apart."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((word, int(digits or -1)) for word, digits in zip(parts[::2], [*parts[1::2], ""], strict=True)), text


def sample(
    index: Annotated[Path, typer.Option("--index", metavar="INDEX.csv", help="The index to select from.")],
    out: Annotated[Path, typer.Option("--out", metavar="SAMPLE.csv", help="Where the selection is written.")],
    per_video: Annotated[
        int, typer.Option("--per-video", metavar="N", min=1, help="Frames of each video.")
    ] = PER_VIDEO,
    split: Annotated[str | None, typer.Option("--split", metavar="NAME", help="Only this split, such as test.")] = None,
) -> None:
    """Select a few frames of every manipulated video.

    They are spread evenly over each video, as in the published evaluation.
    """
    entries = of_split(read_index(index), split, index)
    chosen = select(entries, per_video)
    if not chosen:
        where = f"the split {split!r}" if split else "the index"
        raise InputError(f"{index}: nothing to select, for {where} has no manipulated frames (bin_label 1)")
    write_index(out, chosen)
    warn_of_doubt(chosen)
    counts: dict[str, int] = defaultdict(int)
    for entry in chosen:
        counts[entry.video] += 1
    short = [video for video, count in counts.items() if count < per_video]
    if short:
        warn(f"fewer than {per_video} frames in {len(short)} of {len(counts)} videos, such as {short[0]}")
    say(f"{out}: {len(chosen):,} frames of {len(counts):,} manipulated video{'' if len(counts) == 1 else 's'}")
