"""The critical-difference picture and survival curves: drawn whole, the same every time, for any number of methods."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.statistics import Ranks, friedman
from analysis.survival import restricted_mean, survival
from common.figures import GREY
from common.seeds import generator
from reporting.figure_style import styles
from reporting.rank_figure import save_ranks
from reporting.survival_figure import AxisScale, save_survival

METHODS = ("LIME", "LIME_adv", "SHAP", "RISE", "random")
VIDEOS = np.repeat(np.arange(10), 3)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)


def blue(path: Path) -> int:
    return int((pixels(path)[:, 2] - pixels(path)[:, 0] > 100).sum())


def ranked(count: int) -> Ranks:
    values = np.random.default_rng(0).normal(size=(30, count)) + np.linspace(1, 0, count)
    return friedman(values, METHODS[:count], VIDEOS)


def test_methods_look_different_and_a_fill_like_its_explainer() -> None:
    names = [*(f"captum:{i}" for i in range(10)), *METHODS, "edges"]
    found = styles(names, ("random", "edges"))
    assert len(set(found.values())) == len(names)
    assert found["LIME"].colour == found["LIME_adv"].colour
    assert found["LIME"].dash != found["LIME_adv"].dash
    assert [name for name in names if found[name].colour == GREY] == ["random", "edges"]
    assert list(found) == names


@pytest.mark.parametrize("count", [2, 3, 5])
def test_ranks_are_drawn_as_png_and_pdf(tmp_path: Path, count: int) -> None:
    for name in ("a", "b"):
        files = save_ranks(tmp_path / f"{name}.png", ranked(count), "Drop", ("random",))
        assert files == [tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"]
    for end in ("png", "pdf"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert blue(tmp_path / "a.png") > 2000
    save_ranks(tmp_path / "grey.png", ranked(count), "Drop", METHODS)
    assert blue(tmp_path / "grey.png") == 0


def test_a_bar_joins_only_methods_that_cannot_be_told_apart(tmp_path: Path) -> None:
    near = Ranks(METHODS[:3], (1.5, 2.0, 2.5), 30, 10, 1.0, 0.6, 1.2)
    apart = Ranks(METHODS[:3], (1.0, 2.0, 3.0), 30, 10, 20.0, 0.0, 0.5)
    for name, ranks in (("near", near), ("apart", apart)):
        save_ranks(tmp_path / f"{name}.png", ranks, "Drop")
    dark = {name: (pixels(tmp_path / f"{name}.png").max(axis=1) < 60).sum() for name in ("near", "apart")}
    assert dark["near"] > dark["apart"] + 3000


def test_survival_is_drawn_as_png_and_pdf(tmp_path: Path) -> None:
    draws = np.random.default_rng(1)
    curves = {}
    for place, method in enumerate((*METHODS, "nothing")):
        needed = np.full(30, np.nan) if method == "nothing" else draws.exponential(4 + place, 30)
        flipped = needed < 8
        capped = np.minimum(needed, 8)
        curves[method] = (
            survival(capped, flipped, VIDEOS, generator(0)),
            restricted_mean(capped, flipped, VIDEOS, 8.0, generator(0)),
        )
    assert math.isnan(curves["nothing"][1].value)
    scale = AxisScale("L-infinity budget (1/255)", 8.0)
    for name in ("a", "b"):
        files = save_survival(tmp_path / f"{name}.png", curves, scale, "How much does a flip need?", ("random",))
        assert files == [tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"]
    for end in ("png", "pdf"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
    assert blue(tmp_path / "a.png") > 2000
    never = np.zeros(30, dtype=bool)
    stubborn = survival(np.full(30, 8.0), never, VIDEOS, generator(0))
    alone = {"LIME": (stubborn, restricted_mean(np.full(30, 8.0), never, VIDEOS, 8.0, generator(0)))}
    save_survival(tmp_path / "stubborn.png", alone, scale, "Nothing flips")
    assert blue(tmp_path / "stubborn.png") > 500


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="two methods"):
        save_ranks(Path("never.png"), friedman(np.ones((2, 1)), ("LIME",), np.arange(2)), "")
    with pytest.raises(ValueError, match="at least one frame"):
        save_survival(Path("never.png"), {}, AxisScale("queries", 8.0), "")
