"""How each ranking is drawn, in the page and in a paper alike: a hue, a shape, and whether it is hollow."""

from collections.abc import Iterable
from dataclasses import dataclass

from scoring.baselines.table import ORACLE, RANDOM_AREA
from xai.methods import SUFFIX

MARKERS = ("circle", "square", "triangle", "diamond", "down", "cross")
_HUES = 7


@dataclass(frozen=True)
class SeriesStyle:
    """How a ranking is drawn everywhere: a hue and a shape; hollow and dashed with the adversarial fill."""

    hue: str
    shape: str
    hollow: bool

    @property
    def classes(self) -> str:
        """Its classes in the page's style sheet."""
        return f"{self.hue}{' hollow' if self.hollow else ''}"


def series_styles(names: Iterable[str]) -> dict[str, SeriesStyle]:
    """A style for every name: explainers differ in hue and shape, the two fills of one explainer only in their line."""
    explainers = list(dict.fromkeys(name.removesuffix(SUFFIX) for name in names))
    known = {RANDOM_AREA: SeriesStyle("reference", "cross", False), ORACLE: SeriesStyle("ceiling", "cross", False)}
    indices = {name: index for index, name in enumerate(name for name in explainers if name not in known)}
    for name in names:
        if name not in known:
            index = indices[name.removesuffix(SUFFIX)]
            known[name] = SeriesStyle(f"hue{index % _HUES}", MARKERS[index % 5], name.endswith(SUFFIX))
    return known
