"""`python -m robustness`: attack whole frames, and compare hardened detectors."""

import sys
from pathlib import Path

from common import console
from robustness.command import app

__all__ = ["app"]

if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
