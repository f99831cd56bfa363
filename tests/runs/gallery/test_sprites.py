"""Pictures of frames: kept whole, the same every time, small, and showing what they say."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from runs.gallery import sprites
from runs.gallery.drawing import TILE, difference, drawn_map, mark
from runs.gallery.sprites import ATTACKED, COLUMNS, FRAME, MAP, MASK, Album, Tile
from runs.seals import Seals
from tests.reporting.page.plausible import album, portrait

METHODS = ("LIME", "SHAP", "SOBOL", "RISE", "LIME_adv", "SHAP_adv", "SOBOL_adv", "RISE_adv")
SEALS = Seals(Path("no-such-run/config.json"))


@pytest.fixture
def made() -> Album:
    return album("Deepfakes/000/1.png", *portrait(0, 224), METHODS, 0)


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def tile_of(picture: np.ndarray, place: int) -> np.ndarray:
    row, column = divmod(place, COLUMNS)
    return picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]


def test_an_album_is_kept_and_found_again(tmp_path: Path, made: Album) -> None:
    assert sprites.load(tmp_path, made.key, SEALS) is None
    sprites.save(tmp_path, made, SEALS)
    found = sprites.load(tmp_path, made.key, SEALS)
    assert found == sprites.sprite(made, sprites.figure_file(tmp_path, made.key).read_bytes())
    assert found.methods == METHODS
    assert found.tiles[:4] == (Tile(FRAME), Tile(MASK), Tile(MAP, "LIME"), Tile(ATTACKED, "LIME"))
    assert sprites.figure_file(tmp_path, made.key).is_file()
    assert not [each for each in tmp_path.rglob("*") if each.name.endswith(".part")]


def test_the_same_album_gives_the_same_bytes(tmp_path: Path, made: Album) -> None:
    again = album("Deepfakes/000/1.png", *portrait(0, 224), METHODS, 0)
    for name, each in (("a", made), ("b", again)):
        sprites.save(tmp_path / name, each, SEALS)
    for file in (sprites.sprite_file, sprites.figure_file):
        assert file(tmp_path / "a", made.key).read_bytes() == file(tmp_path / "b", made.key).read_bytes()


@pytest.mark.parametrize("grain", [0, 12])
def test_a_frame_takes_at_most_150_kilobytes(tmp_path: Path, made: Album, grain: int) -> None:
    """Also where it is far rougher than a frame of a compressed video, and with twice the methods."""
    names = [f"{name}{n}" for name in METHODS for n in range(1 + (grain > 0))]
    rough = made.image + np.random.default_rng(0).normal(scale=grain, size=made.image.shape)
    large = album(made.key, rough.clip(0, 255).astype(np.uint8), made.mask, names, 0)
    sprites.save(tmp_path, large, SEALS)
    assert sprites.sprite_file(tmp_path, made.key).stat().st_size < 52_000  # 500 in base 64: under 35 MB
    assert sprites.figure_file(tmp_path, made.key).stat().st_size < (100_000 if not grain else 200_000)


def test_every_tile_is_in_its_place(made: Album) -> None:
    """Each tile is recognised among all by the picture it is of, drawn here anew."""
    colours = np.random.default_rng(0).integers(0, 256, size=(len(METHODS), 3))
    painted = {name: np.where(made.regions[name][..., None], colours[n], made.image).astype(np.uint8)
               for n, name in enumerate(METHODS)}  # fmt: skip
    made = replace(made, attacked=painted)
    found = sprites.sprite(made, b"")
    picture = opened(found.picture)
    wanted = {
        Tile(FRAME): made.image,
        Tile(MASK): mark(made.image, made.mask),
        **{Tile(ATTACKED, name): made.attacked[name] for name in METHODS},
        **{
            Tile(MAP, name): drawn_map(made.image, made.saliency[name], made.segments, made.regions[name], TILE)
            for name in METHODS
        },
    }
    small = {tile: np.asarray(Image.fromarray(each).resize((TILE, TILE))).astype(int) for tile, each in wanted.items()}
    for place, tile in enumerate(found.tiles):
        shown = tile_of(picture, place)
        nearest = min(small, key=lambda each: float(np.abs(small[each] - shown).mean()))
        assert nearest == tile


def test_without_mask_and_without_maps(made: Album) -> None:
    bare = replace(made, mask=None, saliency={name: made.saliency[name] for name in METHODS[1:]})
    found = sprites.sprite(bare, b"")
    assert found.tiles[0] == Tile(FRAME)
    assert found.tiles[1] == Tile(MAP, "LIME")
    unmapped = tile_of(opened(found.picture), 1)
    assert np.abs(unmapped.max(axis=2) - unmapped.min(axis=2)).mean() < 3  # grey: there is no map to colour it
    assert sprites.figure(bare).shape[2] == 3


def test_a_frame_with_nothing_explained_has_its_picture(tmp_path: Path, made: Album) -> None:
    real = replace(made, saliency={}, regions={}, attacked={}, outcomes={})
    sprites.save(tmp_path, real, SEALS)
    assert sprites.load(tmp_path, made.key, SEALS).tiles == (Tile(FRAME), Tile(MASK))


def test_the_change_is_drawn_eight_times_around_grey() -> None:
    image = np.full((4, 4, 3), 100, dtype=np.uint8)
    attacked = image.copy()
    attacked[0, 0], attacked[0, 1], attacked[0, 2] = 116, 84, 255
    drawn = difference(image, attacked)
    assert drawn[0, :4, 0].tolist() == [128 + 64, 128 - 64, 255, 128]


def test_only_the_outlined_segments_have_numbers(made: Album) -> None:
    """Outside the region and its border a map is the same with and without a region."""
    nothing = np.zeros_like(made.regions["LIME"])
    drawn = drawn_map(made.image, made.saliency["LIME"], made.segments, made.regions["LIME"], 224)
    plain = drawn_map(made.image, made.saliency["LIME"], made.segments, nothing, 224)
    changed = (drawn != plain).any(axis=2)
    reach = 12  # of a number's strokes and the border
    near = np.array([[made.regions["LIME"][max(0, y - reach) : y + reach, max(0, x - reach) : x + reach].any()
                      for x in range(224)] for y in range(224)])  # fmt: skip
    assert changed.any()
    assert not changed[~near].any()


@pytest.mark.parametrize("what", ["segments", "mask", "attacked"])
def test_a_picture_of_another_size_is_refused(made: Album, what: str) -> None:
    wrong = np.zeros((8, 8), dtype=int) if what != "attacked" else {**made.attacked, "LIME": np.zeros((8, 8, 3))}
    with pytest.raises(ValueError, match=f"{what}.*is \\(8, 8\\), the frame is"):
        replace(made, **{what: wrong})


def test_methods_that_do_not_agree_are_refused(made: Album) -> None:
    with pytest.raises(ValueError, match="of different methods"):
        replace(made, outcomes={"LIME": "Real"})


@pytest.mark.parametrize("damage", ["cut", "other", "text", "pickle", "array", "number"])
def test_a_damaged_file_is_told(tmp_path: Path, made: Album, damage: str) -> None:
    sprites.save(tmp_path, made, SEALS)
    path = sprites.sprite_file(tmp_path, made.key)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "text":
        path.write_text("not an archive")
    elif damage == "pickle":
        np.savez(path, key=np.array([{"a": 1}], dtype=object))
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros((3, 3)))
    elif damage == "number":
        with np.load(path) as stored:
            parts = dict(stored)
        np.savez(path, **{**parts, "methods": np.array(3)})
    else:
        sprites.save(tmp_path, replace(made, key="another"), SEALS)
        path.write_bytes(sprites.sprite_file(tmp_path, "another").read_bytes())
    with pytest.raises(InputError, match="remove it"):
        sprites.load(tmp_path, made.key, SEALS)


def test_pictures_of_another_run_are_told(tmp_path: Path, made: Album) -> None:
    runs = [Seals(tmp_path / name / "config.json") for name in "ab"]
    for name, seals in zip("ab", runs, strict=True):
        seals.bind({"seed": name})
        sprites.save(tmp_path / name, replace(made, attack=name), seals)
    sprites.sprite_file(tmp_path / "a", made.key).write_bytes(
        sprites.sprite_file(tmp_path / "b", made.key).read_bytes()
    )
    with pytest.raises(InputError, match="another configuration; remove it"):
        sprites.load(tmp_path / "a", made.key, runs[0])


def test_a_figure_is_the_one_that_was_drawn(tmp_path: Path, made: Album) -> None:
    sprites.save(tmp_path, made, SEALS)
    drawn, file = sprites.load(tmp_path, made.key, SEALS), sprites.figure_file(tmp_path, made.key)
    assert drawn is not None
    assert sprites.has_figure(tmp_path, drawn)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="is not the figure that the run drew"):
        sprites.has_figure(tmp_path, drawn)
    file.unlink()
    assert not sprites.has_figure(tmp_path, drawn)


def test_no_changed_byte_is_shown_as_another_picture(tmp_path: Path, made: Album) -> None:
    """Either the same pictures come back, or one line."""
    sprites.save(tmp_path, made, SEALS)
    path, kept = sprites.sprite_file(tmp_path, made.key), sprites.load(tmp_path, made.key, SEALS)
    whole, refused = path.read_bytes(), 0
    for at in range(0, len(whole), len(whole) // 150):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            assert sprites.load(tmp_path, made.key, SEALS) == kept, at
        except InputError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("count", [1, 500, 501, 1234])
def test_at_most_so_many_albums_spread_evenly(count: int) -> None:
    found = sorted(sprites.kept(count))
    assert len(found) == min(count, 500)
    assert 0 <= found[0] <= found[-1] < count
    gaps = np.diff(found)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
