"""Whether a detector does what the Detector class says, tried on pictures of noise when it is loaded."""

from common.errors import InputError
from detectors.base import REAL, Detector
from detectors.consistency import probes, require_consistent
from detectors.memory import ran_out


def check_contract(detector: Detector, name: str) -> None:
    """Raises InputError, saying what is wrong, where a detector does not do what the Detector class says."""
    for attribute in ("input_size", "class_names", "real"):
        if not hasattr(detector, attribute):
            raise InputError(f"detector {name} does not set {attribute!r}, see detectors/base.py")
    names, real = detector.class_names, detector.real
    if not 0 <= real < len(names) or names[real] != REAL:
        raise InputError(
            f"detector {name}: its class {real} must be named {REAL!r}; its classes are {', '.join(names)}"
        )
    kinds = {str(weight.dtype).removeprefix("torch.") for weight in detector.parameters()} - {"float32"}
    try:
        require_consistent(detector, probes(detector))
    except InputError:
        raise
    except Exception as error:
        if ran_out(error):
            raise
        told = f"its weights are {' and '.join(sorted(kinds))}: call .float() on it" if kinds else "mend its forward"
        raise InputError(
            f"detector {name} fails on images (N, 3, {detector.input_size}, {detector.input_size}) in float32 "
            f"({type(error).__name__}: {error}); {told}"
        ) from error
