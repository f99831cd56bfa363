"""The standard metrics of explanations, beside the project's own: one file each, all asked on the same query path."""

from scoring.metrics.base import About, Case, Metric, Undefined, Value
from scoring.metrics.cases import case_of
from scoring.metrics.measuring import Measurement, measure
from scoring.metrics.registry import METRICS, PRESETS, build, build_all, describe

__all__ = [
    "METRICS",
    "PRESETS",
    "About",
    "Case",
    "Measurement",
    "Metric",
    "Undefined",
    "Value",
    "build",
    "build_all",
    "case_of",
    "describe",
    "measure",
]
