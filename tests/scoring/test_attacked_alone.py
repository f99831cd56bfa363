"""An own attack whose pairs decide about each other is found in the run itself, a sound one is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import evaluate
from attacks import Batch, RegionAttack
from common import console
from common.errors import InputError
from detectors import Queries
from scoring.attacked_alone import require_same_alone
from scoring.region_attacker import RegionAttacker, Verdict
from tests.scoring.stand_ins import CENTRE, TINY, PlantedDetector, picture, write_frames


@dataclass(frozen=True)
class Steps(RegionAttack):
    """Follows the gradient in a loop of its own, which each pair leaves once it is called Real."""

    @property
    def rounds(self) -> int:
        return 1

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        images, last = batch.images, torch.full((len(batch.images),), -torch.inf)
        for _ in range(12):
            images = images.detach().requires_grad_()
            log_p = queries.detector(images).log_softmax(dim=1)[:, queries.detector.real]
            (gradient,) = torch.autograd.grad(log_p.sum(), images)
            further = images + 1 / 255 * torch.where(batch.regions, gradient.sign(), 0.0)
            images = torch.where(self.goes_on(log_p.detach(), last)[:, None, None, None], further, images)
            last = log_p.detach()
        return images.detach()

    def goes_on(self, log_p: Tensor, last: Tensor) -> Tensor:
        return log_p < -0.1


@dataclass(frozen=True)
class StopsForAll(Steps):
    """The same, but all pairs leave it once the mean over them has hardly risen: as some regions do nothing."""

    def goes_on(self, log_p: Tensor, last: Tensor) -> Tensor:
        return ((log_p - last).mean() > 1).expand(len(log_p))


@dataclass(frozen=True)
class StopsForAllAlone(StopsForAll):
    """The same for each pair by itself."""

    @property
    def one_by_one(self) -> bool:
        return True


def attacked(attack: RegionAttack, parts: int) -> None:
    """Attacks a frame in so many regions, each of a pixel of its own, every fourth with the centre that decides."""
    detector = PlantedDetector()
    image = detector.prepare(picture("a", "Face2Face"))
    chances = Queries(detector).probabilities(image[None])[0]
    attacker = RegionAttacker(detector, image, Verdict(chances, int(chances.argmax()), 2, 1), 0, "a frame", 32)
    regions: dict[str, np.ndarray] = {}
    for number in range(parts):
        region = np.zeros(image.shape[1:], dtype=bool)
        region[CENTRE, CENTRE] = number % 4 == 1
        region[40, number] = True
        regions[str(number)] = region
    outcomes, _ = attacker.outcomes("own", attack, regions)
    require_same_alone("own:Attack", attack, regions, outcomes, attacker)


def test_one_whose_pairs_stop_together_is_found() -> None:
    with pytest.raises(
        InputError, match=r"own:Attack leaves the verdict a probability of 0\.[0-9]{2} in a region that"
    ):
        attacked(StopsForAll(), 16)


@pytest.mark.parametrize(("attack", "parts"), [(Steps(), 16), (StopsForAllAlone(), 16), (StopsForAll(), 4)])
def test_sound_ones_and_too_few_regions_are_not(attack: RegionAttack, parts: int) -> None:
    attacked(attack, parts)


def run(index: Path, results: Path, attacks: Mapping[str, str]) -> tuple[int, Path]:
    words = ["--device", "cpu", "--threads", "1", "--method", "LIME", "--frames", str(index), "--preset", "quick"]
    words += ["--detector", "tests.scoring.stand_ins:PlantedDetector", "--results", str(results)]
    words += ["--set", "protocol.flip_thresholds=none", *(word for name in attacks for word in ("--attack", name))]
    words += [word for setting in TINY if setting.startswith(("segments", "LIME")) for word in ("--set", setting)]
    return console.status(evaluate.app, words), results / "evaluation-LIME"


def test_its_rows_are_left_out_and_those_of_others_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = write_frames(tmp_path / "frames", videos=2, families=("Deepfakes",))
    here = "tests.scoring.test_attacked_alone"
    status, folder = run(index, tmp_path, {"fgsm": "", f"{here}:StopsForAll": "", f"{here}:Steps": ""})
    assert status == 0
    rows = pd.read_csv(folder / "rows_LIME.csv")
    assert set(rows["attack"]) == {"fgsm", f"{here}:Steps"}
    assert f"attack {here}:StopsForAll leaves the verdict a probability of" in capsys.readouterr().err
    failures = pd.read_csv(folder / "failures.csv")
    assert failures["reason"].str.contains("it mixes the pairs of a batch").all()
    assert len(failures) == 2
