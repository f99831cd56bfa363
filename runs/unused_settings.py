"""Settings that are given and change nothing, as the run has nothing that they are of: said before the work."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from common.console import warn
from scoring.baselines.table import ORACLE, RANDOM, RANDOM_AREA, RANDOM_MODEL
from scoring.protocol import BUDGET, FRACTION, THRESHOLDS, Protocol
from xai.explanation_settings import ExplanationSettings
from xai.methods import ADVERSARIAL, Method

_OF: Mapping[str, Collection[str]] = MappingProxyType(
    {
        "draws": (RANDOM,),
        "area_draws": (RANDOM_AREA,),
        "oracle_pool": (ORACLE,),
        "random_model_share": (RANDOM_MODEL,),
        "threshold_draws": THRESHOLDS,
        "threshold_steps": THRESHOLDS,
        "budget_rounds": (BUDGET,),
        "fraction_budget": (FRACTION,),
    }
)
"""The baselines or flip thresholds that a field of the protocol is of; those that are not here are always used."""


def warn_of_unused(
    overrides: Mapping[str, Mapping[str, Any]],
    methods: Sequence[Method],
    settings: ExplanationSettings,
    fills: Collection[str] = (),
) -> None:
    """Warns, in one line, of settings of explainers and fills that no method of a run has.

    Args:
        overrides: what was given, by component and field.
        methods: of the run.
        settings: of the explanations, which have every component.
        fills: that something else of the run needs, such as its metrics.
    """
    used = {method.explainer for method in methods} | {method.fill for method in methods} | {*fills}
    known = {*settings.explainers, *settings.fills, ADVERSARIAL}
    _warn(f"{name}.{field}" for name, values in overrides.items() if name in known - used for field in values)


def warn_of_unused_protocol(overrides: Mapping[str, Any], protocol: Protocol) -> None:
    """Warns, in one line, of settings of the protocol, by field, that are of baselines or thresholds it does not have.

    `protocol` is as it was asked for: what a detector without a gradient or weights loses of it is said elsewhere.
    """
    there = {*protocol.baselines, *protocol.flip_thresholds}
    _warn(f"protocol.{field}" for field in overrides if field in _OF and not there.intersection(_OF[field]))


def _warn(names: Iterator[str]) -> None:
    if given := [f"--set {name}" for name in names]:
        warn(f"{' and '.join(given)} {'changes' if len(given) == 1 else 'change'} nothing: the run has nothing of it")
