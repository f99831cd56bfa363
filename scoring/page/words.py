"""The answer in words, for people who weigh evidence and not machine learning."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from common.console import count
from scoring.page.content import Headline, HeadlineLine
from scoring.statistics import Estimate

MANY = 3  # names that an answer does not list


@dataclass(frozen=True)
class Verdicts:
    """The explanations of one headline, sorted by what the tests allow to say; each group best first.

    Attributes:
        best: the one with the highest score of those better than random regions beyond chance.
        level: others better than random regions that the best is not shown to surpass.
        behind: better than random regions, but surpassed by the best.
        same: not shown to differ from random regions.
        worse: worse than random regions beyond chance.
        unknown: without a score.
    """

    best: tuple[HeadlineLine, ...]
    level: tuple[HeadlineLine, ...]
    behind: tuple[HeadlineLine, ...]
    same: tuple[HeadlineLine, ...]
    worse: tuple[HeadlineLine, ...]
    unknown: tuple[HeadlineLine, ...]

    def of(self, method: str) -> str:
        """What can be said of a method, in a few words."""
        says = {
            "best": "trust; highest score" if self.level else "trust most",
            "level": "trust; not told apart from the highest",
            "behind": "better than random, but surpassed",
            "same": "not shown to beat random",
            "worse": "misleads; worse than random",
            "unknown": "no score can be given",
        }
        return next(words for group, words in says.items() if method in _names(getattr(self, group)))

    def tier(self, method: str) -> str:
        """The group that a method is in."""
        groups = ("best", "level", "behind", "same", "worse", "unknown")
        return next(group for group in groups if method in _names(getattr(self, group)))


def sort(headline: Headline) -> Verdicts:
    """Sorts the explanations of a headline by what may be said of them."""
    scored = [line for line in headline.ranked if not math.isnan(line.score.value)]
    better = [line for line in scored if line.certain and line.score.value > 0]
    beaten = set(better[0].better_than) if better else set()
    return Verdicts(
        best=tuple(better[:1]),
        level=tuple(line for line in better[1:] if line.method not in beaten),
        behind=tuple(line for line in better[1:] if line.method in beaten),
        same=tuple(line for line in scored if not line.certain),
        worse=tuple(line for line in scored if line.certain and line.score.value <= 0),
        unknown=tuple(line for line in headline.ranked if math.isnan(line.score.value)),
    )


def answer(headline: Headline) -> str:
    """The answer in one sentence."""
    found = sort(headline)
    if not headline.lines or len(found.unknown) == len(headline.lines):
        return "These frames cannot tell which explanation to trust."
    if not found.best:
        return "No explanation is shown to point at what decides the verdict better than random regions do."
    first = found.best[0].method
    if not found.level:
        return f"{first} is the explanation to trust here."
    if len(found.level) < MANY:
        return f"{join(_names([*found.best, *found.level]))} are the explanations to trust here."
    return f"{first} scores highest, but {len(found.level)} others cannot be told apart from it."


def reasons(headline: Headline) -> list[str]:
    """The sentences below the answer: what the best reaches, and what is said of the others."""
    found = sort(headline)
    sentences = []
    if found.best:
        best = found.best[0]
        sentences.append(
            f"Changing only the regions that {best.method} ranks highest does {percent(best.score.value)} of what "
            f"changing the best possible regions does to the verdict{_between(best.score)}; random regions of the same "
            f"size are 0 %."
        )
    elif found.same:
        first = found.same[0]
        sentences.append(
            f"The highest score is {first.method}'s, {percent(first.score.value)}{_between(first.score)}, where random "
            f"regions of the same size are 0 % and the best possible regions 100 %."
        )
    for group, words in (
        (found.level, "not shown to be worse than the highest"),
        (found.behind, "better than random regions, but surpassed"),
        (
            found.same if found.best or found.worse else (),
            "not shown to be better than random regions, so do not rely on it",
        ),
        (found.worse, "worse than random regions: what it points at matters less than chance"),
        (found.unknown, "without a score, as random regions did as well as the best possible ones"),
    ):
        if group:
            words = (
                words.replace(" rely on it", " rely on them").replace("it points", "they point")
                if len(group) > 1
                else words
            )
            sentences.append(f"{join(_names(group))}: {words}.")
    return sentences


def sample(headline: Headline) -> str:
    """How much evidence there is: "n = 412 frames from 83 videos"."""
    if not headline.lines:
        return "no frames"
    frames, videos = (max(getattr(line, name) for line in headline.lines) for name in ("frames", "videos"))
    return f"{count(frames, 'frame')} from {count(videos, 'video')}"


def percent(value: float) -> str:
    """ "71 %", or a dash for none."""
    return "–" if math.isnan(value) else f"{_whole(value)} %"


def decimals(value: float, places: int = 2) -> str:
    """ "0.71", or a dash for none."""
    return "–" if math.isnan(value) else f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def estimate(value: Estimate) -> str:
    """ "71 % [62, 79]"; without its interval where there is none."""
    if math.isnan(value.value) or math.isnan(value.low):
        return percent(value.value)
    return f"{percent(value.value)} [{_whole(value.low)}, {_whole(value.high)}]"


def join(names: Sequence[str]) -> str:
    """ "A, B and C"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _whole(value: float) -> str:
    """A share in whole percent, with a minus sign that is one."""
    return str(round(100 * value)).replace("-", "\N{MINUS SIGN}")


def _between(value: Estimate) -> str:
    return "" if math.isnan(value.low) else f" (95 % interval: {percent(value.low)} to {percent(value.high)})"


def _names(lines: Sequence[HeadlineLine]) -> list[str]:
    return [line.method for line in lines]
