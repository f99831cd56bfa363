"""Where a film is cut: its picture changes at once, and who is seen before and after may be different people."""

from collections.abc import Sequence

import numpy as np
from av import VideoFrame

SIDE = 32
"""Frames are compared as grey pictures of SIDE x SIDE cells."""
MOVED = 10.0  # of 255; a cell that differs by more has changed
SHARE = 0.35  # of the cells that change at a cut; a picture shown beside a speaker is less
SUDDEN = 5.0  # how many times as much as between the frames around; a camera that pans changes all the time
AROUND = 8  # frames before, and as many after
STILL = 0.25  # of 255; the least that is expected between frames


class Cuts:
    """Looks at a film's frames in turn, and tells afterwards where it is cut. A dissolve is no cut."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._means: list[float] = []
        self._shares: list[float] = []

    def add(self, frame: VideoFrame) -> None:
        """Takes the next frame, as it is stored."""
        small = frame.reformat(width=SIDE, height=SIDE, format="gray").to_ndarray().astype(np.float32)
        if self._last is not None:
            change = np.abs(small - self._last)
            self._means.append(float(change.mean()))
            self._shares.append(float((change > MOVED).mean()))
        self._last = small

    def found(self) -> tuple[int, ...]:
        """The frames, counted from 0, that are the first after a cut."""
        sudden = (at for at, share in enumerate(self._shares) if share >= SHARE and self._is_sudden(at))
        return tuple(at + 1 for at in sudden)

    def _is_sudden(self, at: int) -> bool:
        around = self._means[max(0, at - AROUND) : at] + self._means[at + 1 : at + 1 + AROUND]
        return bool(around) and self._means[at] >= SUDDEN * max(float(np.median(around)), STILL)


def cuts_between(cuts: Sequence[float], before: float, after: float) -> bool:
    """Whether a film that is cut at some seconds is cut after the moment `before` and not after `after`."""
    return any(before < cut <= after for cut in cuts)
