"""The sentences say what the numbers allow, and no more."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.method_ranking import rank_methods
from analysis.summary import summarise_methods
from analysis.tiers import flip_rate_tiers
from common.console import count
from reporting import words
from reporting.conclusions import conclude, conclude_by_flips, counts
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
    text = " ".join(conclude_by_flips(rows, summarise_methods(rows), "nes", 0))
    assert "Most flips here: LIME. Attacking its regions flips 100 % of verdicts" in text
    assert "random regions 25 %" in text
    assert "Not distinguishable from the best: SHAP." in text
    assert "Behind, but better than random regions: RISE." in text
    assert "Not distinguishable from random regions: SOBOL." in text


def test_what_was_truly_manipulated_is_said_where_it_is_known() -> None:
    shares = {"LIME": 0.25, "RISE": 0.75, "random": 0.1}
    made = make(lambda method, video, k: False, ("LIME", "RISE", "random"))
    known = [replace(row, mask_precision=shares[row.method] if row.video != made[0].video else -1.0) for row in made]
    text = " ".join(conclude_by_flips(table(known), summarise_methods(table(known)), "nes", 0))
    assert "truly manipulated were: RISE 75 %, LIME 25 %; of random regions 10 %." in text
    unknown = table([replace(row, mask_precision=-1.0) for row in made])
    assert "truly manipulated" not in " ".join(conclude_by_flips(unknown, summarise_methods(unknown), "nes", 0))


def test_the_drop_answers_where_no_verdict_flips() -> None:
    made = make(lambda method, video, k: False, ("LIME", "RISE", "random"), videos=12)
    more = {"LIME": 0.3, "RISE": 0.0, "random": 0.0}
    rows = table([replace(row, drop=row.drop + more[row.method]) for row in made])
    text = " ".join(conclude_by_flips(rows, summarise_methods(rows), "nes", 0))
    assert "No method is shown to be better than random regions, which flip 0 %" in text
    assert "By the verdict's probability: LIME (0.50) lowers it more than random regions (0.20)." in text
    rows = table(made)
    assert "no method is shown to lower it more" in " ".join(conclude_by_flips(rows, summarise_methods(rows), "nes", 0))


def test_equal_best_methods_share_the_first_place() -> None:
    rows = table(make(lambda method, video, k: method != "random", ("LIME", "SHAP", "random"), videos=12))
    text = " ".join(conclude_by_flips(rows, summarise_methods(rows), "nes", 0))
    assert "Most flips here: LIME and SHAP. Attacking their regions flips 100 %" in text
    assert "Not distinguishable" not in text


def test_worse_than_random_is_said() -> None:
    rows = table(make(lambda method, video, k: method == "random", ("LIME", "random"), videos=12))
    text = " ".join(conclude_by_flips(rows, summarise_methods(rows), "nes", 0))
    assert "No method is shown to be better" in text
    assert "Worse than random regions: LIME." in text


def test_too_few_videos_prove_nothing_and_say_how_many_would() -> None:
    for videos, enough in ((6, False), (7, False), (8, True)):  # 4 methods: 4 * 2^-7 is the first p below 0.05
        rows = table(make(lambda method, video, k: method != "random", METHODS, videos=videos))
        text = " ".join(conclude_by_flips(rows, summarise_methods(rows), "nes", 0))
        assert ("Most flips here" in text) == enough
        assert (f"With {videos} videos no test of 4 methods can reach p < 0.05" in text) == (not enough)
        if not enough:
            assert "at least 8 videos" in text
    rows = table(make(flipping, METHODS, videos=1))
    assert "All frames are from one video:" in conclude_by_flips(rows, summarise_methods(rows), "nes", 0)[0]


@pytest.mark.parametrize("called", [1, 2])
def test_one_video_of_several_whose_frames_are_called_fake(called: int) -> None:
    made = make(flipping, METHODS, videos=4, frames=2)
    keys = sorted({row.key for row in made})
    rows = table([row if row.key in keys[:called] else unseen(row) for row in made])
    (said,) = conclude_by_flips(rows, summarise_methods(rows), "nes", 0)
    what = "only 1 is called fake" if called == 1 else "the 2 that are called fake are all from one"
    assert said.startswith(f"Of 8 frames from 4 videos {what}: no interval and no test can be given.")


def test_without_any_score_there_is_no_answer() -> None:
    rows = table(make(flipping, METHODS))
    assert conclude(rank_methods(rows, 0), summarise_methods(rows)) == []
    assert conclude([], summarise_methods(rows)) == []


def test_no_fake_verdict_and_no_control() -> None:
    rows = table([unseen(row) for row in make(flipping, METHODS)])
    assert "no frame fake" in conclude_by_flips(rows, summarise_methods(rows), "nes", 0)[0]
    rows = table(make(flipping, ("LIME", "SHAP")))
    assert "--baseline random" in conclude_by_flips(rows, summarise_methods(rows), "nes", 0)[0]
    rows = table(make(flipping, ("random",)))
    assert "Only baselines" in conclude_by_flips(rows, summarise_methods(rows), "nes", 0)[0]


@pytest.mark.parametrize(
    ("predicted", "flips", "said"),
    [
        ("Real", False, "All 12 frames are called Real: so looks a detector whose outputs are sorted"),
        ("F2F", False, "All 12 frames are called F2F, and nothing that was attacked is called Real: so looks"),
        ("F2F", True, None),
        (None, False, None),
    ],
)
def test_one_verdict_for_everything_is_said(predicted: str | None, flips: bool, said: str | None) -> None:
    made = make(lambda method, video, k: flips and method == "random" and video == 5 and k == 3)
    if predicted is not None:
        made = [replace(unseen(row) if predicted == "Real" else row, predicted=predicted) for row in made]
    rows = table(made)
    text = " ".join(counts(rows, summarise_methods(rows), {}))
    assert said in text if said else "are called" not in text


def test_few_frames_of_one_verdict_are_no_surprise() -> None:
    rows = table([replace(row, predicted="F2F") for row in make(lambda *_: False, videos=3, frames=1)])
    assert "are called" not in " ".join(counts(rows, summarise_methods(rows), {}))


def test_random_regions_of_the_methods_area_are_not_said_to_be_missing() -> None:
    rows = table(make(flipping, ("LIME", "random-area")))
    (text,) = conclude_by_flips(rows, summarise_methods(rows), "nes", 0)
    assert text == "Of random-area there is no test by flips; add --baseline random, or --baseline oracle for a score."


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


def lines(**known: object) -> pd.DataFrame:
    """A line for each of the first six frames that `make` makes, in one trial."""
    keys = list(dict.fromkeys(row.key for row in make(flipping, METHODS, videos=3)))
    shared = {"video": "v", "family": "F", "predicted": "F", "seed": 0, "segmentation": "s"}
    unknown = dict.fromkeys(("attackable", "whole_attacks", "adversarial_flipped"), np.nan)
    return pd.DataFrame({"key": keys, **shared, **unknown, **known})


@pytest.mark.parametrize("names", [["Real", "Fake"], ["Real", "Face2Face", "FaceSwap"]])
@pytest.mark.parametrize("is_exchanged", [True, False])
def test_classes_named_in_another_order_are_said(names: list[str], is_exchanged: bool) -> None:
    """By verdicts on three videos of each class, and one of a family that only a detector of two classes knows."""
    turned = dict(zip(names, [*names[1:], names[0]] if is_exchanged else names, strict=True))
    made = []
    for video, family in enumerate(["Real"] * 3 + ["Face2Face"] * 3 + ["DFDC"]):
        truth = family if family in names else "Fake" if len(names) == 2 else None
        said = turned[truth or names[1]]
        known = {"family": family, "predicted": said, "correct": -1 if truth is None else int(said == truth)}
        made += [
            replace(row, key=f"{video}/{row.key}", video=str(video), **known)
            for row in make(flipping, METHODS, videos=1)
        ]
    found = words.exchanged_names(table(made), names)
    assert found.startswith("Frames are mostly called by another class's name (those of ") == is_exchanged
    assert (f"those of Real {names[1]}" in found) == is_exchanged
    assert words.exchanged_names(table(made), ()) == ""  # a run whose configuration does not say


def test_unattackable_is_said_only_of_what_the_lines_deny() -> None:
    made = make(lambda method, video, k: method == "whole" and video > 0, (*METHODS, "whole"), videos=3)
    third = made[-1].key
    made = [replace(row, flipped_to_real=row.method == "SHAP") if row.key == third else row for row in made]
    rows = table(made)
    summary = summarise_methods(rows)
    one = "\n".join(counts(rows, summary, {}, lines(attackable=[None, None, *[True] * 4], whole_attacks=1)))
    assert "nattackable" not in one
    assert "Not flipped by nes anywhere, not even as a whole: 2 frames; a second --attack would tell" in one
    assert f"Flipped by nes in some region but not as a whole: 1 frame ({third}); there the whole frame is no" in one
    two = "\n".join(counts(rows, summary, {}, lines(attackable=[False, True, *[True] * 4], whole_attacks=2)))
    assert "Unattackable: 1 frame that nothing in this run flips, though at least 2 different attacks tried" in two
    assert "Not flipped by nes anywhere, not even as a whole: 1 frame." in two


def test_the_share_of_adversarial_images_that_are_adversarial() -> None:
    adversarial = table([replace(row, fill="adversarial") for row in make(flipping, METHODS, videos=3)])
    plain, noise = table(make(flipping, METHODS, videos=3)), "the fill is noise that is not adversarial."
    for flags, expected in (
        ([1, 1, 1, 1, 0, 0], f"on 4 of 6 frames (67 %); on the others {noise}"),
        ([1, 0, None, None, None, None], f"on 1 of 2 frames (50 %); on the others {noise}"),
        ([1] * 6, "on 6 of 6 frames (100 %)."),
        ([0] * 6, f"on 0 of 6 frames (0 %): {noise}"),
    ):
        said = words.adversarial_fill(adversarial, lines(adversarial_flipped=flags))
        assert said == f"The adversarial image flips the verdict {expected}"
        assert said in counts(adversarial, summarise_methods(adversarial), {}, lines(adversarial_flipped=flags))
        assert words.adversarial_fill(plain, lines(adversarial_flipped=flags)) == ""
    trials = pd.concat([lines(adversarial_flipped=1), lines(adversarial_flipped=0, seed=1)])
    assert "on 6 of 12 images, one for each frame and trial (50 %)" in words.adversarial_fill(adversarial, trials)
    assert "It is not known" in words.adversarial_fill(adversarial, pd.DataFrame())


def test_many_names_are_cut() -> None:
    assert words.some(["a"]) == "a"
    assert words.some(["a", "b", "c", "d"]) == "a, b, c and d"
    assert words.some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_counts_of_a_clean_run_are_one_line() -> None:
    rows = table(make(flipping, METHODS, videos=1, frames=1))
    assert counts(rows, summarise_methods(rows), {}) == ["Scored 1 of 1 frame, from 1 video."]
    assert count(2, "class", "classes") == "2 classes"
