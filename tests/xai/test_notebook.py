"""What a notebook shows of an explanation: the map with its regions outlined, in HTML that is whole in itself."""

import base64
import dataclasses
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import xai
from data.images import decode
from tests.xai.helpers import DEEPFAKES, planted
from xai.map_picture import COLOURS, SIDE, TOP, map_picture

SEGMENTS = np.repeat(np.repeat(np.arange(16).reshape(4, 4), 8, axis=0), 8, axis=1).astype(np.int32)
RANKING = np.array([5, 10, 0, *[label for label in range(16) if label not in (5, 10, 0)]])


def pixels_of(page: str) -> np.ndarray:
    """The picture in a page."""
    (content,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return decode(base64.b64decode(content), "map.png")


def outlined(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Where a picture has a colour, in the units of SEGMENTS."""
    there = (pixels == (255 * np.array(to_rgb(colour))).round().astype(np.uint8)).all(axis=2)
    times = len(pixels) // len(SEGMENTS)
    return there.reshape(32, times, 32, times).any(axis=(1, 3))


@pytest.mark.parametrize("picture", [np.full((32, 32, 3), 128, np.uint8), None])
def test_each_of_the_best_regions_is_outlined_in_its_colour_and_no_other(picture: np.ndarray | None) -> None:
    saliency = np.zeros((32, 32), np.float32)
    for rank, label in enumerate(RANKING):
        saliency[label == SEGMENTS] = 1 - rank / 20
    pixels = map_picture(saliency, SEGMENTS, RANKING, picture)
    assert pixels.shape[:2] == (288, 288)
    assert min(pixels.shape[:2]) >= SIDE
    for index in range(TOP):
        there = outlined(pixels, COLOURS[index])
        inside = RANKING[index] == SEGMENTS
        near = np.pad(inside, 1)
        near = near[2:, 1:-1] | near[:-2, 1:-1] | near[1:-1, 2:] | near[1:-1, :-2] | inside
        assert (there & inside).sum() == 28  # the border of 8 x 8 pixels
        assert not (there & ~near).any()


def test_a_strong_pixel_is_brighter_than_a_weak_one_and_a_flat_map_is_drawn() -> None:
    saliency = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    pixels = map_picture(saliency, np.zeros((32, 32), np.int32), np.array([0]), None).astype(int).sum(axis=2)
    middle = pixels[140, 10:-10]
    assert (np.diff(middle) >= 0).all()
    assert middle[-1] > middle[0] + 300
    assert np.isfinite(map_picture(np.ones((32, 32)), SEGMENTS, RANKING, None)).all()


def test_an_explanation_shows_what_made_it_and_holds_no_script() -> None:
    detector, image = planted()
    explanation = xai.explain(
        detector,
        image,
        "LIME",
        DEEPFAKES,
        preset="quick",
        overrides={"segments": {"count": 16}, "LIME": {"samples": 60}},
    )
    assert (explanation.method, explanation.class_name) == ("LIME", "Deepfakes")
    assert explanation.picture is not None
    seen = detector.prepare(image).permute(1, 2, 0).numpy()
    assert np.abs(explanation.picture / 255 - seen).max() <= 0.5 / 255 + 1e-6
    page = explanation._repr_html_()
    first = explanation.ranking[0]
    chances = ", ".join(f"{100 * chance:.0f} %" for chance in explanation.stability)
    for words in (">LIME<", ">Deepfakes<", f">{first} (cyan)", f">{chances}<", f">{explanation.forwards} in "):
        assert words in page
    assert not re.search(r"<script|https?://|(?:src|href)=\"(?!data:)", page)
    assert (outlined_anything(pixels_of(page), COLOURS[0])) > 50


def outlined_anything(pixels: np.ndarray, colour: str) -> int:
    return int((pixels == (255 * np.array(to_rgb(colour))).round().astype(np.uint8)).all(axis=2).sum())


def test_every_text_is_escaped_and_what_is_not_known_is_said() -> None:
    detector, image = planted()
    made = xai.explain(detector, image, "captum:Saliency", DEEPFAKES, preset="quick")
    evil = '"><script>alert(1)</script>'
    page = dataclasses.replace(made, method=evil, class_name=evil)._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3  # in the picture's words, too
    bare = xai.Explanation(made.saliency, made.segments, 3, 7, 0.5)._repr_html_()
    assert ">class 3<" in bare
    assert bare.count(">not known<") == 2
