"""One frame to rows, on detectors whose answers are known."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks import Batch, RegionAttack
from attacks.pgd import PGD
from common.errors import InputError
from common.seeds import derive_seed
from data.frames import Frame
from detectors import Detector, Queries
from detectors.checks.spot_checks import SpotChecks
from runs.chosen_parts import chosen_methods
from runs.gallery.albums import album
from scoring.frame import Scorer
from scoring.inspection import inspect_frame
from scoring.protocol import Protocol
from scoring.recording import mask_precision
from scoring.scored import Scored
from tests.scoring.stand_ins import AMPLITUDE, CENTRE, SIZE, Bare, Eraser, PlantedDetector, TwoClassPlanted, picture
from xai.base import CompiledExplainer
from xai.explanation import FrameExplanations
from xai.explanation_settings import ExplanationSettings, build_settings
from xai.lime import LIME
from xai.methods import parse_method
from xai.partition_shap import SHAP
from xai.regions import digest_of

TINY: dict[str, dict[str, float]] = {
    "segments": {"count": 9, "compactness": 1000.0},
    "LIME": {"samples": 100},
    "SOBOL": {"grid": 3, "designs": 4},
    "RISE": {"samples": 200},
    "adversarial": {"pairs": 30, "steps": 24, "step": 2 / 255},
}
METHODS = chosen_methods(["LIME", "LIME_adv", "SOBOL", "RISE"])


CONTROLLED = Protocol(baselines=("random",), depths=("1", "2", "3"), draws=1, flip_thresholds=())


def settings() -> ExplanationSettings:
    return build_settings("quick", TINY)


def frame(family: str | None = "Deepfakes", label: int | None = 3, planted: bool = True) -> Frame:
    return Frame("v/1.png", picture("v/1.png", family or "Deepfakes", planted), label, family, "v")


class Recorder(RegionAttack):
    """Notes every region and seed, and changes nothing."""

    seen: list[tuple[bytes, int]] = []  # noqa: RUF012 - filled by a subclass per test

    @property
    def rounds(self) -> int:
        return 1

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        for region, generator in zip(batch.regions, batch.generators, strict=True):
            self.seen.append((region.numpy().tobytes(), generator.initial_seed()))
        return batch.images


def scorer(detector: Detector | None = None, **changes: object) -> Scorer:
    made = Scorer(detector or PlantedDetector(), METHODS, settings(), {"eraser": Eraser()}, CONTROLLED, seed=5)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scored() -> Scored:
    return scorer()(frame())


def test_rows_are_complete_and_in_order(scored: Scored) -> None:
    names = ["LIME", "LIME_adv", "SOBOL", "RISE", "random"]
    assert [(row.method, row.k) for row in scored.rows] == [(name, k) for name in names for k in (1, 2, 3)]
    for row in scored.rows:
        assert (row.key, row.video, row.family, row.label) == ("v/1.png", "v", "Deepfakes", 3)
        assert (row.predicted, row.correct, row.target, row.attack) == ("Deepfakes", 1, "Deepfakes", "eraser")
    assert {row.method: row.fill for row in scored.rows} == {
        "LIME": "segment_mean", "LIME_adv": "adversarial", "SOBOL": "mean", "RISE": "mean", "random": ""
    }  # fmt: skip


class OtherInHalf(TwoClassPlanted):
    """One that answers otherwise under autocast, of planted pictures alone."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images.float())
        return 0.3 * logits if torch.is_autocast_enabled("cpu") else logits


def test_other_answers_in_the_precision_of_explanations_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    for detector, told in ((OtherInHalf(), True), (TwoClassPlanted(), False)):
        scorer(detector, methods=METHODS[:1], precision="bfloat16")(frame())
        said = capsys.readouterr().err
        assert ("v/1.png: detector OtherInHalf answers differently in bfloat16 (a logit differs by" in said) == told


def test_numbers_hang_together(scored: Scored) -> None:
    detector = PlantedDetector()
    logits = detector(detector.prepare(frame().image)[None])[0].detach()
    once = float(torch.exp(logits[3]) / torch.exp(logits).sum())  # softmax, taken once
    for row in scored.rows:
        assert row.before == pytest.approx(once, rel=1e-5)
        assert row.drop == row.before - row.after
        assert row.linf <= 16 / 255 + 1e-6
        assert row.flipped_to_real == (row.predicted_after == "Real")
        assert row.correct_after == int(row.predicted_after == "Deepfakes")
        assert row.flipped_to_real <= (row.steps > 0)
    for method in ("LIME", "random"):
        areas = [row.area for row in scored.rows if row.method == method]
        assert 0 < areas[0] < areas[1] < areas[2] < 0.6


def test_best_three_segments_that_a_share_of_the_frame_happens_to_be_are_not_pictured_for_some_methods_alone() -> None:
    """A gallery shows the best three of every method, or none; here the share is three segments for some, else four."""
    shares = Protocol(baselines=("random",), depths=("40%",), draws=1, flip_thresholds=())
    scored = scorer(protocol=shares)(frame())
    assert {row.k for row in scored.rows} == {3, 4}
    assert album(frame(), scored) is None


def test_rows_say_how_probably_a_re_run_has_their_region(scored: Scored) -> None:
    """As the explanations say themselves, at the depth of the row; a baseline explains nothing."""
    assert scored.views is not None
    explanations = scored.views.explained.explanations
    for row in scored.rows:
        expected = -1 if row.method == "random" else explanations[row.method].stability[row.k - 1]
        assert row.stability == pytest.approx(expected)
    first = {row.method: row.stability for row in scored.rows if row.k == 1}
    assert min(first["LIME"], first["RISE"]) > 0.95  # one planted segment decides
    deep = {row.method: row.stability for row in scored.rows if row.k == 3}
    assert max(deep["LIME"], deep["RISE"]) < 0.9  # nothing tells the others apart


def test_the_planted_region_is_found_and_flips(scored: Scored) -> None:
    first = {row.method: row for row in scored.rows if row.k == 1}
    for method in ("LIME", "LIME_adv", "RISE"):
        assert first[method].flipped_to_real
        assert first[method].area == pytest.approx(256 / SIZE**2)


def test_each_distinct_region_is_attacked_once_and_by_its_own_seed() -> None:
    class Mine(Recorder):
        seen: list[tuple[bytes, int]] = []  # noqa: RUF012

    rows = scorer(attacks={"mine": Mine()})(frame()).rows
    regions = Counter(region for region, _ in Mine.seen)
    assert set(regions.values()) == {1}
    assert 3 <= len(regions) < len(rows)  # the methods agree on some
    for region, seed in Mine.seen:
        mask = np.frombuffer(region, dtype=bool).reshape(SIZE, SIZE)
        digest = digest_of(mask)
        assert seed == derive_seed(5, "v/1.png", "attack", "mine", digest)


def test_methods_that_choose_the_same_pixels_get_the_same_result() -> None:
    twins = scorer(attacks={"pgd": PGD(epsilon=4 / 255, steps=4)})
    together = twins(frame()).rows
    alone = replace(twins, methods=(parse_method("RISE"),))(frame()).rows
    of_rise = [row for row in together if row.method == "RISE"]
    for row, other in zip(of_rise, alone[:3], strict=True):
        assert replace(row, after=0, drop=0, linf=0) == replace(other, after=0, drop=0, linf=0)
        assert row.after == pytest.approx(other.after, rel=1e-4)
    same = {}
    for row in together:
        found = (row.after, row.predicted_after, row.linf, row.steps)
        assert same.setdefault((row.k, row.area, row.after), found) == found


def test_the_class_after_an_attack_is_real_where_it_has_flipped_alone() -> None:
    """Also where probabilities round to the same number: of a detector whose logits are all almost 0."""

    class Faint(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * 1e-9

    rows = scorer(Faint(), methods=METHODS[:1])(frame()).rows
    assert {row.after for row in rows} == {0.5}
    assert all((row.predicted_after == "Real") == row.flipped_to_real for row in rows)


def test_a_tie_is_no_verdict_where_one_frame_is_looked_at_either() -> None:
    class Undecided(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * 0

    with pytest.raises(InputError, match="gives no verdict: its logits for Real and Fake are equal"):
        inspect_frame(frame(), scorer(Undecided(), methods=METHODS[:1]))


def test_a_frame_has_its_verdict_and_its_adversarial_image(scored: Scored) -> None:
    detector = PlantedDetector()
    image = detector.prepare(frame().image)
    logits = detector(image[None])[0].detach().double()
    (record,) = scored.frame_verdicts
    found = [float(value) for value in record.probabilities.split(" ")]
    np.testing.assert_allclose(found, logits.softmax(0).numpy(), rtol=1e-5)
    assert (record.predicted, record.correct, record.target, record.label) == ("Deepfakes", 1, "Deepfakes", 3)
    assert (record.before, record.seed, record.segmentation) == (scored.rows[0].before, 5, scored.rows[0].segmentation)
    views = scored.views
    assert views is not None
    assert record.segments == len(np.unique(views.explained.segments)) == 9
    made = FrameExplanations(detector, image, 3, settings(), 5, "v/1.png").adversarial
    assert record.adversarial_flipped == int(detector(made.image[None]).argmax() == detector.real) == made.flipped
    taken = (record.adversarial_steps, record.adversarial_forwards, record.adversarial_queries)
    assert taken == (made.steps, made.forwards, made.queries)
    assert 0 < made.steps <= 24
    assert made.queries == 1 + made.steps * (2 * 30 + 1)  # 30 pairs a step, and the verdicts


def test_without_an_adversarial_method_there_is_no_adversarial_image() -> None:
    seeds = replace(scorer(), methods=(parse_method("LIME"),), seeds=2)(frame()).frame_verdicts
    assert [record.seed for record in seeds] == [5, 6]
    for record in (*seeds, *scorer()(frame(planted=False)).frame_verdicts):
        assert (record.adversarial_flipped, record.adversarial_steps) == (-1, -1)
        assert (record.adversarial_forwards, record.adversarial_queries) == (-1, -1)
        assert record.segments == (-1 if record.predicted == "Real" else 9)
    assert record.predicted == "Real"


def test_a_frame_called_real_has_nothing_to_flip() -> None:
    scored = scorer()(frame(planted=False))
    rows, costs = scored.rows, scored.costs
    assert {cost.stage for cost in costs} == {"verdict", "attack eraser"}
    for row in rows:
        assert (row.predicted, row.correct, row.predicted_after, row.correct_after) == ("Real", 0, "Real", 0)
        assert row.target != "Real"
        assert (row.area, row.drop, row.linf, row.steps) == (0.0, 0.0, 0.0, 0)
        assert not row.flipped_to_real
        assert not row.weak
    assert len(scorer(Bare())(frame()).rows) == len(rows)


def test_a_family_that_the_detector_does_not_know_has_no_accuracy() -> None:
    rows = scorer()(frame("FaceShifter", None)).rows
    assert {(row.label, row.correct, row.correct_after) for row in rows} == {(-1, -1, -1)}
    assert {row.family for row in rows} == {"FaceShifter"}
    rows = scorer()(frame(None, None)).rows
    assert {(row.family, row.label, row.correct) for row in rows} == {("", -1, -1)}


def test_a_detector_of_two_classes_takes_every_family() -> None:
    for family, label in (("FaceShifter", None), ("Deepfakes", 3)):
        rows = scorer(TwoClassPlanted())(frame(family, label)).rows
        assert {(row.predicted, row.correct) for row in rows} == {("Fake", 1)}
        assert {row.predicted_after for row in rows} <= {"Fake", "Real"}
        assert all(row.correct_after == int(not row.flipped_to_real) for row in rows)


def test_several_attacks_score_the_same_regions() -> None:
    weak = Eraser(epsilon=1 / 255)
    scored = scorer(attacks={"strong": Eraser(), "faint": weak})(frame())
    rows, costs = scored.rows, scored.costs
    strong, faint = ([row for row in rows if row.attack == name] for name in ("strong", "faint"))
    assert [(row.method, row.k, row.area) for row in strong] == [(row.method, row.k, row.area) for row in faint]
    assert sum(row.flipped_to_real for row in strong) > sum(row.flipped_to_real for row in faint) == 0
    assert {"attack strong", "attack faint"} <= {cost.stage for cost in costs}


def test_costs_count_every_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked_again in ("require_answers", "require_gradients"):
        monkeypatch.setattr(SpotChecks, asked_again, lambda self: None)
    detector, images = PlantedDetector(), 0

    def count(module: torch.nn.Module, passed: tuple[Tensor, ...]) -> None:
        nonlocal images
        images += len(passed[0])

    detector.register_forward_pre_hook(count)
    detector.register_full_backward_pre_hook(count)
    costs = scorer(detector)(frame()).costs
    forwards = {cost.stage: cost.forwards for cost in costs}
    assert forwards["LIME_adv"] == forwards["LIME"] + forwards["adversarial"]  # its fill is charged to it
    again = 32 + 4 + 2  # at its end: a full batch, four changed pictures of it alone, and the first frame twice
    again += 2 * 3  # before and after: the first frame's answer and its gradient, forward and backward
    assert sum(forwards.values()) - forwards["adversarial"] == images - again
    assert all(cost.seconds >= 0 for cost in costs)


@dataclass(frozen=True)
class Compiled(LIME):
    """LIME, of which something is made once, in a second."""

    made: ClassVar[set[tuple[int, int]]] = set()

    def warm_up(self, height: int, width: int) -> None:
        if (height, width) not in self.made:
            self.made.add((height, width))
            time.sleep(1)


def test_what_is_done_once_in_a_process_is_no_cost_of_a_frame() -> None:
    assert isinstance(SHAP(), CompiledExplainer)  # as numba compiles it, for half a minute
    slow = replace(settings(), explainers={**settings().explainers, "LIME": Compiled(samples=100)})
    costs = {cost.stage: cost.seconds for cost in scorer(settings=slow)(frame()).costs}
    assert Compiled.made == {(SIZE, SIZE)}
    assert costs["LIME"] < 1


def test_the_control_chooses_regions_by_chance_alone() -> None:
    """Over many frames random regions hit the one that matters as often as chance says: k of 9."""
    flips = np.zeros(3)
    runs = 150
    control = replace(scorer(), methods=chosen_methods([]))
    for number in range(runs):
        rows = control(replace(frame(), key=f"v/{number}.png")).rows
        flips += [row.flipped_to_real for row in rows]
    np.testing.assert_allclose(flips / runs, np.array([1, 2, 3]) / 9, atol=3 * np.sqrt(0.25 / runs))


def test_arithmetic_is_exact_while_a_frame_is_scored_and_as_before_afterwards() -> None:
    class Watching(PlantedDetector):
        seen: set[tuple[bool, str, str]] = set()  # noqa: RUF012

        def forward(self, images: Tensor) -> Tensor:
            self.seen.add(flags())
            return super().forward(images)

    def flags() -> tuple[bool, str, str]:
        cudnn, product = torch.backends.cudnn, torch.backends.cuda.matmul
        return cudnn.deterministic, cudnn.conv.fp32_precision, product.fp32_precision

    before = flags()
    scorer(Watching())(frame())
    assert Watching.seen == {(True, "ieee", "ieee")}
    assert flags() == before


def test_the_same_frame_gives_the_same_rows_and_another_seed_others(scored: Scored) -> None:
    assert scorer()(frame()).rows == scored.rows
    control = replace(scorer(), methods=chosen_methods([]))
    areas = {seed: [row.area for row in replace(control, seed=seed)(frame()).rows] for seed in range(5)}
    assert len({tuple(each) for each in areas.values()}) > 1


def test_the_plant_is_as_the_tests_believe() -> None:
    detector = PlantedDetector()
    image = detector.prepare(frame().image)
    match = (image.mean(0)[CENTRE, CENTRE] * detector.pattern).mean()
    assert float(match.detach()) == pytest.approx(AMPLITUDE, abs=0.004)
    assert int(detector(image[None]).argmax()) == 3
    assert int(detector(detector.prepare(frame(planted=False).image)[None]).argmax()) == 0


def test_the_share_of_a_region_inside_the_mask() -> None:
    region = np.zeros((8, 8), bool)
    region[:4, :4] = True
    mask = np.zeros((16, 32), bool)  # of another size and shape: it is stretched as the frame is
    mask[:4] = True
    assert mask_precision(region, mask) == 0.5
    assert mask_precision(region, ~region) == 0.0
    assert mask_precision(region, np.zeros((8, 8), bool)) == -1  # black: it does not say where
    assert mask_precision(region, np.ones((3, 5), bool)) == 1.0
    assert mask_precision(region, None) == mask_precision(np.zeros((8, 8), bool), mask) == -1


def test_rows_say_how_much_of_a_region_was_manipulated() -> None:
    plant = np.zeros((SIZE, SIZE), bool)
    plant[CENTRE, CENTRE] = True
    rows = scorer()(replace(frame(), mask=plant)).rows
    best = {row.method: row.mask_precision for row in rows if row.k == 1}
    assert all(share > 0.5 for method, share in best.items() if method != "random")
    for unknown in (None, np.zeros_like(plant)):
        assert {row.mask_precision for row in scorer()(replace(frame(), mask=unknown)).rows} == {-1.0}
