"""Whom to trust, on runs whose truth is known: sound methods are, guesses and what knows nothing are not."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.method_ranking import rank_methods
from analysis.statistics import Estimate, PairedComparison, against_draws_p, sign_flip_p
from analysis.tiers import headline_tiers
from analysis.trust import Answer, answer
from attacks import Batch
from attacks.registry import build_attack
from common.seeds import generator
from data.frames import Frame
from detectors import Queries
from reporting import answer_words
from reporting.answer_words import reasons, short
from runs.chosen_parts import chosen_methods
from scoring.baselines.rankings import face_centre
from scoring.baselines.table import CENTRE, EDGES, ORACLE, RANDOM_AREA
from scoring.frame import Scorer
from scoring.protocol import Protocol
from scoring.records import Row
from tests.analysis.made_up import table
from tests.scoring.stand_ins import GUESS, Eraser, PlantedDetector, picture
from tests.scoring.test_records import ROW
from xai.base import Fill, Score
from xai.explanation_settings import build_settings

AWAY = 16  # by which the planted patch lies off the centre, so that face-centre misses it
SOUND = ("LIME", "SHAP", "LIME_adv")
CENTRAL = "tests.analysis.test_trust:central"
SETTINGS = {
    "segments": {"count": 9, "kind": "grid"},
    "LIME": {"samples": 250},
    "SHAP": {"evaluations": 200},
    "adversarial": {"pairs": 30, "steps": 24, "step": 2 / 255},
    "blur": {"kernel": 16},
}
PROTOCOL = Protocol(baselines=(RANDOM_AREA, CENTRE, EDGES, ORACLE), depths=("1", "2"), area_draws=3, flip_thresholds=())


class OffCentre(PlantedDetector):
    """What decides lies in a corner."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.roll((AWAY, AWAY), dims=(2, 3)))


class CornerEraser(Eraser):
    """Erases it there."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        moved = replace(batch, images=batch.images.roll((AWAY, AWAY), dims=(2, 3)))
        erased = super().propose(queries, moved)
        return torch.as_tensor(erased).roll((-AWAY, -AWAY), dims=(2, 3))


def central(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """An explainer that says the middle of the face, whatever it is shown."""
    order = face_centre(segments).order
    return (len(order) - np.argsort(order)).astype(np.float32)[segments]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Frames of ten videos, scored under two attacks."""
    chosen = chosen_methods((*SOUND, GUESS, CENTRAL))
    attacks = {"eraser": CornerEraser(), "pgd": build_attack("pgd", overrides={"steps": 8, "alpha": 4 / 255})}
    scorer = Scorer(OffCentre(), chosen, build_settings("quick", SETTINGS, chosen), attacks, PROTOCOL, batch_size=64)
    made: list[Row] = []
    for video in range(10):
        shown = np.roll(picture(f"v{video}", "Deepfakes"), (-AWAY, -AWAY), axis=(0, 1))
        made += scorer(Frame(f"v{video}/1.png", shown, 3, "Deepfakes", f"v{video}", None)).rows
    return table(made)


def test_all_sound_methods_are_trusted_and_a_guess_and_the_centre_never(rows: pd.DataFrame) -> None:
    found = answer(rank_methods(rows, 0))
    assert found.attacks == ("eraser", "pgd")
    assert set(found.trusted) == set(SOUND)
    assert ("pgd", CENTRE) in found.trust[CENTRAL].not_shown
    assert found.needed == 8  # 5 methods: 5 * 2^-7 is the first below 0.05
    assert answer_words.sentence(found).endswith(" are the explanations to trust here.")


def test_one_attack_two_of_a_kind_and_a_missing_baseline_give_no_trust(rows: pd.DataFrame) -> None:
    one = answer(rank_methods(rows[rows["attack"] == "pgd"], 0))
    assert one.trusted == ()
    assert answer_words.sentence(one) == "No explanation can be trusted on the word of one attack."
    assert "add another --attack" in answer_words.reasons(one)[0]
    kin = rows.assign(attack=rows["attack"].replace("eraser", "torchattacks:PGD"))
    assert answer(rank_methods(kin, 0)).trusted == ()
    bare = answer(rank_methods(rows[rows["method"] != EDGES], 0))
    assert bare.trusted == ()
    assert bare.missing_opponents == (EDGES,)
    assert "not compared with edges" in answer_words.sentence(bare)
    assert "add --baseline edges" in answer_words.reasons(bare)[0]


def test_too_few_videos_are_said_first(rows: pd.DataFrame) -> None:
    few = answer(rank_methods(rows[rows["video"].isin([f"v{video}" for video in range(7)])], 0))
    assert few.trusted == ()
    assert answer_words.sentence(few).startswith("7 videos are too few to say which explanation to trust: at least 8")
    assert "score frames of at least 8 videos" in answer_words.reasons(few)[0]


def test_of_one_video_no_baseline_is_said_to_be_missing_that_is_there(rows: pd.DataFrame) -> None:
    one = answer(rank_methods(rows[rows["video"] == "v0"], 0))
    assert one.trusted == ()
    assert one.missing_opponents == ()
    assert not any("--baseline" in reason for reason in answer_words.reasons(one))


def drops(run: int, shift: Mapping[str, float], videos: int = 12) -> dict[str, dict[str, np.ndarray]]:
    """Drops by attack and ranking, (videos, draws): those of a video are alike, the attacks agree but for noise.

    Random regions ("of" a ranking) are two draws; `shift` is by how much a ranking does more than these.
    """
    draws = np.random.default_rng(run)
    base = draws.normal(0, 0.1, (videos, 1))
    names = ["LIME", "SHAP", CENTRE, EDGES, ORACLE, *(f"of {name}" for name in ("LIME", "SHAP", CENTRE, EDGES))]
    common = {
        name: base + draws.normal(shift.get(name, 0.0), 0.05, (videos, 2 if name.startswith("of ") else 1))
        for name in names
    }
    return {
        attack: {name: values + draws.normal(0, 0.01, values.shape) for name, values in common.items()}
        for attack in ("nes", "pgd")
    }


def as_rows(made: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """The rows of such drops."""
    return table(
        [
            replace(
                ROW, key=f"{video}/1", video=f"{video}", method=RANDOM_AREA if name.startswith("of ") else name,
                of=name.removeprefix("of ") if name.startswith("of ") else "", draw=draw, attack=attack, depth="1",
                drop=float(drop), flipped_to_real=name == ORACLE,
            )
            for attack, rankings in made.items()
            for name, values in rankings.items()
            for (video, draw), drop in np.ndenumerate(values)
        ]
    )  # fmt: skip


def judged(made: dict[str, dict[str, np.ndarray]], run: int) -> Answer:
    """The answer by the same tests without intervals and scores, which take most of the time."""
    headlines = []
    for attack, rankings in made.items():
        videos, lines = np.arange(len(rankings["LIME"])), []
        for method in ("LIME", "SHAP"):
            own, draws = rankings[method][:, 0], generator(run, attack, method)
            against = {RANDOM_AREA: against_draws_p(own, rankings[f"of {method}"], videos, draws)}
            against |= {name: sign_flip_p(own - rankings[name][:, 0], videos, draws) for name in (CENTRE, EDGES)}
            means = {RANDOM_AREA: rankings[f"of {method}"].mean(), **{n: rankings[n].mean() for n in (CENTRE, EDGES)}}
            pairs = {
                name: PairedComparison(difference=Estimate(float(own.mean() - means[name])), p=p)
                for name, p in against.items()
            }
            lines.append(HeadlineLine(method, Estimate(0.5), against=pairs))
        headlines.append(Headline(Condition(attack), tuple(lines), videos=len(videos), needed=3))
    return answer(headlines)


NOTHING = {ORACLE: 0.2}
HARDEST = {"LIME": 0.4, "SHAP": 0.4, CENTRE: 0.4, ORACLE: 0.6}
"""All but the comparison with face-centre is true."""


@pytest.mark.parametrize("shift", [NOTHING, HARDEST], ids=["the detector ignores its input", "one comparison is null"])
def test_nothing_is_trusted_where_there_is_nothing_in_93_of_100_runs(shift: dict[str, float]) -> None:
    wrong = sum(bool(judged(drops(run, shift), run).trusted) for run in range(100))
    assert wrong <= 7


@pytest.mark.parametrize("shift", [NOTHING, HARDEST, {"LIME": 0.4, CENTRE: 0.2, ORACLE: 0.6}])
def test_a_run_is_judged_by_these_tests(shift: dict[str, float]) -> None:
    made = drops(3, shift)
    whole, quick = answer(rank_methods(as_rows(made), 0)), judged(made, 0)
    assert whole.trusted == quick.trusted == (("LIME",) if shift.get("LIME", 0.0) > shift.get(CENTRE, 0.0) else ())
    for method in ("LIME", "SHAP"):
        assert whole.trust[method].p == pytest.approx(quick.trust[method].p, abs=0.02)


def test_the_largest_p_value_counts_and_is_corrected() -> None:
    def headline(attack: str, p: dict[str, float]) -> Headline:
        lines = []
        for method in ("A", "B"):
            pair = {
                name: PairedComparison(difference=Estimate(0.1, 0.0, 0.2), p=p[method], p_holm=p[method])
                for name in (RANDOM_AREA, CENTRE, EDGES)
            }
            lines.append(HeadlineLine(method, Estimate(0.5), against=pair, is_significant=True))
        return Headline(Condition(attack), tuple(lines), videos=20, needed=3)

    found: Answer = answer([headline("nes", {"A": 0.001, "B": 0.001}), headline("pgd", {"A": 0.02, "B": 0.04})])
    assert {name: each.p for name, each in found.trust.items()} == {"A": 0.04, "B": 0.04}
    found = answer([headline("nes", {"A": 0.001, "B": 0.001}), headline("pgd", {"A": 0.03, "B": 0.001})])
    assert found.trusted == ("A", "B")
    found = answer([headline("nes", {"A": 0.001, "B": 0.001}), headline("pgd", {"A": 0.06, "B": 0.001})])
    assert found.trusted == ("B",)


def test_a_method_that_failed_under_one_attack_is_said_to_be_untested_there() -> None:
    """Not that it does more than everything else by itself."""
    made = drops(3, {"LIME": 0.4, CENTRE: 0.2, ORACLE: 0.6})
    rows = as_rows(made)
    gone = (rows["attack"] == "pgd") & ((rows["method"] == "LIME") | (rows["of"] == "LIME"))
    found = answer(rank_methods(rows[~gone], 0))
    assert found.trust["LIME"].untested == ("pgd",)
    assert not found.trust["LIME"].is_trusted
    assert found.trust["SHAP"].untested == ()
    said = " ".join(reasons(found))
    assert "more than random regions under nes, but not tested against everything under pgd" in said
    assert "by itself" not in said
    assert short(found, headline_tiers(found.main, found.trusted), "LIME") == "beats random; not tested under pgd"
