"""Pictures that may not be what an index takes them for: copies, what is no photograph, masks of something else."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from common.console import count, warn
from common.errors import InputError
from data.entry import Entry
from data.images import DARK, decode, decode_mask, sixteen_bit_reach
from data.pair_doubts import warn_of_pairs
from data.same_pictures import SamePictures
from data.sample import spread
from data.source import IndexedFrames

LOOKED_AT = 64
"""How many pictures and masks of a set of frames are looked at, spread evenly over it."""

WHOLE = 0.95
"""The share of a picture from which on a mask marks all of it."""

BORDER = 0.5
"""The share of a picture's outermost pixels from which on a mask marks its border: faces are in the middle."""

LOWER = 0.15
"""The share of a picture's rows, from below, that are one row again and again where its decoder gave up."""

ONE_COLOUR = 4
"""By how many levels of 255 a picture of one colour may vary."""

GREYS = 0.01
"""The share of a picture's pixels, neither dark nor bright, below which it has the look of a mask."""

HALF = 128
"""The level of 255 that a picture of 16 bits reaches where its values are of 16 bits, or it is dark."""


class _Doubt(NamedTuple):
    """What a picture is, in words, what that may mean, and what is said of the one that is named."""

    looks: str
    means: str
    detail: str = ""


def warn_of_pictures(*frames: IndexedFrames) -> None:
    """Reads all pictures of some sets of frames, and warns of copies (`data.same_pictures`) and of odd ones.

    Of each set LOOKED_AT pictures and masks are looked at: pictures of one colour or with the look of a mask, masks
    that mark the border of a picture more than its middle, or the whole picture; and pictures of 16 bits that are
    nowhere bright; and where most source pictures are not those of their frames (`data.pair_doubts`).
    """
    pictures = SamePictures()
    for each in frames:
        for entry in each.entries:
            pictures.add(entry, each.images.stamp(entry.key))
    pictures.warn()
    for each in frames:
        look(each)


def fingerprint_of(frames: IndexedFrames) -> str:
    """The fingerprint of frames, after warnings as of `warn_of_pictures`."""
    pictures = SamePictures()
    fingerprint = frames.fingerprint(pictures)
    pictures.warn()
    look(frames)
    return fingerprint


def look(frames: IndexedFrames) -> None:
    """Looks at LOOKED_AT pictures, masks and source pictures, and warns of those that are odd."""

    def of_picture(entry: Entry) -> tuple[_Doubt | None, ...]:
        data = frames.images.read(entry.key)
        return _picture_doubt(decode(data, entry.key)), _bits_doubt(data, entry.key)

    def of_mask(entry: Entry) -> tuple[_Doubt | None, ...]:
        return (_mask_doubt(decode_mask(frames.images.read(str(entry.mask)), str(entry.mask))),)

    masked = [entry for entry in frames.entries if entry.fake and entry.mask]
    _warn_of(frames.entries, of_picture, "picture", [entry.key for entry in frames.entries])
    _warn_of(masked, of_mask, "mask", [str(entry.mask) for entry in masked])
    paired = [position for position, entry in enumerate(frames.entries) if entry.fake and entry.source]
    warn_of_pairs(frames, [paired[index] for index in spread(len(paired), LOOKED_AT)])


def _warn_of(
    entries: Sequence[Entry], doubts_of: Callable[[Entry], tuple[_Doubt | None, ...]], what: str, names: Sequence[str]
) -> None:
    """Warns of each doubt that some of the entries give, with their number and the first name."""
    looked_at = spread(len(entries), LOOKED_AT)
    found: dict[tuple[str, str], list[str]] = {}
    for position in looked_at:
        try:
            doubts = doubts_of(entries[position])
        except (InputError, OSError):  # its frame says so
            continue
        for doubt in filter(None, doubts):
            found.setdefault(doubt[:2], []).append(f"{names[position]}{doubt.detail}")
    of = f"of {count(len(looked_at), what)}{' looked at' if len(looked_at) < len(entries) else ''}"
    for (looks, means), those in found.items():
        warn(f"{len(those)} {of} {'is' if len(those) == 1 else 'are'} {looks}, such as {those[0]}: {means}")


def _picture_doubt(picture: np.ndarray) -> _Doubt | None:
    """What is odd about a picture (H, W, 3), in words; None for nothing."""
    if np.ptp(picture.reshape(-1, 3), axis=0).max() <= ONE_COLOUR:
        return _Doubt("of one colour everywhere", "what wrote it may have failed; it counts as any other")
    grey = picture[..., 0]
    if (picture == grey[..., None]).all() and ((grey > DARK) & (grey < 255 - DARK)).mean() < GREYS:
        return _Doubt("black and white as masks are", "where these are masks, take them out of the frames")
    repeated = (picture[1:] == picture[:-1]).all(axis=(1, 2))
    below = len(repeated) if repeated.all() else int(repeated[::-1].argmin())
    if below >= LOWER * len(picture) and DARK < picture[-1].mean() < 255 - DARK:
        what = "one row again and again in the lower part"
        return _Doubt(what, "decoders leave that of damaged data; it counts as any other")
    return None


def of_fewer_bits(data: bytes, name: str) -> str | None:
    """A line on a picture that may have 13 to 15 bits in 16, and be read darker than it was; None for any other.

    Raises InputError as `data.images.decode` does.
    """
    doubt = _bits_doubt(data, name)
    return None if doubt is None else f"it is {doubt.looks}{doubt.detail}: {doubt.means}"


def _bits_doubt(data: bytes, name: str) -> _Doubt | None:
    reach = sixteen_bit_reach(data, name)
    if reach is None or not 0 < reach < HALF:
        return None
    return _Doubt(
        "of 16 bits with values in the lower half alone",
        "what has 13 to 15 bits is read darker than it was, and is to be saved with 8",
        f" (its largest is {reach} of 255)",
    )


def _mask_doubt(mask: np.ndarray) -> _Doubt | None:
    """What a mask (H, W) bool may be, in words; None where it is as masks are."""
    if mask.mean() >= WHOLE:
        return _Doubt(
            "white everywhere",
            "every region is truly manipulated then, whichever an explanation ranks highest; where "
            "only a part was changed, leave such masks out",
        )
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    height, width = mask.shape
    middle = mask[height // 4 : height - height // 4, width // 4 : width - width // 4].mean()
    if border < BORDER or border <= middle:
        return None
    return _Doubt(
        "white at the border more than in the middle",
        "white is manipulated; where black is meant, invert them, as all numbers of manipulated pixels are of the rest",
    )
