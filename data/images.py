"""Pictures as arrays: decoding the bytes of an image or a mask, and encoding arrays as PNG."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from common.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
MIN_SIDE = 16
MAX_PIXELS = 64_000_000
TWELVE_BITS = 2**12  # the largest of 16-bit values must reach it: 8 or 12 bits in 16 would be nearly black
DARK = 16  # of 255: masks are darker almost everywhere that they are not as bright
MOST_GREYS = 64  # of a mask that is neither dark nor bright on much of it
MOST_BETWEEN = 0.8  # of a mask, also a softened one
MOST_DIM = 3  # times what is brighter than half; of a softened mask, it is about as much
LEAST_DIM = 1e-3  # of a mask that is nowhere bright: fewer pixels are noise of compression
COLOURED = 0.4  # of a mask that was drawn in colours over black
MAX_TILE = 8192  # of TIFF, which unpacks tiles whole, however small the picture
MAX_BYTES = 2**29  # of a file: more than MAX_PIXELS of the largest pixels take without compression

_REPEATED = {
    b"\xff\xd8": (b"\xff\xda", 100, "scans"),  # JPEG: a scan of 14 bytes goes over all pixels; usual are 1 to 10
    b"\x89P": (b"iCCP", 10, "colour profiles"),  # PNG: one of 1 kB is unpacked to 1 MB; one is allowed
}
"""By a file's first bytes, what it may not hold too often: its mark, how often it may, what it is."""

_PNG, _PIXELS = b"\x89PNG\r\n\x1a\n", (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_TURNING = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # chunks of PNG that may say how a picture is turned

_PHOTOMETRIC = 262  # TIFF's tag for what values mean: 0 where 0 is white
_TILE = (322, 323)  # TIFF's tags for the width and height of a tile

# What Pillow's readers raise for damaged bytes, besides OSError (which includes UnidentifiedImageError).
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)


def decode(data: bytes, name: str) -> np.ndarray:
    """The picture that `data` encodes, as (H, W, 3) uint8 RGB.

    Grey becomes three equal channels, of TIFF also where 0 is white; a palette, CMYK and YCbCr are converted; 16-bit
    values keep their high byte (`sixteen_bit_reach` tells whether they are of fewer bits);
    transparent pixels are laid over black; the EXIF orientation is applied; of several pages the first is taken;
    colour profiles are ignored. `name` is what messages call the picture.

    Raises InputError for bytes that do not decode (truncated, damaged, or not one of FORMATS), a picture with a
    side under MIN_SIDE pixels or with more than MAX_PIXELS pixels, 32-bit pictures, whose range is unknown, 16-bit ones
    that use no more than 12 of them, pictures that are transparent everywhere, and files made to take far more time or
    memory than pictures of their size do.
    """
    image = _open(data, name)
    if min(image.size) < MIN_SIDE:
        raise InputError(f"{name}: {_size(image)} pixels is too small; each side needs at least {MIN_SIDE}")
    if image.mode.startswith(("I", "F")):
        return np.repeat(_grey(image, name)[..., None], 3, axis=2)
    if image.has_transparency_data and not image.convert("RGBA").getchannel("A").getbbox():
        raise InputError(f"{name}: every pixel is transparent, and it would be black; save it without transparency")
    return np.array(_convert(image, "RGB", name))


def decode_mask(data: bytes, name: str) -> np.ndarray:
    """The mask that `data` encodes, as (H, W) bool: True where the picture is brighter than half, in colour by the
    brightest channel.

    A picture with no value above 1 is read as 0 and 1. Raises InputError as `decode` does, but for small sides, for a
    photograph (neither dark nor bright on most of it, or in colour on much of it), and for one most of which
    is neither black nor brighter than half.
    """
    image = _open(data, name)
    grey = _grey(image, name) if image.mode.startswith(("I", "F")) else np.array(_convert(image, "L", name))
    between = (grey > DARK) & (grey < 255 - DARK)
    if len(np.unique(grey)) > MOST_GREYS and (
        between.mean() > MOST_BETWEEN or _coloured(image, name).mean() > COLOURED
    ):
        raise InputError(
            f"{name}: by its look no mask, but a photograph ({between.mean():.0%} of it is neither dark nor bright); "
            "see whether mask_path and source_path are exchanged"
        )
    if (coloured := _coloured(image, name)).any():
        grey = np.where(coloured, np.array(_convert(image, "RGB", name)).max(axis=2), grey)
    marked = grey > (127 if grey.max() > 1 else 0)
    dim = (grey > DARK) & ~marked
    if dim.mean() >= LEAST_DIM and dim.sum() > MOST_DIM * marked.sum():
        raise InputError(
            f"{name}: most of what is not black in this mask is no brighter than half (the brightest is {grey.max()} "
            "of 255); save it as black and white (0 and 255, or 0 and 1)"
        )
    return marked


def sixteen_bit_reach(data: bytes, name: str) -> int | None:
    """The largest high byte, 0 to 255, that a picture of 16 bits stores; None for one of 8 bits, found by its header.

    Below 128 its values may be of 13 to 15 bits, and the picture darker than it was. Raises InputError as `decode`
    does.
    """
    with _explained(name):
        if not _is_sixteen(_header(data, name)):
            return None
    return _reach(_open(data, name)) >> 8


def size_of(data: bytes, name: str) -> tuple[int, int]:
    """(height, width) of the picture that `data` encodes, upright, from its header: far faster than decoding it.

    Raises InputError for bytes that do not begin as a picture does.
    """
    with _explained(name):
        image = _header(data, name)
        # PNG's own getexif decodes the whole picture, to look behind it: needless where no such chunk is there
        exif = image.getexif() if any(chunk in data for chunk in _TURNING) else Image.Image.getexif(image)
        # of TIFF, Pillow's size is that of the upright picture
        turned = image.format != "TIFF" and exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


def encode_png(image: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 RGB or (H, W) uint8 as PNG; a mask (H, W) bool becomes 0 and 255.

    `decode` and `decode_mask` give the same array back. Raises ValueError for other shapes and types.
    """
    if image.dtype == np.bool_ and image.ndim == 2:
        image = image.astype(np.uint8) * np.uint8(255)
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"expected (H, W, 3) or (H, W) uint8, or (H, W) bool; got {image.shape} {image.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _open(data: bytes, name: str) -> Image.Image:
    """The decoded picture, upright."""
    with _explained(name):
        _require_checksums(data, name)
        image = _header(data, name)
        sixteen = _is_sixteen(image)
        image.load()
        if sixteen and image.mode in ("LA", "RGB", "RGBA"):
            _refuse_few_bits(_reach(image), name)
        ImageOps.exif_transpose(image, in_place=True)
        return image


def _is_sixteen(image: ImageFile.ImageFile) -> bool:
    """Whether a picture that is opened, and not yet decoded, has 16 bits a channel."""
    in_ppm = image.format == "PPM" and any(isinstance(tile[3], tuple) and tile[3][-1] > 255 for tile in image.tile)
    return ";16" in repr(image.tile) or in_ppm


def _reach(image: Image.Image) -> int:
    """The largest of the 16-bit values that a decoded picture stores, but for transparency.

    In colour Pillow drops the low byte, which is taken to be as high as it can be.
    """
    if image.mode.startswith("I"):
        return int(np.asarray(image).max())
    ranges = [image.getchannel(band).getextrema() for band in image.getbands() if band != "A"]
    return max(int(high) for _, high in ranges) << 8 | 255  # type: ignore[arg-type]


def _require_checksums(data: bytes, name: str) -> None:
    """Raises InputError for a PNG whose pixels are not those that were written: Pillow does not look at its last part.

    Other formats have no checksum of their pixels, or readers do not say that it is wrong.
    """
    at = len(_PNG)
    while data.startswith(_PNG) and at + 12 <= len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 8 + length
        if (
            kind in _PIXELS
            and end + 4 <= len(data)
            and data[end : end + 4] != zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        ):
            raise InputError(f"{name}: is damaged (the checksum of its {kind.decode()} does not fit); get it again")
        at = end + 4


def _header(data: bytes, name: str) -> ImageFile.ImageFile:
    """The picture, opened but not decoded."""
    if not data:
        raise InputError(f"{name}: the file is empty")
    refuse_size(len(data), name)
    mark, often, what = _REPEATED.get(data[:2], (b"", len(data) + 1, ""))
    if data.count(mark) > often:
        raise InputError(f"{name}: has more than {often} {what}, which would take very long; save it again")
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{name}: {_size(image)} pixels is too large; at most {MAX_PIXELS:,} are decoded")
    if isinstance(image, TiffImageFile):
        side = max(image.tag_v2.get(tag, 1) for tag in _TILE)
        if side > MAX_TILE:
            raise InputError(f"{name}: its tiles of {side} pixels are too large; save it again")
    return image


def refuse_size(size: int, name: str) -> None:
    """Raises InputError where a file has too many bytes to be a picture that is decoded."""
    if size > MAX_BYTES:
        raise InputError(f"{name}: {size:,} bytes are too many for a picture; at most {MAX_BYTES:,} are read")


@contextmanager
def _whole_alone() -> Iterator[None]:
    """Lets Pillow decode whole pictures alone, whatever users' own code has set in it for the whole process."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns what Pillow raises for bytes that it cannot decode into InputError."""
    try:
        with warnings.catch_warnings(), _whole_alone():
            warnings.simplefilter("ignore")  # Pillow warns of what it could repair; our own limit holds
            yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: too large; at most {MAX_PIXELS:,} pixels are decoded") from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{name}: not a picture in a known format ({', '.join(FORMATS)})") from error
    except DAMAGED as error:
        raise InputError(f"{name}: does not decode, it is truncated or damaged ({error}); replace the file") from error


def _convert(image: Image.Image, mode: str, name: str) -> Image.Image:
    try:
        if image.has_transparency_data:
            black = Image.new("RGBA", image.size, (0, 0, 0, 255))
            image = Image.alpha_composite(black, image if image.mode == "RGBA" else image.convert("RGBA"))
        return image.convert(mode)
    except DAMAGED as error:
        raise InputError(f"{name}: pixels of mode {image.mode} cannot be read as {mode}; save it as RGB") from error


def _coloured(image: Image.Image, name: str) -> np.ndarray:
    """Where a picture is in colour, (H, W) bool."""
    if image.mode.startswith(("I", "F", "L", "1")):
        return np.zeros((image.height, image.width), bool)
    channels = np.array(_convert(image, "RGB", name)).astype(np.int16)
    return np.ptp(channels, axis=2) > DARK


def _grey(image: Image.Image, name: str) -> np.ndarray:
    """A picture of 16-bit grey as (H, W) uint8: the high byte of each value. InputError for values of fewer bits."""
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if not sixteen:
        raise InputError(f"{name}: pixels of mode {image.mode} (32 bits) have no known range; save it with 8 bits")
    values = np.asarray(image).astype(np.uint32)
    _refuse_few_bits(int(values.max()), name)
    high = (values >> 8).astype(np.uint8)
    return 255 - high if _white_is_zero(image) else high


def _white_is_zero(image: Image.Image) -> bool:
    """Whether 0 is white in a picture of 16-bit grey, as TIFF may say; of 8 bits Pillow turns the values itself."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0


def _refuse_few_bits(largest: int, name: str) -> None:
    """Raises InputError where the largest of 16-bit values is one of fewer bits."""
    if 0 < largest < TWELVE_BITS:
        raise InputError(
            f"{name}: its 16-bit values reach {largest:,} of 65,535, as those of fewer bits do, and it would be black; "
            "save it with 8 bits"
        )


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
