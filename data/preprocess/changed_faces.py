"""Whose face was changed: of the faces in a manipulated video, those that the manipulation lies on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from data.preprocess.companions import Companions
from data.preprocess.frame_change import Faces, FrameChange, marked_faces
from data.preprocess.layout import Clip
from data.preprocess.video import read, until_damage

SHARE = 0.2
"""A track that is changed in a smaller share of its frames that show a change was not changed; one that is unchanged in
as small a share was changed throughout; and a clip differs away from its faces from this share of its frames on."""


class Fate(Enum):
    """What is known of one face in one frame of a manipulated video."""

    CHANGED = "changed"
    UNTOUCHED = "untouched"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class ChangedFaces:
    """On which faces of a manipulated video the change lies.

    One frame may mislead (a weak change drowns in the noise of compression), and so may a track (where two people
    cross, it can go over from one to the other). So a face's fate in a frame takes both: what that frame shows, and
    what the other frames of its track do. Where they contradict each other it is unclear.

    Attributes:
        seen: by position, for each face there whether the change lies on it; only the frames that show a change, be it
            on one of the faces or elsewhere.
    """

    seen: Mapping[int, Mapping[int, bool]]

    @property
    def known(self) -> bool:
        """Whether any frame shows where the change lies."""
        return any(self.seen.values())

    @property
    def count(self) -> int:
        """How many of the faces were changed."""
        return sum(self.changed(face) for face in self._shares)

    def changed(self, face: int) -> bool:
        """Whether the change lies on the face of that number in enough of its frames."""
        return self._shares.get(face, 0.0) >= SHARE

    def fate(self, position: int, face: int) -> Fate:
        """What is known of the face of that number in the frame at `position`."""
        share, here = self._shares.get(face), self.seen.get(position, {}).get(face)
        if share is None:
            return Fate.UNCLEAR
        if here is False and share < SHARE:
            return Fate.UNTOUCHED
        if here is not False and share >= (SHARE if here else 1 - SHARE):
            return Fate.CHANGED
        return Fate.UNCLEAR

    @cached_property
    def _shares(self) -> dict[int, float]:
        """Of the frames of each face that show a change, the share in which it lies on the face."""
        votes: dict[int, list[bool]] = {}
        for faces in self.seen.values():
            for face, changed in faces.items():
                votes.setdefault(face, []).append(changed)
        return {face: sum(given) / len(given) for face, given in votes.items()}


def changed_faces(clip: Clip, faces: Mapping[int, Faces], companions: Companions) -> ChangedFaces:
    """Looks at the frames of a manipulated clip for the faces that the change lies on.

    Args:
        clip: the video.
        faces: by position, in order, all faces of the frames to look at.
        companions: its mask video or original.
    """
    videos = companions.of_masks()
    on_faces: Iterator[tuple[int, dict[int, bool] | None]]
    if videos.mask is not None:
        moments = zip(faces.items(), videos.moments(list(faces)), strict=False)
        on_faces = (
            (position, None if moment.mask is None else marked_faces(moment.mask, boxes))
            for (position, boxes), moment in moments
        )
    else:
        on_faces = ((position, frame.on_faces()) for position, frame in _frames(clip, faces, videos))
    return ChangedFaces({position: changed for position, changed in on_faces if changed is not None})


def changed_elsewhere(clip: Clip, faces: Mapping[int, Faces], companions: Companions) -> bool:
    """Whether a clip differs from its original away from all faces, in enough of its frames; arguments as above."""
    found = [frame.elsewhere() for _, frame in _frames(clip, faces, companions.of_masks())]
    return any(found) and sum(found) >= SHARE * len(found)


def _frames(clip: Clip, faces: Mapping[int, Faces], companions: Companions) -> Iterator[tuple[int, FrameChange]]:
    positions = list(faces)
    images = until_damage(read(clip.path, positions), [])  # of frames that were read before, and are once more
    for (position, image), moment in zip(images, companions.moments(positions), strict=False):
        yield position, FrameChange(image, moment, faces[position])
