"""The calibration of sampling errors, in short: a small network, few re-runs, wide limits."""

import numpy as np
import pytest

import xai
from benchmarks.sampling_error import WITHOUT_DRAWS, calibrations, error_ratio
from data.frames import Frame
from tests.xai.helpers import SmallNetwork, photo


def test_stated_errors_are_near_the_spread_seen() -> None:
    settings = xai.build_settings("quick", {"segments": {"count": 16}, "LIME": {"samples": 60}})
    found: dict[str, list] = {}
    for index in range(2):
        image = (255 * photo(32, index).permute(1, 2, 0).numpy()).astype(np.uint8)
        frame = Frame(key=str(index), image=image, label=None, family=None, video="", mask=None)
        names = ["LIME", "SHAP", "SOBOL", "RISE"]
        for name, calibration in calibrations(SmallNetwork(), frame, settings, names, re_runs=10):
            found.setdefault(name, []).append(calibration)
    for name in ("LIME", "SOBOL", "RISE"):
        assert error_ratio(found[name]) == pytest.approx(1.0, abs=0.4), name
        stated, seen = (
            np.mean([getattr(c, f"{which}_same") for c in found[name]], axis=0) for which in ("stated", "seen")
        )
        assert np.abs(stated - seen).max() < 0.4, name
    for calibration in found["SHAP"]:
        assert calibration.runs == WITHOUT_DRAWS
        assert calibration.seen_variance == 0.0
        assert calibration.stated_same.tolist() == calibration.seen_same.tolist() == [1.0, 1.0, 1.0]
