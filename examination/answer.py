"""The answer of a case in words that a court could read, and what must not be concluded."""

import numpy as np

from examination.case import Case
from examination.evidence import LEVEL
from reporting.words import join

NOT_CONCLUDED = (
    "A map says what moved this detector, not where a forgery is, nor that there is one: a believed map may mark what "
    "was never touched, and a forged place may lie outside every map."
)
ONE_FILM = "One film is one sample: its frames are not independent, and nothing is said about other films."


def answer(case: Case) -> list[str]:
    """The answer first, in one sentence; then what it rests on, and what must not be concluded."""
    lines = [_sentence(case)]
    if case.attacked:
        lines += _reasons(case)
    if case.film:
        lines.append(ONE_FILM)
    return [*lines, NOT_CONCLUDED]


def _sentence(case: Case) -> str:
    said = f"{_says(case)}"
    if not case.attacked:
        return f"{said}; {_why_no_map(case)}, so no heat map is judged."
    count = len(case.methods)
    if not case.believed:
        where = f", over {_frames(case)}" if case.film else ""
        if count == 1:
            maps, therefore = "the heat map is not shown to", "it should not be believed"
        else:
            maps, therefore = f"none of the {count} heat maps is shown to", "none should be believed"
        return f"{said}; {maps} mark what this verdict depends on{where}: {therefore}."
    best = case.believed[0]
    result = case.methods[best]
    where = f", over {_frames(case, min(case.methods[name].frames for name in case.believed))}" if case.film else ""
    which = (
        f"the heat map of {best} may be believed, as to what moves this detector"
        if len(case.believed) == 1
        else (f"the heat maps of {join(case.believed)} may be believed, as to what moves this detector")
    )
    return (
        f"{said}; {which}{where}: changing what {best} marks weakens the verdict more than changing random regions of "
        f"that area does ({_p(result.p_corrected)}, corrected for {count} {'map' if count == 1 else 'maps'}), and it "
        f"marks the same again with another seed and on changed copies."
    )


def _why_no_map(case: Case) -> str:
    if any(frame.predicted != case.real for frame in case.frames):
        return "no method can explain it"
    if any(point.verdict != case.class_names[case.real] for point in case.curve):
        count = len(case.frames)
        shown = "the one examined frame is none" if count == 1 else f"none of the {count} examined frames is one"
        return f"{shown} of these (--time examines others)"
    return "without a verdict of manipulation there is nothing to put to the test"


def _says(case: Case) -> str:
    """What the detector says of the file."""
    face = f", face {case.face}" if case.face else ""
    detector = case.setting.detector.get("name", "the detector")
    if not case.film:
        frame = case.frames[0]
        return (
            f'The detector "{detector}" calls {case.file}{face} {case.verdict(frame)} (probability of manipulation '
            f"{_chance(case.fake(frame))})"
        )
    real = case.class_names[case.real]
    manipulated = sum(point.verdict != real for point in case.curve)
    fakes = np.array([point.fake for point in case.curve])
    spread = f", standard deviation {fakes.std(ddof=1):.2f}" if len(fakes) > 1 else ""
    return (
        f'The detector "{detector}" calls {manipulated} of {len(fakes)} frames of {case.file}{face}, spread over it, '
        f"manipulated (mean probability {_chance(float(fakes.mean()))}{spread})"
    )


def _reasons(case: Case) -> list[str]:
    """What the answer rests on: how many regions, which maps fail what."""
    regions, count = case.setting.regions, len(case.methods)
    tested = (
        f"Each map's best region was attacked and compared with {regions} random connected regions of the same area in "
        f"the same picture; a map is believed where the corrected p-value is at most {LEVEL:g} and it marks the same "
        f"region again, more than 95 % of random regions would, in every variation tried."
    )
    lines = [tested]
    moving = [name for name, result in case.methods.items() if result.decides and result.differs]
    if moving:
        lines.append(
            f"{join(moving)}: {'its region decides' if len(moving) == 1 else 'their regions decide'} more than random "
            f"ones do, but {'is' if len(moving) == 1 else 'are'} not the same in every variation."
        )
    undecided = [name for name, result in case.methods.items() if not result.decides]
    if undecided and len(undecided) < count:
        lines.append(f"Not shown to do more than random regions: {join(undecided)}.")
    if count / (regions + 1) > LEVEL:
        lines.append(f"With {regions} random regions and {count} maps no corrected p-value can reach {LEVEL:g}.")
    lacking = len(case.frames) - len(case.attacked)
    unfinished = [name for name, result in case.methods.items() if not result.complete]
    if unfinished:
        lines.append(
            f"{join(unfinished)}: some variation could not be explained again, so not taken to be the same under it."
        )
    if lacking:
        lines.append(
            f"{lacking} of {len(case.frames)} examined frames are called Real, or no method explains them: nothing "
            f"could be tested there."
        )
    return lines


def _frames(case: Case, explained: int | None = None) -> str:
    """The attacked frames, or of these as many as all the believed maps were made of."""
    count, examined = len(case.attacked), len(case.frames)
    if explained is not None and explained < count:
        return f"{explained} of the {count} examined frames, as a map could not be made of the others"
    if count < examined:
        return f"one of {examined} examined frames" if count == 1 else f"{count} of {examined} examined frames together"
    return "the one examined frame" if count == 1 else f"{count} examined frames together"


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def _chance(value: float) -> str:
    """A probability that never rounds to certainty."""
    return "above 0.999" if value > 0.999 else "below 0.001" if value < 0.001 else f"{value:.3f}"
