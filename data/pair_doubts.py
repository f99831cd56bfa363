"""Source pictures and masks that may be of other frames: what a manipulated crop's difference to its source tells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.console import count, warn
from common.errors import InputError
from data.entry import Entry
from data.source import IndexedFrames

OTHER = 10.0
"""Levels of 255 that half of a crop's pixels differ by from a picture that is not its source.

Of FaceForensics++ at c23 it is 5 at most, saved as JPEG of quality 15 as well 8.3, and of other videos 30 and more.
"""

UNMARKED = 1.5
"""How many times more the pixels of a mask differ than the others, where the mask is not of that crop.

Its own are 2.2 to 15 of FaceForensics++ at c23, and 1.7 and more of JPEG of quality 15 as well.
"""

MANY = 0.25
"""The share of masks with such a difference from which on they are doubted: of masks exchanged between the clips of
FaceForensics++ 0.4 have it, as faces are in the middle of all; of their own none has.
"""

NOISE = 0.5
"""Levels of 255 added to both before they are compared, for pictures that differ nowhere else."""


@dataclass(frozen=True)
class _Pair:
    """A manipulated crop beside its source: the median difference, 0 to 255, and how its mask divides it.

    `ratio` is the mean difference in the mask, in that outside; None where there is no mask, or nothing on one side.
    """

    entry: Entry
    typical: float
    same: bool
    ratio: float | None


def warn_of_pairs(frames: IndexedFrames, positions: Sequence[int]) -> None:
    """Warns where most source pictures are not those of their frames, else where many masks mark another change.

    A source picture shows the same square at the same moment: but for the manipulation and the noise of compression it
    is the frame. Pairs that cannot be read or are not of one size are left to their frames.

    Args:
        frames: of which some have source pictures.
        positions: of the frames to look at; those without a source picture are passed over.
    """
    pairs = [pair for position in positions if (pair := _pair(frames, position)) is not None]
    others = [pair for pair in pairs if pair.typical > OTHER]
    same = [pair for pair in pairs if pair.same]
    masked = [pair for pair in pairs if pair.ratio is not None and pair.typical <= OTHER and not pair.same]
    unmarked = [pair for pair in masked if pair.ratio is not None and pair.ratio < UNMARKED]
    if 2 * len(others) > len(pairs):
        warn(
            f"{_of(others, pairs, 'source picture')} {_do(others, 'differ')} from the frame by more than {OTHER:.0f} "
            f"of 255 in most of the picture, such as {_source(others[0])}: see whether source_path is shifted, or "
            "shows other moments; what is learnt from pairs is wrong then"
        )
        return
    if 2 * len(same) > len(pairs):
        warn(
            f"{_of(same, pairs, 'source picture')} {_do(same, 'equal')} the manipulated frame, such as "
            f"{_source(same[0])}: see whether source_path names the frames themselves; nothing is learnt from such "
            "pairs"
        )
    if len(unmarked) > MANY * len(masked):
        warn(
            f"{_of(unmarked, masked, 'mask')} {_do(unmarked, 'mark')} pixels that differ hardly more from the source "
            f"picture than the others do, such as {unmarked[0].entry.mask} of {unmarked[0].entry.key}: see whether "
            "mask_path is shifted, or masks are inverted; all numbers of manipulated pixels are wrong then"
        )


def _pair(frames: IndexedFrames, position: int) -> _Pair | None:
    """What a frame and its source picture tell; None where there is none, or one of them cannot be read."""
    try:
        source = frames.source_image(position)
        if source is None:
            return None
        frame = frames[position]
    except (InputError, OSError):  # its frame says so
        return None
    difference = np.abs(frame.image.astype(np.int16) - source).mean(axis=2)
    ratio = None
    if frame.mask is not None and frame.mask.any() and not frame.mask.all():
        inside, outside = difference[frame.mask].mean(), difference[~frame.mask].mean()
        ratio = float((inside + NOISE) / (outside + NOISE))
    return _Pair(frames.entries[position], float(np.median(difference)), not difference.any(), ratio)


def _of(some: Sequence[_Pair], pairs: Sequence[_Pair], what: str) -> str:
    return f"{len(some)} of {count(len(pairs), what)} looked at"


def _do(pairs: Sequence[_Pair], verb: str) -> str:
    return f"{verb}s" if len(pairs) == 1 else verb


def _source(pair: _Pair) -> str:
    return f"{pair.entry.source} of {pair.entry.key}"
