"""The answer in words: it says what the tests allow, and no more."""

import math

import pytest

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import Estimate
from analysis.surviving_flips import SurvivingFlips
from analysis.tiers import headline_tiers
from reporting.words import answer, decimals, estimate, percent, reasons, sample, surviving, turned_by_transforms
from tests.analysis.test_surviving_flips import run as surviving_run


def line(method: str, score: float, certain: bool = True, better_than: tuple[str, ...] = ()) -> HeadlineLine:
    value = Estimate(score, score - 0.1, score + 0.1)
    return HeadlineLine(method, value, is_significant=certain, better_than=better_than, frames=20, videos=5)


def headline(*lines: HeadlineLine) -> Headline:
    return Headline(Condition("nes"), lines)


BEST = line("A", 0.7, better_than=("C", "D", "E"))
LEVEL, BEHIND, SAME, WORSE = line("B", 0.6), line("C", 0.3), line("D", 0.05, certain=False), line("E", -0.4)
UNKNOWN = HeadlineLine("F", Estimate())


def test_explanations_are_sorted_by_what_may_be_said() -> None:
    found = headline_tiers(headline(WORSE, SAME, UNKNOWN, BEHIND, LEVEL, BEST))
    assert (found.best, found.level, found.behind) == (("A",), ("B",), ("C",))
    assert (found.same, found.worse, found.unknown) == (("D",), ("E",), ("F",))
    assert [found.tier(name) for name in "ABCDEF"] == ["best", "level", "behind", "same", "worse", "unknown"]


def test_the_highest_score_alone_is_not_enough() -> None:
    """The highest score, not beyond chance, is behind a lower one that is."""
    found = headline_tiers(headline(line("A", 0.9, certain=False), line("B", 0.4)))
    assert found.best == ("B",)
    assert found.same == ("A",)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((BEST, BEHIND, SAME), "A is the explanation to trust here."),
        ((BEST, LEVEL, SAME), "A and B are the explanations to trust here."),
        ((line("A", 0.7), LEVEL, line("C", 0.5), line("D", 0.4)), "A scores highest, but 3 others cannot be told"),
        ((SAME, WORSE), "No explanation is shown to point at what decides the verdict better than random regions do."),
        ((UNKNOWN,), "These frames cannot tell which explanation to trust."),
        ((), "These frames cannot tell which explanation to trust."),
    ],
)
def test_the_answer(lines: tuple[HeadlineLine, ...], said: str) -> None:
    assert answer(headline(*lines)).startswith(said)


def test_every_explanation_is_spoken_of_once() -> None:
    sentences = reasons(headline(BEST, LEVEL, BEHIND, SAME, WORSE, UNKNOWN))
    assert "that A ranks highest does 70 %" in sentences[0]
    assert "60 % to 80 %" in sentences[0]
    assert [sentence.split(":")[0] for sentence in sentences[1:]] == ["B", "C", "D", "E", "F"]
    assert "do not rely on it" in sentences[3]
    two = reasons(headline(BEST, SAME, line("G", 0.0, certain=False)))
    assert two[-1] == "D and G: not shown to be better than random regions, so do not rely on them."


def test_how_much_evidence_there_is() -> None:
    assert sample(headline(BEST)) == "20 frames from 5 videos"
    assert sample(headline()) == "no frames"


def test_numbers_are_written_for_people() -> None:
    assert percent(0.714) == "71 %"
    assert percent(-0.002) == "0 %"
    assert percent(-0.12) == "\N{MINUS SIGN}12 %"
    assert percent(math.nan) == "–"
    assert decimals(-0.5) == "\N{MINUS SIGN}0.50"
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
