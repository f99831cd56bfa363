"""Whether a detector seems to name its classes in another order than it gives them, by its verdicts on known frames."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from data.frames import REAL

VIDEOS = 3
"""How many videos of a class say anything of it."""

RIGHT = 0.8
"""Under other names verdicts are right on at least so much of the frames, the mean over the classes."""

WRONG = 0.3
"""Under the detector's own names they are right on at most so much, unless Real is among those that are exchanged."""


def misnamed(classes: Sequence[str], verdicts: Sequence[str], videos: Sequence[str]) -> dict[str, str]:
    """By what name the frames of each class are called, where verdicts fit the classes once names are exchanged.

    A detector that is merely bad, calls all frames alike, or takes one class for another is not blamed: no exchange of
    names makes its verdicts right.

    Args:
        classes: that N frames belong to.
        verdicts: the class that each is called.
        videos: that each is from; every video weighs the same.

    Returns:
        the classes of at least VIDEOS videos that go by another name, and that name; none where all is well.
    """
    shares = _shares(classes, verdicts, videos)
    if len(shares) < 2:
        return {}
    known = sorted(shares)
    names = sorted({*known, *verdicts})
    called = np.array([[shares[name].get(said, 0.0) for said in names] for name in known])
    rows, columns = linear_sum_assignment(called, maximize=True)
    now = float(np.mean([shares[name].get(name, 0.0) for name in known]))
    exchanged = {
        known[row]: names[column]
        for row, column in zip(rows, columns, strict=True)
        if known[row] != names[column] and called[row, column] > 0.5
    }
    is_blamed = called[rows, columns].mean() >= RIGHT and (REAL in exchanged or now <= WRONG)
    return exchanged if is_blamed else {}


def said_of(exchanged: Mapping[str, str]) -> str:
    """What exchanged names look like, in a clause; "" for none."""
    if not exchanged:
        return ""
    pairs = ", ".join(f"those of {name} {said}" for name, said in exchanged.items())
    return (
        f"frames are mostly called by another class's name ({pairs}): so looks a detector that names its classes in "
        "another order than it gives them; mend that order, or the index's labels"
    )


def _shares(classes: Sequence[str], verdicts: Sequence[str], videos: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each class of enough videos, how much of a video's frames each verdict is given, on the mean."""
    given: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, verdict, video in zip(classes, verdicts, videos, strict=True):
        given[name][video].append(verdict)
    return {
        name: {
            said: float(np.mean([np.mean([verdict == said for verdict in each]) for each in by_video.values()]))
            for said in {verdict for each in by_video.values() for verdict in each}
        }
        for name, by_video in given.items()
        if len(by_video) >= VIDEOS
    }
