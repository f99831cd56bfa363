"""The lines of docs/methods.md's table "differs from the published code" that scoring answers for, one test each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from analysis.summary import summarise_methods
from attacks import NES, Batch, RegionAttack
from common.errors import InputError
from data.frames import Frame
from data.source import open_frames
from detectors import Queries
from reporting.products import RunResults
from reporting.tables import PUBLISHED_COLUMNS, published
from runs.chosen_parts import chosen_methods
from runs.selection import Selection, select_frames
from scoring.baselines.table import BASELINES
from scoring.frame import Scorer
from scoring.records import Row
from tests.analysis.made_up import make, table
from tests.runs.test_configuration import CONFIGURATION
from tests.runs.test_run import Scores, contents
from tests.runs.whole_runs import score_and_report
from tests.scoring.stand_ins import Eraser, PlantedDetector, picture, write_frames
from tests.scoring.test_frame import CONTROLLED, TINY
from xai.explanation import FrameExplanations
from xai.explanation_settings import build_settings
from xai.methods import ALL, parse_method

SHAPLESS = [name for name in ALL if not name.startswith("SHAP")]


def frame(image: np.ndarray | None = None) -> Frame:
    return Frame("v/1.png", picture("v/1.png", "Deepfakes") if image is None else image, 3, "Deepfakes", "v")


def score(methods: list[str], **changes: object) -> list[Row]:
    chosen = chosen_methods(methods)
    scorer = Scorer(
        PlantedDetector(), chosen, build_settings("quick", TINY, chosen), {"eraser": Eraser()}, CONTROLLED, seed=1
    )
    return replace(scorer, **changes)(frame()).rows  # type: ignore[arg-type]


def test_lime_is_lime() -> None:
    """Published: the LIME row is LIME_adv on another segmentation."""
    rows = {row.method: row for row in score(["LIME", "LIME_adv"]) if row.k == 1}
    assert (rows["LIME"].fill, rows["LIME_adv"].fill) == ("segment_mean", "adversarial")
    explanations = FrameExplanations(
        PlantedDetector(), PlantedDetector().prepare(frame().image), 3, build_settings("quick", TINY), 1, "v/1.png"
    )
    plain, adversarial = (explanations.explain(name) for name in ("LIME", "LIME_adv"))
    assert not np.array_equal(plain.saliency, adversarial.saliency)
    assert rows["LIME"].area == (plain.segments == plain.ranking[0]).mean()


def test_rows_are_keyed_by_name() -> None:
    """Published: rows are stored RISE before SOBOL and labelled SOBOL before RISE."""
    forward, backward = score(SHAPLESS), score(SHAPLESS[::-1])
    by_name = {(row.method, row.k): row for row in forward}
    assert len({row.area for row in forward}) > 3  # else a mix-up would not show
    for row in backward:
        twin = by_name[row.method, row.k]
        assert (row.fill, row.area, row.flipped_to_real, row.linf) == (
            twin.fill, twin.area, twin.flipped_to_real, twin.linf
        )  # fmt: skip
    made = make(lambda method, video, k: method == "SOBOL", ("RISE", "SOBOL"))
    scores = published(table(made))
    assert scores.loc["SOBOL", "Accuracy DF (Top 1)"] == 0.0
    assert scores.loc["RISE", "Accuracy DF (Top 1)"] == 1.0
    assert published(table(made[::-1])).loc["SOBOL", "Accuracy DF (Top 1)"] == 0.0


def test_the_budget_bounds_the_sum_of_the_steps() -> None:
    """Published: 16/255 bounds one step of 1/255, so that 50 steps may add up to 50/255, even beyond white."""
    stubborn = NES(pairs=2, steps=30, step=4 / 255, epsilon=16 / 255)
    rows = score(["LIME"], attacks={"nes": stubborn})
    assert max(row.steps for row in rows) * 4 / 255 > 16 / 255
    assert all(row.linf <= 16 / 255 + 1e-6 for row in rows)

    class Overshoot(RegionAttack):
        rounds = 3

        def propose(self, queries: Queries, batch: Batch) -> Tensor:
            return batch.images + 1

    class Watching(PlantedDetector):
        brightest = 0.0

        def forward(self, images: Tensor) -> Tensor:
            type(self).brightest = max(self.brightest, float(images.max()))
            return super().forward(images)

    rows = score([], attacks={"over": Overshoot(epsilon=0.9)}, detector=Watching())
    assert Watching.brightest == 1.0
    assert all(row.linf < 0.9 for row in rows)


def test_softmax_is_taken_once() -> None:
    """Published: twice in LIME and RISE, which squeezes probabilities together."""
    detector = PlantedDetector()
    logits = detector(detector.prepare(frame().image)[None])[0].detach().double().numpy()
    once = np.exp(logits) / np.exp(logits).sum()
    twice = np.exp(once) / np.exp(once).sum()
    for row in score(["LIME"]):
        assert row.before == pytest.approx(once[3], rel=1e-5)
        assert abs(row.before - twice[3]) > 0.3


def test_every_image_is_ranked_and_weak_rankings_are_counted() -> None:
    """Published: LIME drops an image with fewer than three positive segments, so methods average other images."""
    clueless = "tests.scoring.stand_ins:clueless"
    rows = score(["LIME", clueless])
    for method in ("LIME", clueless, "random"):
        assert [row.k for row in rows if row.method == method] == [1, 2, 3]
    lines = summarise_methods(table(rows)).of("eraser", "1")
    assert {line.frames for line in lines.values()} == {1}
    assert {name: line.weak for name, line in lines.items()} == {"LIME": 0, clueless: 1, "random": 0}
    assert all(0 < row.area < 0.5 for row in rows)


def test_one_segmentation_per_frame() -> None:
    """Published: segments differ between methods, so their regions cannot be compared."""
    explanations = FrameExplanations(
        PlantedDetector(), PlantedDetector().prepare(frame().image), 3, build_settings("quick", TINY), 1, "v/1.png"
    )
    areas = {float(area) for area in np.bincount(explanations.segments.ravel()) / explanations.segments.size}
    for row in score(SHAPLESS):
        if row.k == 1:
            assert row.area in areas


def test_resuming_is_bound_to_what_made_the_frames(tmp_path: Path) -> None:
    """Published: resuming counts rows of one growing file, with no check of what made them."""
    selection = select_frames(open_frames(write_frames(tmp_path / "frames", videos=2)))

    def start(selection: Selection, seed: int, scores: Scores) -> RunResults | int:
        configuration = replace(CONFIGURATION, methods=("LIME",), frames=selection.identity, seed=seed)
        return score_and_report(tmp_path / "run", configuration, selection, scores)

    start(selection, 0, Scores())
    before, scores = contents(tmp_path / "run"), Scores()
    for other, seed in ((selection, 1), (select_frames(open_frames(tmp_path / "frames" / "index.csv"), limit=3), 0)):
        with pytest.raises(InputError, match="another configuration"):
            start(other, seed, scores)
    assert scores.asked == []
    assert contents(tmp_path / "run") == before


def test_the_drop_is_called_a_drop() -> None:
    """Published: "Sufficiency" names the drop p(x) - p(attacked x); it stays as a column title only."""
    rows = score(["LIME"])
    assert all(row.drop == row.before - row.after for row in rows)
    assert any(row.drop > 0.1 for row in rows)
    assert not hasattr(rows[0], "sufficiency")
    scores = published(table(rows))
    titles = [name for name in PUBLISHED_COLUMNS if name.startswith("Sufficiency DF")]
    drops = [round(row.drop, 3) for row in rows if row.method == "LIME"]
    assert scores.loc["LIME", titles].tolist() == pytest.approx(drops)


def test_no_reference_is_an_explanation() -> None:
    assert [method.name for method in chosen_methods(["All"])] == list(ALL)
    assert [method.name for method in chosen_methods(["LIME", "LIME"])] == ["LIME"]
    for baseline in BASELINES:
        with pytest.raises(InputError, match="unknown method"):
            parse_method(baseline)
