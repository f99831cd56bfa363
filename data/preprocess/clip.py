"""One video from end to end: find the faces, follow them, cut them out, find what was manipulated."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from common.console import count
from common.errors import InputError
from data.images import encode_png
from data.landmarks import misplaced
from data.preprocess.align import aligned, box_of
from data.preprocess.changed_faces import changed_elsewhere
from data.preprocess.companions import Companions, companions_of
from data.preprocess.crop_folder import CropFolder
from data.preprocess.crop_plan import NOT_FOUND, PlannedFrame, plan_crops
from data.preprocess.crop_records import FIVE_POINT, Crop, PreprocessSettings, Record, sources_of
from data.preprocess.crops import Region, shrink, shrink_points, square
from data.preprocess.face_detection import Box, face_detector, suggestion
from data.preprocess.frame_change import FrameChange
from data.preprocess.landmarking import all_the_same, as_shown, is_predictor, landmarker_of
from data.preprocess.layout import Clip
from data.preprocess.tracking import link, settle
from data.preprocess.video import VideoInfo, probe, read, until_damage
from data.sample import spread


def process(clip: Clip, recipe: PreprocessSettings, folder: CropFolder) -> Record:
    """Makes the crops of one video and what goes with them, and its record, which is written last.

    The video is decoded twice: the boxes of all chosen frames must be known before the first can be smoothed, and
    the frames are too large to be kept meanwhile. The faces are found in the manipulated video itself, as a
    detector in use would find them; the same square is then cut from its mask video or original. A manipulated video
    with several faces is read once more before, to see which of them was changed. Where a file gives landmarks, the
    frames are chosen among those it knows; to align faces by them no face detector is needed.

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
    positions, faces_found = _detect(clip, chosen, recipe, problems)
    times = [info.times[position] for position in positions]
    tracks = [settle(track, times) for track in link(faces_found, times, info.cuts)]
    companions, unfit = companions_of(clip, info, recipe.sources)
    remarks += [*info.remarks, *unfit, *_about_landmarks(clip, recipe)]
    plan = plan_crops(clip, positions, tracks, recipe, companions)
    cropped = plan.cropped
    stored = {position: frame for position, frame in cropped.items() if _in_split(position, info, recipe)}
    crops, shares, touching = _store(clip, stored, recipe, folder, companions, problems)
    if not chosen:
        problems.append(f"{recipe.landmarks} has landmarks only for frames beyond its {info.frames}")
    elif not problems and not tracks:
        better = suggestion(recipe.face_detector)
        hint = f"; {better} finds smaller and turned ones" if better else ""
        problems.append(f"no face found in any of the {len(chosen)} frames looked at{hint}")
    elif plan.problem:
        problems.append(plan.problem)
    faces = {position: frame.faces for position, frame in stored.items()}
    unseen = bool(crops) and not shares and companions.mask_source == "difference"
    if unseen and changed_elsewhere(clip, faces, companions):
        folder.clear(clip)
        crops = []
        problems.append(NOT_FOUND)
    else:
        remarks += [*plan.remarks, *companions.remarks()]
    if touching:
        left_out = count(touching, "crop of a bystander is", "crops of bystanders are")
        remarks.append(f"{left_out} left out: a part of the change lies in it")
    several = clip.fake and plan.faces > 1 and bool(crops)
    return Record(
        key=clip.key,
        sources=sources_of(clip),
        frames=info.frames,
        chosen=len(chosen),
        faceless=len(positions) - len(plan.frames),
        filled=plan.filled(positions, tracks),
        crowded=sum(len(boxes) > 1 for boxes in faces_found),
        faces=plan.faces,
        in_gap=len(cropped) - len(stored),
        crops=tuple(crops),
        mask_source=companions.mask_source if shares else None,
        mask_share=round(float(np.mean(shares)), 4) if shares else None,
        label_from=None if not several else "change" if plan.known else "clip",
        changed_faces=plan.known.count if plan.known else None,
        unclear=sum(frame.unclear for frame in plan.frames.values()),
        remarks=tuple(remarks),
        problem="; ".join(_unnamed(problem, clip) for problem in problems) or None,
    )


def _with_shown_landmarks(clip: Clip, info: VideoInfo) -> tuple[Clip, list[str]]:
    """The clip with its landmarks in the frames as they are shown, but for those that cannot be of it, and remarks."""
    if not clip.landmarks:
        return clip, []
    landmarks, stored = as_shown(clip.landmarks, info.display)
    remarks = ["its landmarks are taken to be those of its frames as stored, and turned with them"] if stored else []
    problems = {position: misplaced(points, info.size[::-1]) for position, points in landmarks.items()}
    unfit = [f"those of frame {position} {problem}" for position, problem in problems.items() if problem]
    if unfit:
        remarks.append(f"{len(unfit)} of the landmarks of {count(len(landmarks), 'frame')} left out, as {unfit[0]}")
    fitting = {position: points for position, points in landmarks.items() if not problems[position]}
    return replace(clip, landmarks=fitting or None), remarks


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
    clip: Clip,
    frames: Mapping[int, PlannedFrame],
    recipe: PreprocessSettings,
    folder: CropFolder,
    companions: Companions,
    problems: list[str],
) -> tuple[list[Crop], list[float], int]:
    """Writes the planned crops and what goes with them.

    Returns the crops, each mask's share of its crop, and how many bystanders were left out as their crops would show
    a part of the change.
    """
    positions = list(frames)
    landmarker = landmarker_of(clip, recipe.landmarks)
    encode = recipe.file_format.encode
    crops: list[Crop] = []
    shares: list[float] = []
    touching = 0
    images = until_damage(read(clip.path, positions), problems)
    for (position, image), moment in zip(images, companions.moments(positions), strict=False):
        planned = frames[position]
        frame = FrameChange(image, moment, planned.faces)
        for face in planned.crops:
            box, bystander = planned.faces[face], face in planned.bystanders
            landmarks = landmarker.find(position, image, box) if landmarker else None
            area = _area(image, box, landmarks, recipe)
            mask = source = None
            if not bystander:
                mask, source = companions.mask_and_source(frame, face, planned.changed or (face,), area, recipe.size)
            elif frame.mask(planned.faces, area) is not None:
                touching += 1
                continue
            inside = None if landmarks is None else _inside(landmarks, area, recipe.size)
            crop = Crop(position, face, mask is not None, source is not None, inside, bystander)
            picture = encode(shrink(area.cut(image), recipe.size))
            beside = (None if mask is None else encode_png(mask), None if source is None else encode(source))
            crops.append(folder.store(clip.key, crop, picture, *beside))
            if mask is not None:
                shares.append(float(mask.mean()))
    return crops, shares, touching


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
