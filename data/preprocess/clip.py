"""One video from end to end: find the faces, follow them, cut them out, find what was manipulated."""

from collections.abc import Mapping, Sequence

import numpy as np

from common.errors import InputError
from data.images import encode_png
from data.preprocess.companions import Companion, companion_of
from data.preprocess.crops import shrink, square
from data.preprocess.faces import Box, face_detector
from data.preprocess.layout import Clip
from data.preprocess.records import Crop, Folder, Recipe, Record, crop_key, mask_key, sources_of
from data.preprocess.tracking import Settled, link, settle
from data.preprocess.video import VideoInfo, probe, read, until_damage
from data.sample import spread

Plan = Mapping[int, Mapping[int, Box]]  # for each frame to crop, in order: its boxes by the face's number


def process(clip: Clip, recipe: Recipe, folder: Folder) -> Record:
    """Makes the crops and masks of one video, and its record, which is written last.

    The video is decoded twice: the boxes of all chosen frames must be known before the first can be smoothed, and
    the frames are too large to be kept meanwhile. The faces are found in the manipulated video itself, as a
    detector in use would find them; the same square is then cut from its mask video or original.

    What is wrong with the video ends up in the record. Raises InputError for an unusable face detector, OSError
    where the crops cannot be written.
    """
    folder.clear(clip)
    try:
        info = probe(clip.path)
    except InputError as error:
        record = Record(clip.key, sources_of(clip), problem=_unnamed(str(error), clip))
    else:
        record = _make(clip, info, recipe, folder)
    folder.finish(record)
    return record


def _make(clip: Clip, info: VideoInfo, recipe: Recipe, folder: Folder) -> Record:
    chosen = spread(info.frames, recipe.frames_per_video or info.frames)
    problems: list[str] = []
    positions, faces = _look(clip, chosen, recipe, problems)
    times = [position / info.rate for position in positions]
    tracks = link(faces, times)
    kept = [settle(track, times) for track in (tracks if recipe.several == "track" else tracks[:1])]
    plan = _plan(positions, kept)
    faceless = len(positions) - len(plan)
    companion, remarks = companion_of(clip, info)
    if recipe.several == "skip" and len(tracks) > 1:
        remarks.append(f"skipped: it shows {len(tracks)} faces")
        plan = {}
    stored = {position: boxes for position, boxes in plan.items() if _in_split(position, info, recipe)}
    crops, shares = _store(clip, stored, recipe, folder, companion, problems)
    if not problems and not tracks:
        problems.append(f"no face found in any of the {len(chosen)} frames looked at")
    if companion:
        remarks += companion.remarks()
    return Record(
        key=clip.key,
        sources=sources_of(clip),
        frames=info.frames,
        chosen=len(chosen),
        faceless=faceless,
        filled=sum(len(track.filled) for track in kept),
        crowded=sum(len(found) > 1 for found in faces),
        faces=len(tracks),
        in_gap=len(plan) - len(stored),
        crops=tuple(crops),
        mask_source=companion.source if companion and shares else None,
        mask_share=round(float(np.mean(shares)), 4) if shares else None,
        remarks=tuple(remarks),
        problem="; ".join(_unnamed(problem, clip) for problem in problems) or None,
    )


def _look(clip: Clip, chosen: Sequence[int], recipe: Recipe, problems: list[str]) -> tuple[list[int], list[list[Box]]]:
    """The chosen frames that could be read, and the faces in each; one frame in memory at a time."""
    detector = face_detector(recipe.face_detector)
    positions, faces = [], []
    for position, image in until_damage(read(clip.path, chosen), problems):
        positions.append(position)
        faces.append(detector.detect(image))
    return positions, faces


def _plan(positions: Sequence[int], kept: Sequence[Settled]) -> Plan:
    plan = {}
    for place, position in enumerate(positions):
        boxes = {number: track.boxes[place] for number, track in enumerate(kept) if place in track.boxes}
        if boxes:
            plan[position] = boxes
    return plan


def _in_split(position: int, info: VideoInfo, recipe: Recipe) -> bool:
    return recipe.by_time is None or recipe.by_time.of(position, info.frames) is not None


def _store(
    clip: Clip, plan: Plan, recipe: Recipe, folder: Folder, companion: Companion | None, problems: list[str]
) -> tuple[list[Crop], list[float]]:
    """Writes the planned crops and their masks; returns the crops, and each mask's share of its crop."""
    positions = list(plan)
    crops: list[Crop] = []
    shares: list[float] = []
    images = until_damage(read(clip.path, positions), problems)
    others = iter([None] * len(positions)) if companion is None else companion.frames(positions)
    for (position, image), other in zip(images, others, strict=False):
        for face, box in plan[position].items():
            area = square(box, recipe.margin, image.shape[1], image.shape[0])
            mask = None if companion is None or other is None else companion.mask(image, other, box, area)
            crop = Crop(position, face, mask is not None)
            folder.save(
                crop_key(clip.key, crop, folder.suffix), recipe.file_format.encode(shrink(area.cut(image), recipe.size))
            )
            if mask is not None:
                small = shrink(mask.astype(np.float32), recipe.size) >= 0.5
                folder.save(mask_key(clip.key, crop), encode_png(small))
                shares.append(float(small.mean()))
            crops.append(crop)
    return crops, shares


def _unnamed(problem: str, clip: Clip) -> str:
    """A problem without the video's path, which goes without saying in the video's own record."""
    return problem.removeprefix(f"{clip.path}: ")
