"""A case's tables, as text for the page, the PDF and the terminal alike."""

import math
from dataclasses import dataclass

from examination.case import Case
from examination.evidence import BEST, WHOLE
from examination.frame import ExaminedFrame
from examination.together import MeanOverlap

_NOT_SOUGHT = "; smallest budgets were not sought: no gradient"


@dataclass(frozen=True)
class TextTable:
    """A table in words: its title, what its columns are called, and its rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(case: Case) -> list[TextTable]:
    """Evidence, by frame where there are several, stability and agreement; what there is not is left out."""
    if not case.attacked:
        return []
    found = [_evidence(case), *([_by_frame(case)] if len(case.attacked) > 1 else [])]
    found += [_stability(case)] if any(result.overlaps for result in case.methods.values()) else []
    return [*found, _agreement(case)] if len(case.methods) > 1 else found


def _evidence(case: Case) -> TextTable:
    """By method: what its region does, and whether it is believed."""
    alone = len(case.attacked) == 1
    flips = {name: (_budget(case.attacked[0], name),) if alone else () for name in case.methods}
    partly = any(result.frames < len(case.attacked) for result in case.methods.values())
    rows = [
        (
            name, *((str(result.frames),) if partly else ()), "yes" if result.believed else "no", number(result.p),
            number(result.p_corrected), percent(result.share), number(result.move, 2), *flips[name],
        )
        for name, result in case.methods.items()
    ]  # fmt: skip
    columns = (
        "map", *(("frames",) if partly else ()), "believed", "p", "corrected", "of the best", "move (log-odds)",
        *(("flips at",) if alone else ()),
    )  # fmt: skip
    first = case.attacked[0]
    known = f"; the {BEST} flips at {_budget(first, BEST)}, the {WHOLE} at {_budget(first, WHOLE)}" if alone else ""
    title = f"Evidence: attacks on {_count(case)} against {case.setting.regions} random regions"
    return TextTable(title + (known if _sought(first) else _NOT_SOUGHT), columns, tuple(rows))


def _by_frame(case: Case) -> TextTable:
    """By frame: each method's p-value, and the smallest budget on its region that flips the verdict."""
    rows = []
    for frame in case.attacked:
        evidence = frame.evidence
        own = evidence.methods if evidence is not None else {}
        cells = (f"{number(own[name].p)}, {_budget(frame, name)}" if name in own else "-" for name in case.methods)
        rows.append((_at(frame), *cells, *(_budget(frame, name) for name in (BEST, WHOLE))))
    title = "By frame: p, and the smallest budget of an attack on the region that flips the verdict"
    return TextTable(title, ("frame", *case.methods, BEST, WHOLE), tuple(rows))


def _stability(case: Case) -> TextTable:
    kinds = list(dict.fromkeys(kind for result in case.methods.values() for kind in result.overlaps))
    rows = [
        (
            name,
            *(_overlap(result.overlaps.get(kind), len(case.attacked)) for kind in kinds),
            number(max((each.chance_high for each in result.overlaps.values()), default=float("nan")), 2),
        )
        for name, result in case.methods.items()
    ]
    count = len(case.attacked)
    interval = "95 % of re-runs" if count == 1 else f"95 % interval of the mean of {count} frames, or of (so many)"
    title = f"Stability: the share of a region that is found again [{interval}]; * no more than random regions"
    return TextTable(title, ("map", *kinds, "random, 95 %"), tuple(rows))


def _agreement(case: Case) -> TextTable:
    names = list(case.methods)
    rows = []
    for one in names:
        cells = []
        for other in names:
            values = [
                float(frame.agreement[list(frame.regions).index(one), list(frame.regions).index(other)])
                for frame in case.frames
                if one in frame.regions and other in frame.regions
            ]
            cells.append(number(sum(values) / len(values), 2) if values else "-")
        rows.append((one, *cells))
    chance = sum(frame.chance for frame in case.attacked) / len(case.attacked)
    title = f"Agreement: the overlap of two methods' regions; of two random regions {chance:.2f}"
    return TextTable(title, ("map", *names), tuple(rows))


def number(value: float, digits: int = 3) -> str:
    """A number, "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:z.{digits}f}"


def percent(value: float) -> str:
    """A share in whole percent, "-" where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:z.0f} %"


def _overlap(overlap: MeanOverlap | None, frames: int) -> str:
    """A mean overlap, with how many frames have it where not all do."""
    if overlap is None:
        return "-"
    interval = f" [{overlap.low:.2f}, {overlap.high:.2f}]" if overlap.low is not None else ""
    of = f" ({overlap.frames})" if overlap.frames < frames else ""
    return f"{overlap.share:.2f}{interval}{of}{'' if overlap.found_again else ' *'}"


def _sought(frame: ExaminedFrame) -> bool:
    return frame.evidence is not None and frame.evidence.budgets_sought


def _budget(frame: ExaminedFrame, name: str) -> str:
    """The smallest budget that flips by attacking a method's region, the best or the whole; "-" where none is known."""
    evidence = frame.evidence
    if evidence is None or not evidence.budgets_sought:
        return "-"
    budget = evidence.methods[name].budget if name in evidence.methods else evidence.budgets[name]
    return "never" if budget is None else f"{255 * budget:.2f}/255"


def _at(frame: ExaminedFrame) -> str:
    return frame.shot.name if frame.shot.time is None else f"{frame.shot.time:.2f} s"


def _count(case: Case) -> str:
    return "each map's region" if len(case.attacked) == 1 else f"each map's region on {len(case.attacked)} frames"
