"""What the baseline "random-model" is asked, and that its price is counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError
from common.settings import override
from data.index import read_index
from runs.chosen_parts import chosen_methods
from runs.run_options import EvaluationOptions
from runs.setup import prepare_run
from scoring.protocol import Protocol
from tests.scoring.baselines.test_baselines import FULL, scorer
from tests.scoring.stand_ins import SIZE, write_frames
from tests.scoring.test_frame import TINY, frame
from xai.explanation_settings import PRESETS, build_settings, with_share_of_queries


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


def test_a_map_from_a_file_is_not_taken_for_one_of_random_weights(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    np.save(tmp_path / "v" / "1.png.npy", np.eye(SIZE))
    methods = chosen_methods(["LIME", f"saliency:{tmp_path}"])
    protocol = replace(FULL, baselines=("random-model",), flip_thresholds=())
    made = scorer(methods=methods, settings=build_settings("quick", TINY, methods), protocol=protocol)(frame())
    assert {row.method for row in made.rows if not row.of} == {"LIME", tmp_path.name}
    assert {row.of for row in made.rows if row.method == "random-model"} == {"LIME"}


def test_of_maps_from_files_alone_there_is_no_random_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = write_frames(tmp_path / "frames", videos=1, families=("Deepfakes",))
    (key,) = (entry.key for entry in read_index(index))
    (tmp_path / "maps" / key).parent.mkdir(parents=True)
    np.save(tmp_path / "maps" / f"{key}.npy", np.eye(SIZE))
    asked = EvaluationOptions(
        methods=(), saliency=(str(tmp_path / "maps"),), frames=index, device="cpu", attacks=("fgsm",),
        detector="tests.scoring.stand_ins:PlantedDetector",
    )  # fmt: skip
    assert "random-model" not in prepare_run(asked).scorer.protocol.baselines
    assert "random-model is left out: maps from files cannot be made anew" in capsys.readouterr().err
    with pytest.raises(InputError, match="--baseline random-model: maps from files"):
        prepare_run(replace(asked, baselines=("random-model",)))


@pytest.mark.parametrize("share", ["0", "1.5"])
def test_a_share_lies_above_zero_and_up_to_one(share: str) -> None:
    with pytest.raises(InputError, match="random_model_share must lie in"):
        override(Protocol(), {"random_model_share": share}, "protocol")
