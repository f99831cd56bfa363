"""The answer in words, for people who weigh evidence and not machine learning."""

import math
from collections.abc import Sequence

from analysis.adversarial_images import adversarial_share
from analysis.headline import Headline
from analysis.score_subsets import Rows
from analysis.statistics import Estimate
from analysis.tiers import MethodTiers, headline_tiers
from common.console import count
from runs.score_table import as_score_table
from xai.methods import ADVERSARIAL

MANY = 3  # names that an answer does not list
UNDECIDED = "undecided: with other draws it would mostly point at other regions, so more samples are needed"


def tier_words(tiers: MethodTiers, method: str) -> str:
    """What can be said of a method, in a few words."""
    return {
        "best": "trust; highest score" if tiers.level else "trust most",
        "level": "trust; not told apart from the highest",
        "behind": "better than random, but surpassed",
        "same": "not shown to beat random",
        "undecided": "undecided: more samples needed",
        "worse": "misleads; worse than random",
        "unknown": "no score can be given",
    }[tiers.tier(method)]


def answer(headline: Headline) -> str:
    """The answer in one sentence."""
    tiers = headline_tiers(headline)
    if not headline.lines or len(tiers.unknown) == len(headline.lines):
        return "These frames cannot tell which explanation to trust."
    if tiers.undecided and len(tiers.undecided) + len(tiers.unknown) == len(headline.lines):
        return "Undecided: with other draws the explanations would mostly point at other regions; take more samples."
    if not tiers.best:
        return "No explanation is shown to point at what decides the verdict better than random regions do."
    trusted = [*tiers.best, *tiers.level]
    if len(trusted) == 1:
        return f"{trusted[0]} is the explanation to trust here."
    if len(trusted) <= MANY:
        return f"{join(trusted)} are the explanations to trust here."
    return f"{trusted[0]} scores highest, but {len(trusted) - 1} others cannot be told apart from it."


def reasons(headline: Headline) -> list[str]:
    """The sentences below the answer: what the best reaches, and what is said of the others."""
    tiers = headline_tiers(headline)
    lines = {line.method: line for line in headline.lines}
    sentences = []
    if tiers.best:
        best = tiers.best[0]
        score = lines[best].score
        sentences.append(
            f"Changing only the regions that {best} ranks highest does {percent(score.value)} of what "
            f"changing the best possible regions does to the verdict{_between(score)}; random regions of the same "
            f"size are 0 %."
        )
    elif tiers.same or tiers.undecided:
        first = max((*tiers.same, *tiers.undecided), key=lambda method: lines[method].score.value)
        score = lines[first].score
        sentences.append(
            f"The highest score is {first}'s, {percent(score.value)}{_between(score)}, where random "
            f"regions of the same size are 0 % and the best possible regions 100 %."
        )
    for group, words in (
        ((*tiers.best[1:], *tiers.level), "not shown to be worse than the highest"),
        (tiers.behind, "better than random regions, but surpassed"),
        (
            tiers.same if tiers.best or tiers.worse or tiers.undecided else (),
            "not shown to be better than random regions, so do not rely on it",
        ),
        (tiers.undecided, UNDECIDED),
        (tiers.worse, "worse than random regions: what it points at matters less than chance"),
        (tiers.unknown, "without a score, as random regions did as well as the best possible ones"),
    ):
        if group:
            words = (
                words.replace(" rely on it", " rely on them")
                .replace("it points", "they point")
                .replace("it would", "they would")
                if len(group) > 1
                else words
            )
            sentences.append(f"{join(group)}: {words}.")
    return sentences


def sample(headline: Headline) -> str:
    """How much evidence there is: "n = 412 frames from 83 videos"."""
    if not headline.lines:
        return "no frames"
    frames, videos = (max(getattr(line, name) for line in headline.lines) for name in ("frames", "videos"))
    return f"{count(frames, 'frame')} from {count(videos, 'video')}"


def adversarial_fill(rows: Rows, frames: Rows) -> str:
    """On what share of the frames the adversarial image is adversarial; "" where no method's fill uses it.

    Args:
        rows: the scores, whose columns say what hid pixels.
        frames: the lines of the run's frames (`runs.frame_table`).
    """
    columns, share = as_score_table(rows).columns, adversarial_share(frames)
    if "fill" not in columns or not (columns["fill"] == ADVERSARIAL).any():
        return ""
    if not share.images:
        return "It is not known on how many frames the adversarial image flips the verdict."
    several = share.images > share.frames
    made = f"{share.images} images, one for each frame and trial" if several else count(share.images, "frame")
    flips = f"The adversarial image flips the verdict on {share.flipped} of {made} "
    flips += f"({percent(share.flipped / share.images)})"
    if share.flipped == share.images:
        return f"{flips}."
    if not share.flipped:
        return f"{flips}: the fill is noise that is not adversarial."
    return f"{flips}; on the others the fill is noise that is not adversarial."


def some(names: Sequence[str]) -> str:
    """ "a, b, c and 4 more"."""
    return join([*names[:MANY], f"{len(names) - MANY} more"]) if len(names) > MANY + 1 else join(names)


def percent(value: float) -> str:
    """ "71 %", or a dash for none."""
    return "–" if math.isnan(value) else f"{_whole(value)} %"


def stability(value: float) -> str:
    """The chance of the same regions on a re-run: "71 %", or "unknown"."""
    return "unknown" if math.isnan(value) else percent(value)


def decimals(value: float, digits: int = 2) -> str:
    """ "0.71", or a dash for none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


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
