"""The runs of a replication: the published evaluation, and the same without one of its differences at a time."""

from dataclasses import replace

from runs.as_published import DIFFERENCES
from runs.run_options import EvaluationOptions
from scoring.protocol import EVERY, NONE
from xai.explanation_settings import parse_override

PUBLISHED = "as-published"
DEPTHS = "protocol.depths=1,2,3"

OF_REPLICATION = {
    "methods": (EVERY,), "saliency": (), "attacks": ("nes",), "budgets": (), "baselines": (NONE,), "metrics": (),
    "segments": (), "survives": (), "seeds": 1, "as_published": (),
}  # fmt: skip
"""The options that a replication fixes."""


def replicated_runs(options: EvaluationOptions) -> dict[str, EvaluationOptions]:
    """The options of each run by its folder's name: "as-published", then "without-<difference>" for each.

    They differ by their switches alone, and so do the runs: draws depend on the frame and the purpose. The published
    depths are attacked, the best 1, 2 and 3 segments, where no others are asked for.
    """
    if ("protocol", "depths") not in [parse_override(text)[:2] for text in options.overrides]:
        options = replace(options, overrides=(*options.overrides, DEPTHS))
    every = tuple(DIFFERENCES)
    without = {f"without-{name}": tuple(other for other in every if other != name) for name in every}
    return {name: replace(options, as_published=switches) for name, switches in {PUBLISHED: every, **without}.items()}
