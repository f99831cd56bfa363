"""Parameter randomisation: whether the saliency has anything to do with what the detector learned."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.randomised import layer_count, randomised
from scoring.metrics.agreement import rank_correlation
from scoring.metrics.base import CANNOT_EXPLAIN, About, Case, Undefined, Value, require, undefined


@dataclass(frozen=True)
class ParameterRandomisation:
    """Rank correlation of the saliency with that on the detector with random weights (Adebayo et al., NeurIPS 2018).

    Its absolute value, as a map turned upside down follows the picture just as well. `whole` is with all layers drawn
    anew, `cascade` the mean over `stages` even steps from the logits down to all layers. Costs `stages` whole
    explanations, and for each some forwards that set the scale of the random layers.

    Attributes:
        stages: of the cascade; with 1 it is the whole alone.
    """

    about: ClassVar[About] = About(
        summary="How far the saliency agrees with that on the detector with random weights.",
        values=(Value("whole", 0.0, 1.0, "lower"), Value("cascade", 0.0, 1.0, "lower")),
        needs="explaining",
        paper='Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018',
        category="randomisation",
    )

    stages: int = 4

    def __post_init__(self) -> None:
        require(self.stages >= 1, f"stages must be at least 1, got {self.stages}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The two absolute correlations in [0, 1]. Raises InputError as `detectors.randomised`."""
        if case.explain is None:
            return undefined(self.about, CANNOT_EXPLAIN)
        total = layer_count(case.detector)
        if total == 0:
            return undefined(self.about, "the detector has no weights")
        seed = int(case.draws("parameter-randomisation").integers(2**63))
        depths = sorted({-(-total * stage // self.stages) for stage in range(1, self.stages + 1)})
        correlations: list[float] = []
        for depth in reversed(depths):  # the whole first: what is refused there costs no explanation
            other = randomised(case.detector, seed, depth)
            correlations.insert(0, abs_correlation(case.saliency, case.explain(case.image, other)))
        missing = [correlation for correlation in correlations if isinstance(correlation, Undefined)]
        return {"whole": correlations[-1], "cascade": missing[0] if missing else float(np.mean(correlations))}


def abs_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The absolute rank correlation, `Undefined` where there is none."""
    correlation = rank_correlation(first, second)
    return correlation if isinstance(correlation, Undefined) else abs(correlation)
