"""The pictures that are taken from a film: at which times they are, and that each counts once."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.errors import InputError
from data.preprocess.face_detection import Box
from data.preprocess.video import probe
from examination.case import CurvePoint
from examination.examining import verdicts
from examination.faces import FaceChoice
from examination.films import CURVE, FrameChoice, Moment, Subject, film_subjects
from tests.data.preprocess.videos import write

TIMES = [0.1 * n for n in range(10)] + [1 + 0.02 * n for n in range(50)]


def shade(number: int) -> np.ndarray:
    return np.full((64, 64, 3), 4 * number, dtype=np.uint8)


def subject(path: Path, *times: float, count: int = 3) -> Subject:
    (found,) = film_subjects(path, FrameChoice(times, count), FaceChoice(), None, "")
    return found


def numbers(found: Subject) -> list[int]:
    """What the frames that are examined say of their number."""
    return [round(float(shot.picture.mean()) / 4) for shot in found.shots]


def test_times_are_those_of_the_frames_however_unevenly_they_are_shown(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", [shade(n) for n in range(60)], times=TIMES)
    asked = subject(film, 0.31, 1.0, 1.5)
    assert numbers(asked) == [3, 10, 35]
    assert [shot.time for shot in asked.shots] == pytest.approx([0.3, 1.0, 1.5], abs=1e-3)
    assert [shot.name for shot in asked.shots] == ["frame-00003", "frame-00010", "frame-00035"]
    for moment in asked.curve:
        assert moment.time == pytest.approx(TIMES[round(float(moment.picture.mean()) / 4)], abs=1e-3)


@pytest.mark.parametrize("time", [-0.01, 2.0, 9.0, float("nan"), float("inf")])
def test_a_time_outside_of_the_film_is_refused(tmp_path: Path, time: float) -> None:
    film = write(tmp_path / "film.mp4", [shade(n) for n in range(50)])
    assert numbers(subject(film, 1.999)) == [49]
    with pytest.raises(InputError, match=r"is not in the film, which is 2\.00 s long"):
        subject(film, time)


def test_what_is_examined_does_not_weigh_in_the_verdict_on_the_film(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", [shade(n) for n in range(60)])
    spread, asked = subject(film), subject(film, *(0.04 * n for n in range(20)))
    assert len(asked.shots) == 20
    assert [moment.time for moment in asked.curve] == [moment.time for moment in spread.curve]
    assert len(spread.curve) == CURVE


def test_a_picture_that_is_repeated_is_one_observation(tmp_path: Path) -> None:
    """Every picture four times: no neighbour of the second is another one, and the film's first two are one picture."""
    film = write(tmp_path / "film.mp4", [shade(10 * (n // 4)) for n in range(20)])
    found = subject(film, 0.04, 0.08, 0.12)
    assert [shot.time for shot in found.shots] == pytest.approx([0.04])
    assert found.shots[0].neighbours == ()
    told = " ".join(found.remarks)
    assert "at 0.08 s and 0.12 s is the same picture as before: it is examined once" in told
    assert "stands still at 0.04 s" in told
    still = subject(write(tmp_path / "still.mp4", [shade(9)] * 30))
    assert len(still.shots) == 1
    moving = subject(write(tmp_path / "moving.mp4", [shade(n) for n in range(30)]))
    assert (len(moving.shots), moving.remarks) == (3, ())


def test_a_film_of_one_frame(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", [shade(5)])
    assert probe(film).length == pytest.approx(0.04)
    found = subject(film)
    assert [shot.time for shot in found.shots] == [0.0]
    assert len(found.curve) == 1


class Finder:
    """Finds a face in the middle of a frame that is bright enough."""

    def detect(self, image: np.ndarray) -> list[Box]:
        return [Box(16, 16, 32, 32)] if image.mean() > 40 else []


@pytest.mark.parametrize(("gone", "is_said"), [(range(100, 180), True), (range(100, 120), False)])
def test_who_comes_back_after_a_while_may_be_somebody_else(tmp_path: Path, gone: range, is_said: bool) -> None:
    pictures = [np.full((64, 64, 3), 20 if n in gone else 200 - n // 4, np.uint8) for n in range(250)]
    film = write(tmp_path / "film.mp4", pictures)
    (found,) = film_subjects(film, FrameChoice(), FaceChoice(), Finder(), "")
    told = [remark for remark in found.remarks if "somebody else" in remark]
    assert len(told) == is_said
    assert not is_said or re.match(r"face 1 is not found between 3\.\d+ s and 7\.\d+ s: who is seen", told[0])


def test_faces_that_are_to_be_chosen_are_said_with_their_times(tmp_path: Path) -> None:
    class Two(Finder):
        def detect(self, image: np.ndarray) -> list[Box]:
            return [Box(0, 16, 12, 12) if image.mean() > 100 else Box(50, 16, 12, 12)]

    film = write(tmp_path / "film.mp4", [shade(50 if n < 25 else 10) for n in range(50)])
    with pytest.raises(InputError, match=r"shows 2 faces.*frames, 0\.00 to 0\.96 s, left.*frames, 1\.00 to 1\.96 s"):
        film_subjects(film, FrameChoice(), FaceChoice(), Two(), "")


def test_a_moment_without_a_verdict_is_left_out_and_said_unless_none_has_one() -> None:
    """As where two classes tie: the detector says nothing of that frame, and the film has a verdict all the same."""

    def judged(picture: np.ndarray) -> Any:
        if picture.mean() > 100:
            raise InputError("Real and Fake have the same logit")
        return SimpleNamespace(predicted=1, probabilities=np.array([0.25, 0.75])), None, None

    detector = SimpleNamespace(class_names=("Real", "Fake"), real=0)
    examiner: Any = SimpleNamespace(detector=detector, judged=judged, on_stage=lambda stage: None)
    pictures = [shade(n) for n in (10, 60, 12)]
    film = Subject(0, (), tuple(Moment(0.5 * n, picture) for n, picture in enumerate(pictures)), ())
    points, remarks = verdicts(film, examiner)
    assert points == (CurvePoint(0.0, 0.75, "Fake"), CurvePoint(1.0, 0.75, "Fake"))
    assert remarks == ("no verdict at 0.50 s, which is left out: Real and Fake have the same logit",)
    with pytest.raises(InputError, match="the same logit"):
        verdicts(replace(film, curve=film.curve[1:2]), examiner)
