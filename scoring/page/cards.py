"""The gallery's cards: what is known of each frame, and where in its sprite each small picture is."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.console import count, warn
from common.errors import InputError
from data.frames import REAL
from scoring import gallery
from scoring.folder import stem
from scoring.gallery import ATTACKED, FRAME, MAP, MASK, Sprite
from scoring.page.content import ARMS
from scoring.page.derive import arms, attacks, first_flip, methods, unattackable
from scoring.sheet import Sheet, of_table

FLIPPED, STOOD, STUBBORN, CALLED_REAL = "flipped", "stood", "unattackable", "real"
OUTCOMES = {
    FLIPPED: "verdict flipped",
    STOOD: "verdict stood",
    STUBBORN: "unattackable: stands whatever is attacked, even the whole frame",
    CALLED_REAL: "called Real without any attack",
}


@dataclass(frozen=True)
class Picture:
    """A small picture on a card: the place of its tile in the sprite, and its text for those who cannot see it."""

    place: int
    alt: str


@dataclass(frozen=True)
class Judged:
    """One explanation, or a reference arm, on one card.

    Attributes:
        method: its name.
        number: its place among the run's rankings.
        depth: with how many of its best regions the attack first flipped the verdict, "" where it did not.
        pictures: its map and its attacked image; none where no album was kept.
    """

    method: str
    number: int
    depth: str
    pictures: tuple[Picture, ...]

    @property
    def words(self) -> str:
        """What happened, in a few words."""
        return f"flips with {count(int(self.depth), 'region')}" if self.depth else "stands"


@dataclass(frozen=True)
class Card:
    """One frame in the gallery.

    Attributes:
        key: the frame.
        family: the manipulation, "" where unknown.
        predicted: the detector's verdict.
        before: p(target) of the frame.
        outcome: a key of OUTCOMES, over all explanations.
        judged: the explanations, and the reference arms that were drawn.
        known: the frame's picture and its mask's.
        figure: the relative address of its full-size figure, "" where there is none.
        sprite: its sprite in base 64, "" where there is none.
    """

    key: str
    family: str
    predicted: str
    before: float
    outcome: str
    judged: tuple[Judged, ...]
    known: tuple[Picture, ...]
    figure: str
    sprite: str

    @property
    def flipped(self) -> tuple[int, ...]:
        """The numbers of the explanations whose regions flip the verdict."""
        return tuple(each.number for each in self.judged if each.depth)


def cards(rows: pd.DataFrame | Sheet, folder: Path) -> tuple[Card, ...]:
    """A card for every frame that has an album in the run's folder, in the order of the scores.

    A damaged album is left out with a warning.
    """
    kept = {path.stem for path in (folder / "gallery").glob("*.npz")}
    sheet = of_table(rows)
    pictured = sheet.with_frames(np.array([stem(key) in kept for key in sheet.frames["key"]], dtype=bool))
    names = (*methods(sheet), *arms(sheet))
    flips = {attack: first_flip(pictured, attack) for attack in attacks(sheet)}
    stubborn = {attack: set(found) for attack, found in unattackable(pictured).items()}
    made = []
    for frame in pictured.frames.itertuples():
        found = _sprite(folder, str(frame.key))
        if found is not None:
            attack = found.attack if found.attack in flips else next(iter(flips))
            made.append(_card(frame, found, names, flips[attack], str(frame.key) in stubborn.get(attack, ())))
    return tuple(made)


def _sprite(folder: Path, key: str) -> Sprite | None:
    try:
        return gallery.load(folder, key)
    except InputError as error:
        warn(f"{error}; the report leaves the frame out of its gallery")
        return None


def _card(
    frame: object, sprite: Sprite, names: Sequence[str], flips: Mapping[tuple[str, str], str], stubborn: bool
) -> Card:
    key, family, predicted, before = (getattr(frame, name) for name in ("key", "family", "predicted", "before"))
    tiles = list(enumerate(sprite.tiles))
    judged = tuple(
        Judged(
            method=name,
            number=number,
            depth=flips.get((key, name), ""),
            pictures=tuple(Picture(place, _alt(tile.kind)) for place, tile in tiles if tile.method == name),
        )
        for number, name in enumerate(names)
        if name in sprite.methods
    )
    return Card(
        key=key,
        family="" if pd.isna(family) else str(family),
        predicted=predicted,
        before=float(before),
        outcome=_outcome(predicted, [each for each in judged if each.method not in ARMS], stubborn),
        judged=judged,
        known=tuple(Picture(place, _alt(tile.kind)) for place, tile in tiles if not tile.method),
        figure=f"figures/{stem(key)}.webp",
        sprite=base64.b64encode(sprite.picture).decode(),
    )


def _outcome(predicted: str, judged: Sequence[Judged], stubborn: bool) -> str:
    if predicted == REAL:
        return CALLED_REAL
    return STUBBORN if stubborn else FLIPPED if any(each.depth for each in judged) else STOOD


def _alt(kind: str) -> str:
    return {
        FRAME: "the frame",
        MASK: "its manipulated pixels, the rest dimmed",
        MAP: "saliency map with the top regions outlined",
        ATTACKED: "the frame with these regions attacked",
    }[kind]
