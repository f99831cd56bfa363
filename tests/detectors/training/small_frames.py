"""A small index of coloured noise that a tiny network can learn, with people as FaceForensics++ names them."""

from pathlib import Path

import numpy as np

from common.seeds import generator
from data.entry import Entry
from data.frames import CLASS_NAMES
from data.images import encode_png
from data.index import write_index

COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200), (180, 180, 40), (40, 180, 180))


def write_small_frames(folder: Path, people: int = 4, side: int = 40, unlabelled: int = 0) -> Path:
    """Writes, for every person, one frame of each class (its colour says which) and returns the index's path."""
    entries = []
    for person in range(people):
        for label, family in enumerate(CLASS_NAMES):
            name = f"{person:03d}" if label == 0 else f"{person:03d}_{(person + 1) % people:03d}"
            start = "original_sequences/youtube" if label == 0 else f"manipulated_sequences/{family}"
            key = f"{start}/c23/videos/{name}.mp4/00000_0.png"
            _write(folder / key, COLOURS[label], side, key)
            entries.append(Entry(key, label > 0, label, "test" if person == people - 1 else "train"))
    for number in range(unlabelled):
        key = f"manipulated_sequences/FaceShifter/c23/videos/{number:03d}_001.mp4/00000_0.png"
        _write(folder / key, (90, 90, 90), side, key)
        entries.append(Entry(key, True, None, "train"))
    write_index(folder / "index.csv", entries)
    return folder / "index.csv"


def _write(path: Path, colour: tuple[int, int, int], side: int, key: str) -> None:
    noise = generator(0, key).integers(-30, 31, (side, side, 3))
    image = np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image))
