"""The sentences say what the numbers allow, and no more."""

from dataclasses import replace

from analysis.summary import summarise_methods
from analysis.tiers import flip_rate_tiers
from common.console import count
from reporting.conclusions import conclude, counts
from tests.analysis.made_up import make, table, unclassed, unseen

METHODS = ("LIME", "SHAP", "RISE", "SOBOL", "random")


def flipping(method: str, video: int, k: int) -> bool:
    """LIME always flips, SHAP nearly, RISE half way, SOBOL as random regions; Random for one video in four."""
    return {"LIME": True, "SHAP": video != 0, "RISE": k == 3 or video % 4 == 0, "SOBOL": video % 4 == 1}.get(
        method, video % 4 == 0
    )


def test_methods_are_sorted_by_what_the_tests_allow() -> None:
    rows = table(make(flipping, METHODS, videos=12))
    found = flip_rate_tiers(rows, summarise_methods(rows), "nes", 0)
    assert found.best == ("LIME",)
    assert found.level == ("SHAP",)
    assert found.behind == ("RISE",)
    assert found.same == ("SOBOL",)
    assert found.worse == ()
    text = " ".join(conclude(rows, summarise_methods(rows), "nes", 0))
    assert "Most trustworthy here: LIME. Attacking its regions flips 100 % of verdicts" in text
    assert "random regions 25 %" in text
    assert "Not distinguishable from the best: SHAP." in text
    assert "Behind, but better than random regions: RISE." in text
    assert "Not distinguishable from random regions: SOBOL." in text


def test_what_was_truly_manipulated_is_said_where_it_is_known() -> None:
    shares = {"LIME": 0.25, "RISE": 0.75, "random": 0.1}
    made = make(lambda method, video, k: False, ("LIME", "RISE", "random"))
    known = [replace(row, mask_precision=shares[row.method] if row.video != made[0].video else -1.0) for row in made]
    text = " ".join(conclude(table(known), summarise_methods(table(known)), "nes", 0))
    assert "truly manipulated were: RISE 75 %, LIME 25 %; of random regions 10 %." in text
    unknown = table([replace(row, mask_precision=-1.0) for row in made])
    assert "truly manipulated" not in " ".join(conclude(unknown, summarise_methods(unknown), "nes", 0))


def test_the_drop_answers_where_no_verdict_flips() -> None:
    made = make(lambda method, video, k: False, ("LIME", "RISE", "random"), videos=12)
    more = {"LIME": 0.3, "RISE": 0.0, "random": 0.0}
    rows = table([replace(row, drop=row.drop + more[row.method]) for row in made])
    text = " ".join(conclude(rows, summarise_methods(rows), "nes", 0))
    assert "No method is shown to be better than random regions, which flip 0 %" in text
    assert "By the verdict's probability: LIME (0.50) lowers it more than random regions (0.20)." in text
    rows = table(made)
    assert "no method is shown to lower it more" in " ".join(conclude(rows, summarise_methods(rows), "nes", 0))


def test_equal_best_methods_share_the_first_place() -> None:
    rows = table(make(lambda method, video, k: method != "random", ("LIME", "SHAP", "random"), videos=12))
    text = " ".join(conclude(rows, summarise_methods(rows), "nes", 0))
    assert "Most trustworthy here: LIME and SHAP. Attacking their regions flips 100 %" in text
    assert "Not distinguishable" not in text


def test_worse_than_random_is_said() -> None:
    rows = table(make(lambda method, video, k: method == "random", ("LIME", "random"), videos=12))
    text = " ".join(conclude(rows, summarise_methods(rows), "nes", 0))
    assert "No method is shown to be better" in text
    assert "Worse than random regions: LIME." in text


def test_too_few_videos_prove_nothing_and_say_how_many_would() -> None:
    for videos, enough in ((6, False), (7, False), (8, True)):  # 4 methods: 4 * 2^-7 is the first p below 0.05
        rows = table(make(lambda method, video, k: method != "random", METHODS, videos=videos))
        text = " ".join(conclude(rows, summarise_methods(rows), "nes", 0))
        assert ("Most trustworthy" in text) == enough
        assert (f"With {videos} videos no test of 4 methods can reach p < 0.05" in text) == (not enough)
        if not enough:
            assert "at least 8 videos" in text
    rows = table(make(flipping, METHODS, videos=1))
    assert "one video" in conclude(rows, summarise_methods(rows), "nes", 0)[0]


def test_no_fake_verdict_and_no_control() -> None:
    rows = table([unseen(row) for row in make(flipping, METHODS)])
    assert "no frame fake" in conclude(rows, summarise_methods(rows), "nes", 0)[0]
    rows = table(make(flipping, ("LIME", "SHAP")))
    assert "--baseline random" in conclude(rows, summarise_methods(rows), "nes", 0)[0]
    rows = table(make(flipping, ("random",)))
    assert "Only baselines" in conclude(rows, summarise_methods(rows), "nes", 0)[0]


def test_counts_of_what_was_left_out() -> None:
    made = make(flipping, METHODS, videos=4)
    made = [unseen(row) if row.video.endswith("/003") else row for row in made]
    made = [unclassed(row) if row.video.endswith("/002") else row for row in made]
    made = [replace(row, weak=row.method == "RISE" and row.video.endswith("/001")) for row in made]
    rows = table(made)
    text = "\n".join(counts(rows, summarise_methods(rows), {"x.png": "bad"}))
    assert "Scored 8 of 9 frames, from 4 videos." in text
    assert "Failed: 1" in text
    assert "Called Real by the detector without any attack: 2;" in text
    assert "Without a class that the detector knows: 2 (FaceShifter)" in text
    assert "RISE 2." in text


def test_counts_of_a_clean_run_are_one_line() -> None:
    rows = table(make(flipping, METHODS, videos=1, frames=1))
    assert counts(rows, summarise_methods(rows), {}) == ["Scored 1 of 1 frame, from 1 video."]
    assert count(2, "class", "classes") == "2 classes"
