"""Measuring a case: costs, reasons, common draws, ranges; and cases made of a frame's explanations."""

import copy
import dataclasses
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import InputError
from common.seeds import generator
from data.masks import stretched
from detectors import Detector, Queries
from scoring.metrics import METRICS, Case, Measurement, Undefined, build_metric, build_metrics, case_of, measure_case
from tests.scoring.metrics.made import case, contributions, frame, linear, linear_case, squares
from tests.scoring.stand_ins import CENTRE, GUESS, SIZE, TINY, PlantedDetector, picture
from tests.xai.helpers import SmallNetwork, photo
from xai.base import Score
from xai.explanation import FrameExplanations
from xai.explanation_settings import build_settings, parse_override
from xai.methods import parse_method

BY_RANK = ("deletion", "insertion", "pixel-flipping", "road", "comprehensiveness", "sufficiency")
ON_RANK = (*BY_RANK, "pointing-game", "relevance-rank")
EXPLAINING = ("max-sensitivity", "parameter-randomisation", "stability-jpeg", "stability-resize")
ALONE = tuple(name for name in METRICS if name not in EXPLAINING)
SMALL = {
    "sensitivity-n": {"sizes": 2, "subsets": 6},
    "infidelity": {"samples": 12},
    "deletion": {"steps": 20},
    "insertion": {"steps": 20},
    "aopc": {"patch": 4},
}


def values_of(given: Case, names: tuple[str, ...]) -> dict[str, float]:
    metrics = build_metrics(names, "quick", {name: SMALL[name] for name in names if name in SMALL})
    return {each.full_name: each.value for each in measure_case(given, metrics)}


def network_case(saliency: np.ndarray) -> Case:
    return case(SmallNetwork(), photo(32), saliency, squares(32) == 5, target=2)


def some_map(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(32, 32))


def test_a_monotone_change_of_the_map_changes_no_ranking() -> None:
    first = values_of(network_case(some_map()), ON_RANK)
    assert first == values_of(network_case(np.exp(2 * some_map())), ON_RANK)
    assert first != values_of(network_case(some_map(1)), ON_RANK)


def test_the_unit_of_the_map_changes_nothing() -> None:
    first, second = (values_of(network_case(factor * some_map()), ALONE) for factor in (1.0, 7.5))
    assert len(first) > len(ALONE)
    assert first == pytest.approx(second, rel=1e-9, abs=1e-9)


def test_a_map_that_is_constant_on_segments_is_ranked_by_segments_alike() -> None:
    levels = np.random.default_rng(0).permutation(16)[squares(32)] * 1.0
    names = ("irof", "iou", *ON_RANK)
    assert values_of(network_case(levels), names) == values_of(network_case(levels**3 + 1), names)


def test_every_value_is_in_its_range_and_the_true_map_beats_random_ones() -> None:
    given = linear_case(mask=squares() == 5)
    best = {each.full_name: each for each in measure_case(given, build_metrics(ALONE, "quick", SMALL))}
    for seed in range(6):
        other = linear_case(saliency=np.random.default_rng(seed).normal(size=(12, 12)), mask=squares() == 5)
        for each in measure_case(other, build_metrics(ALONE, "quick", SMALL)):
            [value] = [value for value in METRICS[each.metric].about.values if value.name == each.name]
            assert value.lowest - 1e-6 <= each.value <= value.highest + 1e-6
            if METRICS[each.metric].about.needs == "model" and each.metric != "road":
                sign = 1 if each.higher_is_better else -1
                assert sign * each.value < sign * best[each.full_name].value, each.full_name


def test_random_maps_are_worth_nothing_on_average() -> None:
    names = ("pixel-flipping", "aopc", "sensitivity-n", "road")
    found = [values_of(linear_case(saliency=generator(0, seed).random((12, 12))), names) for seed in range(60)]
    for name in ("pixel-flipping.between", "aopc.between", "road.between"):
        values = np.array([each[name] for each in found])
        assert abs(values.mean()) < 3 * values.std() / math.sqrt(60)
    correlations = np.array([each["sensitivity-n"] for each in found])
    assert abs(correlations.mean()) < 3 * correlations.std() / math.sqrt(60)
    assert values_of(linear_case(), ("pixel-flipping",))["pixel-flipping.between"] > 0.1


def test_draws_are_common_to_methods_and_fixed_by_the_seed() -> None:
    class Listening(PlantedDetector):
        """Remembers the last thing that it was asked."""

        def forward(self, images: Tensor) -> Tensor:
            self.heard.append(images.clone())
            return super().forward(images)

    names = ("infidelity", "sensitivity-n", "aopc")
    heard = []
    for seed, saliency in ((0, 1), (0, 2), (1, 1)):
        detector = Listening()
        detector.heard = []
        image = detector.prepare(picture("a", "Deepfakes"))
        given = case(detector, image, generator(saliency).random((SIZE, SIZE)), squares(SIZE) == 5, seed=seed)
        state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        measure_case(given, build_metrics(names, "quick", {name: SMALL[name] for name in names}))
        assert np.array_equal(state[0], np.random.get_state()[1])  # noqa: NPY002
        assert torch.equal(state[1], torch.get_rng_state())
        heard.append(torch.cat(detector.heard[: 1 + 1 + 1 + 2]))  # infidelity and sensitivity-n
    assert torch.equal(heard[0], heard[1])
    assert not torch.equal(heard[0], heard[2])


COSTS = {
    "published": {
        "deletion": 225,
        "insertion": 225,
        "pixel-flipping": 202,
        "aopc": 202,
        "irof": 17,
        "road": 18,
        "comprehensiveness": 6,
        "sufficiency": 6,
        "infidelity": 1001,
        "sensitivity-n": 601,
        "max-sensitivity": 10 * 7,
        "parameter-randomisation": 2 * (7 + 8),
        "stability-jpeg": 3 * 7,
        "stability-resize": 2 * 7,
    },
    "quick": {
        "deletion": 33,
        "insertion": 33,
        "pixel-flipping": 42,
        "aopc": 42,
        "irof": 17,
        "road": 6,
        "comprehensiveness": 6,
        "sufficiency": 6,
        "infidelity": 65,
        "sensitivity-n": 61,
        "max-sensitivity": 2 * 7,
        "parameter-randomisation": 7 + 8,
        "stability-jpeg": 7,
        "stability-resize": 7,
    },
}
"""Forwards with 16 segments, two layers, and an explainer of seven forwards; eight more set a random detector."""


@pytest.mark.parametrize("preset", ["published", "quick"])
def test_costs_are_what_the_docs_say(preset: str) -> None:
    detector, image = SmallNetwork(96), photo(96)

    def seven(image: Tensor, detector: Detector) -> np.ndarray:
        noisy = image + torch.linspace(0, 1e-3, 7)[:, None, None, None]
        return image.mean(0).numpy() * float(Score(Queries(detector), 2)(noisy).sum())

    given = case(detector, image, some_map_of(96), squares(96) == 5, explain=seven, target=2)
    costs = {each.metric: each.forwards for each in measure_case(given, build_metrics(["All"], preset))}
    assert {name: cost for name, cost in costs.items() if cost} == COSTS[preset]


def some_map_of(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((side, side))


def test_measurements_say_what_they_are() -> None:
    given = linear_case()
    found = measure_case(given, build_metrics(["aopc", "deletion", "iou"], "quick", {"aopc": {"patch": 3}}))
    assert [each.full_name for each in found] == ["aopc.morf", "aopc.lerf", "aopc.between", "deletion", "iou"]
    assert [each.higher_is_better for each in found] == [True, False, True, False, True]
    assert [each.undefined for each in found] == ["", "", "", "", "no mask of manipulated pixels"]
    assert math.isnan(found[-1].value)
    assert type(found[-1].value) is float
    assert all(each.seconds >= 0 for each in found)
    assert [each.forwards for each in found] == [2 * 17, 2 * 17, 2 * 17, 33, 0]
    assert isinstance(found[0], Measurement)
    own = measure_case(given, {"own": build_metric("tests.scoring.metrics.own:Peak")})
    assert (own[0].full_name, own[0].higher_is_better, own[0].value) == ("own.peak", None, given.saliency.max())


def test_a_metric_must_keep_its_word() -> None:
    with pytest.raises(InputError, match="metric 'x' gave NaN for 'peak' without a reason: return an Undefined"):
        measure_case(linear_case(), {"x": build_metric("tests.scoring.metrics.own:Silent")})
    with pytest.raises(InputError, match="metric 'x' gave peak, depth; it says that it gives peak"):
        measure_case(linear_case(), {"x": build_metric("tests.scoring.metrics.own:Chatty")})


def test_an_undefined_number_is_nan_with_a_reason_wherever_it_goes() -> None:
    number = Undefined("no mask")
    assert math.isnan(number)
    for again in (pickle.loads(pickle.dumps(number)), copy.deepcopy(number)):
        assert again.reason == "no mask"
        assert math.isnan(again)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"saliency": np.zeros((3, 3))}, r"the saliency is \(3, 3\) and the image \(12, 12\)"),
        ({"mask": np.zeros((12, 11), bool)}, r"the mask is \(12, 11\)"),
        ({"mask": np.zeros((12, 12))}, "the mask must be of type bool, got float64"),
        ({"background": torch.zeros(3, 4, 4)}, "an image and a background of one shape"),
        ({"saliency": np.full((12, 12), np.nan)}, "values that are not finite"),
    ],
)
def test_a_case_that_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    values = {"detector": linear(), "image": frame(), "saliency": np.zeros((12, 12)), **changes}
    with pytest.raises(InputError, match=message):
        case(**values)  # type: ignore[arg-type]


def planted_case(method: str, batch_size: int = 32) -> tuple[FrameExplanations, Case]:
    detector = PlantedDetector()
    parsed = parse_method(method)
    overrides: dict[str, dict[str, str]] = {}
    for text in TINY:
        component, field, value = parse_override(text)
        overrides.setdefault(component, {})[field] = value
    settings = build_settings("published", {k: v for k, v in overrides.items() if k != "nes"}, [parsed])
    image = detector.prepare(picture("a", "Deepfakes"))
    explanations = FrameExplanations(detector, image, 3, settings, key="a", batch_size=batch_size)
    mask = np.zeros((2 * SIZE, 2 * SIZE), bool)  # at another size than the detector's
    mask[2 * CENTRE.start : 2 * CENTRE.stop, 2 * CENTRE.start : 2 * CENTRE.stop] = True
    return explanations, case_of(explanations, parsed, explanations.explain(parsed), mask)


def test_an_explanation_that_finds_the_planted_patch_scores_as_it_should() -> None:
    _, given = planted_case("LIME")
    found = values_of(given, (*ALONE, *EXPLAINING))
    assert given.mask is not None
    assert given.mask.sum() == 256
    assert found["pointing-game"] == 1.0
    assert found["iou"] > 0.9
    assert found["relevance-rank"] > 0.9
    assert found["relevance-mass"] > 0.6
    assert found["comprehensiveness"] > 0.3
    assert found["sufficiency"] < 0.7
    assert found["deletion"] < 0.25
    assert found["insertion"] > 0.6
    assert found["irof"] > 0.8
    assert found["pixel-flipping.between"] > 0.5
    assert found["road.kept"] < 1.0
    assert found["parameter-randomisation.whole"] < 0.9
    assert found["stability-resize.overlap"] >= 0.2
    assert all(not math.isnan(value) for value in found.values())
    guesses = [generator(0, guess).random(9).astype(np.float32)[given.segments] for guess in range(8)]
    chance = [values_of(dataclasses.replace(given, saliency=guess), ("deletion", "iou")) for guess in guesses]
    assert np.mean([each["deletion"] for each in chance]) > 2 * found["deletion"]
    assert np.mean([each["iou"] for each in chance]) < 0.5


def test_explaining_again_gives_the_same_answer_to_the_same_question() -> None:
    explanations, given = planted_case("LIME_adv")
    assert given.explain is not None
    assert np.array_equal(given.explain(given.image, given.detector), given.saliency)
    other = explanations.again(given.image, PlantedDetector())
    assert other.segments is explanations.segments
    assert other.adversarial is explanations.adversarial
    brighter = explanations.again((given.image + 0.01).clamp(0, 1), explanations.detector)
    assert brighter.segments is explanations.segments
    assert brighter.adversarial is not explanations.adversarial


def test_draws_of_a_case_are_of_the_run_the_frame_and_the_purpose() -> None:
    _, given = planted_case(GUESS)
    assert given.draws("x").random() == generator(0, "a", "metric", "x").random()
    assert given.draws("x").random() == given.draws("x").random() != given.draws("y").random()


def test_a_saved_map_is_judged_but_not_made_again(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", generator(0, "map").random((SIZE, SIZE)))
    method = parse_method(f"saliency:{tmp_path}")
    settings = build_settings("quick", {"segments": {"count": "9"}}, [method])
    detector = PlantedDetector()
    explanations = FrameExplanations(detector, detector.prepare(picture("a", "Deepfakes")), 3, settings, key="a")
    given = case_of(explanations, method, explanations.explain(method))
    found = {each.full_name: each for each in measure_case(given, build_metrics(["deletion", *EXPLAINING], "quick"))}
    assert not math.isnan(found["deletion"].value)
    assert all("made elsewhere" in each.undefined for name, each in found.items() if name != "deletion")


def test_unknown_backgrounds_are_refused() -> None:
    explanations, given = planted_case(GUESS)
    method = parse_method(GUESS)
    with pytest.raises(InputError, match=r"unknown background 'pink'; known: .*mean"):
        case_of(explanations, method, explanations.explain(method), None, "pink")
    black = case_of(explanations, method, explanations.explain(method), None, "zero")
    assert float(black.background.abs().max()) == 0.0
    assert torch.allclose(given.background, torch.full_like(given.background, 0.5))
    assert black.mask is None


def test_masks_are_stretched_by_what_they_cover() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = mask[2:, 2:] = True
    mask[0, 3] = True
    assert stretched(mask, (2, 2)).tolist() == [[True, False], [False, True]]
    assert np.array_equal(stretched(mask, (4, 4)), mask)


def test_the_true_contributions_are_complete() -> None:
    given = linear_case()
    detector = linear()
    total = contributions(detector, given.image, given.background).sum()
    assert float(given.score(given.image[None])) == pytest.approx(0.05 + total, abs=1e-6)
