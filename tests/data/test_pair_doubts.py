"""Source pictures and masks of other frames: what is said of them, and of sound ones nothing is."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.entry import Entry
from data.images import encode_png
from data.index import write_index
from data.picture_doubts import look
from data.source import open_frames

SIDE, FILMS, EACH = 64, 4, 3


def scene(seed: int) -> np.ndarray:
    """A smooth picture (SIDE, SIDE, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def marked(film: int) -> np.ndarray:
    """Where the frames of a film are manipulated, (SIDE, SIDE) bool: each in another corner."""
    mask = np.zeros((SIDE, SIDE), bool)
    y, x = divmod(film, 2)
    mask[8 + 24 * y : 28 + 24 * y, 8 + 24 * x : 28 + 24 * x] = True
    return mask


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    """Manipulated frames of four films, with their masks and noisy sources, in `tmp_path`."""
    found = []
    for film in range(FILMS):
        for number in range(EACH):
            rng = np.random.default_rng(100 * film + number)
            source = scene(10 * film + number).astype(int)
            frame = np.where(marked(film)[..., None], 255 - source, source) + rng.integers(-6, 7, source.shape)
            entry = Entry(
                f"f/{film}/{number}.png", True, 4, mask=f"m/{film}/{number}.png", source=f"s/{film}/{number}.png"
            )
            pictures = {entry.key: frame, str(entry.source): source}
            contents = {key: encode_png(np.clip(each, 0, 255).astype(np.uint8)) for key, each in pictures.items()}
            for key, content in (contents | {str(entry.mask): encode_png(marked(film))}).items():
                (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / key).write_bytes(content)
            found.append(entry)
    return found


def told(folder: Path, entries: list[Entry], capsys: pytest.CaptureFixture[str]) -> str:
    write_index(folder / "index.csv", entries)
    frames = open_frames(folder / "index.csv")
    capsys.readouterr()
    look(frames)
    return capsys.readouterr().err


def moved(entries: list[Entry], column: str, rows: int) -> list[Entry]:
    cells = [getattr(entry, column) for entry in entries]
    pairs = zip(entries, [*cells[rows:], *cells[:rows]], strict=True)
    return [replace(entry, **{column: cell}) for entry, cell in pairs]


def test_sound_sources_and_masks_are_passed_over(
    tmp_path: Path, entries: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, entries, capsys) == ""
    one_wrong = [replace(entries[0], source=entries[5].source, mask=entries[5].mask), *entries[1:]]
    assert told(tmp_path, one_wrong, capsys) == ""
    (tmp_path / "s/0/0.png").write_bytes(b"no picture")
    assert told(tmp_path, entries, capsys) == ""


@pytest.mark.parametrize("rows", [1, EACH])
def test_sources_of_other_frames_are_said(
    tmp_path: Path, entries: list[Entry], capsys: pytest.CaptureFixture[str], rows: int
) -> None:
    said = told(tmp_path, moved(entries, "source", rows), capsys)
    assert said.startswith(
        "warning: 12 of 12 source pictures looked at differ from the frame by more than 10 of 255 in"
    )
    assert said.count("\n") == 1
    one_for_all = [replace(entry, source="s/0/0.png") for entry in entries]
    assert told(tmp_path, one_for_all, capsys).startswith("warning: 11 of 12 source pictures looked at differ from")


def test_sources_that_are_the_frames_themselves_are_said(
    tmp_path: Path, entries: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(tmp_path, [replace(entry, source=entry.key) for entry in entries], capsys)
    assert said.startswith("warning: 12 of 12 source pictures looked at equal the manipulated frame, such as f/0/0.png")
    assert said.count("\n") == 1


def test_masks_of_other_frames_are_said(
    tmp_path: Path, entries: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(tmp_path, moved(entries, "mask", EACH), capsys)
    assert said.startswith(
        "warning: 12 of 12 masks looked at mark pixels that differ hardly more from the source picture"
    )
    assert "such as m/1/0.png of f/0/0.png: see whether mask_path is shifted" in said
