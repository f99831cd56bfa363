"""Pictures: whatever the bytes, a picture of the right shape or one line, in a bounded time and memory."""

import io
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common.errors import InputError
from data.images import MAX_BYTES, decode, decode_mask, size_of
from data.source import open_frames
from data.stores import FolderImages, LmdbImages, LmdbWriter
from tests.survival import pictures
from tests.survival.inputs import damaged, survives, tried
from tests.survival.pictures import RGB, chunk, encoded, png

SEEDS = pictures.seeds()


@tried(300)
@given(damaged(st.sampled_from(sorted(SEEDS)).map(SEEDS.__getitem__)) | st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_one_line(data: bytes) -> None:
    """Every kind of picture, damaged in every way; and what decodes has the size that its header says."""
    found: dict[str, np.ndarray] = {}
    survives("pictures", lambda: found.update(image=decode(data, "a/b.png")), "a/b.png")
    survives("masks", lambda: found.update(mask=decode_mask(data, "a/b.png")), "a/b.png")
    survives("picture sizes", lambda: found.update(size=np.array(size_of(data, "a/b.png"))), "a/b.png")
    if "image" in found:
        assert found["image"].dtype == np.uint8
        assert found["image"].shape == (*found["size"], 3)
    if "mask" in found:
        assert found["mask"].dtype == np.bool_
        assert found["mask"].shape == tuple(found["size"])


@tried(40)
@given(
    st.sampled_from(sorted(SEEDS)),
    st.sampled_from([".png", ".jpg", ".gif", ".tif", ".ppm", ".webp", ".bmp"]),
    st.integers(0, 10**5),
)
def test_the_ending_of_a_name_decides_nothing(
    tmp_path_factory: pytest.TempPathFactory, kind: str, ending: str, cut: int
) -> None:
    """A folder of one picture under any ending, whole or cut off: as its bytes alone."""
    folder = tmp_path_factory.mktemp("pictures")
    data = SEEDS[kind][: max(1, cut % (2 * len(SEEDS[kind])))]
    (folder / f"x{ending}").write_bytes(data)
    frames = open_frames(folder)
    refused = survives("pictures in folders", lambda: frames[0], f"x{ending} in {folder}")
    if refused is None:
        np.testing.assert_array_equal(frames[0].image, decode(data, "x"))


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG of 3.6 billion pixels": (lambda: png(60_000, 60_000), "too large"),
    "PNG of 2^62 pixels": (lambda: png(2**31 - 1, 2**31 - 1), "too large"),
    "PNG of one endless line": (lambda: png(2**31 - 1, 16), "too large"),
    "TIFF of 3.6 billion pixels": (
        lambda: pictures.uncompressed(60_000),
        "too large",
    ),
    "WebP of 268 million pixels": (lambda: pictures.canvas(16_383, 16_383), "too large"),
    "WebP of 2^24 columns": (lambda: pictures.canvas(2**24, 255), "too large"),
    "BMP of 4 billion pixels": (lambda: pictures.rle_bitmap(2**31 - 1, 2, b"\0\1"), "too large"),
    "PPM of 10^12 pixels": (lambda: b"P6 1000000 1000000 255\n" + bytes(100), "too large"),
    "GIF of 4 billion pixels": (lambda: b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0;", "too large"),
    "JPEG of 4 billion pixels": (lambda: _jpeg_of(65_000), "too large"),
    "JPEG of 5,000 scans": (lambda: pictures.scans(2000, 5000), "more than 100 scans"),
    "text of 100 MB in 97 kB": (lambda: png(20, 20, chunk(b"zTXt", b"a\0\0" + _packed(100))), "too large"),
    "profile of 100 MB in 97 kB": (lambda: png(20, 20, chunk(b"iCCP", b"a\0\0" + _packed(100))), "too large"),
    "2,000 profiles of 1 MB": (lambda: png(20, 20, chunk(b"iCCP", b"a\0\0" + _packed(1)) * 2000), "colour profiles"),
    "5,000 texts of 1 MB": (lambda: png(20, 20, chunk(b"zTXt", b"a\0\0" + _packed(1)) * 5000), "text"),
    "TIFF tile of 81 MB in 80 kB": (lambda: pictures.tiled(9000), "tiles of 9000 pixels are too large"),
    "TIFF tags of 10 GB": (lambda: pictures.tags_on_the_same_bytes(10_000, 1_000_000), ""),
    "EXIF tags of 10 GB": (
        lambda: png(20, 20, chunk(b"eXIf", pictures.tags_on_the_same_bytes(10_000, 1_000_000))),
        "",
    ),
    "GIF of 400,000 comments": (lambda: pictures.gif_comments(400_000), ""),
    "BMP that skips 640 MB": (lambda: pictures.rle_bitmap(500_000, 16, b"\0\2\xff\xff" * 5 + b"\0\1"), ""),
    "WebP of 64 million pixels in 300 bytes": (lambda: pictures.canvas(8000, 8000), ""),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_costs_no_more_than_its_pixels(name: str) -> None:
    """Claims far beyond the file are refused from the header; what is read takes seconds and a bounded memory."""
    make, says = BOMBS[name]
    data = make()
    started = time.process_time()
    refused = survives("bombs", lambda: decode(data, "bomb.png"))
    seconds = time.process_time() - started
    if says:
        assert refused is not None
        assert str(refused).startswith("bomb.png: ")
        assert says in str(refused)
        assert seconds < 2
    assert seconds < 10


def test_of_thousands_of_pages_only_the_first_is_read() -> None:
    """It costs the same however many there are."""
    pages = [Image.new("L", (64, 64), number % 256).convert("P") for number in range(3000)]
    many = encoded(pages[7], "GIF", save_all=True, append_images=pages)
    assert Image.open(io.BytesIO(many)).n_frames == 3001
    started = time.process_time()
    image = decode(many, "x")
    assert time.process_time() - started < 1
    np.testing.assert_array_equal(image, decode(encoded(pages[7], "GIF"), "x"))


def test_a_file_too_large_for_a_picture_is_never_read(tmp_path: Path) -> None:
    """100 GB in a folder (a sparse file), refused by its size alone."""
    (tmp_path / "faces").mkdir()
    with (tmp_path / "faces" / "x.png").open("wb") as file:
        file.truncate(100 * 10**9)
    refused = survives("bombs", lambda: FolderImages(tmp_path / "faces").read("x.png"), "x.png in")
    assert refused is not None
    assert f"at most {MAX_BYTES:,} are read" in str(refused)


def test_a_store_holds_no_picture_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LmdbWriter(tmp_path / "faces.lmdb") as writer:
        writer.put([("x.png", encoded(Image.fromarray(RGB)))])
    monkeypatch.setattr("data.images.MAX_BYTES", 100)
    with pytest.raises(InputError, match=r"x\.png in .* at most 100 are read"):
        LmdbImages(tmp_path / "faces.lmdb").read("x.png")


def _packed(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(10**6)) for _ in range(megabytes)) + packer.flush()


def _jpeg_of(side: int) -> bytes:
    """A small JPEG whose header claims side x side pixels."""
    data = bytearray(encoded(Image.fromarray(RGB), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)
