"""Faces over time: who is who from frame to frame, short gaps filled, boxes smoothed."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.preprocess.cuts import cuts_between
from data.preprocess.face_detection import Box

REACH = 0.5  # how far a face may move between two frames, in sizes of the face,
SPEED = 1.0  # and how much farther for each second between them,
FARTHEST = 2.5  # but no farther than this, however long nothing was seen of it
GROWTH = 2.0  # how much its size may change between two frames
SHARE = 0.2  # a track that is in a smaller share of the frames with faces is taken for false detections
GAP = 1.0  # seconds; a longer gap is not filled
SIGMA = 0.2  # seconds; the width of the smoothing kernel
WINDOW = 3 * SIGMA + 1e-6  # seconds; what is farther away takes no part in smoothing
OVERLAP = 0.3  # intersection over union; a box that overlaps less takes no part in smoothing another

Track = Mapping[int, Box]


@dataclass(frozen=True)
class Settled:
    """A track made ready to crop: `boxes` by position among the frames, and the positions that were `filled`."""

    boxes: dict[int, Box]
    filled: frozenset[int]


def link(frames: Sequence[Sequence[Box]], times: Sequence[float], cuts: Sequence[float] = ()) -> list[Track]:
    """Joins the faces of successive frames into tracks, the main one first.

    `frames[i]` are the faces found at `times[i]` seconds. The nearest face within reach continues a track: frames
    may be seconds apart, when boxes of one head need not overlap, so distance decides and reach grows with time, up to
    FARTHEST. Nobody moves within a cut, of which `cuts` are the seconds: there a face is continued at its place alone.
    The main track is the one in most frames (then the larger, then the earlier). Tracks in fewer than SHARE of the
    frames with faces are left out as false detections, except the main one.
    """
    tracks: list[dict[int, Box]] = []
    for position, faces in enumerate(frames):
        pairs = []
        for number, track in enumerate(tracks):
            last = next(reversed(track))
            for index, face in enumerate(faces):
                distance = _distance(track[last], face)
                if distance <= _reach(times[last], times[position], cuts) and _alike(track[last], face):
                    pairs.append((distance, number, index))
        taken_tracks: set[int] = set()
        taken_faces: set[int] = set()
        for _, number, index in sorted(pairs):
            if number not in taken_tracks and index not in taken_faces:
                tracks[number][position] = faces[index]
                taken_tracks.add(number)
                taken_faces.add(index)
        tracks += [{position: face} for index, face in enumerate(faces) if index not in taken_faces]
    ordered = sorted(tracks, key=lambda track: (-len(track), -sum(box.size for box in track.values()), min(track)))
    least = SHARE * sum(bool(faces) for faces in frames)
    return [track for number, track in enumerate(ordered) if number == 0 or len(track) >= least]


def settle(track: Track, times: Sequence[float]) -> Settled:
    """Fills a track's short gaps by straight lines and smooths its boxes over time.

    A gap is filled where the frames around it are at most GAP seconds apart and their boxes overlap. Centre, width
    and height are then averaged with weights exp(-(t - s)^2 / (2 SIGMA^2)) over the boxes at times s that overlap
    the one at time t. Time, not the number of frames, sets the width: frames far apart are hardly smoothed, so a
    box never lags behind a moving head, and a cut in the video is not smeared.
    """
    boxes = dict(track)
    known = sorted(track)
    for before, after in itertools.pairwise(known):
        if times[after] - times[before] <= GAP and overlap(track[before], track[after]) > 0:
            for between in range(before + 1, after):
                share = (times[between] - times[before]) / (times[after] - times[before])
                boxes[between] = _between(track[before], track[after], share)
    positions = sorted(boxes)
    moments = np.array([times[position] for position in positions])
    smoothed = {}
    for index, position in enumerate(positions):
        first, last = np.searchsorted(moments, moments[index] + np.array([-WINDOW, WINDOW]))
        near = {moments[other]: boxes[positions[other]] for other in range(first, last)}
        smoothed[position] = _average(boxes[position], moments[index], near)
    return Settled(smoothed, frozenset(boxes) - frozenset(track))


def overlap(one: Box, other: Box) -> float:
    """The intersection over union of two boxes, in [0, 1]."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    common = max(width, 0.0) * max(height, 0.0)
    return common / (one.width * one.height + other.width * other.height - common)


def _reach(before: float, after: float, cuts: Sequence[float]) -> float:
    """How far a face may be from where it was last seen, in sizes."""
    return REACH if cuts_between(cuts, before, after) else min(REACH + SPEED * (after - before), FARTHEST)


def _average(box: Box, time: float, near: Mapping[float, Box]) -> Box:
    """The weighted average of the boxes `near` in time that overlap `box`, itself among them."""
    weights, rows = [], []
    for moment, other in near.items():
        if overlap(box, other) >= OVERLAP:
            weights.append(math.exp(-0.5 * ((moment - time) / SIGMA) ** 2))
            rows.append((*other.centre, other.width, other.height))
    x, y, width, height = np.average(rows, axis=0, weights=weights).tolist()
    return Box(x - width / 2, y - height / 2, width, height)


def _between(before: Box, after: Box, share: float) -> Box:
    """The box that is `share` of the way from one to another."""
    pairs = zip(
        (before.left, before.top, before.width, before.height),
        (after.left, after.top, after.width, after.height),
        strict=True,
    )
    return Box(*(start + share * (end - start) for start, end in pairs))


def _distance(one: Box, other: Box) -> float:
    """How far apart two boxes' centres are, in units of their mean size."""
    return math.dist(one.centre, other.centre) / ((one.size + other.size) / 2)


def _alike(one: Box, other: Box) -> bool:
    return max(one.size, other.size) <= GROWTH * min(one.size, other.size)
