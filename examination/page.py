"""A case as one HTML file: no network, no script, every name in it escaped; it prints to two A4 pages."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from common.errors import printable
from examination.case import Case
from examination.drawing import curve_picture, map_picture, plain_picture, png_of
from examination.frame import ExaminedFrame
from examination.tables import number, percent, tables

_TEMPLATES = "templates"
SHOWN = 3
"""Examined frames whose maps are on the page, as many as a film has by default: the others are among the files."""


MAPS_TITLE = "The maps (outlined: the region that was attacked)"
NO_MAPS = "No maps were made"


def render_case(case: Case, answer: Sequence[str]) -> str:
    """The page as text; what no terminal should be sent is escaped here, too."""
    css = (files("examination") / _TEMPLATES / "case.css").read_text("utf-8")
    environment = Environment(
        loader=PackageLoader("examination", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = shown_frames(case)
    page: str = environment.get_template("case.html").render(
        css=Markup(css),
        policy=_policy(css),
        case=case,
        answer=answer,
        picture=_source(plain_picture(shown[0])),
        best=_source(plain_picture(shown[0], best=True)) if shown[0].evidence is not None else None,
        facts=facts(case),
        curve=_source(curve_picture(case)) if case.curve else None,
        tables=tables(case),
        maps=[_map(case, frame, name) for frame in shown for name in frame.regions],
        maps_title=MAPS_TITLE if case.attacked else NO_MAPS,
        left_out=left_out(case),
        failures=[str(failure) for frame in case.frames for failure in frame.failures],
    )
    return printable(page)


def shown_frames(case: Case) -> tuple[ExaminedFrame, ...]:
    """The frames whose maps are shown: of those called manipulated first, the earliest."""
    ordered = sorted(case.frames, key=lambda frame: frame.evidence is None)
    return tuple(ordered[:SHOWN])


def left_out(case: Case) -> str:
    """What of the maps is not shown, or ""."""
    more = len(case.frames) - len(shown_frames(case))
    return (
        f"The maps of {more} more examined {'frame' if more == 1 else 'frames'} are in the folder maps." if more else ""
    )


def facts(case: Case) -> list[tuple[str, str]]:
    """What was examined and how, so that it can be made again."""
    setting = case.setting
    detector = setting.detector
    lines = [
        ("File", case.file),
        ("SHA-256", case.sha256),
        ("Detector", f"{detector.get('name', '')}, weights {str(detector.get('weights', ''))[:16]}"),
        ("Verdicts", "; ".join(_verdict(case, frame) for frame in case.frames)),
        ("Settings", f"{setting.preset}, seed {setting.seed}, {setting.regions} random regions, {setting.device}"),
        (
            "Versions",
            ", ".join(
                f"{name} {setting.versions[name]}" for name in ("flipscope", "torch") if name in setting.versions
            ),
        ),
    ]
    return [*lines, *(("Note", remark) for remark in case.remarks)]


def map_says(case: Case, frame: ExaminedFrame, name: str) -> str:
    """The words under a map."""
    believed = "believed" if case.methods[name].believed else "not believed"
    if frame.evidence is None:
        return believed
    found = frame.evidence.methods[name]
    return f"{believed}; p {number(found.p)}, {percent(found.share)} of the best"


def at(frame: ExaminedFrame) -> str:
    """The time of a frame, or ""."""
    return "" if frame.shot.time is None else f"{frame.shot.time:.2f} s"


def _verdict(case: Case, frame: ExaminedFrame) -> str:
    time = f"{at(frame)}: " if at(frame) else ""
    explained = case.class_names[frame.target]
    return f"{time}{case.verdict(frame)}, p(manipulated) {case.fake(frame):.3f}, explained: {explained}"


def _map(case: Case, frame: ExaminedFrame, name: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "at": at(frame),
        "says": map_says(case, frame, name),
        "source": _source(map_picture(frame, name)),
    }


def _source(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(png_of(figure)).decode()


def _policy(css: str) -> str:
    """A content security policy: nothing from anywhere, this style, pictures from the page itself."""
    style = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
