"""2D-Malafide: a filter per manipulation, after which any fake of it passes a detector as real.

Galdi, Panariello, Todisco and Evans, "2D-Malafide: Adversarial Attacks Against Face Deepfake Detection Systems", BIOSIG
2024 (arXiv 2408.14143). `python -m attacks malafide` trains, tests and shows filters; `malafide:FILTER` is one as a
region attack.
"""

from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter import Filter, FilterSpec
from attacks.malafide.filter_files import StoredFilter, save
from attacks.malafide.known_filters import load_known as load

__all__ = ["Fidelity", "Filter", "FilterSpec", "StoredFilter", "load", "save"]
