"""One frame by all methods: what decides is found, draws depend on what they should, costs are the detector's."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

import xai
from common.errors import InputError
from common.seeds import generator
from detectors.base import Detector
from detectors.queries import Queries
from tests.toys import LinearDetector
from tests.xai.helpers import DEEPFAKES, PATCH, RecordingFill, SmallNetwork, photo, planted
from xai.base import Explainer, Score
from xai.fills import Mean, SegmentMean, composite
from xai.lime import LIME
from xai.partition_shap import SHAP
from xai.rise import RISE
from xai.segments import Segments
from xai.sobol import SOBOL

OWN = "tests.xai.own"
SMALL = {
    "segments": {"count": 16},
    "LIME": {"samples": 200},
    "SHAP": {"evaluations": 150},
    "SOBOL": {"grid": 8, "designs": 8},
    "RISE": {"samples": 1000},
    "adversarial": {"pairs": 40, "steps": 40},
}


def frame_of(detector: Detector, image: np.ndarray, target: int, seed: int = 0, key: str = "a", batch_size: int = 32):
    settings = xai.build_settings("quick", SMALL)
    return xai.FrameExplanations(detector, detector.prepare(image), target, settings, seed, key, batch_size)


PRESET = {"segments": {"count": 16}}  # the quick preset as it is, on fewer segments


@pytest.fixture(scope="module")
def planted_frame() -> xai.FrameExplanations:
    return frame_of(*planted(), target=DEEPFAKES)


def holds_the_patch(segments: np.ndarray) -> int:
    """The segment with most of the planted patch."""
    return int(np.bincount(segments[PATCH].ravel()).argmax())


@pytest.mark.parametrize("method", xai.ALL)
def test_the_planted_patch_is_ranked_first(method: str, planted_frame: xai.FrameExplanations) -> None:
    explanation = planted_frame.explain(method)
    assert planted_frame.adversarial.flipped
    assert explanation.ranking[0] == holds_the_patch(explanation.segments)
    assert explanation.saliency.shape == explanation.segments.shape == (64, 64)
    assert explanation.saliency.dtype == np.float32
    assert explanation.target == DEEPFAKES


@pytest.mark.parametrize("method", xai.ALL)
def test_the_quick_preset_finds_the_planted_patch_among_the_best(method: str) -> None:
    detector, image = planted()
    ranks = []
    for seed in range(3):
        explanation = xai.explain(detector, image, method, preset="quick", overrides=PRESET, seed=seed)
        ranks.append(explanation.ranking.tolist().index(holds_the_patch(explanation.segments)))
    assert np.median(ranks) <= 1


@pytest.mark.parametrize("explainer", [LIME(50), SHAP(50, batch=20), SOBOL(4, 2), RISE(50)], ids=repr)
def test_draws_do_not_depend_on_the_batch_size_and_memory_does(explainer: Explainer) -> None:
    detector, image = planted()
    prepared = detector.prepare(image)
    segments = Segments(16)(prepared)
    recorded = {}
    for batch_size in (1, 7, 64):
        fill = RecordingFill(composite(prepared, Mean()(prepared, segments, detector.mean)))
        score = Score(Queries(detector, batch_size), DEEPFAKES)
        explainer(score, prepared, segments, fill, np.random.default_rng(0))
        assert max(fill.sizes) == min(batch_size, max(fill.sizes))
        assert fill.most_alive <= 2 * batch_size
        recorded[batch_size] = fill.masks
    assert len(recorded[1]) >= 36
    assert torch.equal(recorded[1], recorded[7])
    assert torch.equal(recorded[1], recorded[64])


@pytest.mark.parametrize("method", ["LIME", "SHAP", "SOBOL", "RISE_adv"])
def test_explanations_follow_seed_and_key(method: str) -> None:
    detector, image = planted()
    first = frame_of(detector, image, DEEPFAKES).explain(method).saliency
    again = frame_of(detector, image, DEEPFAKES)
    for other in ("SOBOL", "LIME_adv"):  # what was explained before changes nothing
        again.explain(other)
    assert np.array_equal(again.explain(method).saliency, first)
    if method != "SHAP":  # whose draws only break ties
        assert not np.array_equal(frame_of(detector, image, DEEPFAKES, seed=1).explain(method).saliency, first)
        assert not np.array_equal(frame_of(detector, image, DEEPFAKES, key="b").explain(method).saliency, first)


def test_a_method_and_its_adversarial_twin_share_draws_and_segments() -> None:
    detector, image = planted()
    draws = []

    def recorder(score, image, segments, fill, generator) -> np.ndarray:
        draws.append((generator.random(5).tolist(), segments))
        return np.zeros(segments.shape, dtype=np.float32)

    settings = xai.build_settings("quick", SMALL)
    settings = dataclasses.replace(settings, explainers={"LIME": recorder, "RISE": recorder})
    frame = xai.FrameExplanations(detector, detector.prepare(image), DEEPFAKES, settings)
    for method in ("LIME", "LIME_adv", "RISE"):
        frame.explain(method)
    (lime, segments), (twin, twins_segments), (rise, _) = draws
    assert lime == twin != rise
    assert all(np.array_equal(seen, frame.segments) for seen in (segments, twins_segments))


def test_lime_is_lime_and_lime_adv_differs_by_its_fill_alone() -> None:
    """In the published code the LIME row is LIME_adv's, on another segmentation."""
    detector, image = planted()
    frame = frame_of(detector, image, DEEPFAKES)
    plain = frame.explain("LIME").saliency
    assert "adversarial" not in vars(frame)  # no attack was made for it
    adversarial = frame.explain("LIME_adv").saliency
    backgrounds = {
        "LIME": SegmentMean()(frame.image, frame.segments, detector.mean),
        "LIME_adv": frame.adversarial.image,
    }
    for method, saliency in (("LIME", plain), ("LIME_adv", adversarial)):
        expected = LIME(samples=200)(
            Score(Queries(detector), DEEPFAKES),
            frame.image,
            frame.segments,
            composite(frame.image, backgrounds[method]),
            generator(0, "a", "explain", "LIME"),
        )
        assert np.array_equal(saliency, expected)
    assert not np.array_equal(plain, adversarial)


def test_softmax_is_taken_once() -> None:
    """A score of almost 1 gives RISE a mean saliency of 1; softmax twice would make 0.73 of it (two classes)."""
    detector = LinearDetector(torch.zeros(3, 32, 32), bias=12.0)
    settings = xai.build_settings("quick", {**SMALL, "RISE": {"samples": 500}})
    frame = xai.FrameExplanations(detector, photo(32), 1, settings)
    assert frame.explain("RISE").saliency.mean() == pytest.approx(1.0, abs=0.05)
    logits = torch.tensor([[1.0, 2.0, 4.0], [0.0, -3.0, 0.5]])

    class Fixed(SmallNetwork):
        def forward(self, images: Tensor) -> Tensor:
            return logits

    score = Score(Queries(Fixed()), 2)(torch.zeros(2, 3, 32, 32))
    assert torch.allclose(score, logits.exp()[:, 2] / logits.exp().sum(dim=1))


def test_forwards_are_the_detectors_own_count() -> None:
    detector, image = planted()
    seen: list[int] = []
    detector.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    detector.register_full_backward_pre_hook(lambda _, gradients: seen.append(len(gradients[0])))
    frame = frame_of(detector, image, DEEPFAKES)
    plain = frame.explain("LIME")
    assert plain.forwards == sum(seen) == 200
    first, spent = frame.explain("LIME_adv"), sum(seen)
    assert spent == 400 + frame.adversarial.forwards
    second = frame.explain("RISE_adv")
    assert sum(seen) == spent + 1000  # the adversarial image is made once
    assert first.forwards == 200 + frame.adversarial.forwards  # and charged to each method that uses it
    assert second.forwards == 1000 + frame.adversarial.forwards
    assert second.seconds > frame.adversarial.seconds > 0


def test_the_adversarial_image_stays_in_its_budget() -> None:
    frame = frame_of(*planted(), target=DEEPFAKES)
    made = frame.adversarial
    assert made.image.shape == frame.image.shape
    assert 0 < (made.image - frame.image).abs().max() <= 16 / 255 + 1e-6
    assert frame.detector(made.image[None]).argmax() == frame.detector.real
    assert 0 < made.steps <= 40


def test_a_frame_called_real_has_no_adversarial_image_and_weak_adversarial_rankings() -> None:
    detector, image = planted()
    image = image // 2
    frame = frame_of(detector, image, DEEPFAKES)
    assert frame.adversarial.steps == 0
    assert torch.equal(frame.adversarial.image, frame.image)
    for method in ("LIME_adv", "SHAP_adv", "SOBOL_adv"):
        assert frame.explain(method).weak


@pytest.mark.parametrize(
    ("probabilities", "expected"), [([0.1, 0.6, 0.3], 1), ([0.6, 0.1, 0.3], 2), ([0.4, 0.4, 0.2], 1), ([1, 0, 0], 1)]
)
def test_the_explained_class_is_the_verdict_or_the_likeliest_fake(probabilities: list, expected: int) -> None:
    assert xai.explained_class(torch.tensor(probabilities), real=0) == expected


def test_real_need_not_be_class_zero() -> None:
    assert xai.explained_class(torch.tensor([0.3, 0.7]), real=1) == 0


def test_explain_is_the_frames_explanation_in_one_call() -> None:
    detector, image = planted()
    explanation = xai.explain(detector, image, "LIME", preset="quick", seed=3, overrides=SMALL, key="frame")
    expected = frame_of(detector, image, DEEPFAKES, seed=3, key="frame").explain("LIME")
    assert explanation.target == DEEPFAKES
    assert np.array_equal(explanation.saliency, expected.saliency)
    assert np.array_equal(explanation.segments, expected.segments)
    assert xai.explain(detector, image, "LIME", 4, "quick", overrides=SMALL).target == 4


def test_explain_takes_an_image_of_any_size() -> None:
    detector, image = planted()
    large = image.repeat(3, axis=0).repeat(3, axis=1)
    explanation = xai.explain(detector, large, "SOBOL", preset="quick", overrides=SMALL)
    assert explanation.saliency.shape == (64, 64)
    assert explanation.ranking[0] == holds_the_patch(explanation.segments)


def test_a_users_explainer_works_with_both_fills() -> None:
    detector, image = planted()
    for method in (f"{OWN}:Occlusion", f"{OWN}:Occlusion_adv"):
        explanation = xai.explain(detector, image, method, preset="quick", overrides=SMALL)
        assert explanation.ranking[0] == holds_the_patch(explanation.segments)
    dark = xai.explain(detector, image, f"{OWN}:darkness", preset="quick", overrides=SMALL)
    assert np.allclose(dark.saliency, 1 - image.mean(axis=2) / 255, atol=1e-6)
    assert dark.forwards == 0


@pytest.mark.parametrize(
    ("name", "message"), [("undefined", "not finite"), ("flat", r"returned ndarray \(\d+,\) instead of")]
)
def test_a_users_bad_saliency_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        xai.explain(*planted(), method=f"{OWN}:{name}", preset="quick", overrides=SMALL)


def test_bad_frames_classes_and_fills_are_refused(planted_frame: xai.FrameExplanations) -> None:
    detector, _ = planted()
    settings = xai.build_settings("quick")
    with pytest.raises(InputError, match=r"shape \(3, 64, 64\), got \(3, 32, 64\)"):
        xai.FrameExplanations(detector, torch.zeros(3, 32, 64), 1, settings)
    for target in (5, -1, True, 1.0, "Fake"):
        with pytest.raises(InputError, match=f"class {target} cannot be explained"):
            xai.FrameExplanations(detector, torch.zeros(3, 64, 64), target, settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown fill 'grey'; known: zero"):
        planted_frame.fill("grey")
    with pytest.raises(InputError, match="the settings have no explainer"):
        planted_frame.explain(f"{OWN}:darkness")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_that_of_the_queries_and_never_of_the_attack(precision: str) -> None:
    image, types = photo(32), []
    detector = SmallNetwork()
    detector.linear.register_forward_hook(lambda *parts: types.append(parts[-1].dtype))
    settings = xai.build_settings("quick", {**SMALL, "LIME": {"samples": 20}})
    frame = xai.FrameExplanations(detector, image, 2, settings, precision=precision)
    frame.explain("LIME")
    assert set(types) == {getattr(torch, precision)}
    types.clear()
    assert frame.adversarial.forwards > 0
    assert set(types) == {torch.float32}
