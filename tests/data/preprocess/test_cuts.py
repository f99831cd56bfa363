"""A film is cut where most of its picture changes at once, and nowhere else."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from data.preprocess.cuts import cuts_between
from data.preprocess.video import probe
from tests.data.preprocess.videos import write

SIZE = 96
FRAMES = 40


def scene(seed: int) -> np.ndarray:
    """A wide picture of patches, (SIZE, 4 SIZE, 3) uint8."""
    levels = np.random.default_rng(seed).integers(20, 236, (6, 24), dtype=np.uint8)
    return np.repeat(np.repeat(levels, 16, axis=0), 16, axis=1)[..., None].repeat(3, axis=2)


def still(seed: int) -> list[np.ndarray]:
    return [scene(seed)[:, :SIZE]] * FRAMES


def pan(seed: int, speed: int) -> list[np.ndarray]:
    return [scene(seed)[:, speed * n : speed * n + SIZE] for n in range(FRAMES)]


def remarks(tmp_path: Path, frames: Sequence[np.ndarray]) -> tuple[tuple[float, ...], str]:
    info = probe(write(tmp_path / "film.mp4", list(frames)))
    return info.cuts, " ".join(info.remarks)


@pytest.mark.parametrize("one", [still(1), pan(1, 1)], ids=["still", "pan"])
@pytest.mark.parametrize("other", [still(2), pan(2, 1)], ids=["still", "pan"])
def test_cuts_are_found_and_said(tmp_path: Path, one: list[np.ndarray], other: list[np.ndarray]) -> None:
    cuts, said = remarks(tmp_path, [*one[:15], *other[:20], *one[15:20]])
    assert cuts == pytest.approx((15 / 25, 35 / 25))
    assert "it is cut 2 times (0.60 s, 1.40 s)" in said


def inset() -> list[np.ndarray]:
    """Another picture beside a speaker, now and then; a fifth of the frame."""
    frames = [frame.copy() for frame in still(3)]
    for number, frame in enumerate(frames):
        frame[:43, :43] = scene(4 + number // 10)[:43, :43]
    return frames


def dissolve() -> list[np.ndarray]:
    one, other = scene(5)[:, :SIZE].astype(float), scene(6)[:, :SIZE].astype(float)
    return [((1 - n / 39) * one + n / 39 * other).round().astype(np.uint8) for n in range(FRAMES)]


CALM = {
    "still": still(7),
    "pan": pan(7, 3),
    "fast pan": pan(8, 7),
    "slides": [scene(n)[:, :SIZE] for n in range(FRAMES)],  # every frame another picture: nothing goes on
    "inset": inset(),
    "dissolve": dissolve(),
    "brighter": [np.full((SIZE, SIZE, 3), 6 * n, np.uint8) for n in range(FRAMES)],
}


@pytest.mark.parametrize("kind", CALM)
def test_what_is_no_cut_is_not_said(kind: str, tmp_path: Path) -> None:
    assert remarks(tmp_path, CALM[kind]) == ((), "")


def test_real_clips_are_not_cut(ffpp: Path) -> None:
    """One of them shows other pictures beside its speaker."""
    films = sorted(ffpp.rglob("*.mp4"))
    clips = [film for film in films if "c23" in film.parts and "mask" not in film.as_posix()][:4]
    assert [probe(clip).cuts for clip in clips] == [()] * len(clips) != []


def test_a_cut_lies_between_what_is_before_it_and_its_own_frame() -> None:
    assert cuts_between([1.0], 0.9, 1.0)
    assert not cuts_between([1.0], 1.0, 5.0)
    assert not cuts_between([], 0.0, 5.0)
