"""A few frames of every manipulated video: by the published rule, or spread evenly."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common.console import say, warn
from common.errors import InputError
from data.entry import Entry
from data.index import read_index, write_index
from data.source import of_split, warn_of_doubt

PER_VIDEO = 10


class Rule(StrEnum):
    """How the frames of a video are chosen."""

    PUBLISHED = "published"
    SPREAD = "spread"


def published(total: int, count: int) -> list[int]:
    """At most `count` of the positions 0 to total - 1, as the published evaluation chooses them, ascending.

    Every s-th position from the first on, s = max(round(total / count), 1) with halves to even, at most `count`. Where
    these are fewer and the video has enough, as many of the first ones as are missing each bring their next along: of
    18 positions, ten are 0, 1, 2, 4, 6, 8, 10, 12, 14, 16. Where s is 1 already, the last ones are left out.

    (Tsigos et al. 2025, the published code; `count` is 10 there.)
    """
    if count < 1:
        raise ValueError(f"expected a count of at least 1, got {count}")
    step = max(round(total / count), 1)
    chosen = list(range(0, total, step))[:count]
    missing = count - len(chosen) if total >= count else 0
    return sorted(chosen + [position + 1 for position in chosen[:missing]])


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


RULES: Mapping[Rule, Callable[[int, int], list[int]]] = {Rule.PUBLISHED: published, Rule.SPREAD: spread}


def select(entries: Sequence[Entry], per_video: int = PER_VIDEO, rule: Rule = Rule.PUBLISHED) -> list[Entry]:
    """`per_video` frames of each manipulated video; one with fewer gives all it has. The order of `entries` is kept.

    The published rule counts a video's frames in the order of `entries`. The other spreads evenly over its frames in
    natural order of their names, which compares numbers as numbers: frame 9 comes before frame 10.
    """
    videos: dict[str, list[int]] = defaultdict(list)
    for position, entry in enumerate(entries):
        if entry.fake:
            videos[entry.video].append(position)
    chosen: list[int] = []
    for positions in videos.values():
        if rule == Rule.SPREAD:
            positions = sorted(positions, key=lambda position: natural(entries[position].key))
        chosen += (positions[index] for index in RULES[rule](len(positions), per_video))
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
    split: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="Only this split, such as test; all for every frame.")
    ] = None,
    rule: Annotated[
        Rule,
        typer.Option("--rule", help="published: as the published evaluation chooses; spread: evenly, first to last."),
    ] = Rule.PUBLISHED,
) -> None:
    """Select a few frames of every manipulated video.

    By default those that the published evaluation scores, of the same index.
    """
    entries = of_split(read_index(index), split, index)
    chosen = select(entries, per_video, rule)
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
    videos = f"{len(counts):,} manipulated video{'' if len(counts) == 1 else 's'}"
    say(f"{out}: {len(chosen):,} frames of {videos}, by the rule {rule.value!r}")
