"""Decoding: every kind of picture to (H, W, 3) uint8 RGB, everything else to one line."""

import io
import random

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageFilter

from common.errors import InputError
from data.images import FORMATS, decode, decode_mask, encode_png, sixteen_bit_reach, size_of

RGB = np.add.outer(np.arange(40), np.arange(32))[..., None] * np.array([3, 2, 1]) % 256
RGB = RGB.astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


PICTURE = Image.fromarray(RGB)


@pytest.mark.parametrize("side", [16, 64, 256])
def test_no_changed_bit_of_a_png_is_another_mask(side: int) -> None:
    """Its checksums are compared, also of the last part, which Pillow leaves alone."""
    rng = np.random.default_rng(side)
    mask = rng.random((side, side)) < 0.3
    data = encode_png(mask)
    np.testing.assert_array_equal(decode_mask(data, "m"), mask)
    start, refused = data.index(b"IDAT"), 0
    for at in rng.integers(start, len(data) - 12, 60):
        changed = data[:at] + bytes([data[at] ^ 1 << rng.integers(8)]) + data[at + 1 :]
        try:
            np.testing.assert_array_equal(decode_mask(changed, "m"), mask)
        except InputError:
            refused += 1
    assert refused == 60


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(kind: str) -> None:
    image = decode(encoded(PICTURE, kind), "x")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RGB)
    image[0, 0] = 0  # a frame may be written to


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_come_back_nearly(kind: str) -> None:
    smooth = PICTURE.resize((8, 8)).resize((64, 80), Image.Resampling.BICUBIC)
    difference = decode(encoded(smooth, kind, quality=95), "x").astype(int) - np.asarray(smooth).astype(int)
    assert abs(difference).mean() < 4


def test_grey_palette_and_one_bit_become_three_channels() -> None:
    grey = PICTURE.convert("L")
    np.testing.assert_array_equal(decode(encoded(grey), "x"), np.repeat(np.asarray(grey)[..., None], 3, 2))
    palette = PICTURE.quantize(16)
    np.testing.assert_array_equal(decode(encoded(palette), "x"), np.asarray(palette.convert("RGB")))
    bits = decode(encoded(PICTURE.convert("1")), "x")
    assert set(np.unique(bits)) == {0, 255}


def test_sixteen_bits_keep_the_high_byte() -> None:
    values = (RGB[..., 0].astype(np.uint16) << 8) | 0x7F
    for kind in ("PNG", "TIFF", "PPM"):
        image = decode(encoded(Image.fromarray(values), kind), "x")
        np.testing.assert_array_equal(image, np.repeat(RGB[..., :1], 3, 2))


@pytest.mark.parametrize("bits", [1, 8, 12])
def test_few_bits_in_sixteen_are_refused_and_not_read_as_black(bits: int) -> None:
    values = np.linspace(0, 2**bits - 1, 400).round().astype(np.uint16).reshape(20, 20)
    for read in (decode, decode_mask):
        with pytest.raises(InputError, match=r"x: its 16-bit values reach [\d,]+ of 65,535"):
            read(encoded(Image.fromarray(values)), "x")
    assert not decode(encoded(Image.fromarray(0 * values)), "x").any()


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_where_zero_is_white_is_read_alike_in_eight_and_sixteen_bits(bits: int) -> None:
    def saved(grey: np.ndarray) -> bytes:  # Pillow inverts what it saves of 8 bits, and not what it saves of 16
        values = grey if bits == 8 else (255 - grey).astype(np.uint16) * np.uint16(257)
        return encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0})

    grey = RGB[..., 0]
    np.testing.assert_array_equal(decode(saved(grey), "x"), np.repeat(RGB[..., :1], 3, 2))
    bright = grey > 127
    np.testing.assert_array_equal(decode_mask(saved(bright * np.uint8(255)), "x"), bright)


@pytest.mark.parametrize(
    ("kind", "channels"), [(".png", 1), (".png", 3), (".tiff", 1), (".tiff", 3), (".pgm", 1), (".ppm", 3)]
)
def test_the_reach_of_sixteen_bits_is_told(kind: str, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (20, 20, channels)).astype(np.uint32)
    values[0] = 255
    for bits in (13, 14, 15, 16):
        data = cv2.imencode(kind, (values * (2**bits - 1) // 255).astype(np.uint16))[1].tobytes()
        assert sixteen_bit_reach(data, "x") == decode(data, "x").max()
        assert int(decode(data, "x").max()) == pytest.approx(2 ** (bits - 8) - 1, abs=kind == ".ppm")
    assert sixteen_bit_reach(cv2.imencode(kind, values.astype(np.uint8))[1].tobytes(), "x") is None


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_few_bits_in_sixteen_are_refused_in_colour_as_well(kind: str, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 255, (20, 20, channels)).astype(np.uint16)
    values[..., 3:] = 65_535
    whole, few, fewer = (cv2.imencode(kind, values * scale)[1].tobytes() for scale in (257, 16, 1))
    assert decode(whole, "x").max() > 250
    for read in (decode, decode_mask):
        for data in (few, fewer):
            with pytest.raises(InputError, match=r"x: its 16-bit values reach [\d,]+ of 65,535"):
                read(data, "x")


def test_cmyk_is_converted() -> None:
    np.testing.assert_array_equal(decode(encoded(PICTURE.convert("CMYK"), "TIFF"), "x"), RGB)


def test_alpha_is_laid_over_black() -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:, :10] = 0
    alpha[:, 10:20] = 128
    picture = Image.fromarray(np.dstack([RGB, alpha]))
    expected = np.round(RGB * (alpha[..., None] / 255))
    assert abs(decode(encoded(picture), "x") - expected).max() <= 1
    hidden = decode(encoded(PICTURE.quantize(16), transparency=0), "x")
    assert (hidden[np.asarray(PICTURE.quantize(16)) == 0] == 0).all()


def test_a_picture_that_is_transparent_everywhere_is_refused() -> None:
    alpha = np.zeros(RGB.shape[:2], np.uint8)
    unseen = Image.fromarray(np.dstack([RGB, alpha]))
    with pytest.raises(InputError, match="x: every pixel is transparent"):
        decode(encoded(unseen), "x")
    assert not decode_mask(encoded(unseen), "x").any()
    alpha[0, 0] = 1
    decode(encoded(Image.fromarray(np.dstack([RGB, alpha]))), "x")


def test_the_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture was taken with the camera turned to the left
    turned = decode(encoded(PICTURE, "PNG", exif=exif), "x")
    np.testing.assert_array_equal(turned, np.rot90(RGB, -1))


def test_the_first_page_is_taken() -> None:
    other = Image.new("RGB", PICTURE.size)
    np.testing.assert_array_equal(decode(encoded(PICTURE, "TIFF", save_all=True, append_images=[other]), "x"), RGB)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (encoded(PICTURE)[:80], "truncated"),
        (encoded(PICTURE, "JPEG")[:-300], "truncated"),
        (encoded(PICTURE.resize((15, 90))), "15x90 pixels is too small"),
        (encoded(Image.new("1", (9000, 9000))), "9000x9000 pixels is too large"),
        (encoded(Image.new("1", (20000, 20000))), "too large"),
        (encoded(PICTURE.convert("F"), "TIFF"), "no known range"),
        (encoded(PICTURE, "PDF"), "not a picture"),
    ],
)
def test_what_is_no_frame_is_refused_by_name(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        decode(data, "videos/007.png")
    assert str(refused.value).startswith("videos/007.png: ")
    assert "\n" not in str(refused.value)


def test_what_is_cut_off_is_refused_whatever_a_users_code_has_set_in_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for data in (encoded(PICTURE)[:80], encoded(PICTURE, "JPEG")[:-300]):
        with pytest.raises(InputError, match="truncated"):
            decode(data, "x")
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_damaged_bytes_never_raise_anything_else() -> None:
    """Truncations and changed bytes of every format: an array of the right kind, or InputError."""
    draw = random.Random(0)
    whole = [encoded(PICTURE, kind) for kind in FORMATS] + [
        encoded(PICTURE.convert("RGBA")),
        encoded(PICTURE.quantize(9)),
    ]
    refused = 0
    for _ in range(1500):
        data = bytearray(draw.choice(whole))
        if draw.random() < 0.4:
            del data[draw.randrange(len(data)) :]
        else:
            for _ in range(4):
                data[draw.randrange(min(len(data), 300))] = draw.randrange(256)
        for read, dimensions in ((decode, 3), (decode_mask, 2)):
            try:
                assert read(bytes(data), "x").ndim == dimensions
            except InputError:
                refused += 1
    assert refused > 500


def test_masks_come_back_and_are_read_from_any_scale() -> None:
    mask = RGB[..., 0] > 60
    np.testing.assert_array_equal(decode_mask(encode_png(mask), "m"), mask)
    assert decode_mask(encode_png(mask), "m").dtype == np.bool_
    np.testing.assert_array_equal(decode_mask(encode_png(mask.astype(np.uint8)), "m"), mask)
    grey = np.where(mask, 128, 127).astype(np.uint8)
    np.testing.assert_array_equal(decode_mask(encode_png(grey), "m"), mask)
    coloured = np.dstack([mask * np.uint8(255)] * 3)
    np.testing.assert_array_equal(decode_mask(encode_png(coloured), "m"), mask)
    assert not decode_mask(encode_png(np.zeros((4, 4), bool)), "m").any()


def test_photographs_are_no_masks() -> None:
    draws = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :96]
    waves = 128 + 60 * np.sin(rows / 9)[..., None] * np.cos(columns[..., None] / np.array([7, 11, 13]))
    photo = (waves + draws.normal(0, 8, (96, 96, 3))).clip(0, 255).astype(np.uint8)
    for picture in (photo, photo[..., 1]):
        with pytest.raises(InputError, match=r"m: by its look no mask, but a photograph \(\d+% of it is neither dark"):
            decode_mask(encode_png(picture), "m")
    dark = (photo * np.where(columns < 66, 1.0, 0.05)[..., None]).astype(np.uint8)  # a third of it in a shadow
    with pytest.raises(InputError, match="no mask, but a photograph"):
        decode_mask(encode_png(dark), "m")
    disc = (rows - 48) ** 2 + (columns - 48) ** 2 < 30**2
    soft = np.asarray(Image.fromarray(np.uint8(255 * disc)).filter(ImageFilter.GaussianBlur(12)))
    assert len(np.unique(soft)) > 128
    compressed = io.BytesIO()
    Image.fromarray(np.uint8(255 * disc)).save(compressed, "JPEG", quality=10)
    drawn = np.dstack([columns * 2, rows * 2, 255 - columns]).astype(np.uint8) * disc[..., None]
    assert decode_mask(encode_png(drawn), "m").any()
    for mask in (encode_png(soft), compressed.getvalue()):
        assert (decode_mask(mask, "m") != disc).mean() < 0.1


def test_png_is_lossless_and_other_arrays_are_refused() -> None:
    np.testing.assert_array_equal(decode(encode_png(RGB), "x"), RGB)
    for wrong in (RGB.astype(float), RGB[..., :2], RGB[0, 0], np.zeros((2, 2, 3), bool)):
        with pytest.raises(ValueError, match="expected"):
            encode_png(wrong)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_read_from_the_header(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PICTURE, kind, exif=exif)
    assert size_of(data, "x") == decode(data, "x").shape[:2]
    png = encoded(PICTURE)
    assert size_of(png[:100], "x") == (40, 32)  # of which only the header was needed
    for broken in (b"", b"no picture", png[:12]):
        with pytest.raises(InputError, match=r"^x: "):
            size_of(broken, "x")
