"""Maps made elsewhere are read by frame key, resized, and refused in one line where they are none."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xai
from common.errors import InputError
from common.files import stem
from detectors.queries import counting
from tests.xai.helpers import DEEPFAKES, PATCH, planted
from xai.explanation_settings import describe_settings
from xai.methods import Method, load_explainer, parse_method
from xai.ranking import rank
from xai.saved import SavedMaps, load, stays_inside

KEY = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4/0001.png"
OVERRIDES = {"segments": {"count": 16}}


def keep(folder: Path, key: str, saliency: np.ndarray) -> Path:
    path = folder / f"{key}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, saliency)
    return path


def truth(size: int = 64) -> np.ndarray:
    """High where the patch is, at any size."""
    saliency = np.zeros((64, 64))
    saliency[PATCH] = 1
    return np.asarray(Image.fromarray(saliency.astype(np.float32)).resize((size, size), Image.Resampling.BOX))


def explained(folder: Path, key: str = KEY) -> xai.Explanation:
    detector, image = planted()
    return xai.explain(detector, image, f"saliency:{folder}", DEEPFAKES, preset="quick", overrides=OVERRIDES, key=key)


@pytest.mark.parametrize("name", [KEY, stem(KEY)])
@pytest.mark.parametrize("size", [64, 23, 200])
def test_a_planted_truth_is_ranked_first(tmp_path: Path, name: str, size: int) -> None:
    keep(tmp_path, name, truth(size))
    detector, _ = planted()
    with counting(detector):
        found = explained(tmp_path)
    assert found.forwards == 0
    assert found.saliency.shape == (64, 64)
    assert found.ranking[0] == np.bincount(found.segments[PATCH].ravel()).argmax()


def test_a_map_of_the_right_size_is_as_it_is(tmp_path: Path) -> None:
    saliency = np.random.default_rng(0).normal(size=(64, 64))
    keep(tmp_path, KEY, saliency)
    assert np.array_equal(explained(tmp_path).saliency, saliency)


def test_resizing_is_bilinear_and_loses_nothing(tmp_path: Path) -> None:
    y, x = np.mgrid[:32, :32].astype(np.float32)
    keep(tmp_path, KEY, 3 * x - y)
    found = explained(tmp_path).saliency
    rows, columns = (np.mgrid[:64, :64] + 0.5) / 2 - 0.5
    inner = (slice(1, -1), slice(1, -1))
    assert np.allclose(found[inner], (3 * columns - rows)[inner], atol=1e-4)  # a plane stays one
    point = np.zeros((640, 640))
    point[205, 405] = 1.0  # one pixel of 100 that become one
    keep(tmp_path, KEY, point)
    found = explained(tmp_path).saliency
    assert np.unravel_index(found.argmax(), found.shape) == (20, 40)
    assert found.sum() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("kind", ["f2", "f4", ">f4", "u1", "i2", "?", "f8", ">f8", "i4", "u4", "i8", "g"])
def test_real_numbers_of_any_type(tmp_path: Path, kind: str) -> None:
    path = keep(tmp_path, "a", np.eye(5).astype(kind))
    found = load(path)
    assert found.dtype == (np.float32 if np.dtype(kind).itemsize < 4 or kind.endswith("f4") else np.float64)
    assert np.array_equal(found, np.eye(5))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (1e-50 * np.arange(1, 5), "f8"),  # float32 has 0 for all
        (1e8 + np.arange(4), "f8"),  # and the same number
        (np.array([0, 1e-60, 1e-50, 1.0]), "f8"),
        (2**24 + np.arange(4), "i4"),
        (2**36 + np.arange(4), "i8"),
        (1e60 * np.arange(4), "f8"),  # too large for float32
    ],
)
@pytest.mark.parametrize("size", [64, 32, 128])
def test_values_keep_their_order(tmp_path: Path, values: np.ndarray, kind: str, size: int) -> None:
    """The four quarters of a map in ascending order."""
    places = np.arange(4).reshape(2, 2)
    keep(tmp_path, KEY, values.astype(kind)[places].repeat(size // 2, axis=0).repeat(size // 2, axis=1))
    found = explained(tmp_path).saliency
    assert np.all(np.diff(found[8::48, 8::48].ravel()) > 0)
    if size == 64:  # at others, quarters share pixels at their borders
        assert list(rank(found, places.repeat(32, axis=0).repeat(32, axis=1))) == [3, 2, 1, 0]


def test_values_that_nothing_keeps_apart_are_refused(tmp_path: Path) -> None:
    path = keep(tmp_path, "a", 2**60 + np.arange(16).reshape(4, 4))
    with pytest.raises(InputError, match=r"a\.npy holds int64 values that float64 cannot tell apart"):
        load(path)
    for scale in (1e-200, 1e200):
        path = keep(tmp_path, "a", scale * np.arange(16.0).reshape(4, 4))
        with pytest.raises(InputError, match=r"a\.npy holds values up to 1\.5e[+-]\d+; multiply the map by a number"):
            load(path)
    path = keep(tmp_path, "a", 1e15 + np.arange(16.0).reshape(4, 4))
    with pytest.raises(
        InputError, match=r"a\.npy holds values that differ by 15 about 1e\+15; subtract what they share"
    ):
        load(path)
    assert not np.ptp(load(keep(tmp_path, "a", np.full((4, 4), 1e15))))
    assert not load(keep(tmp_path, "a", np.zeros((4, 4)))).any()


def broken(folder: Path, what: str) -> None:
    """Puts something that is no saliency map where the frame's should be."""
    path = keep(folder, KEY, np.ones((4, 4)))
    arrays = {
        "flat": np.ones(16),
        "three": np.ones((1, 4, 4)),
        "empty": np.ones((0, 4)),
        "column": np.ones((16, 1)),
        "colours": np.ones((4, 12)),
        "nan": np.full((4, 4), np.nan),
        "large": np.full((4, 4), 1e160),
        "endless": np.full((4, 4), np.inf),
        "complex": np.ones((4, 4), dtype=complex),
        "text": np.full((4, 4), "high"),
        "rows": np.ones((4, 4), dtype=[("a", "f4")]),
    }
    if what in arrays:
        np.save(path, arrays[what])
    elif what == "pickle":
        np.save(path, np.array([[{"__reduce__": 1}]], dtype=object), allow_pickle=True)
    elif what == "zip":
        with open(path, "wb") as file:
            np.savez(file, a=np.ones((4, 4)))
    elif what == "twice":
        path.write_bytes(2 * path.read_bytes())
    elif what == "short":
        path.write_bytes(path.read_bytes()[:-8])
    elif what == "claims":
        header = path.read_bytes()
        path.write_bytes(header.replace(b"(4, 4), }       ", b"(40000, 400000)}"))
        assert path.read_bytes() != header
    elif what == "bare":
        path.write_bytes(b"")
    elif what == "missing":
        path.rename(folder / "another.npy")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("flat", r"0001\.png\.npy has shape \(16,\), expected \(height, width\)"),
        ("three", r"has shape \(1, 4, 4\), expected"),
        ("empty", r"has shape \(0, 4\), expected"),
        ("column", r"has shape \(16, 1\), which no picture has: expected \(height, width\), not flattened"),
        ("colours", r"has shape \(4, 12\), which no picture has"),
        ("twice", "holds more than one array"),
        ("nan", "holds values that are not finite"),
        ("large", "holds values up to 1e\\+160; multiply the map by a number"),
        ("endless", "holds values that are not finite"),
        ("complex", "holds complex128 instead of real numbers"),
        ("text", "instead of real numbers"),
        ("rows", "instead of real numbers"),
        ("pickle", "not readable as a saliency map"),
        ("zip", "not readable as a saliency map"),
        ("short", "not readable as a saliency map"),
        ("claims", "not readable as a saliency map"),
        ("bare", "not readable as a saliency map"),
        ("missing", r"has no saliency map of this frame; expected manip.*0001\.png\.npy or .*-[0-9a-f]{16}\.npy"),
    ],
)
def test_what_is_no_map_is_told_in_one_line(tmp_path: Path, what: str, says: str) -> None:
    broken(tmp_path, what)
    with pytest.raises(InputError, match=says) as told:
        explained(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/outside", "..\\outside", "", "a\0b"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "maps"
    keep(folder, "a/b", truth())
    np.save(tmp_path / "outside.npy", truth())
    absolute = key.startswith("/")
    key = f"{tmp_path}{key}" if absolute else key
    assert not stays_inside(key)
    with pytest.raises(InputError, match=r"has no saliency map of this frame; expected [^ /]*$"):
        SavedMaps.read(str(folder)).for_frame(key)
    keep(folder, stem(key), truth())  # by its other name, which is safe whatever the key
    assert SavedMaps.read(str(folder)).for_frame(key).path.parent == folder


def test_a_folder_is_told_from_any_other(tmp_path: Path) -> None:
    keep(tmp_path / "mine", KEY, truth())
    first = load_explainer(f"saliency:{tmp_path / 'mine'}")
    for hidden in ("._x.npy", ".old/x.npy"):
        (tmp_path / "mine" / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / hidden).write_bytes(b"of macOS")
    assert load_explainer(f"saliency:{tmp_path / 'mine'}") == first
    keep(tmp_path / "mine", KEY, truth() * 2)
    assert load_explainer(f"saliency:{tmp_path / 'mine'}") != first
    settings = xai.build_settings("quick", methods=[parse_method(f"saliency:{tmp_path / 'mine'}")])
    assert set(describe_settings(settings)[f"saliency:{tmp_path / 'mine'}"]) == {"folder", "fingerprint"}


def test_it_is_named_after_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path / "gradients_adv", KEY, truth())
    monkeypatch.chdir(tmp_path / "gradients_adv")
    for folder in (tmp_path / "gradients_adv", "../gradients_adv/", "."):
        assert parse_method(f"saliency:{folder}") == Method("gradients_adv", f"saliency:{folder}", "mean")


def test_two_frames_with_one_map_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key, size in (("a.png", 8), ("b.png", 16), ("c.png", 8)):
        keep(tmp_path, key, truth(size))
    maps = SavedMaps.read(str(tmp_path))
    maps.require_any(["a.png", "b.png", "gone.png"])
    assert capsys.readouterr().err == ""
    maps.require_any(["a.png", "b.png", "c.png"])
    assert "the saliency maps of a.png and c.png are the same, byte for byte" in capsys.readouterr().err


def test_a_folder_without_maps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "._a.npy").touch()
    with pytest.raises(InputError, match=r"empty has no \.npy files: expected saliency maps"):
        load_explainer(f"saliency:{tmp_path / 'empty'}")
    with pytest.raises(InputError, match="nowhere is not a folder"):
        load_explainer(f"saliency:{os.fspath(tmp_path / 'nowhere')}")


def test_a_map_that_is_replaced_after_its_fingerprint_was_taken_is_refused(tmp_path: Path) -> None:
    for name in ("a.png.npy", "b.png.npy"):
        np.save(tmp_path / name, np.eye(4))
    maps = SavedMaps.read(str(tmp_path))
    np.save(tmp_path / "b.png.npy", 1 - np.eye(4))
    np.save(tmp_path / "c.png.npy", np.eye(4))
    image, segments = np.zeros((3, 4, 4)), np.zeros((4, 4), dtype=np.int64)
    given = (None, image, segments, None, np.random.default_rng(0))
    assert np.array_equal(maps.for_frame("a.png")(*given), np.eye(4))  # type: ignore[arg-type]
    for key in ("b.png", "c.png"):
        with pytest.raises(InputError, match=f"{key}.npy is no longer the map that the run was started with"):
            maps.for_frame(key)(*given)  # type: ignore[arg-type]
