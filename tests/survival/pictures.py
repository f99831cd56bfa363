"""Pictures to damage, and pictures made to hurt whoever decodes them."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from data.images import FORMATS

RGB = (np.add.outer(np.arange(40), np.arange(32))[..., None] * np.array([3, 2, 1]) % 256).astype(np.uint8)
PICTURE = Image.fromarray(RGB)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> Image.Exif:
    """EXIF data with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def seeds() -> dict[str, bytes]:
    """One small picture of each kind that is read, and of some that are not."""
    deep = Image.fromarray((RGB[..., 0].astype(np.uint16) << 8) | 0x7F)
    alpha = Image.fromarray(np.dstack([RGB, RGB[..., :1]]))
    frames = [Image.new("P", (20, 20), shade) for shade in (1, 2, 3)]
    several = {"save_all": True, "append_images": frames[1:]}
    return {
        **{kind.lower(): encoded(PICTURE, kind) for kind in FORMATS},
        "16 bits png": encoded(deep),
        "16 bits tiff": encoded(deep, "TIFF"),
        "16 bits ppm": encoded(deep, "PPM"),
        "float tiff": encoded(PICTURE.convert("F"), "TIFF"),
        "one bit": encoded(PICTURE.convert("1")),
        "grey jpeg": encoded(PICTURE.convert("L"), "JPEG"),
        "grey and alpha": encoded(alpha.convert("LA")),
        "alpha": encoded(alpha),
        "alpha webp": encoded(alpha, "WEBP"),
        "palette": encoded(PICTURE.quantize(9)),
        "palette with transparency": encoded(PICTURE.quantize(9), transparency=0),
        "cmyk jpeg": encoded(PICTURE.convert("CMYK"), "JPEG"),
        "cmyk tiff": encoded(PICTURE.convert("CMYK"), "TIFF"),
        "lab tiff": encoded(PICTURE.convert("LAB"), "TIFF"),
        "packed tiff": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
        "deflated tiff": encoded(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg tiff": encoded(PICTURE, "TIFF", compression="jpeg"),
        "pages tiff": encoded(PICTURE, "TIFF", save_all=True, append_images=[PICTURE]),
        "progressive": encoded(PICTURE, "JPEG", progressive=True),
        "turned jpeg": encoded(PICTURE, "JPEG", exif=turned(6)),
        "turned png": encoded(PICTURE, "PNG", exif=turned(8)),
        "turned webp": encoded(PICTURE, "WEBP", exif=turned(5)),
        "animated gif": encoded(frames[0], "GIF", **several),
        "animated webp": encoded(frames[0].convert("RGB"), "WEBP", **several),
        "animated png": encoded(frames[0], "PNG", **several),
        "one pixel": encoded(PICTURE.resize((1, 1))),
        "thin": encoded(PICTURE.resize((2000, 1))),
        "rle bmp": rle_bitmap(32, 40, bytes([32, 7]) * 40),
    }


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *others: bytes) -> bytes:
    """A PNG that claims a size, with other chunks before its few pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(bytes((3 * width + 1) * height) if width * height < 10**6 else bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(others) + rest + chunk(b"IEND", b"")


def rle_bitmap(width: int, height: int, body: bytes) -> bytes:
    """A BMP of run-length encoded bytes."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


def tiff(tags: list[tuple[int, int, int, int]], body: bytes) -> bytes:
    """A TIFF of (tag, type, count, value or offset) after a body that begins at byte 8."""
    lines = b"".join(
        struct.pack("<HHIHxx" if kind == 3 else "<HHII", tag, kind, n, value) for tag, kind, n, value in tags
    )
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + lines + bytes(4)


def tags_on_the_same_bytes(count: int, size: int) -> bytes:
    """A TIFF of 20x20 pixels whose tags all claim the same bytes: read one by one, they need count x size bytes."""
    return uncompressed(20, [(40000 + number, 7, size, 8) for number in range(count)], size)


def uncompressed(side: int, others: Sequence[tuple[int, int, int, int]] = (), size: int = 400) -> bytes:
    """A TIFF that claims side x side grey pixels, with other tags and a body of `size` bytes."""
    own = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    own += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, min(side * side, 2**32 - 1))]
    return tiff([*own, *others], bytes(size))


def tiled(side: int) -> bytes:
    """A TIFF of 20x20 pixels in one packed tile of side x side."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(side)) for _ in range(side)) + packer.flush()
    sizes = [(256, 4, 1, 20), (257, 4, 1, 20), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    return tiff([*sizes, (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, len(body))], body)


def scans(side: int, count: int) -> bytes:
    """A JPEG whose last scan, of a few bytes, is there `count` times over: each goes over all pixels."""
    data = encoded(Image.new("RGB", (side, side), (10, 200, 30)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def canvas(width: int, height: int) -> bytes:
    """An animated WebP that claims a canvas, with one frame of 16x16 pixels."""
    inner = encoded(Image.new("RGB", (16, 16)), "WEBP")[12:]
    frame = bytes(6) + (15).to_bytes(3, "little") * 2 + bytes(4) + inner
    head = b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data
        for name, data in ((b"VP8X", head), (b"ANIM", bytes(6)), (b"ANMF", frame))
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_comments(count: int) -> bytes:
    """A GIF with many one-letter comments, which a reader may join in quadratic time."""
    data = encoded(Image.new("P", (20, 20)), "GIF")
    place = data.index(b"\x2c\0\0\0\0")
    return data[:place] + b"\x21\xfe\x01A\0" * count + data[place:]
