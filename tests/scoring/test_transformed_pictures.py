"""Which flips outlive a transform, on a detector that reads one number of the centre, and attacks of known size."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from attacks import Batch, RegionAttack
from data.frames import Frame
from data.picture_transforms import parse_transforms
from detectors import Detector, Queries
from detectors.base import resize, to_pictures
from detectors.checks.spot_checks import SpotChecks
from runs.chosen_parts import chosen_methods
from scoring.frame import Scored, Scorer
from scoring.records import Row, TransformedVerdict
from scoring.region_attacker import RegionAttacker, Verdict
from scoring.transformed_pictures import TransformedPictures
from tests.scoring.stand_ins import CENTRE, SIZE, PlantedDetector, picture
from tests.scoring.test_frame import CONTROLLED, METHODS, frame, scorer, settings
from xai.regions import digest_of

LEVEL = 1 / 255
ASKED = parse_transforms(["png,jpeg75,half"])


class Brightness(Detector):
    """Says fake where the mean grey of the centre is above a level; what changes the mean outlives every transform."""

    class_names = ("Real", "Fake")
    real = 0

    def __init__(self, level: float) -> None:
        super().__init__()
        self.input_size = SIZE
        self.level = torch.nn.Parameter(torch.tensor(level))

    def forward(self, images: Tensor) -> Tensor:
        grey = images[:, :, CENTRE, CENTRE].mean(dim=(1, 2, 3))
        fake = 1e4 * (grey - self.level)
        return torch.stack([torch.zeros_like(fake), fake], dim=1)


@dataclass(frozen=True)
class Darken(RegionAttack):
    """Makes every pixel that it may change darker by a number of levels."""

    levels: float = 4.0

    @property
    def rounds(self) -> int:
        return 1

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images - self.levels * LEVEL


def grey(level: int) -> Frame:
    return Frame("v/1.png", np.full((SIZE, SIZE, 3), level, np.uint8), 3, "Deepfakes", "v")


def scored(levels: float, threshold: float, transforms: str, seeds: int = 1) -> Scored:
    """A frame of grey 120 under a darkening of some levels, fake above a threshold in levels."""
    return Scorer(
        Brightness(threshold * LEVEL), chosen_methods(["LIME"]), settings(), {"darken": Darken(levels=levels)},
        replace(CONTROLLED, baselines=("random", "whole", "oracle")), seeds=seeds,
        transforms=parse_transforms([transforms]),
    )(grey(120))  # fmt: skip


def by_row(found: Scored) -> list[tuple[Row, TransformedVerdict]]:
    """Every flip with its record; each has exactly one."""
    assert found.transformed is not None
    names = ("key", "video", "family", "seed", "segmentation", "method", "of", "draw", "fill", "attack", "epsilon",
             "depth")  # fmt: skip
    flips = {tuple(getattr(row, name) for name in names): row for row in found.rows if row.flipped_to_real}
    verdicts = [verdict for verdict in found.transformed if verdict.method]
    assert [tuple(getattr(verdict, name) for name in names) for verdict in verdicts] == list(flips)
    return list(zip(flips.values(), verdicts, strict=True))


def test_a_flip_by_less_than_half_a_level_does_not_outlive_8_bits() -> None:
    flips = by_row(scored(0.4, 119.8, "png"))
    assert flips
    assert {verdict.real_after for _, verdict in flips} == {""}


def test_a_flip_by_four_levels_of_brightness_outlives_everything() -> None:
    flips = by_row(scored(4, 118, "png,jpeg75,half"))
    whole = [verdict.real_after for row, verdict in flips if row.method == "whole"]
    assert whole == ["png jpeg75 half"]
    assert {row.method for row, _ in flips} >= {"whole", "oracle"}


def test_the_frame_itself_is_asked_about_as_well_in_every_trial() -> None:
    found = scored(4, 118, "png,jpeg75", seeds=2)
    assert found.transformed is not None
    own = [verdict for verdict in found.transformed if not verdict.method]
    assert [(each.seed, each.attack, each.depth, each.epsilon, each.real_after) for each in own] == [
        (0, "", "", 0.0, ""), (1, "", "", 0.0, ""),
    ]  # fmt: skip
    planted = replace(scorer(), transforms=ASKED)(frame()).transformed
    assert planted is not None
    assert planted[0].method == ""
    assert planted[0].real_after.split(" ")[-1] == "half"  # the planted pattern is finer than half the pixels


def test_nothing_else_changes_and_without_transforms_nothing_is_asked() -> None:
    with_them, without = replace(scorer(), transforms=ASKED)(frame()), scorer()(frame())
    assert with_them.rows == without.rows
    assert without.transformed is None
    assert TransformedVerdict not in without.records
    assert with_them.records[TransformedVerdict] == with_them.transformed
    assert not any(cost.stage.startswith("survives") for cost in without.costs)


def test_a_frame_called_real_has_no_flip_to_ask_about() -> None:
    found = replace(scorer(), transforms=ASKED)(frame(planted=False))
    assert found.transformed == []
    assert sum(cost.forwards for cost in found.costs if cost.stage.startswith("survives")) == 0


def test_costs_are_one_query_a_transform_for_each_flipped_region_and_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked_again in ("require_answers", "require_gradients"):
        monkeypatch.setattr(SpotChecks, asked_again, lambda self: None)
    detector, images = PlantedDetector(), 0

    def count(module: torch.nn.Module, passed: tuple[Tensor, ...]) -> None:
        nonlocal images
        images += len(passed[0])

    detector.register_forward_pre_hook(count)
    detector.register_full_backward_pre_hook(count)
    found = replace(scorer(detector), transforms=ASKED, batch_size=2)(frame())
    costs = {cost.stage: cost.forwards for cost in found.costs}
    assert costs["survives"] == len(ASKED)
    flips = [row for row in found.rows if row.flipped_to_real]
    regions = costs["survives eraser"] // len(ASKED)
    assert costs["survives eraser"] % len(ASKED) == 0
    assert len({(row.area, row.after) for row in flips}) <= regions < len(flips)  # methods that agree share theirs
    again = 2 + 2 * 4 + 2  # at its end: the frame four times, and four changed pictures of it twice
    again += 2 * 3  # before and after: the first frame's answer and its gradient, forward and backward
    assert sum(costs.values()) - costs["adversarial"] == images - again


def naively(image: Tensor, detector: Detector, through: Callable[[Image.Image], Image.Image]) -> bool:
    """A picture stored as PNG, read, put through a transform by Pillow, and shown to the detector."""
    file = io.BytesIO()
    Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy()).save(file, "PNG")
    arrived = np.array(through(Image.open(file)))
    return int(detector(resize(arrived, SIZE, False)[None]).argmax()) == detector.real


def jpeg(opened: Image.Image) -> Image.Image:
    file = io.BytesIO()
    opened.save(file, "JPEG", quality=95)  # Pillow's own default is 4:2:0
    return Image.open(file)


def test_records_are_those_of_a_naive_twin() -> None:
    """Weak darkening of a noisy picture, near the threshold: some flips outlive a transform and some do not."""
    pixels = picture("v/1.png", "Deepfakes", planted=False)
    image = resize(pixels, SIZE, False)
    detector = Brightness(float(image[:, CENTRE, CENTRE].mean()) - 0.6 * LEVEL)
    regions = {}
    for left in range(17, 33):
        region = np.zeros((SIZE, SIZE), bool)
        region[15:35, left:35] = True
        regions[digest_of(region)] = region
    verdict = Verdict(torch.tensor([0.0, 1.0]), 1, 1, 1)
    attacker = RegionAttacker(detector, image, verdict, 0, "v/1.png", 8, keeps_flips=True)
    outcomes, images = attacker.outcomes("darken", Darken(levels=1.3), regions, tuple(regions))
    flipped = [digest for digest in regions if outcomes[digest].flipped]
    assert 3 < len(flipped) < len(regions)
    assert all((outcome.picture is not None) == outcome.flipped for outcome in outcomes.values())
    found = replace(scorer(detector), transforms=parse_transforms(["png,jpeg95"]))
    judged = _judge(found).real_after([outcomes[digest].picture for digest in flipped])  # type: ignore[misc]
    expected = [
        tuple(
            name
            for name, through in (("png", lambda opened: opened), ("jpeg95", jpeg))
            if naively(images[digest], detector, through)
        )
        for digest in flipped
    ]
    assert judged == expected
    assert len(set(expected)) > 1


def _judge(given: Scorer) -> TransformedPictures:
    return TransformedPictures(given.detector, given.transforms, 3, None, None)  # type: ignore[arg-type]


def test_pictures_are_the_images_rounded_to_8_bits() -> None:
    levels = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16).expand(2, 3, 16, 16) / 255
    pictures = to_pictures(levels)
    assert pictures.shape == (2, 16, 16, 3)
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures[0, :, :, 0].ravel(), np.arange(256))
    assert torch.equal(resize(pictures[0], 16, False), levels[0])
    assert to_pictures(torch.tensor([0.49, 0.51, 254.6, 255.0]).view(1, 1, 2, 2).expand(1, 3, 2, 2) / 255)[
        0, ..., 0
    ].ravel().tolist() == [0, 1, 255, 255]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_the_batch_size_changes_no_record(batch_size: int) -> None:
    found = replace(scorer(), transforms=ASKED, methods=METHODS[:1], batch_size=batch_size)(frame())
    expected = replace(scorer(), transforms=ASKED, methods=METHODS[:1])(frame())
    assert found.transformed == expected.transformed
