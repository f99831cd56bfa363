"""Training detectors: what is common to all (loop, data, resuming), and one recipe for each published way."""

from detectors.training.loop import TrainingSettings, train
from detectors.training.recipe import Recipe, Sample, TrainingBatch

__all__ = ["Recipe", "Sample", "TrainingBatch", "TrainingSettings", "train"]
