"""From a face of a file to its case."""

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import InputError
from common.process_state import kept_process_state
from detectors.checks.spot_checks import spot_checked
from examination.case import Case, CurvePoint, Setting
from examination.films import Subject
from examination.frame import Examiner
from examination.together import together

VERDICT_OF_A_FILM = "a frame whose verdict belongs to that on the film"


@kept_process_state("examining")
def examine_subject(
    path: Path,
    subject: Subject,
    examiner: Examiner,
    setting: Setting,
    digest: str,
    on_shot: Callable[[int], None] = lambda number: None,
) -> Case:
    """Examines the pictures of one face, and takes the verdict over the film.

    Args:
        path: the file, for its name.
        subject: the face.
        examiner: of its pictures.
        setting: as it is written down.
        digest: the SHA-256 of the bytes that the face was read from; by now the file may hold others.
        on_shot: called after each picture with how many are done.

    Raises:
        InputError: a picture that is examined has no verdict (two classes tie) or cannot be explained at all, no moment
            of the film has a verdict, or the detector says otherwise when it is asked again.
    """
    began, detector = time.perf_counter(), examiner.detector
    with spot_checked([detector], examiner.batch_size, VERDICT_OF_A_FILM, path.name):
        curve, remarks = verdicts(subject, examiner)
    examined = []
    for number, shot in enumerate(subject.shots, start=1):
        examined.append(examiner(shot))
        on_shot(number)
    frames = tuple(examined)
    return Case(
        file=path.name,
        sha256=digest,
        face=subject.face,
        film=bool(subject.curve),
        class_names=tuple(detector.class_names),
        real=detector.real,
        frames=frames,
        curve=curve,
        methods=together(frames, examiner.seed),
        setting=setting,
        remarks=(*subject.remarks, *remarks),
        seconds=time.perf_counter() - began,
    )


def verdicts(subject: Subject, examiner: Examiner) -> tuple[tuple[CurvePoint, ...], tuple[str, ...]]:
    """The verdicts on the film's moments, and a remark on each moment that is left out as it has none.

    Raises InputError where none has one.
    """
    points: list[CurvePoint] = []
    remarks: list[str] = []
    if subject.curve:
        examiner.on_stage(f"verdicts on {len(subject.curve)} frames of the film")
    for moment in subject.curve:
        try:
            verdict, _, _ = examiner.judged(moment.picture)
        except InputError as error:
            remarks.append(f"no verdict at {moment.time:.2f} s, which is left out: {error}")
            if len(remarks) == len(subject.curve):
                raise
            continue
        said = examiner.detector.class_names[verdict.predicted]
        points.append(CurvePoint(moment.time, float(1 - verdict.probabilities[examiner.detector.real]), said))
    return tuple(points), tuple(remarks)
