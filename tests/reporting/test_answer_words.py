"""The answer in words: it says what the tests allow, and no more, and what is missing for more."""

import math

import pytest

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import Estimate
from analysis.statistics.ratio import COINCIDE, FEW_VIDEOS, NO_FRAME, NO_ROOM
from analysis.tiers import headline_tiers
from analysis.trust import Answer, Trust
from reporting.answer_words import correction, reasons, sentence, short, untested


def line(
    method: str,
    score: float,
    certain: bool = True,
    better_than: tuple[str, ...] = (),
    stability: float = math.nan,
) -> HeadlineLine:
    value = Estimate(score, score - 0.1, score + 0.1)
    return HeadlineLine(
        method, value, is_significant=certain, better_than=better_than, stability=stability, frames=20, videos=9
    )


BEST = line("A", 0.7, better_than=("C", "D", "E"))
LEVEL, BEHIND, SAME, WORSE = line("B", 0.6), line("C", 0.3), line("D", 0.05, certain=False), line("E", -0.4)
UNDECIDED = line("U", 0.1, certain=False, stability=0.3)
BETTER, UNKNOWN = line("G", 0.5), HeadlineLine("F", Estimate())
CENTRE = HeadlineLine("face-centre", Estimate(0.55, 0.4, 0.7))


def found(
    *lines: HeadlineLine, trusted: str = "ABC", attacks: tuple[str, ...] = ("nes", "pgd"), **changes: int
) -> Answer:
    headlines = tuple(
        Headline(Condition(attack), lines, (CENTRE,), **({"videos": 9, "needed": 3} | changes)) for attack in attacks
    )
    lack = (("nes", "face-centre"), ("pgd", "face-centre"), ("pgd", "edges"))
    trust = {
        each.method: Trust(each.method, 0.01) if each.method in trusted else Trust(each.method, 0.5, lack)
        for each in lines
    }
    return Answer(headlines, trust, (), 8)


def test_explanations_are_sorted_by_what_may_be_said() -> None:
    answer = found(WORSE, SAME, UNKNOWN, BETTER, BEHIND, LEVEL, BEST)
    tiers = headline_tiers(answer.main, answer.trusted)
    assert (tiers.best, tiers.level, tiers.behind, tiers.better) == (("A",), ("B",), ("C",), ("G",))
    assert (tiers.same, tiers.worse, tiers.unknown) == (("D",), ("E",), ("F",))
    said = {name: short(answer, tiers, name) for name in "ABCDEFG"}
    assert said["A"] == "trust; highest score"
    assert said["G"] == "beats random; not shown to beat face-centre and edges"
    assert len(set(said.values())) == 7


def test_the_highest_score_alone_is_not_enough() -> None:
    """The highest score, not shown against the baselines, is behind a lower one that is."""
    answer = found(line("G", 0.9), line("B", 0.4))
    tiers = headline_tiers(answer.main, answer.trusted)
    assert (tiers.best, tiers.better) == (("B",), ("G",))
    assert sentence(answer) == "B is the explanation to trust here."


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((BEST, SAME), "A is the explanation to trust here."),
        ((BEST, BEHIND, SAME), "A is the explanation to trust most here; 1 more can be trusted."),
        ((BEST, LEVEL, SAME), "A and B are the explanations to trust here."),
        ((BETTER, SAME, WORSE), "No explanation is shown to do more than random regions and than what knows nothing"),
        ((UNKNOWN,), "These frames cannot tell which explanation to trust."),
        ((), "These frames cannot tell which explanation to trust."),
    ],
)
def test_the_answer(lines: tuple[HeadlineLine, ...], said: str) -> None:
    assert sentence(found(*lines)).startswith(said)


def test_many_that_cannot_be_told_apart_are_counted() -> None:
    answer = found(line("A", 0.7), LEVEL, line("C", 0.5), line("H", 0.4), trusted="ABCH")
    assert sentence(answer) == "A scores highest of those to trust; 3 others cannot be told apart from it."


def test_every_explanation_is_spoken_of_once() -> None:
    sentences = reasons(found(BEST, LEVEL, BEHIND, BETTER, SAME, WORSE, UNKNOWN))
    assert "that A ranks highest does 70 %" in sentences[0]
    assert "95 % interval, corrected for 7 methods: 60 % to 80 %" in sentences[0]
    assert "face-centre, which knows nothing of the detector, 55 %" in sentences[0]
    assert [each.split(":")[0] for each in sentences[1:]] == ["B", "C", "G", "D", "E", "F"]
    assert sentences[3] == (
        "G: more than random regions under nes, but not shown to do more than face-centre (under nes and pgd) and "
        "edges (under pgd)."
    )


def test_why_there_is_no_score_is_said_of_each() -> None:
    """Not that random regions did as well where no random regions were attacked."""
    reasons_of = {"F": COINCIDE, "H": NO_FRAME, "I": NO_FRAME, "J": FEW_VIDEOS, "K": NO_ROOM, "L": ""}
    unknown = [HeadlineLine(name, Estimate(), unscored=reason) for name, reason in reasons_of.items()]
    said = reasons(found(BEST, *unknown))[1:]
    assert said == [
        "F: without a score, as random regions did as well as the best possible ones.",
        "H and I: without a score, as no frame has random regions of its area and the best possible ones (--baseline "
        "random-area --baseline oracle).",
        "J: without a score, as all frames are from one video.",
        "K: without a score, as the best possible regions are not shown to do more than random ones.",
        "L: without a score.",
    ]


def test_what_another_run_would_not_point_at_is_undecided() -> None:
    """Only where nothing else is known of it: too few samples, and no better than random, are two verdicts."""
    sure, trusted = line("S", 0.1, certain=False, stability=0.6), line("A", 0.7, stability=0.2)
    answer = found(trusted, UNDECIDED, sure, line("W", -0.4, stability=0.2))
    tiers = headline_tiers(answer.main, answer.trusted)
    assert (tiers.best, tiers.same, tiers.undecided, tiers.worse) == (("A",), ("S",), ("U",), ("W",))
    assert short(answer, tiers, "U") == "undecided: more samples needed"
    assert "U: undecided, as other draws would mostly point at other regions: more samples are needed." in reasons(
        answer
    )
    assert sentence(found(UNDECIDED, UNKNOWN, trusted="")).startswith("Undecided: with other draws")
    assert sentence(found(UNDECIDED, sure, trusted="")).startswith("No explanation is shown to do more")


def test_what_is_missing_is_said_first() -> None:
    few = found(BETTER, trusted="", videos=5)
    assert sentence(few) == "5 videos are too few to say which explanation to trust: at least 8 are needed."
    assert reasons(few)[0].startswith("With 5 videos no test of 1 method can reach p < 0.05 against what knows nothing")
    one = found(BETTER, trusted="", attacks=("nes",))
    assert sentence(one) == "No explanation can be trusted on the word of one attack."
    assert "this run has nes alone; add another --attack" in reasons(one)[0]


def test_intervals_say_how_they_are_corrected_and_why_there_are_none() -> None:
    assert "holding for all 2 methods at once" in correction(found(BEST, SAME).main)
    few = Headline(Condition("nes", "Deepfakes"), (BEST,), videos=2, needed=6)
    assert correction(few) == "no intervals, as no test of 1 method is possible with 2 videos: it takes 6"
    assert untested([few, found(BEST).main]) == "Without an interval, as a test takes 6 videos: Deepfakes (2 videos)."
    under_another = Headline(Condition("pgd", "Deepfakes"), (BEST,), videos=2, needed=6)
    assert untested([few, under_another]) == "Without an interval, as a test takes 6 videos: Deepfakes (2 videos)."
    assert untested([found(BEST).main]) == ""


def test_what_is_above_the_ceiling_is_said_with_its_size() -> None:
    above = Headline(Condition("nes"), (BEST,), frames_above_oracle=2, most_above_oracle=0.031)
    said = reasons(Answer((above,), {"A": Trust("A", 0.01)}))
    assert said[-1].startswith(
        "On 2 frames an explanation's drop is above the oracle's, by 0.03 at most: an attack ends"
    )
    assert not any("above the oracle" in each for each in reasons(found(BEST)))
    assert not math.isnan(above.most_above_oracle)
