"""`evaluate.py --as-published All` and a twin written from docs/methods.md find the same, within what draws move."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation_twins import (
    AREA,
    DROP,
    FLIPS,
    FRAMES,
    LINF,
    SCORED,
    Values,
    compared,
    product_values,
    twin_values,
)
from tests.reimplemented_evaluation import METHODS, SWAPPED, Sizes
from tests.small_demo import SmallDemo

SEEDS = 2
SMALL = Sizes(
    lime_samples=20, shap_evaluations=16, sobol_grid=3, sobol_designs=4, rise_samples=8, rise_grid=7, pairs=40,
    step=40 / 255, steps=3, adversarial_steps=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Values:
    folder: Path = tmp_path_factory.mktemp("twins")
    torch.set_num_threads(1)
    return product_values(folder, "tests.small_demo:SmallDemo", SMALL, SEEDS)


@pytest.fixture(scope="module")
def twin() -> Values:
    torch.set_num_threads(1)
    return twin_values(SmallDemo().eval(), SMALL, SEEDS)


def test_the_product_and_its_twin_agree(product: Values, twin: Values) -> None:
    """In each method's mean drop, flips, change and area, and in how many frames have a row."""
    found = compared(product, twin)
    assert set(found) == {(method, name) for method in METHODS for name in (DROP, FLIPS, LINF, AREA, SCORED)}
    assert product["SHAP", DROP].shape == twin["SHAP", DROP].shape == (FRAMES, SEEDS)
    assert not {place: one for place, one in found.items() if not one.within}
    assert 0.1 < found["LIME_adv", FLIPS].product < 0.9
    assert max(one.spread for (_, name), one in found.items() if name in (DROP, FLIPS)) < 0.15


def test_what_is_not_drawn_is_the_same_in_every_frame(product: Values, twin: Values) -> None:
    """SHAP with its blur, and what it is ranked over."""
    assert np.allclose(product["SHAP", AREA], twin["SHAP", AREA])
    other = twin_values(SmallDemo().eval(), SMALL, 1, ("own-segments",), ("SHAP",))
    assert not np.isclose(product["SHAP", AREA][:, :1], other["SHAP", AREA]).all()


def test_rows_that_are_not_swapped_are_seen(product: Values, twin: Values) -> None:
    right = {(SWAPPED.get(method, method), name): values for (method, name), values in twin.items()}
    found = compared(product, right)
    adversarial = [found[method, name] for method in ("SOBOL_adv", "RISE_adv") for name in (DROP, FLIPS)]
    assert not all(one.within for one in adversarial)


@pytest.mark.parametrize(("switch", "method", "seen"), [("lime-row", "LIME", AREA), ("unbounded-sum", "SHAP", LINF)])
def test_a_switch_that_is_left_out_is_seen(product: Values, switch: str, method: str, seen: str) -> None:
    found = compared(product, twin_values(SmallDemo().eval(), SMALL, 1, (switch,), (method,), first=SEEDS))
    assert not found[method, seen].within
