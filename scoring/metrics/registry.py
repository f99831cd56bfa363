"""The standard metrics by name, with presets and overrides."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from common.errors import InputError
from common.registry import make, resolve
from common.settings import override
from scoring.metrics.base import BETTER, NEEDS, About, Metric
from scoring.metrics.complexity.complexity import Complexity
from scoring.metrics.complexity.sparseness import Sparseness
from scoring.metrics.faithfulness.aopc import AOPC
from scoring.metrics.faithfulness.deletion_insertion import Deletion, Insertion
from scoring.metrics.faithfulness.erasure import Comprehensiveness, Sufficiency
from scoring.metrics.faithfulness.infidelity import Infidelity
from scoring.metrics.faithfulness.irof import IROF
from scoring.metrics.faithfulness.pixel_flipping import PixelFlipping
from scoring.metrics.faithfulness.road import ROAD
from scoring.metrics.faithfulness.sensitivity_n import SensitivityN
from scoring.metrics.localisation.iou import IoU
from scoring.metrics.localisation.pointing_game import PointingGame
from scoring.metrics.localisation.relevance import RelevanceMass, RelevanceRank
from scoring.metrics.randomisation.parameter_randomisation import ParameterRandomisation
from scoring.metrics.robustness.max_sensitivity import MaxSensitivity
from scoring.metrics.robustness.stability import StabilityJpeg, StabilityResize

EVERY = "All"

METRICS: Mapping[str, type[Metric]] = MappingProxyType(
    {
        "deletion": Deletion,
        "insertion": Insertion,
        "pixel-flipping": PixelFlipping,
        "aopc": AOPC,
        "irof": IROF,
        "road": ROAD,
        "comprehensiveness": Comprehensiveness,
        "sufficiency": Sufficiency,
        "infidelity": Infidelity,
        "max-sensitivity": MaxSensitivity,
        "sensitivity-n": SensitivityN,
        "pointing-game": PointingGame,
        "relevance-mass": RelevanceMass,
        "relevance-rank": RelevanceRank,
        "iou": IoU,
        "parameter-randomisation": ParameterRandomisation,
        "sparseness": Sparseness,
        "complexity": Complexity,
        "stability-jpeg": StabilityJpeg,
        "stability-resize": StabilityResize,
    }
)

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "published": {},  # the classes' own defaults
        "efficient": {},
        "quick": {
            "deletion": {"steps": 32},
            "insertion": {"steps": 32},
            "pixel-flipping": {"steps": 20},
            "aopc": {"regions": 20},
            "road": {"shares": (0.1, 0.3, 0.5)},
            "infidelity": {"samples": 64},
            "sensitivity-n": {"sizes": 3, "subsets": 20},
            "max-sensitivity": {"samples": 2},
            "parameter-randomisation": {"stages": 1},
            "stability-jpeg": {"qualities": (75,)},
            "stability-resize": {"scales": (0.5,)},
        },
    }
)
"""Settings of each metric that differ from its own defaults, by preset."""


def build_metric(name: str, preset: str = "published", overrides: Mapping[str, Any] = MappingProxyType({})) -> Metric:
    """The metric of a name: one of METRICS, or a user's own package.module:Name.

    `preset` is "published", "quick" or "efficient"; `overrides` are settings by name, on top of it, as strings from a
    command line or as values. Raises InputError for an unknown name, preset or setting, for a value that the metric
    refuses, and for a class that is no metric.
    """
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    kind = resolve(name, METRICS, "metric")
    check_metric_class(kind, name)
    return override(override(make(kind, name, "metric"), PRESETS[preset].get(name, {}), name), overrides, name)


def build_metrics(
    names: Sequence[str],
    preset: str = "published",
    overrides: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Metric]:
    """The metrics of several names, each once, in order; "All" stands for all of METRICS.

    `overrides` are each metric's, by its name. Raises InputError as `build` does, and for overrides of a metric that
    is not among them.
    """
    wanted = dict.fromkeys(one for name in names for one in (METRICS if name == EVERY else (name,)))
    for name in overrides:
        if name not in wanted:
            raise InputError(f"settings are given for the metric {name!r}, which is not asked for")
    return {name: build_metric(name, preset, overrides.get(name, {})) for name in wanted}


def describe_metric(metric: Metric) -> dict[str, Any]:
    """What a metric is, for a run's configuration: its name for `build` and every setting."""
    kind = type(metric)
    known = {known_kind: name for name, known_kind in METRICS.items()}
    name = known.get(kind, f"{kind.__module__}:{kind.__qualname__}")
    return {"metric": name, **dataclasses.asdict(metric)}  # type: ignore[call-overload]


def check_metric_class(kind: Any, name: str) -> None:
    """Raises InputError, saying what is missing, unless `kind` is a class that follows `scoring.metrics.base`."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and "__call__" in dir(kind)):
        raise InputError(f"metric {name!r} is not a dataclass that can be called with a case")
    about = getattr(kind, "about", None)
    if not isinstance(about, About):
        raise InputError(f"metric {name!r} does not say what it is: give it `about`, a scoring.metrics.About")
    if about.needs not in NEEDS:
        raise InputError(f"metric {name!r} needs {about.needs!r}, which is none of {', '.join(NEEDS)}")
    for value in about.values:
        bounded = all(isinstance(bound, int | float) for bound in (value.lowest, value.highest))
        if value.better not in BETTER or not bounded or not value.lowest < value.highest:
            raise InputError(
                f"metric {name!r}: its value {value.name!r} lies from {value.lowest} to {value.highest}, and better is "
                f"{value.better!r}; expected a range that ascends, and one of {', '.join(map(repr, BETTER))}"
            )
    missing = dataclasses.MISSING
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is missing and field.default_factory is missing
    ]
    if required:
        raise InputError(f"metric {name!r}: every setting needs a default; missing for {', '.join(required)}")
