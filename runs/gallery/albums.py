"""Makes a gallery's album of a scored frame."""

import numpy as np
from torch import Tensor

from data.frames import Frame
from detectors.base import to_pictures
from runs.gallery.sprites import Album
from scoring.flip_threshold import THRESHOLD_DEPTH
from scoring.scored import Scored


def album(frame: Frame, scored: Scored) -> Album | None:
    """The pictures of a frame under the first attack; None where the detector calls it Real, or nothing attacked it."""
    if scored.views is None or not scored.views.attacked:
        return None
    explained, first = scored.views.explained, scored.rows[0]
    shown = explained.shown
    condition = (first.seed, first.segmentation, first.attack, first.epsilon, THRESHOLD_DEPTH)
    after = {
        row.method: row.predicted_after
        for row in scored.rows
        if (row.seed, row.segmentation, row.attack, row.epsilon, row.depth) == condition and not row.of
    }
    return Album(
        key=frame.key,
        attack=first.attack,
        verdict=first.predicted,
        image=_bytes(explained.image),
        segments=explained.segments,
        saliency={name: explained.explanations[name].saliency for name in shown if name in explained.explanations},
        regions=shown,
        attacked={name: _bytes(image) for name, image in scored.views.attacked.items()},
        outcomes={name: after.get(name, "") for name in scored.views.attacked},
        mask=explained.mask,
        own_segments={
            ranking.method: ranking.segments for ranking in explained.rankings if ranking.segments is not None
        },
        mark=scored.views.mark,
    )


def _bytes(image: Tensor) -> np.ndarray:
    """An image (3, H, W) in [0, 1] as (H, W, 3) uint8; what lies outside as its nearest value."""
    picture: np.ndarray = to_pictures(image.detach()[None])[0]
    return picture
