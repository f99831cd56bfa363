"""The configuration of a run: every setting, resolved, so that results are never mixed and can be made again."""

import hashlib
import json
import platform
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from common.errors import InputError
from common.files import atomic_write, parse_json, read_file, sha256, visible
from detectors.base import Detector
from runs.earlier_names import renamed_settings

FORMAT = 5  # of the rows; a change of their meaning raises it, and older runs are not continued
LIBRARIES = ("torch", "numpy", "scikit-image", "scikit-learn", "scipy", "timm", "lime", "shap", "torchattacks")
COMPUTING = ("attacks", "attribution_model", "common", "data", "detectors", "robustness", "runs", "scoring", "xai")
"""The folders of this software that frames' scores depend on; all others make tables of them, anew each time."""
LIBRARY_OF = {"captum": "captum", "cam": "grad-cam", "hf": "transformers", "onnx": "onnxruntime"}
"""What computes the methods and detectors whose names begin so, beside `LIBRARIES`."""


@dataclass(frozen=True)
class DetectorIdentity:
    """The detector of a run.

    Attributes:
        name: as on the command line; of a path only the file's name.
        weights: the SHA-256 of its checkpoint, or of its weights where there is none.
        class_names: its classes, in the order of its logits.
        input_size: side of its input, in pixels.
        reading: of another software's file, its normalisation, and what the user said and what was assumed of it; empty
            for other detectors.
    """

    name: str
    weights: str
    class_names: tuple[str, ...]
    input_size: int
    reading: Mapping[str, Any] = field(default_factory=dict)

    def as_values(self) -> dict[str, Any]:
        """The fields by name, without the reading where there is none, as configurations have always been."""
        values = asdict(self)
        return values if self.reading else {name: value for name, value in values.items() if name != "reading"}


@dataclass(frozen=True)
class FramesIdentity:
    """The frames of a run: how many, the SHA-256 of their names, labels and pictures, and what they were chosen by."""

    count: int
    fingerprint: str
    split: str | None
    limit: int | None


@dataclass(frozen=True)
class Configuration:
    """Everything that a frame's rows depend on.

    Attributes:
        preset: the name of the settings before overrides.
        methods: in the order of the tables.
        settings: of explainers, segments and the adversarial image, by component.
        attacks: settings by attack, the main one first; as JSON, which sorts them, beside `order`.
        detector: the detector that is explained and attacked.
        frames: the frames that are scored.
        seed: of every draw.
        batch_size: images in a forward pass; rounding depends on it.
        precision: of the explanations' forward passes ("float32", "bfloat16").
        device: where the detector runs.
        threads: of the CPU; rounding depends on it.
        versions: of this software and the libraries that compute.
        protocol: what is attacked beside the methods' best regions, and how finely.
        metrics: settings by standard metric; likewise.
        segmentations: further ways to divide frames; empty for that of the settings.
        budgets: L-infinity budgets of every attack; empty for their own.
        seeds: how many trials, each with new draws.
        survives: the transforms that flips are asked about again after, by name; as JSON only where there are any.
        as_published: differences from the published evaluation that were brought back; likewise.
        own_code: the SHA-256 of the files of users' own code, by module (`runs.own_code`); likewise.
        format: version of the rows.
    """

    preset: str
    methods: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    attacks: Mapping[str, Mapping[str, Any]]
    detector: DetectorIdentity
    frames: FramesIdentity
    seed: int
    batch_size: int
    precision: str
    device: str
    threads: int
    versions: Mapping[str, str]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    segmentations: tuple[str, ...] = ()
    budgets: tuple[float, ...] = ()
    seeds: int = 1
    survives: tuple[str, ...] = ()
    as_published: tuple[str, ...] = ()
    own_code: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> str:
        """The configuration as JSON text with sorted keys; what they lose is in `order`, where that is not sorted."""
        values = {**asdict(self), "detector": self.detector.as_values()}
        orders = {name: list(values[name]) for name in ("attacks", "metrics")}
        values["order"] = {name: order for name, order in orders.items() if order != sorted(order)}
        for name in ("survives", "as_published", "own_code", "order"):
            if not values[name]:
                del values[name]
        return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def bind(path: Path, configuration: Configuration) -> Any:
    """Writes `configuration` to `path`, or where that exists, makes sure it is the same; returns what it then holds.

    Of processes that come here at the same moment one writes, and the others compare. Raises InputError that names the
    keys that differ, with both values, or where `path` is not readable.
    """
    if not path.exists():
        with atomic_write(path, first=True) as file:
            file.write(configuration.to_json())
    try:
        held = parse_json(read_file(path).decode())
        stored = renamed_settings(held)
        differing = changes(stored, json.loads(configuration.to_json()))
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is not readable ({error}); choose another --run NAME, or remove the folder"
        ) from error
    if (was := stored.get("format", FORMAT)) != configuration.format:
        raise InputError(
            f"{path.parent} was made by another version: its format was {was} and is now {configuration.format}, so it "
            f"is read and compared, but not continued; give another --run NAME to start anew"
        )
    if differing:
        listing = [f"{key} was {was} and is now {now}" for key, was, now in differing[:3]]
        more = f" (and {len(differing) - 3} more)" if len(differing) > 3 else ""
        raise InputError(
            f"{path.parent} was made with another configuration: {'; '.join(listing)}{more}. "
            f"Give the same options to continue it, or another --run NAME to start anew"
        )
    return held


def attack_names(stored: Mapping[str, Any]) -> list[str]:
    """The attacks of a configuration that was read from JSON, the main one first."""
    return list(stored.get("order", {}).get("attacks", stored.get("attacks", {})))


def stored_batch_size(path: Path) -> int | None:
    """The batch size of the configuration at `path`, or None where there is none; `bind` reports a broken file."""
    size = _stored(path, "batch_size")
    return size if isinstance(size, int) and size >= 1 else None


def _stored(path: Path, key: str) -> Any:
    """A value of the configuration at `path`; None where it or the file is missing, or the file is broken."""
    try:
        stored = parse_json(read_file(path).decode())
    except (OSError, ValueError, RecursionError):
        return None
    return stored.get(key) if isinstance(stored, dict) else None


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The dotted keys in which two configurations differ, with the first's and the second's value as text."""
    old, new = _flat(first), _flat(second)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [(key, _show(old.get(key)), _show(new.get(key))) for key in keys]


def identify_detector(name: str, detector: Detector) -> DetectorIdentity:
    """Identifies a loaded detector by its weights, wherever they came from."""
    return DetectorIdentity(
        Path(name).name,
        str(detector.weights_sha256),
        tuple(detector.class_names),
        detector.input_size,
        {} if detector.reading is None else asdict(detector.reading),
    )


def versions(names: Iterable[str] = ()) -> dict[str, str]:
    """The versions of this software, Python and the libraries that compute.

    Its own has a hash of what computes, after a `+`, as between releases the version stays: with every `git pull`, say.
    `names` are those of detectors and methods as on a command line: some are computed by a further library.
    """
    further = {LIBRARY_OF[name.partition(":")[0]] for name in names if name.partition(":")[0] in LIBRARY_OF}
    libraries = (*LIBRARIES, *sorted(further))
    own = f"{_own_version()}+{hash_of_code(Path(__file__).resolve().parents[1])}"
    return {"flipscope": own, "python": platform.python_version(), **{n: version(n) for n in libraries}}


def describe_device(device: torch.device) -> str:
    """The kind of device: "cpu", "mps", or the GPU's name, as GPUs round differently."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def hash_of_code(root: Path) -> str:
    """12 hexadecimal digits that change with any file of COMPUTING in a folder."""
    files = sorted(path for name in COMPUTING for path in visible(root / name, "**/*.py"))
    lines = (f"{path.relative_to(root).as_posix()} {sha256(path)}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _own_version() -> str:
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return version("flipscope")
    except PackageNotFoundError:
        return "unknown"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of dictionaries as one dictionary with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _show(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:16]}...{text[-8:]}"
