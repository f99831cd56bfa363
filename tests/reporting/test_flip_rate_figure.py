"""The picture of a run: written whole, the same every time, for any number of attacks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.summary import summarise_methods
from reporting.flip_rate_figure import save_summary
from tests.analysis.made_up import at_random, make, table

CHANCE = {"LIME": 0.9, "RISE": 0.4, "random": 0.1}


@pytest.mark.parametrize("attacks", [("nes",), ("nes", "pgd")])
def test_the_picture_shows_something_and_is_the_same_every_time(tmp_path: Path, attacks: tuple[str, ...]) -> None:
    summary = summarise_methods(table(make(at_random(0, CHANCE), attacks=attacks, videos=8)))
    for name in ("a.png", "b.png"):
        save_summary(tmp_path / name, summary)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 1500
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    blue = (pixels[:, 2] - pixels[:, 0] > 100).sum()  # the dots and intervals of methods
    assert blue > 1000 * len(attacks)


def test_it_is_drawn_without_control_and_without_intervals(tmp_path: Path) -> None:
    save_summary(tmp_path / "a.png", summarise_methods(table(make(at_random(1, CHANCE), ("LIME", "RISE"), videos=1))))
    assert (tmp_path / "a.png").stat().st_size > 5000
