"""Folders of transformers as `save_pretrained` writes them, here or in the hub: their files and what these say."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from common.console import some
from common.errors import InputError
from common.extras import extra
from common.files import read_json_object, sha256, visible
from detectors.hugging_face import EXTRA, first_line

CONFIG = "config.json"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
ADAPTER = "adapter_config.json"

_HUB = re.compile(r"(?P<model>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_WEIGHTS = (".weight", ".bias")
_REAL = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Folder:
    """A folder as `save_pretrained` writes it.

    Attributes:
        path: where it lies.
        name: what messages call it.
        config: what `config.json` says.
        origin: of the hub's, the model and its commit; empty for a folder of the user's.
    """

    path: Path
    name: str
    config: dict[str, Any]
    origin: str = ""


def find(name: str) -> Folder:
    """The folder of that path, or the hub's model of that name, downloaded into the hub's own cache."""
    path, origin = Path(name), ""
    if not path.is_dir():
        found = _HUB.fullmatch(name)
        if found is None or path.exists():
            raise InputError(f"hf:{name}: there is no such folder, and a model in the hub is OWNER/NAME")
        path = _download(found["model"], found["revision"])
        origin = f"{found['model']} at revision {path.name}"
    return _checked(path, f"hf:{name}", origin)


def require_real_numbers(folder: Folder) -> None:
    """Raises InputError for whole numbers, or those of 8 bits, in the place of weights: nothing says their scale."""
    if "quantization_config" in folder.config:
        return
    for file in _weight_files(folder.path):
        with safe_open(file, framework="pt") as tensors:
            kinds = {key: tensors.get_slice(key).get_dtype() for key in tensors.keys()}  # noqa: SIM118
        if whole := [key for key, kind in kinds.items() if key.endswith(_WEIGHTS) and kind not in _REAL]:
            raise InputError(
                f"{folder.name}: its weights are {kinds[whole[0]]}, of which nothing says the scale ({some(whole)}): "
                "save them in float32, float16 or bfloat16"
            )


def digest(path: Path) -> str:
    """The SHA-256 of the names and SHA-256s of the files that a detector is read from."""
    total = hashlib.sha256()
    files = {path / file for file in (CONFIG, *PREPROCESSORS, *WEIGHTS)} | set(visible(path, "model-*.safetensors"))
    files |= set(_weight_files(path))
    for file in sorted(file for file in files if file.is_file()):
        total.update(f"{file.name} {sha256(file)}\n".encode())
    return total.hexdigest()


def _download(model: str, revision: str | None) -> Path:
    hub = extra("huggingface_hub", EXTRA, f"hf:{model}")
    wanted = [CONFIG, *PREPROCESSORS, *WEIGHTS, "model-*.safetensors"]
    try:
        return Path(hub.snapshot_download(model, revision=revision, allow_patterns=wanted))
    except (OSError, ValueError, hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError) as error:
        at = "" if revision is None else f" at revision {revision}"
        raise InputError(
            f"hf:{model}: there is no such folder, and the hub's {model}{at} cannot be had ({first_line(error)})"
        ) from error


def _checked(path: Path, name: str, origin: str) -> Folder:
    """The folder, once all that transformers needs is there. Raises InputError for what is missing or refused."""
    if not (path / CONFIG).is_file():
        raise InputError(f"{name} is no Hugging Face model: it has no {CONFIG}")
    config = _json(path / CONFIG, name)
    if "model_type" not in config:
        raise InputError(f"{name} is no Hugging Face model: its {CONFIG} has no model_type")
    described = [file for file in PREPROCESSORS if (path / file).is_file()]
    for file, said in ((CONFIG, config), *((file, _json(path / file, name)) for file in described)):
        if "auto_map" in said:
            raise InputError(f"{name} asks for code of its own (auto_map in {file}), which is never run")
    if (path / ADAPTER).is_file():
        raise InputError(
            f"{name} has an adapter ({ADAPTER}), which is not read: merge it into the network and save that without it"
        )
    if not described:
        raise InputError(f"{name} has no {PREPROCESSORS[0]}: nothing says how large a picture is and how normalised")
    if not any((path / file).is_file() for file in WEIGHTS):
        others = sorted(file.name for file in visible(path, "*.bin"))
        instead = f" ({others[0]} may hold code; save it again with safe_serialization)" if others else ""
        raise InputError(f"{name} has no {WEIGHTS[0]}: weights are read from safetensors only{instead}")
    if all((path / file).is_file() for file in WEIGHTS):
        raise InputError(
            f"{name} has both {WEIGHTS[0]} and {WEIGHTS[1]}, and only one would be read: delete the one that is old"
        )
    _refuse_two_preprocessors(path, name)
    return Folder(path, name, config, origin)


def _refuse_two_preprocessors(path: Path, name: str) -> None:
    """Raises InputError where both files describe how pictures are prepared, and not alike: one would go unread."""
    first, second = (path / file for file in PREPROCESSORS)
    if not (first.is_file() and second.is_file()):
        return
    one, other = _json(first, name), _json(second, name).get("image_processor")
    if not isinstance(other, dict):
        return
    if differing := sorted(key for key in one.keys() & other.keys() if _prepares(key) and one[key] != other[key]):
        key = differing[0]
        raise InputError(
            f"{name}: its {first.name} and its {second.name} contradict each other ({key} is {one[key]} and "
            f"{other[key]}): delete the one that is wrong"
        )


def _prepares(key: str) -> bool:
    """Whether a preprocessor's setting changes pictures, and is not the name of its class."""
    return key.startswith(("do_", "image_", "size", "crop", "rescale", "resample", "patch")) and not key.endswith(
        "_type"
    )


def _weight_files(path: Path) -> list[Path]:
    """The files of a folder's weights: one, or those that its index names."""
    single, index = (path / file for file in WEIGHTS)
    if single.is_file():
        return [single]
    named = _json(index, str(path)).get("weight_map")
    return sorted({path / str(file) for file in named.values()}) if isinstance(named, dict) else []


def _json(file: Path, name: str) -> dict[str, Any]:
    try:
        return read_json_object(file)
    except ValueError as error:
        raise InputError(f"{name}: its {file.name} is no JSON object ({error})") from error
