"""Explanations of a detector's verdict: explainers, their fills, segments and rankings."""
