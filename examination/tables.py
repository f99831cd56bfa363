"""A case's tables, as text for the page, the PDF and the terminal alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attacks.budgets import fraction
from examination.case import Case
from examination.evidence import BEST, WHOLE
from examination.frame import ExaminedFrame
from examination.together import MeanOverlap


@dataclass(frozen=True)
class TextTable:
    """A table in words: its title, what its columns are called, and its rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(case: Case) -> list[TextTable]:
    """Evidence, stability and agreement; what there is not is left out."""
    if not case.attacked:
        return []
    found = [_evidence(case), _stability(case)]
    return [*found, _agreement(case)] if len(case.methods) > 1 else found


def _evidence(case: Case) -> TextTable:
    """By method: what its region does, and whether it is believed."""
    frame, several = case.attacked[0], len(case.attacked) > 1
    by_frame = tuple(f"p at {_at(each)}" for each in case.attacked) if several else ()
    rows = []
    for name, result in case.methods.items():
        own = tuple(number(each.evidence.methods[name].p) if name in each.evidence.methods else "-"
                    for each in case.attacked if each.evidence is not None) if several else ()  # fmt: skip
        rows.append(
            (
                name, "yes" if result.believed else "no", number(result.p), number(result.p_corrected),
                percent(result.share), number(result.move, 2), *own, _budgets(case, name),
            )
        )  # fmt: skip
    columns = ("map", "believed", "p", "corrected", "of the best", "move (log-odds)", *by_frame, "flips at")
    budgets = {name: [each.evidence.budgets[name] for each in case.attacked if each.evidence] for name in (BEST, WHOLE)}
    known = ", ".join(f"the {name} {_listed(values)}" for name, values in budgets.items())
    sought = frame.evidence is not None and frame.evidence.budgets_sought
    more = f"; flips by attacking {known}" if sought else "; smallest budgets were not sought: no gradient"
    title = f"Evidence: attacks on {_count(case)} against {case.setting.regions} random regions{more}"
    return TextTable(title, columns, tuple(rows))


def _stability(case: Case) -> TextTable:
    kinds = list(dict.fromkeys(kind for result in case.methods.values() for kind in result.overlaps))
    rows = [
        (
            name,
            *(_overlap(result.overlaps.get(kind)) for kind in kinds),
            number(max((each.chance_high for each in result.overlaps.values()), default=float("nan")), 2),
        )
        for name, result in case.methods.items()
    ]
    count = len(case.attacked)
    interval = "95 % of re-runs" if count == 1 else f"95 % interval of the mean of {count} frames"
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
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """A share in whole percent, "-" where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.0f} %"


def _overlap(overlap: MeanOverlap | None) -> str:
    if overlap is None:
        return "-"
    interval = f" [{overlap.low:.2f}, {overlap.high:.2f}]" if overlap.low is not None else ""
    return f"{overlap.share:.2f}{interval}{'' if overlap.found_again else ' *'}"


def _budgets(case: Case, name: str) -> str:
    found = [each.evidence for each in case.attacked if each.evidence is not None and name in each.evidence.methods]
    return _listed([each.methods[name].budget for each in found]) if all(each.budgets_sought for each in found) else "-"


def _listed(budgets: Sequence[float | None]) -> str:
    return ", ".join("never" if budget is None else fraction(budget) for budget in budgets)


def _at(frame: ExaminedFrame) -> str:
    return frame.shot.name if frame.shot.time is None else f"{frame.shot.time:.2f} s"


def _count(case: Case) -> str:
    return "each map's region" if len(case.attacked) == 1 else f"each map's region on {len(case.attacked)} frames"
