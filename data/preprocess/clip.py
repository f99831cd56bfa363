"""One video from end to end: find the faces, follow them, cut them out, find what was manipulated."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from common.errors import InputError
from data.images import encode_png
from data.preprocess.align import aligned, box_of
from data.preprocess.companions import Companions, companions_of
from data.preprocess.crop_records import (
    FIVE_POINT,
    Crop,
    CropFolder,
    PreprocessSettings,
    Record,
    crop_key,
    mask_key,
    source_key,
    sources_of,
)
from data.preprocess.crops import Region, shrink, shrink_points, square
from data.preprocess.face_detection import Box, face_detector, suggestion
from data.preprocess.landmarking import all_the_same, as_shown, is_predictor, landmarker_of
from data.preprocess.layout import Clip
from data.preprocess.tracking import Settled, link, settle
from data.preprocess.video import VideoInfo, probe, read, until_damage
from data.sample import spread

Plan = Mapping[int, Mapping[int, Box]]  # for each frame to crop, in order: its boxes by the face's number


def process(clip: Clip, recipe: PreprocessSettings, folder: CropFolder) -> Record:
    """Makes the crops of one video and what goes with them, and its record, which is written last.

    The video is decoded twice: the boxes of all chosen frames must be known before the first can be smoothed, and
    the frames are too large to be kept meanwhile. The faces are found in the manipulated video itself, as a
    detector in use would find them; the same square is then cut from its mask video or original. Where a file gives
    landmarks, the frames are chosen among those it knows; to align faces by them no face detector is needed.

    What is wrong with the video ends up in the record. Raises InputError for an unusable face detector or landmark
    predictor, OSError where the crops cannot be written.
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


def _make(clip: Clip, info: VideoInfo, recipe: PreprocessSettings, folder: CropFolder) -> Record:
    clip, remarks = _with_shown_landmarks(clip, info)
    chosen = _choose(clip, info, recipe)
    problems = [info.damage] if info.damage else []
    positions, faces = _detect(clip, chosen, recipe, problems)
    times = [position / info.rate for position in positions]
    tracks = link(faces, times)
    kept = [settle(track, times) for track in (tracks if recipe.several == "track" else tracks[:1])]
    plan = _plan(positions, kept)
    faceless = len(positions) - len(plan)
    companions, unfit = companions_of(clip, info, recipe.sources)
    remarks += [*info.remarks, *unfit, *_about_landmarks(clip, recipe)]
    if recipe.several == "skip" and len(tracks) > 1:
        remarks.append(f"skipped: it shows {len(tracks)} faces")
        plan = {}
    stored = {position: boxes for position, boxes in plan.items() if _in_split(position, info, recipe)}
    crops, shares = _store(clip, stored, recipe, folder, companions, problems)
    if not chosen:
        problems.append(f"{recipe.landmarks} has landmarks only for frames beyond its {info.frames}")
    elif not problems and not tracks:
        better = suggestion(recipe.face_detector)
        hint = f"; {better} finds smaller and turned ones" if better else ""
        problems.append(f"no face found in any of the {len(chosen)} frames looked at{hint}")
    remarks += companions.remarks()
    return Record(
        key=clip.key,
        sources=sources_of(clip),
        frames=info.frames,
        chosen=len(chosen),
        faceless=faceless,
        filled=sum(len(track.filled) for track in kept),
        crowded=sum(len(boxes) > 1 for boxes in faces),
        faces=len(tracks),
        in_gap=len(plan) - len(stored),
        crops=tuple(crops),
        mask_source=companions.mask_source if shares else None,
        mask_share=round(float(np.mean(shares)), 4) if shares else None,
        remarks=tuple(remarks),
        problem="; ".join(_unnamed(problem, clip) for problem in problems) or None,
    )


def _with_shown_landmarks(clip: Clip, info: VideoInfo) -> tuple[Clip, list[str]]:
    """The clip with its landmarks in the frames as they are shown, and a remark where they were in the stored ones."""
    if not clip.landmarks:
        return clip, []
    landmarks, stored = as_shown(clip.landmarks, info.display)
    remarks = ["its landmarks are taken to be those of its frames as stored, and turned with them"] if stored else []
    return replace(clip, landmarks=landmarks), remarks


def _choose(clip: Clip, info: VideoInfo, recipe: PreprocessSettings) -> list[int]:
    """The frames to search, evenly spread over the video, or over the frames that a file knows the landmarks of."""
    known: Sequence[int] = range(info.frames)
    if clip.landmarks:
        known = sorted(position for position in clip.landmarks if position < info.frames)
    return [known[index] for index in spread(len(known), recipe.frames_per_video or info.frames)]


def _detect(
    clip: Clip, chosen: Sequence[int], recipe: PreprocessSettings, problems: list[str]
) -> tuple[list[int], list[list[Box]]]:
    """The chosen frames that could be read, and the faces in each; one frame in memory at a time."""
    if clip.landmarks and recipe.align == FIVE_POINT:
        return list(chosen), [[box_of(clip.landmarks[position])] for position in chosen]
    detector = face_detector(recipe.face_detector)
    positions, faces = [], []
    for position, image in until_damage(read(clip.path, chosen), problems):
        positions.append(position)
        faces.append(detector.detect(image))
    return positions, faces


def _plan(positions: Sequence[int], kept: Sequence[Settled]) -> Plan:
    plan = {}
    for index, position in enumerate(positions):
        boxes = {number: track.boxes[index] for number, track in enumerate(kept) if index in track.boxes}
        if boxes:
            plan[position] = boxes
    return plan


def _in_split(position: int, info: VideoInfo, recipe: PreprocessSettings) -> bool:
    return recipe.by_time is None or recipe.by_time.of(position, info.frames) is not None


def _about_landmarks(clip: Clip, recipe: PreprocessSettings) -> list[str]:
    """A line about what is amiss with the landmarks that a file should give."""
    if recipe.landmarks is None or is_predictor(recipe.landmarks):
        return []
    if not clip.landmarks:
        return [f"{recipe.landmarks} has no landmarks of it" + (": box crops" if recipe.align == FIVE_POINT else "")]
    if all_the_same(clip.landmarks):
        return [f"{recipe.landmarks} has the same landmarks for all {len(clip.landmarks)} frames; most cannot be right"]
    return []


def _store(
    clip: Clip, plan: Plan, recipe: PreprocessSettings, folder: CropFolder, companions: Companions, problems: list[str]
) -> tuple[list[Crop], list[float]]:
    """Writes the planned crops and what goes with them; returns the crops, and each mask's share of its crop."""
    positions = list(plan)
    landmarker = landmarker_of(clip, recipe.landmarks)
    encode = recipe.file_format.encode
    crops: list[Crop] = []
    shares: list[float] = []
    images = until_damage(read(clip.path, positions), problems)
    for (position, image), moment in zip(images, companions.moments(positions), strict=False):
        for face, box in plan[position].items():
            landmarks = landmarker.find(position, image, box) if landmarker else None
            area = _area(image, box, landmarks, recipe)
            mask, source = companions.mask_and_source(image, moment, box, area)
            inside = None if landmarks is None else _inside(landmarks, area, recipe.size)
            crop = Crop(position, face, mask is not None, source is not None, inside)
            folder.save(crop_key(clip.key, crop, folder.suffix), encode(shrink(area.cut(image), recipe.size)))
            if mask is not None:
                small = shrink(mask.astype(np.float32), recipe.size) >= 0.5
                folder.save(mask_key(clip.key, crop), encode_png(small))
                shares.append(float(small.mean()))
            if source is not None:
                folder.save(source_key(clip.key, crop, folder.suffix), encode(shrink(source, recipe.size)))
            crops.append(crop)
    return crops, shares


def _area(image: np.ndarray, box: Box, landmarks: np.ndarray | None, recipe: PreprocessSettings) -> Region:
    """The part of a frame to crop."""
    if recipe.align == FIVE_POINT and landmarks is not None:
        return aligned(landmarks)
    return square(box, recipe.margin, image.shape[1], image.shape[0])


def _inside(landmarks: np.ndarray, area: Region, size: int) -> tuple[tuple[float, float], ...]:
    """A frame's landmarks in the pixels of its stored crop, to a thousandth."""
    points = shrink_points(area.place(landmarks), area.side, size)
    return tuple((round(x, 3), round(y, 3)) for x, y in points.tolist())


def _unnamed(problem: str, clip: Clip) -> str:
    """A problem without the video's path, which goes without saying in the video's own record."""
    return problem.removeprefix(f"{clip.path}: ")
