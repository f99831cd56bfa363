"""Pictures that may not be what an index takes them for: copies, what is no photograph, masks of something else."""

from collections.abc import Callable, Sequence

import numpy as np

from common.console import count, warn
from common.errors import InputError
from data.entry import Entry
from data.images import DARK, decode, decode_mask
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

_Doubt = tuple[str, str]
"""What a picture is, in words, and what that may mean."""


def warn_of_pictures(*frames: IndexedFrames) -> None:
    """Reads all pictures of some sets of frames, and warns of copies (`data.same_pictures`) and of odd ones.

    Of each set LOOKED_AT pictures and masks are looked at: pictures of one colour or with the look of a mask, masks
    that mark the border of a picture more than its middle, or the whole picture.
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
    """Looks at LOOKED_AT pictures and masks, and warns of those that are odd."""

    def of_picture(entry: Entry) -> _Doubt | None:
        return _picture_doubt(decode(frames.images.read(entry.key), entry.key))

    def of_mask(entry: Entry) -> _Doubt | None:
        return _mask_doubt(decode_mask(frames.images.read(str(entry.mask)), str(entry.mask)))

    masked = [entry for entry in frames.entries if entry.fake and entry.mask]
    _warn_of(frames.entries, of_picture, "picture", [entry.key for entry in frames.entries])
    _warn_of(masked, of_mask, "mask", [str(entry.mask) for entry in masked])


def _warn_of(
    entries: Sequence[Entry], doubt_of: Callable[[Entry], _Doubt | None], what: str, names: Sequence[str]
) -> None:
    """Warns of each doubt that some of the entries give, with their number and the first name."""
    looked_at = spread(len(entries), LOOKED_AT)
    found: dict[_Doubt, list[str]] = {}
    for position in looked_at:
        try:
            doubt = doubt_of(entries[position])
        except (InputError, OSError):  # its frame says so
            continue
        if doubt is not None:
            found.setdefault(doubt, []).append(names[position])
    of = f"of {count(len(looked_at), what)}{' looked at' if len(looked_at) < len(entries) else ''}"
    for doubt, those in found.items():
        look_like, meaning = doubt
        warn(f"{len(those)} {of} {'is' if len(those) == 1 else 'are'} {look_like}, such as {those[0]}: {meaning}")


def _picture_doubt(picture: np.ndarray) -> _Doubt | None:
    """What is odd about a picture (H, W, 3), in words; None for nothing."""
    if np.ptp(picture.reshape(-1, 3), axis=0).max() <= ONE_COLOUR:
        return "of one colour everywhere", "what wrote it may have failed; it counts as any other"
    grey = picture[..., 0]
    if (picture == grey[..., None]).all() and ((grey > DARK) & (grey < 255 - DARK)).mean() < GREYS:
        return "black and white as masks are", "where these are masks, take them out of the frames"
    repeated = (picture[1:] == picture[:-1]).all(axis=(1, 2))
    below = len(repeated) if repeated.all() else int(repeated[::-1].argmin())
    if below >= LOWER * len(picture) and DARK < picture[-1].mean() < 255 - DARK:
        what = "one row again and again in the lower part"
        return what, "decoders leave that of damaged data; it counts as any other"
    return None


def _mask_doubt(mask: np.ndarray) -> _Doubt | None:
    """What a mask (H, W) bool may be, in words; None where it is as masks are."""
    if mask.mean() >= WHOLE:
        return (
            "white everywhere",
            "every region is truly manipulated then, whichever an explanation ranks highest; where "
            "only a part was changed, leave such masks out",
        )
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    height, width = mask.shape
    middle = mask[height // 4 : height - height // 4, width // 4 : width - width // 4].mean()
    if border < BORDER or border <= middle:
        return None
    return (
        "white at the border more than in the middle",
        "white is manipulated; where black is meant, invert them, as all numbers of manipulated pixels are of the rest",
    )
