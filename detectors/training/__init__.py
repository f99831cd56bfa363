"""Training detectors: what is common to all (loop, data, resuming), and one recipe for each published way."""

from detectors.training.loop import Settings, train
from detectors.training.recipe import Batch, Recipe, Sample

__all__ = ["Batch", "Recipe", "Sample", "Settings", "train"]
