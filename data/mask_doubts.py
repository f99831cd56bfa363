"""Masks that may not be of manipulated pixels: inverted ones, and those of a whole picture."""

import numpy as np

from common.console import count, warn
from common.errors import InputError
from data.images import decode_mask
from data.sample import spread
from data.source import IndexedFrames

LOOKED_AT = 64
"""How many masks of a set of frames are looked at, spread evenly over it."""

WHOLE = 0.95
"""The share of a picture from which on a mask marks all of it."""

BORDER = 0.5
"""The share of a picture's outermost pixels from which on a mask marks its border: faces are in the middle."""


def warn_of_masks(frames: IndexedFrames) -> None:
    """Warns of masks of fakes that mark the border of a picture more than its middle, or the whole picture."""
    masked = [entry for entry in frames.entries if entry.fake and entry.mask]
    looked_at = [masked[position] for position in spread(len(masked), LOOKED_AT)]
    found: dict[str, list[str]] = {"inverted": [], "whole": []}
    for entry in looked_at:
        try:
            mask = decode_mask(frames.images.read(str(entry.mask)), str(entry.mask))
        except (InputError, OSError):  # its frame says so
            continue
        if (doubt := _doubt(mask)) is not None:
            found[doubt].append(str(entry.mask))
    of = f"of {count(len(looked_at), 'mask')}{' looked at' if len(looked_at) < len(masked) else ''}"
    if inverted := found["inverted"]:
        warn(
            f"{len(inverted)} {of} {'marks' if len(inverted) == 1 else 'mark'} the border of the picture more than "
            f"its middle, such as {inverted[0]}: white is manipulated; where black is meant, invert them, as all "
            "numbers of manipulated pixels are of the rest"
        )
    if whole := found["whole"]:
        warn(
            f"{len(whole)} {of} {'marks' if len(whole) == 1 else 'mark'} the whole picture, such as {whole[0]}: every "
            "region is truly manipulated then, whichever an explanation ranks highest; where only a part was changed, "
            "leave such masks out"
        )


def _doubt(mask: np.ndarray) -> str | None:
    """What a mask (H, W) bool may be: "inverted", "whole", or None where it is as masks are."""
    if mask.mean() >= WHOLE:
        return "whole"
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    height, width = mask.shape
    middle = mask[height // 4 : height - height // 4, width // 4 : width - width // 4].mean()
    return "inverted" if border >= BORDER and border > middle else None
