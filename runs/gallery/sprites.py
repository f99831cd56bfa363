"""The gallery of a run: of each frame a sprite of small pictures for the report, and a full-size figure.

Pictures are rendered when a frame is scored, since maps, regions and attacked images of hundreds of frames would not
fit in a run's folder. A frame takes at most about 150 KB; the same album gives the same bytes.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from common.errors import InputError
from common.files import atomic_write, read_file, stem
from runs.gallery.drawing import TILE, difference, drawn_map, full_size, mark, small
from runs.seals import Seals

MOST = 500  # albums of a run
COLUMNS = 6  # of tiles in a sprite
FRAME, MASK, MAP, ATTACKED = "frame", "mask", "map", "attacked"
SPRITE, FIGURE = 50_000, 100_000  # bytes at most, so that a report of MOST frames stays under 40 MB
_DAMAGED = (
    ValueError, TypeError, LookupError, EOFError, SyntaxError, NotImplementedError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What zipfile and numpy raise for damaged bytes."""
_QUALITIES = (68, 54, 42, 30)  # of WebP, tried in turn; the last may be larger


@dataclass(frozen=True, eq=False)
class Album:
    """What there is to see of one frame; every picture is at the detector's input size.

    Attributes:
        key: the frame.
        attack: what made the attacked images.
        verdict: the detector's class for the frame.
        image: (H, W, 3) uint8.
        segments: (H, W) labels.
        saliency: (H, W) float32 by method; a ranking without a map (the oracle's) has none.
        regions: (H, W) bool by method: its top three segments together.
        attacked: (H, W, 3) uint8 by method: the frame with that region attacked.
        outcomes: by method, the detector's class for the attacked frame.
        mask: (H, W) bool, the manipulated pixels, or None where unknown.
        own_segments: (H, W) labels by method, of those that divide the frame in a way of their own.
        mark: what sets the run apart, above the figure; "" for nothing.
    """

    key: str
    attack: str
    verdict: str
    image: np.ndarray
    segments: np.ndarray
    saliency: Mapping[str, np.ndarray]
    regions: Mapping[str, np.ndarray]
    attacked: Mapping[str, np.ndarray]
    outcomes: Mapping[str, str]
    mask: np.ndarray | None = None
    own_segments: Mapping[str, np.ndarray] = field(default_factory=dict)
    mark: str = ""

    def segments_of(self, method: str) -> np.ndarray:
        """The segments that a method's region is made of, (H, W) labels."""
        return self.own_segments.get(method, self.segments)

    def __post_init__(self) -> None:
        """Raises ValueError where a picture has another size than the frame, or the methods do not agree."""
        size = self.image.shape[:2]
        pictures = {"segments": self.segments, **({} if self.mask is None else {"mask": self.mask})}
        pictures |= {f"saliency of {name}": picture for name, picture in self.saliency.items()}
        pictures |= {f"region of {name}": picture for name, picture in self.regions.items()}
        pictures |= {f"attacked image of {name}": picture for name, picture in self.attacked.items()}
        for what, picture in pictures.items():
            if picture.shape[:2] != size:
                raise ValueError(f"album of {self.key!r}: {what} is {picture.shape[:2]}, the frame is {size}")
        if not self.regions.keys() == self.attacked.keys() == self.outcomes.keys() >= self.saliency.keys():
            raise ValueError(f"album of {self.key!r}: regions, attacked images and outcomes are of different methods")


@dataclass(frozen=True)
class Tile:
    """One small picture of a sprite: `kind` is FRAME, MASK, MAP or ATTACKED; `method` is "" for the first two."""

    kind: str
    method: str = ""


@dataclass(frozen=True)
class Sprite:
    """The small pictures of one frame in one WebP picture: tiles of TILE pixels, COLUMNS in a row.

    Attributes:
        key: the frame.
        attack: what made the attacked images.
        methods: in the order of the tiles.
        has_mask: whether the manipulation mask is among them.
        picture: the WebP file's bytes.
        figure: the SHA-256, in hexadecimal, of the file of the full-size figure.
    """

    key: str
    attack: str
    methods: tuple[str, ...]
    has_mask: bool
    picture: bytes
    figure: str

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles, in order."""
        return tiles(self.methods, self.has_mask)


def tiles(methods: Sequence[str], has_mask: bool) -> tuple[Tile, ...]:
    """The tiles of a sprite: the frame, its mask where known, and a map and an attacked image by method."""
    known = (Tile(FRAME), Tile(MASK)) if has_mask else (Tile(FRAME),)
    return (*known, *(Tile(kind, method) for method in methods for kind in (MAP, ATTACKED)))


def kept(count: int, most: int = MOST) -> frozenset[int]:
    """The indices of a run's `count` frames that have albums: all, or `most` spread evenly."""
    if count <= most:
        return frozenset(range(count))
    return frozenset(index * count // most for index in range(most))


def sprite_file(folder: Path, key: str) -> Path:
    """The file of a frame's sprite in a run's folder."""
    return folder / "gallery" / f"{stem(key)}.npz"


def figure_file(folder: Path, key: str) -> Path:
    """The file of a frame's full-size figure in a run's folder."""
    return folder / "figures" / f"{stem(key)}.webp"


def save(folder: Path, album: Album, seals: Seals) -> None:
    """Writes an album into a run's folder: its figure first, then its sprite, each whole or not at all.

    A frame with a sprite thus has a figure. The sprite says of which configuration it is (`seals` are the run's) and
    of which figure. The same album gives the same bytes. Raises OSError where the folder cannot be written.
    """
    large = _webp(figure(album), FIGURE)
    with atomic_write(figure_file(folder, album.key), "wb") as file:
        file.write(large)
    drawn = sprite(album, large)
    with atomic_write(sprite_file(folder, album.key), "wb") as file:
        np.savez(
            file,
            key=np.array(drawn.key),
            configuration=np.array(seals.configuration),
            attack=np.array(drawn.attack),
            methods=np.array(drawn.methods, dtype=str),
            masked=np.array(drawn.has_mask),
            picture=np.frombuffer(drawn.picture, dtype=np.uint8),
            figure=np.array(drawn.figure),
        )


def load(folder: Path, key: str, seals: Seals) -> Sprite | None:
    """The sprite of a frame, or None where none was kept.

    Raises InputError where its file is damaged, or of another frame or configuration than the run's.
    """
    path = sprite_file(folder, key)
    if not path.exists():
        return None
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            raise InputError("it is no NPZ file")
        with np.load(path, allow_pickle=False) as stored:
            made_with = str(stored["configuration"])
            loaded = Sprite(
                key=str(stored["key"]),
                attack=str(stored["attack"]),
                methods=tuple(stored["methods"].tolist()),
                has_mask=bool(stored["masked"]),
                picture=stored["picture"].tobytes(),
                figure=str(stored["figure"]),
            )
        Image.open(io.BytesIO(loaded.picture), formats=["WEBP"]).verify()
    except (*_DAMAGED, OSError) as error:
        raise InputError(f"{path} is not readable as pictures of a frame ({error}); remove it") from error
    if loaded.key != key:
        raise InputError(f"{path} does not hold the pictures of {key!r}; remove it")
    if made_with != seals.configuration:
        raise InputError(f"{path} holds pictures of a run with another configuration; remove it")
    return loaded


def has_figure(folder: Path, drawn: Sprite) -> bool:
    """Whether the full-size figure of a frame is there. Raises InputError where another file is in its place."""
    path = figure_file(folder, drawn.key)
    try:
        content = read_file(path)
    except FileNotFoundError:
        return False
    if hashlib.sha256(content).hexdigest() != drawn.figure:
        raise InputError(f"{path} is not the figure that the run drew of {drawn.key!r}; remove it")
    return True


def sprite(album: Album, large: bytes) -> Sprite:
    """The small pictures of an album in one; `large` is the file of its full-size figure."""
    methods, has_mask = tuple(album.regions), album.mask is not None
    drawn = [_tile(album, tile) for tile in tiles(methods, has_mask)]
    drawn += [np.zeros((TILE, TILE, 3), dtype=np.uint8)] * (-len(drawn) % COLUMNS)
    rows = [np.concatenate(drawn[at : at + COLUMNS], axis=1) for at in range(0, len(drawn), COLUMNS)]
    picture = _webp(np.concatenate(rows), SPRITE)
    return Sprite(album.key, album.attack, methods, has_mask, picture, hashlib.sha256(large).hexdigest())


def figure(album: Album) -> np.ndarray:
    """The full-size figure of an album, (h, w, 3) uint8: the frame and its mask, then a strip for each method."""
    known = [("frame", f"the detector says {album.verdict}", album.image)]
    if album.mask is not None:
        known.append(("manipulated pixels", f"{100 * album.mask.mean():.0f} % of the frame", _masked(album)))
    strips = []
    for method, region in album.regions.items():
        attacked = album.attacked[method]
        picture = drawn_map(album.image, album.saliency.get(method), album.segments_of(method), region)
        said = f"{album.attack} on these: {album.outcomes[method]}"
        panels = (
            ("top regions, attacked", picture),
            (said, attacked),
            ("the change", difference(album.image, attacked)),
        )
        strips.append((method, panels))
    return full_size(" - ".join(filter(None, (album.mark, album.key))), known, strips)


def _masked(album: Album) -> np.ndarray:
    if album.mask is None:
        raise ValueError(f"album of {album.key!r} has no mask to draw")
    return mark(album.image, album.mask)


def _tile(album: Album, tile: Tile) -> np.ndarray:
    """One tile, (TILE, TILE, 3) uint8."""
    if tile.kind == FRAME:
        return small(album.image)
    if tile.kind == MASK:
        return small(_masked(album))
    if tile.kind == ATTACKED:
        return small(album.attacked[tile.method])
    method = tile.method
    return drawn_map(album.image, album.saliency.get(method), album.segments_of(method), album.regions[method], TILE)


def _webp(picture: np.ndarray, most: int) -> bytes:
    """A picture as WebP, in the best quality that stays below so many bytes."""
    data = b""
    for quality in _QUALITIES:
        with io.BytesIO() as buffer:
            Image.fromarray(picture).save(buffer, format="WEBP", quality=quality, method=4)
            data = buffer.getvalue()
        if len(data) <= most:
            break
    return data
