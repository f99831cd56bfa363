"""What a detector is, and how one is loaded and queried."""

from detectors.base import Detector, resize
from detectors.queries import Queries

__all__ = ["Detector", "Queries", "resize"]
