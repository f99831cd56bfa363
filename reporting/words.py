"""Numbers, names and facts of a run in words, for people who weigh evidence and not machine learning."""

import math
from collections.abc import Collection, Iterable, Sequence

from analysis.adversarial_images import adversarial_share
from analysis.attackable_frames import frames_with_few_segments
from analysis.headline import Headline, HeadlineLine
from analysis.map_completeness import map_completeness
from analysis.score_subsets import Rows
from analysis.statistics import Estimate
from analysis.surviving_flips import transforms, turned_alone
from common.console import count
from data.frames import REAL
from detectors.misnamed_classes import misnamed, said_of
from runs.conditions import detected
from runs.score_table import as_score_table
from xai import completeness
from xai.methods import ADVERSARIAL

MANY = 3  # names that an answer does not list
_SURPRISING = 4  # frames that all get one verdict


def sample(headline: Headline) -> str:
    """How much evidence there is: "n = 412 frames from 83 videos"."""
    if not headline.lines:
        return "no frames"
    frames, videos = (max(getattr(line, name) for line in headline.lines) for name in ("frames", "videos"))
    return f"{count(frames, 'frame')} from {count(videos, 'video')}"


def other_frames(rows: Iterable[tuple[str, int, int]]) -> str:
    """Which rows of a table are of fewer frames than the others; "" where all are of the same.

    Args:
        rows: of each its name, of how many frames called fake its drop and flips are, and of how many its accuracy, 0
            for none.
    """
    known = list(rows)
    fakes, classed = max((own for _, own, _ in known), default=0), max((own for *_, own in known), default=0)
    parts = []
    for name, own, correct in known:
        lacking = [f"drop and flips of {own} of {fakes}"] if own < fakes else []
        lacking += [f"accuracy of {correct} of {classed}"] if 0 < correct < classed else []
        parts += [f"{name} ({', '.join(lacking)})"] if lacking else []
    return f"Of fewer frames than the rows beside them: {join(parts)}." if parts else ""


def adversarial_fill(rows: Rows, frames: Rows, methods: Collection[str] | None = None) -> str:
    """On what share of the frames the adversarial image is adversarial; "" where no method's fill uses it.

    Args:
        rows: the scores, whose columns say what hid pixels.
        frames: the lines of the run's frames (`runs.frame_table`).
        methods: those that it is about; None for all.
    """
    columns, share = as_score_table(rows).columns, adversarial_share(frames)
    if methods is not None:
        columns = columns[columns["method"].isin(methods)]
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


def surviving(lines: Sequence[HeadlineLine], attack: str) -> str:
    """How many of an attack's flips outlive each transform, all explanations together; "" where none was asked for."""
    parts = []
    for transform in dict.fromkeys(name for line in lines for name in line.survives):
        flips = sum(line.survives[transform].flips for line in lines)
        survived = sum(line.survives[transform].survived for line in lines)
        share = f"{survived} of {flips} ({percent(survived / flips)})" if flips else "none, as no flip counts"
        parts.append(f"{transform} {share}")
    if not parts:
        return ""
    return f"Flips by {attack} on the explanations' regions that outlive a transform of the picture: {join(parts)}."


def turned_by_transforms(rows: Rows, frames: Rows) -> str:
    """How many verdicts each transform turns to Real without any attack; "" where none was asked for.

    Args:
        rows: the scores.
        frames: the lines of the run's frames (`runs.frame_table`).
    """
    fakes = len(detected(as_score_table(rows)))
    turned = {transform: len(turned_alone(frames, transform)) for transform in transforms(rows)}
    parts = [f"{transform} {number} of {fakes}" for transform, number in turned.items() if number]
    if not turned:
        return ""
    if not parts:
        return f"Without any attack, {join(list(turned))} {'turns' if len(turned) == 1 else 'turn'} no fake verdict."
    return (
        f"Fake verdicts that a transform turns to Real without any attack: {join(parts)}. That is not the attack's "
        f"merit, so on those frames, which frames.csv names, flips do not count for that transform."
    )


def one_verdict(rows: Rows) -> str:
    """That all frames, and all that was attacked of them, get one verdict, and what else looks so; "" where not.

    Fewer than four frames of one verdict are no surprise, and nothing is said of them.
    """
    scores = as_score_table(rows)
    verdicts = set(scores.frames["predicted"])
    if len(scores.frames) < _SURPRISING or len(verdicts) > 1 or scores.any("flipped_to_real").any():
        return ""
    attacked = "" if verdicts == {REAL} else ", and nothing that was attacked is called Real"
    return (
        f"All {len(scores.frames)} frames are called {verdicts.pop()}{attacked}: so looks a detector whose outputs are "
        "sorted by their size, as pipelines give them, or whose weights were not loaded; python -m detectors test, "
        "with real and fake frames, tells."
    )


def exchanged_names(rows: Rows, classes: Sequence[str]) -> str:
    """That verdicts fit the frames' classes under other names (`detectors.misnamed_classes`); "" where they do not.

    Args:
        rows: the scores.
        classes: the detector's, in the order that it names them.
    """
    frames = as_score_table(rows).frames
    other = {name: classes[1 - place] for place, name in enumerate(classes)} if len(classes) == 2 else {}
    known = frames[frames["correct"].notna()]
    families, verdicts = known["family"].astype(object), known["predicted"].astype(object)
    belongs = families.where(families.isin(classes), other.get(REAL))
    belongs = belongs.where(known["correct"] == 0, verdicts)  # as a detector has it that says so itself
    chosen = belongs.notna()
    said = said_of(misnamed(*(values[chosen].tolist() for values in (belongs, verdicts, known["video"]))))
    return f"{said[0].upper()}{said[1:]}." if said else ""


def few_segments(frames: Rows) -> str:
    """On how many frames the regions are larger than asked for, and what helps; "" for none.

    `frames` are the lines of the run's frames (`runs.frame_table`).
    """
    few = frames_with_few_segments(frames)
    if not few:
        return ""
    return (
        f"Divided into fewer than half of the segments asked for: {count(few, 'frame')}, whose regions are larger than "
        "the others'; where frames are noisy, --set segments.sigma=1 smooths them first."
    )


def map_sums(rows: Rows) -> str:
    """How far maps are from adding up to what their methods promise; "" where no method promises anything."""
    lines = map_completeness(rows)
    if not lines:
        return ""
    said = []
    for line in lines:
        marked = f", beyond {percent(completeness.TOLERATED)} on {line.broken} of {count(line.frames, 'frame')}"
        said.append(f"{line.method} {completeness.percent(line.median)}{marked if line.broken else ''}")
    broken = ", and a map beyond that is not what its method promises" if any(line.broken for line in lines) else ""
    return (
        "How far the sum of a map is from the change of the score that its method shares out (median; column "
        f"completeness_error{broken}): {'; '.join(said)}."
    )


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
    return "–" if math.isnan(value) else f"{value:z.{digits}f}".replace("-", "\N{MINUS SIGN}")


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
