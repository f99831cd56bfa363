"""Demo frames: people filmed for a few frames, real and forged, in the layout of FaceForensics++."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from common.errors import InputError
from common.seeds import generator
from data.demo import sampling, traits
from data.demo.forgeries import FAMILIES, forge
from data.demo.render import Picture, render
from data.frames import CLASS_NAMES, REAL, Frame, video_of

VERSION = 1  # of the pictures: raise it whenever the same seed gives other pixels
SPLITS = ("train", "test")
_CIRCLE = 8  # people among whom donors are chosen
_KEPT = 6  # rendered pictures kept: neighbours in a sequence share them


@dataclass(frozen=True)
class Take:
    """What frame `position` of a sequence shows: person `number` (with `donor`'s face), moment, and family."""

    number: int
    donor: int
    moment: int
    family: str

    @property
    def key(self) -> str:
        """Its path in the layout of FaceForensics++."""
        if self.family == REAL:
            return f"original_sequences/demo/demo/videos/{self.number:03d}.mp4/{self.moment:05d}_0.png"
        pair = f"{self.number:03d}_{self.donor:03d}"
        return f"manipulated_sequences/{self.family}/demo/videos/{pair}.mp4/{self.moment:05d}_0.png"

    @property
    def source(self) -> str | None:
        """The path of the real frame that it is a forgery of; None for a real one."""
        return None if self.family == REAL else replace(self, family=REAL).key


class DemoFrames(Sequence[Frame]):
    """Demo frames of one split, made when asked for.

    Every person is filmed for `frames_per_video` moments, and every moment appears once in each of `families`, in
    rotation: a forged frame is the forgery of the real frame of the same person and moment, as in FaceForensics++.
    A frame depends on (seed, key, size) only. Persons have even numbers in "train" and odd ones in "test", so the
    splits share no identity, and the donor of a forgery is of the same split.
    """

    def __init__(
        self,
        count: int,
        seed: int = 0,
        split: str = "test",
        families: Sequence[str] = CLASS_NAMES,
        size: int = 256,
        frames_per_video: int = 5,
    ) -> None:
        """Raises InputError for a count or frames per video below 1, or an unknown split, family or size."""
        self._count, self.seed, self.split, self.size = count, seed, split, size
        self.families, self.frames_per_video = tuple(families), frames_per_video
        self._pictures: OrderedDict[tuple[int, int, int], Picture] = OrderedDict()
        self._people: dict[int, traits.Identity] = {}
        unknown = [family for family in self.families if family not in (REAL, *FAMILIES)]
        if unknown or not self.families:
            raise InputError(f"unknown demo families {unknown}; choose from {', '.join((REAL, *FAMILIES))}")
        if split not in SPLITS:
            raise InputError(f"unknown demo split {split!r}; choose from {', '.join(SPLITS)}")
        if count < 1 or frames_per_video < 1:
            raise InputError(f"{count} demo frames, {frames_per_video} per video: both must be 1 or more")
        if size < 128 or size % 16:
            raise InputError(f"demo frames of {size} pixels: the size must be a multiple of 16 and 128 or more")

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, position: int) -> Frame: ...
    @overload
    def __getitem__(self, position: slice) -> list[Frame]: ...
    def __getitem__(self, position: int | slice) -> Frame | list[Frame]:
        if isinstance(position, slice):
            return [self[index] for index in range(*position.indices(self._count))]
        take = self.take(position)
        label = CLASS_NAMES.index(take.family)
        image, mask = self._make(take)
        return Frame(take.key, image, label, take.family, video_of(take.key), mask)

    def take(self, position: int) -> Take:
        """What frame `position` shows, without making it. Raises IndexError beyond the sequence."""
        if not -self._count <= position < self._count:
            raise IndexError(position)
        scene, family = divmod(position % self._count, len(self.families))
        person, moment = divmod(scene, self.frames_per_video)
        number = 2 * person + SPLITS.index(self.split)
        return Take(number, self._donor_of(number), moment, self.families[family])

    def _donor_of(self, number: int) -> int:
        """Whose face replaces person `number`'s: the most alike of a circle of the same split."""
        person, parity = divmod(number, 2)
        first = person - person % _CIRCLE
        others = [2 * other + parity for other in range(first, first + _CIRCLE) if other != person]
        here = self.identity(number)

        def unlike(other: int) -> float:
            there = self.identity(other)
            skin = float(np.abs(np.subtract(here.skin, there.skin)).sum())
            return skin + 0.4 * abs(here.softness - there.softness) + 0.6 * ((here.beard > 0) != (there.beard > 0))

        return min(others, key=unlike)

    def key(self, position: int) -> str:
        """The key of frame `position`, without making it."""
        return self.take(position).key

    def source_image(self, position: int) -> np.ndarray | None:
        """The real picture (H, W, 3) uint8 that frame `position` is a forgery of; None for a real one."""
        take = self.take(position)
        return None if take.family == REAL else self.picture(take.number, take.moment).image

    def landmarks(self, position: int) -> np.ndarray:
        """The 68 landmarks (x, y) of frame `position`, (68, 2) float64: those of the real picture it was made from."""
        take = self.take(position)
        return self.picture(take.number, take.moment).landmarks

    def identity(self, number: int) -> traits.Identity:
        """Who person `number` is."""
        if number not in self._people:
            self._people[number] = sampling.sample_identity(generator(self.seed, "demo", number, "identity"))
        return self._people[number]

    def fingerprint(self) -> str:
        """What decides these frames, as one line for a run's configuration."""
        return (
            f"demo version={VERSION} seed={self.seed} split={self.split} families={','.join(self.families)} "
            f"count={self._count} size={self.size} frames_per_video={self.frames_per_video}"
        )

    def picture(self, number: int, moment: int, donor: int | None = None) -> Picture:
        """The real picture of a person at a moment, with its landmarks; or of a donor who does the same."""
        name = number, moment, number if donor is None else donor
        if name not in self._pictures:
            shot = self.shot(number, moment)
            self._pictures[name] = render(shot if donor is None else self._stand_in(shot, name), self.size)
            if len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
        return self._pictures[name]

    def _stand_in(self, shot: traits.Shot, name: tuple[int, int, int]) -> traits.Shot:
        """The donor in nearly the same pose, expression and light: forgers choose matching frames of their donor."""
        rng = generator(self.seed, "demo", *name, "donor")
        donor, target = self.identity(name[2]), shot.identity
        return replace(
            shot,
            identity=replace(donor, glasses=target.glasses, frame=target.frame),
            pose=sampling.vary_pose(rng, shot.pose),
            light=sampling.vary_light(rng, shot.light),
            camera=sampling.sample_camera(rng),
        )

    def shot(self, number: int, moment: int) -> traits.Shot:
        """The description of a person's picture at a moment: one place and light, pose and expression that change."""
        film = generator(self.seed, "demo", number, "video")
        pose, light = sampling.sample_pose(film), sampling.sample_light(film)
        background, camera = sampling.sample_background(film), sampling.sample_camera(film)
        now = generator(self.seed, "demo", number, "moment", moment)
        return traits.Shot(
            identity=self.identity(number),
            expression=sampling.sample_expression(now),
            pose=sampling.vary_pose(now, pose),
            light=sampling.vary_light(now, light),
            background=background,
            camera=replace(camera, seed=int(now.integers(2**31))),
        )

    def _make(self, take: Take) -> tuple[np.ndarray, np.ndarray]:
        real = self.picture(take.number, take.moment)
        if take.family == REAL:
            return real.image, np.zeros(real.image.shape[:2], bool)
        donor = self.picture(take.number, take.moment, take.donor) if take.family in ("Deepfakes", "FaceSwap") else None
        forged = forge(
            take.family,
            real.image,
            real.landmarks,
            generator(self.seed, "demo", take.key),
            None if donor is None else donor.image,
            None if donor is None else donor.landmarks,
        )
        return forged.image, forged.mask

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pictures": OrderedDict(), "_people": {}}
