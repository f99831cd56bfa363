"""The gallery's cards: what is known of each frame, and which tile of its sprite each small picture is."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.attackable_frames import first_flip, unattackable
from analysis.score_subsets import attacks, baselines, methods
from common.console import count, warn
from common.errors import InputError
from common.files import stem, visible
from data.frames import REAL
from runs.gallery import sprites
from runs.gallery.sprites import ATTACKED, FRAME, MAP, MASK, Sprite
from runs.run_folder import RunFolder
from runs.score_table import ScoreTable, as_score_table
from runs.seals import Seals
from scoring.baselines.table import BASELINES

FLIPPED, STOOD, UNATTACKABLE, CALLED_REAL = "flipped", "stood", "unattackable", "real"
OUTCOMES = {
    FLIPPED: "verdict flipped",
    STOOD: "verdict stood",
    UNATTACKABLE: "unattackable: nothing in the run flips it, nor do two attacks on the whole frame",
    CALLED_REAL: "called Real without any attack",
}


@dataclass(frozen=True)
class CardPicture:
    """A small picture on a card: the index of its tile in the sprite, and its text for those who cannot see it."""

    index: int
    alt: str


@dataclass(frozen=True)
class Judged:
    """One explanation, or a baseline, on one card.

    Attributes:
        method: its name.
        number: its index among the run's rankings.
        depth: with how many of its best regions the attack first flipped the verdict, "" where it did not.
        pictures: its map and its attacked image; none where no album was kept.
    """

    method: str
    number: int
    depth: str
    pictures: tuple[CardPicture, ...]

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
        judged: the explanations, and the baselines that were drawn.
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
    known: tuple[CardPicture, ...]
    figure: str
    sprite: str

    @property
    def flipped(self) -> tuple[int, ...]:
        """The numbers of the explanations whose regions flip the verdict."""
        return tuple(ranking.number for ranking in self.judged if ranking.depth)


def cards(
    rows: pd.DataFrame | ScoreTable, folder: Path, frames: pd.DataFrame | ScoreTable | None = None
) -> tuple[Card, ...]:
    """A card for every frame that has an album in the run's folder, in the order of the scores.

    An album that is damaged, or of another run, is left out with a warning, and one that is gone beside its figure is
    said; the link to a figure that the run did not draw is left out, too. `frames` are what is known of each frame
    (`runs.frame_table`); without them none is called unattackable.
    """
    kept = {path.stem for path in visible(folder / "gallery", "*.npz")}
    scores = as_score_table(rows)
    drawn = {path.stem for path in visible(folder / "figures", "*.webp")}
    if gone := [key for key in scores.frames["key"] if stem(str(key)) in drawn - kept]:
        warn(
            f"{folder / 'gallery'} has lost the pictures of {count(len(gone), 'frame')}, as of {gone[0]}, whose "
            "figures are still there: the report leaves them out of its gallery"
        )
    pictured = scores.with_frames(np.array([stem(key) in kept for key in scores.frames["key"]], dtype=bool))
    names = (*methods(scores), *baselines(scores))
    flips = {attack: first_flip(pictured, attack) for attack in attacks(scores)}
    unattackable_keys = set() if frames is None else set(unattackable(frames))
    seals, gallery = RunFolder(folder).seals, []
    for frame in pictured.frames.itertuples():
        key = str(frame.key)
        sprite = _sprite(folder, key, seals)
        if sprite is not None:
            attack = sprite.attack if sprite.attack in flips else next(iter(flips))
            figure = _figure(folder, sprite)
            gallery.append(_card(frame, sprite, figure, names, flips[attack], key in unattackable_keys))
    return tuple(gallery)


def _sprite(folder: Path, key: str, seals: Seals) -> Sprite | None:
    try:
        return sprites.load(folder, key, seals)
    except InputError as error:
        warn(f"{error}; the report leaves the frame out of its gallery")
        return None


def _figure(folder: Path, sprite: Sprite) -> str:
    """The relative address of a frame's full-size figure, "" where there is none."""
    try:
        return f"figures/{stem(sprite.key)}.webp" if sprites.has_figure(folder, sprite) else ""
    except InputError as error:
        warn(f"{error}; the report does not show it")
        return ""


def _card(
    frame: object,
    sprite: Sprite,
    figure: str,
    names: Sequence[str],
    flips: Mapping[tuple[str, str], str],
    is_unattackable: bool,
) -> Card:
    key, family, predicted, before = (getattr(frame, name) for name in ("key", "family", "predicted", "before"))
    tiles = list(enumerate(sprite.tiles))
    judged = tuple(
        Judged(
            method=name,
            number=number,
            depth=flips.get((key, name), ""),
            pictures=tuple(CardPicture(index, _alt(tile.kind)) for index, tile in tiles if tile.method == name),
        )
        for number, name in enumerate(names)
        if name in sprite.methods
    )
    explanations = [ranking for ranking in judged if ranking.method not in BASELINES]
    return Card(
        key=key,
        family="" if pd.isna(family) else str(family),
        predicted=predicted,
        before=float(before),
        outcome=_outcome(predicted, explanations, is_unattackable),
        judged=judged,
        known=tuple(CardPicture(index, _alt(tile.kind)) for index, tile in tiles if not tile.method),
        figure=figure,
        sprite=base64.b64encode(sprite.picture).decode(),
    )


def _outcome(predicted: str, judged: Sequence[Judged], is_unattackable: bool) -> str:
    if predicted == REAL:
        return CALLED_REAL
    return UNATTACKABLE if is_unattackable else FLIPPED if any(ranking.depth for ranking in judged) else STOOD


def _alt(kind: str) -> str:
    return {
        FRAME: "the frame",
        MASK: "its manipulated pixels, the rest dimmed",
        MAP: "saliency map with the top regions outlined",
        ATTACKED: "the frame with these regions attacked",
    }[kind]
