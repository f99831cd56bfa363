"""What a detector is, and how one is loaded and queried."""

from detectors.base import Detector, resize
from detectors.devices import resolve_device
from detectors.loading.conventions import Conventions
from detectors.queries import Queries
from detectors.registry import load

__all__ = ["Conventions", "Detector", "Queries", "load", "resize", "resolve_device"]
