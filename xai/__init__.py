"""Explanations of a detector's verdict: explainers, their fills, segments and rankings."""

from xai.explanation import AdversarialImage, FrameExplanations, explain, explained_class
from xai.explanation_settings import PRESETS, ExplanationSettings, build_settings, describe_settings, parse_override
from xai.method_explanation import Explanation
from xai.methods import ALL, METHODS, Method, parse_method
from xai.ranking import is_weak, rank, top_region

__all__ = [
    "ALL",
    "METHODS",
    "PRESETS",
    "AdversarialImage",
    "Explanation",
    "ExplanationSettings",
    "FrameExplanations",
    "Method",
    "build_settings",
    "describe_settings",
    "explain",
    "explained_class",
    "is_weak",
    "parse_method",
    "parse_override",
    "rank",
    "top_region",
]
