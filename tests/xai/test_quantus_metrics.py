"""Quantus' metrics with our explain_func: docs/notebook.md says which work, and every one of them is run here."""

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.xai.helpers import SmallNetwork, photo
from xai.quantus_bridge import explain_func

quantus = pytest.importorskip("quantus", reason="quantus is not installed")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notebook.md"
EXPLAIN = {"method": "captum:InputXGradient", "preset": "quick"}
CHEAP = {"nr_samples": 2, "nr_runs": 2, "features_in_step": 256, "subset_size": 100}
MADE: dict[str, dict[str, Any]] = {
    "RandomLogit": {"num_classes": 3},
    "RelativeRepresentationStability": {"layer_names": ["convolution"]},
    "SensitivityN": {"features_in_step": 128},
    "NonSensitivity": {"features_in_step": 1},
}
"""What a metric must be made with, beside what keeps it cheap."""

CALLED: dict[str, Callable[[], dict[str, Any]]] = {
    "SensitivityN": lambda: {"x_batch": images(2), "y_batch": np.array([2, 1])},
    "Focus": lambda: {"custom_batch": [(1, 0, 0, 1)]},
    "InputInvariance": lambda: {"a_batch": None},
    "SmoothMPRT": lambda: {"explain_func": functools.partial(explain_func, **EXPLAIN), "explain_func_kwargs": {}},
}
"""What it must be called with."""


def images(count: int = 1) -> np.ndarray:
    return torch.stack([photo(32, seed) for seed in range(count)]).numpy()


def asked(name: str) -> Any:
    kind = getattr(quantus, name)
    known = inspect.signature(kind.__init__).parameters
    settings = {key: value for key, value in CHEAP.items() if key in known} | MADE.get(name, {})
    metric = kind(disable_warnings=True, display_progressbar=False, **settings)
    given: dict[str, Any] = {
        "model": SmallNetwork().eval(),
        "x_batch": images(),
        "y_batch": np.array([2]),
        "explain_func": explain_func,
        "explain_func_kwargs": EXPLAIN,
        "device": "cpu",
    }
    if "localisation" in kind.__module__ and name != "Focus":
        mask = np.zeros((1, 1, 32, 32), dtype=bool)
        mask[..., 8:20, 8:20] = True
        given["s_batch"] = mask
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - Quantus draws from it
    return metric(**given | CALLED.get(name, dict)())


def numbers(value: Any) -> list[float]:
    """Every number in what a metric gives: lists, arrays and dictionaries of them."""
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers(each)]
    return np.asarray(value, dtype=float).ravel().tolist()


def named(column: str) -> list[str]:
    """The metrics in a line of the page's table."""
    (line,) = re.findall(rf"^\| {column} \|(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return list(dict.fromkeys(re.findall(r"`([A-Z]\w+)`", line.split("|")[0])))


WORK = named("work")
FAIL = {
    "IROF": (AssertionError, "shape of arr must be the same as the mask shape"),
    "ROAD": (IndexError, "out of bounds for axis 0 with size 1024"),
    "InputInvariance": (ValueError, r"inputs must lie in \[0, 1\], but for a metric's noise"),
}


def test_the_page_names_every_metric_once() -> None:
    every = [kind.__name__ for kinds in quantus.AVAILABLE_METRICS.values() for kind in kinds.values()]
    assert sorted([*WORK, *named("fail")]) == sorted(every)
    assert sorted(named("fail")) == sorted(FAIL)


@pytest.mark.filterwarnings("ignore")  # Quantus' own, of divisions and deprecations
@pytest.mark.parametrize("name", WORK)
def test_what_the_page_names_works(name: str) -> None:
    found = numbers(asked(name))
    assert found
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", FAIL)
def test_what_fails_fails_as_the_page_says(name: str) -> None:
    kind, message = FAIL[name]
    with pytest.raises(kind, match=message):
        asked(name)


def test_noise_divides_no_image_for_a_method_without_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else SLIC collapses on the noise that a metric of robustness adds."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the image was divided")

    monkeypatch.setattr("xai.segments.slic", refuse)
    assert np.isfinite(numbers(asked("LocalLipschitzEstimate"))).all()
    with pytest.raises(AssertionError, match="divided"):
        explain_func(SmallNetwork(), images(), np.array([2]), method="LIME", preset="quick")
