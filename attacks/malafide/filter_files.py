"""Filters as files: coefficients and what is known about them, in one safetensors file."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter import Filter, FilterSpec
from common.errors import InputError
from common.files import atomic_write, parse_json
from common.settings import from_json
from detectors.loading.checkpoints import read

METADATA_KEY = "malafide"
_SPEC, _FACTS, _SHA256 = "filter", "training", "sha256"


@dataclass(frozen=True)
class Facts:
    """How a filter was made.

    Attributes:
        trained_on: the detector's name in the results.
        detector_sha256: of its weights.
        input_size: the side in pixels of the images it was trained at.
        manipulations: the families whose fakes it was trained on.
        split: how the frames were split, see `filter_dataset.split`.
        frames_sha256: of the keys of the index that were there to be trained on.
        seed: of the training and the split.
        fakes, reals: how many frames it was trained with.
        epochs: how many whole ones were done.
        best_epoch: after which the filter was kept; within one that the time cut short, a fraction.
        clean_eer: the equal error rate of the training frames before, in [0, 1].
        eer: the one with the kept filter.
        loss: the mean cross-entropy towards real with the kept filter.
        ended: why, "eer", "epochs" or "time".
    """

    trained_on: str
    detector_sha256: str
    input_size: int
    manipulations: tuple[str, ...]
    split: str
    frames_sha256: str
    seed: int
    fakes: int
    reals: int
    epochs: int
    best_epoch: float
    clean_eer: float
    eer: float
    loss: float
    ended: str


@dataclass(frozen=True, eq=False)
class StoredFilter:
    """A filter read from a file.

    Attributes:
        path: the file.
        sha256: of its bytes.
        filter: what it computes.
        facts: how it was made, or None where the file does not say (a filter of another origin).
    """

    path: Path
    sha256: str
    filter: Filter
    facts: Facts | None


def save(path: Path, kept: Filter, facts: Facts | None = None) -> None:
    """Writes a filter as safetensors: the coefficients under `weight`, the rest and a checksum in the metadata."""
    known: dict[str, Any] = {_SPEC: spec_as_json(kept.spec)}
    if facts is not None:
        known[_FACTS] = dataclasses.asdict(facts)
    known[_SHA256] = _digest(known, kept.weight)
    metadata = {METADATA_KEY: json.dumps(known)}  # one key: safetensors shuffles several
    with atomic_write(path, "wb") as file:
        file.write(safetensors_bytes({"weight": kept.weight.contiguous()}, metadata))


def load(path: str | Path) -> StoredFilter:
    """Reads a filter. Raises InputError, in one line, where the file is missing, damaged or not a filter."""
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"filter {path}: there is no such file; `python -m attacks malafide train` makes filters")
    content = read(path)
    weight = content.state_dict.get("weight")
    if weight is None or METADATA_KEY not in content.metadata:
        raise InputError(f"{path} is not a filter: `python -m attacks malafide train` makes filter.safetensors")
    try:
        known = parse_json(content.metadata[METADATA_KEY])
        spec = spec_from_json(known[_SPEC])
        facts = from_json(Facts, known[_FACTS], "how it was trained") if _FACTS in known else None
        weight = weight.clone()  # what was read is the file itself, and would change with it
        stored = StoredFilter(path, content.sha256, Filter(spec, weight), facts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: its description of the filter cannot be read ({error}); train it again") from error
    stated = known.pop(_SHA256, None)  # not there in files of earlier versions
    if (stated is not None and stated != _digest(known, weight)) or not known.keys() <= {_SPEC, _FACTS}:
        raise InputError(f"{path} is damaged: its checksum does not fit; get it again, or train it again")
    return stored


def _digest(known: Mapping[str, Any], weight: Tensor) -> str:
    """The SHA-256 of what is known of a filter and of its coefficients, however the file lays them out."""
    described = json.dumps(known, sort_keys=True).encode()
    return hashlib.sha256(described + weight.contiguous().numpy().tobytes()).hexdigest()


def spec_as_json(spec: FilterSpec) -> dict[str, Any]:
    """A filter's kind as JSON values, by the names of the command's options."""
    return {
        "size": spec.size,
        "range": spec.range,
        "fidelity": None if spec.fidelity is None else str(spec.fidelity),
    }


def spec_from_json(values: Mapping[str, Any]) -> FilterSpec:
    """The kind that `spec_as_json` wrote."""
    fidelity = values["fidelity"]
    if type(values["size"]) is not int:
        raise TypeError(f"its size is {values['size']!r}")
    return FilterSpec(values["size"], values["range"], None if fidelity is None else Fidelity.parse(fidelity))
