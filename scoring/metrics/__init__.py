"""The standard metrics of explanations, beside the project's own: one file each, all asked on the same query path."""

from scoring.metrics.base import About, Case, Metric, Undefined, Value
from scoring.metrics.cases import case_of
from scoring.metrics.measuring import Measurement, measure_case
from scoring.metrics.registry import METRICS, PRESETS, build_metric, build_metrics, describe_metric

__all__ = [
    "METRICS",
    "PRESETS",
    "About",
    "Case",
    "Measurement",
    "Metric",
    "Undefined",
    "Value",
    "build_metric",
    "build_metrics",
    "case_of",
    "describe_metric",
    "measure_case",
]
