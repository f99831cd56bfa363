"""A file to the pictures of it that are examined: a film's frames, a photograph's faces, a crop."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.files import read_file, visible
from data.images import SUFFIXES as PICTURES
from data.images import decode
from data.picture_doubts import of_fewer_bits
from data.preprocess.face_detection import FaceDetector
from examination.faces import FaceChoice, PictureFace, picture_faces
from examination.films import SUFFIXES as FILMS
from examination.films import FrameChoice, Subject, film_subjects
from examination.frame import Shot


@dataclass(frozen=True)
class Looking:
    """How faces are looked for: which, by what detector and its name; without a detector, whole pictures are taken."""

    faces: FaceChoice
    detector: FaceDetector | None
    name: str


def files_of(path: Path) -> list[Path]:
    """The file itself, or a folder's films and pictures by name, but hidden ones. Raises InputError for none."""
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path}: no such file or folder")
        return [path]
    known = FILMS | PICTURES
    found = sorted(each for each in visible(path) if each.is_file() and each.suffix.lower() in known)
    if not found:
        raise InputError(f"{path}: no films or pictures in this folder ({' '.join(sorted(known))})")
    return found


def subjects_of(path: Path, looking: Looking, frames: FrameChoice, times_named: bool) -> list[Subject]:
    """What is examined of a file.

    Args:
        path: a film or a picture.
        looking: how faces are looked for.
        frames: which of a film's frames are examined.
        times_named: whether --time or --frames was given, which only films have.

    Raises:
        InputError: the file cannot be read, or shows no face, or several and none is chosen.
    """
    if path.suffix.lower() in FILMS:
        return film_subjects(path, frames, looking.faces, looking.detector, looking.name)
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"{path}: neither a film ({' '.join(sorted(FILMS))}) nor a picture")
    if times_named:
        raise InputError(f"{path}: --time and --frames are of films; this is a picture")
    data = read_file(path)
    image = decode(data, str(path))
    doubt = of_fewer_bits(data, str(path))
    if looking.detector is None:
        found = [PictureFace(0, image, "the whole picture is examined")]
    else:
        found = picture_faces(path, image, looking.faces, looking.detector, looking.name)
    subjects = []
    for face in found:
        shot = Shot(f"face-{face.number}" if face.number else "picture", face.picture)
        subjects.append(Subject(face.number, (shot,), (), (face.remark, *([doubt] if doubt else []))))
    return subjects
