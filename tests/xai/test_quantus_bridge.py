"""Quantus' metrics ask our explainers: the maps are those of xai.explain, and a planted patch scores as it should."""

import numpy as np
import pytest
import torch
from torch import nn

import xai
from common.errors import InputError
from tests.xai.helpers import DEEPFAKES, PATCH, SmallNetwork, photo, planted
from xai.quantus_bridge import explain_func

OVERRIDES = {"segments": {"count": 16}, "LIME": {"samples": 60}}


@pytest.mark.parametrize("method", ["LIME", "captum:Saliency", "captum:FeatureAblation"])
def test_its_maps_are_those_of_explain(method: str) -> None:
    detector, image = planted()
    dimmed = (image * 0.97).round().astype(np.uint8)
    inputs = np.stack([detector.prepare(each).numpy() for each in (image, dimmed)])
    maps = explain_func(detector, inputs, np.array([DEEPFAKES, 1]), method=method, preset="quick", overrides=OVERRIDES)
    assert maps.shape == (2, 1, 64, 64)
    assert maps.dtype == np.float32
    for found, picture, target in zip(maps, (image, dimmed), (DEEPFAKES, 1), strict=True):
        single = xai.explain(detector, picture, method, target, preset="quick", overrides=OVERRIDES)
        assert np.array_equal(found[0], single.saliency)
    assert not np.array_equal(maps[0], maps[1])


def test_noise_beyond_the_range_is_clipped() -> None:
    detector, image = SmallNetwork(), photo(32).numpy()[None]
    noisy = image + np.random.default_rng(0).uniform(-0.2, 0.2, image.shape)
    assert noisy.min() < 0
    assert noisy.max() > 1

    def maps(inputs: np.ndarray) -> np.ndarray:
        return explain_func(detector, inputs, np.array([2]), method="captum:InputXGradient", preset="quick")

    assert np.array_equal(maps(noisy), maps(noisy.clip(0, 1)))


def test_what_it_cannot_explain_is_told() -> None:
    detector, image = SmallNetwork(), photo(32).numpy()[None]
    with pytest.raises(InputError, match=r"Linear is no detectors\.Detector; wrap the network in one"):
        explain_func(nn.Linear(1, 1), image, np.array([0]))
    with pytest.raises(
        InputError, match=r"inputs must lie in \[0, 1\], but for .*, got values from -[0-9.]+ to [0-9.]+"
    ):
        explain_func(detector, (image - 0.5) / 0.1, np.array([0]))
    for wrong in (image * np.nan, image - 1, 1.05 + 0.9 * image):  # nothing; shifted, as by InputInvariance; brighter
        with pytest.raises(InputError, match="must lie in"):
            explain_func(detector, wrong, np.array([0]))
    with pytest.raises(InputError, match=r"expected inputs \(N, 3, 32, 32\) and N targets, got \(1, 3, 16, 16\)"):
        explain_func(detector, image[:, :, :16, :16], np.array([0]))
    with pytest.raises(InputError, match="and N targets"):
        explain_func(detector, image, np.array([0, 1]))
    with pytest.raises(InputError, match="class 7 cannot be explained"):
        explain_func(detector, image, np.array([7]), method="captum:Saliency")


def test_quantus_takes_it_as_it_is() -> None:
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    detector, image = planted()
    detector.eval()  # Quantus insists
    inputs = detector.prepare(image).numpy()[None]
    mask = np.zeros((1, 1, 64, 64), dtype=bool)
    mask[0, 0][PATCH] = True
    given = {
        "model": detector,
        "x_batch": inputs,
        "y_batch": np.array([DEEPFAKES]),
        "explain_func": explain_func,
        "device": "cpu",
    }
    quiet = {"disable_warnings": True, "display_progressbar": False}
    ask = {"preset": "quick", "overrides": OVERRIDES}

    gradients = {"explain_func_kwargs": {"method": "captum:Saliency", **ask}}
    mass = quantus.RelevanceMassAccuracy(**quiet)(**given, s_batch=mask, **gradients)
    assert mass == pytest.approx([1.0])  # the gradient is zero outside the patch
    lime = {"explain_func_kwargs": {"method": "LIME", **ask}}
    pointing = quantus.PointingGame(**quiet)(**given, s_batch=mask, **lime)
    assert np.all(pointing)
    control = {"explain_func_kwargs": {"method": "tests.xai.own:darkness", **ask}}
    pixels = quantus.PixelFlipping(features_in_step=256, perturb_baseline="black", **quiet)
    curves = [np.mean(pixels(**given, **each)[0]) for each in (gradients, control)]
    assert curves[0] < curves[1] - 0.05  # hiding the patch first lowers the score at once
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    sensitivity = quantus.MaxSensitivity(nr_samples=2, lower_bound=0.01, **quiet)(**given, **gradients)
    assert np.isfinite(sensitivity).all()
