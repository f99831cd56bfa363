"""Numbers, names and facts in words."""

import math

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import Estimate
from analysis.surviving_flips import SurvivingFlips
from examination.tables import number
from reporting.words import decimals, estimate, percent, sample, surviving, turned_by_transforms
from tests.analysis.test_surviving_flips import run as surviving_run


def headline(*lines: HeadlineLine) -> Headline:
    return Headline(Condition("nes"), lines)


BEST = HeadlineLine("A", Estimate(0.7, 0.6, 0.8), is_significant=True, frames=20, videos=5)


def test_how_much_evidence_there_is() -> None:
    assert sample(headline(BEST)) == "20 frames from 5 videos"
    assert sample(headline()) == "no frames"


def test_numbers_are_written_for_people() -> None:
    assert percent(0.714) == "71 %"
    assert percent(-0.002) == "0 %"
    assert percent(-0.12) == "\N{MINUS SIGN}12 %"
    assert percent(math.nan) == "–"
    assert decimals(-0.5) == "\N{MINUS SIGN}0.50"
    assert decimals(-0.001) == "0.00"
    assert number(-0.0001) == "0.000"
    assert estimate(Estimate(0.71, 0.62, 0.79)) == "71 % [62, 79]"
    assert estimate(Estimate(0.71)) == "71 %"


def test_what_outlives_a_transform_is_counted_over_all_explanations() -> None:
    def of(survived: int, flips: int) -> HeadlineLine:
        kept = {"png": SurvivingFlips(Estimate(), flips, survived), "half": SurvivingFlips(Estimate(), 0, 0)}
        return HeadlineLine("A", Estimate(), survives=kept)

    said = surviving([of(2, 8), of(1, 4)], "nes")
    assert said.startswith("Flips by nes on the explanations' regions that outlive a transform of the picture: ")
    assert said.endswith(": png 3 of 12 (25 %) and half none, as no flip counts.")
    assert surviving([BEST], "nes") == surviving([], "nes") == ""


def test_a_transform_that_turns_verdicts_by_itself_is_named() -> None:
    said = turned_by_transforms(*surviving_run(turned=(0, 4)))
    assert said.startswith("Fake verdicts that a transform turns to Real without any attack: half 4 of 12. That is not")
    rows, lines = surviving_run()
    assert turned_by_transforms(rows, lines) == "Without any attack, half and png turn no fake verdict."
    one = rows.drop(columns="survives_png")
    assert turned_by_transforms(one, lines) == "Without any attack, half turns no fake verdict."
    assert turned_by_transforms(one.drop(columns="survives_half"), lines) == ""
