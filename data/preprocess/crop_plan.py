"""Which faces of which frames are cropped, and what their label is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.console import count
from data.preprocess.changed_faces import ChangedFaces, Fate, changed_faces
from data.preprocess.companions import Companions
from data.preprocess.crop_records import PreprocessSettings
from data.preprocess.frame_change import Faces
from data.preprocess.layout import Clip
from data.preprocess.tracking import Settled

NOT_FOUND = (
    "the change lies on none of the faces found in it, so they are left out: the changed face was not found; name "
    "another --face-detector"
)


@dataclass(frozen=True)
class PlannedFrame:
    """What is cropped from one frame, by the faces' numbers.

    Attributes:
        faces: all faces in the frame.
        labelled: those cropped with the video's label.
        changed: those whose change counts as such, in masks; all that are labelled, and in a video of which one face is
            wanted, others that were changed, too.
        bystanders: those cropped as real, for nobody changed them.
        unclear: how many that might be wanted are left out, because it is not clear whether they were changed.
    """

    faces: Faces
    labelled: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    bystanders: tuple[int, ...] = ()
    unclear: int = 0

    @property
    def crops(self) -> tuple[int, ...]:
        """The faces to crop."""
        return tuple(sorted((*self.labelled, *self.bystanders)))


@dataclass(frozen=True)
class CropPlan:
    """What is cropped from a video.

    Attributes:
        frames: by position, in order; those without a face are not in it.
        faces: how many faces the video shows.
        known: on which of them the change lies; None where nothing shows that, or it does not matter.
        remarks: lines about what is left out, or in doubt.
        problem: why nothing can be cropped, or None.
    """

    frames: Mapping[int, PlannedFrame]
    faces: int
    known: ChangedFaces | None = None
    remarks: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def cropped(self) -> dict[int, PlannedFrame]:
        """The frames with something to crop."""
        return {position: frame for position, frame in self.frames.items() if frame.crops}

    def filled(self, positions: Sequence[int], tracks: Sequence[Settled]) -> int:
        """How many of the crops have a box put between its neighbours; `tracks` are those of `plan_crops`."""
        return sum(
            index in tracks[face].filled
            for index, position in enumerate(positions)
            if position in self.frames
            for face in self.frames[position].crops
        )


def plan_crops(
    clip: Clip,
    positions: Sequence[int],
    tracks: Sequence[Settled],
    recipe: PreprocessSettings,
    companions: Companions,
) -> CropPlan:
    """Decides what is cropped from a video: of a manipulated one, the faces that the change lies on.

    A video that shows one face, without a mask video, is taken at its word. Where several faces could be meant and
    nothing shows which, those are cropped that an unmanipulated video would give, and a remark says so.

    Args:
        clip: the video.
        positions: of the frames that were searched.
        tracks: its faces over time, the main one first, by index in `positions`.
        recipe: says how many faces are wanted, and whether bystanders are.
        companions: its mask video or original.
    """
    faces = _faces(positions, tracks)
    if recipe.several == "skip" and len(tracks) > 1:
        nothing = {position: PlannedFrame(boxes) for position, boxes in faces.items()}
        return CropPlan(nothing, len(tracks), remarks=(f"skipped: it shows {len(tracks)} faces",))
    if faces and companions.mask_source and (len(tracks) > 1 or companions.mask):
        known = changed_faces(clip, faces, companions)
        if known.seen:
            return _of_changed(faces, len(tracks), known, recipe)
    wanted = range(1 if recipe.several == "main" else len(tracks))
    frames = {
        position: PlannedFrame(boxes, tuple(face for face in boxes if face in wanted))
        for position, boxes in faces.items()
        if any(face in wanted for face in boxes)
    }
    return CropPlan(frames, len(tracks), remarks=_doubt(clip, len(tracks), companions))


def _faces(positions: Sequence[int], tracks: Sequence[Settled]) -> dict[int, Faces]:
    faces: dict[int, Faces] = {}
    for index, position in enumerate(positions):
        boxes = {face: track.boxes[index] for face, track in enumerate(tracks) if index in track.boxes}
        if boxes:
            faces[position] = boxes
    return faces


def _of_changed(faces: Mapping[int, Faces], tracks: int, known: ChangedFaces, recipe: PreprocessSettings) -> CropPlan:
    wants_bystanders = recipe.bystanders == "real"
    frames = {}
    for position, boxes in faces.items():
        fates = {face: known.fate(position, face) for face in boxes}
        changed = tuple(face for face, fate in fates.items() if fate is Fate.CHANGED)
        untouched = tuple(face for face, fate in fates.items() if fate is Fate.UNTOUCHED)
        frames[position] = PlannedFrame(
            boxes,
            changed[:1] if recipe.several == "main" else changed,
            changed,
            untouched if wants_bystanders else (),
            sum(fate is Fate.UNCLEAR and (wants_bystanders or known.changed(face)) for face, fate in fates.items()),
        )
    remarks = []
    unclear = sum(frame.unclear for frame in frames.values())
    if unclear:
        left_out = count(unclear, "crop is", "crops are")
        remarks.append(f"{left_out} left out: it is not clear whether the change lies on the face in that frame")
    found = any(frame.labelled for frame in frames.values())
    return CropPlan(frames, tracks, known, tuple(remarks), None if found else NOT_FOUND)


def _doubt(clip: Clip, tracks: int, companions: Companions) -> tuple[str, ...]:
    """A line where the label of a manipulated video may belong to a face that is not cropped."""
    if not clip.fake or tracks < 2:
        return ()
    reason = (
        "no change stands out on any of them" if companions.mask_source else "no mask video or original shows which"
    )
    return (
        f"it shows {tracks} faces, and {reason}: its label may belong to another than the cropped one "
        "(column faces of the index); --several skip leaves such videos out",
    )
