"""Explanations of a detector's verdict: explainers, their fills, segments and rankings."""

from xai.explanation import AdversarialImage, Explanation, FrameExplanations, explain, explained_class
from xai.methods import ALL, METHODS, Method, parse
from xai.ranking import rank, top_region, weak
from xai.settings import PRESETS, Settings, build, describe, parse_override

__all__ = [
    "ALL",
    "METHODS",
    "PRESETS",
    "AdversarialImage",
    "Explanation",
    "FrameExplanations",
    "Method",
    "Settings",
    "build",
    "describe",
    "explain",
    "explained_class",
    "parse",
    "parse_override",
    "rank",
    "top_region",
    "weak",
]
