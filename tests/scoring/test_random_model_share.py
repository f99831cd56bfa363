"""What the baseline "random-model" is asked, and that its price is counted."""

from dataclasses import replace

import pytest

from common.errors import InputError
from common.settings import override
from scoring.protocol import Protocol
from tests.scoring.baselines.test_baselines import FULL, scorer
from tests.scoring.test_frame import frame
from xai.explanation_settings import PRESETS, with_share_of_queries


def test_a_share_of_the_queries_is_each_methods_own() -> None:
    explainers = with_share_of_queries(PRESETS["published"], 0.25).explainers
    assert explainers["LIME"].samples == 500  # type: ignore[union-attr]
    assert explainers["SHAP"].evaluations == 500  # type: ignore[union-attr]
    assert explainers["RISE"].samples == 1000  # type: ignore[union-attr]
    assert explainers["SOBOL"].designs == 8  # type: ignore[union-attr]
    for share, designs in ((0.3, 8), (0.5, 16), (0.01, 4), (1.0, 32)):  # a power of two within the share
        assert with_share_of_queries(PRESETS["published"], share).explainers["SOBOL"].designs == designs  # type: ignore[union-attr]
    assert with_share_of_queries(PRESETS["published"], 1.0) == PRESETS["published"]


def test_the_random_model_is_charged_what_it_is_asked() -> None:
    costs = {}
    for share in (0.5, 1.0):
        protocol = replace(FULL, baselines=("random-model",), random_model_share=share, flip_thresholds=())
        scored = scorer(protocol=protocol)(frame())
        costs[share] = {cost.stage: cost for cost in scored.costs}
    whole, half = costs[1.0], costs[0.5]
    own = whole["LIME"].forwards + whole["SOBOL_adv"].forwards - whole["adversarial"].forwards
    assert whole["random-model"].forwards == own
    assert half["random-model"].forwards < 0.7 * own
    assert half["LIME"].forwards == whole["LIME"].forwards


@pytest.mark.parametrize("share", ["0", "1.5"])
def test_a_share_lies_above_zero_and_up_to_one(share: str) -> None:
    with pytest.raises(InputError, match="random_model_share must lie in"):
        override(Protocol(), {"random_model_share": share}, "protocol")
