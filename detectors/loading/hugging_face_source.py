"""The detectors `hf:FOLDER` and `hf:OWNER/NAME`, made from a folder of transformers, here or in the hub."""

from typing import Any

import numpy as np
import torch
from torch import nn

from common.console import some, warn
from common.errors import InputError
from common.seeds import derive_seed
from detectors.base import Reading
from detectors.hugging_face import (
    HuggingFaceConfig,
    HuggingFaceDetector,
    first_line,
    quiet,
    refuse_reading,
    settings_of,
)
from detectors.loading.class_names import class_name, labels_in, order_unknown
from detectors.loading.conventions import Conventions
from detectors.loading.hugging_face_folder import CONFIG, Folder, digest, find, require_real_numbers
from detectors.loading.reading import stated_classes
from detectors.loading.weight_loading import require_usable
from detectors.queries import answer

TOLERANCE = 1e-4
"""Of the largest logit: how far our logits may be from those of the folder's own preprocessor and network."""

_EXCLUSIVE, _EACH = (None, "single_label_classification"), "multi_label_classification"


def build_hugging_face(name: str, conventions: Conventions) -> HuggingFaceDetector:
    """The detector of a folder, or of a model in the hub.

    Its settings and weights are the folder's, its classes those of `id2label` or `conventions`; the logits of one
    picture are compared with those that the folder's own preprocessor and network give. `weights_sha256` is of the
    files that it was read from.

    Args:
        name: the folder's path, or OWNER/NAME, with @REVISION where another than the newest is meant.
        conventions: what the user says of the classes.

    Raises:
        InputError: there is no such folder or model; it asks for code of its own, has no safetensors, or lacks weights;
            it is no classifier, or nothing says which output is Real; the user says what the folder says.
    """
    folder = find(name)
    refuse_reading(conventions, folder.name)
    network, preprocessor = _network(folder), _preprocessor(folder)
    outputs, problem = int(network.config.num_labels), network.config.problem_type
    if problem not in ((*_EXCLUSIVE, _EACH) if outputs == 1 else _EXCLUSIVE):
        raise InputError(f"{folder.name} is made for {problem}, not for classes of which one is right")
    names = stated_classes(outputs, folder.config, folder.name, conventions)
    if names is None:
        raise order_unknown(outputs, folder.name)
    return _finished(folder, network, preprocessor, names, outputs)


def new_hugging_face(name: str, class_names: tuple[str, ...]) -> HuggingFaceDetector:
    """A detector to train: a folder's network, its last layer new where it is not for the classes `class_names`.

    A last layer for the same classes is kept, and so is their order. Raises InputError as `build_hugging_face` does,
    but for classes: a network without a last layer will do.
    """
    folder = find(name)
    stated = labels_in(folder.config) or ()
    own = tuple(map(class_name, stated))
    kept = len(own) == len(class_names) and set(own) == set(class_names)
    names = own if kept else class_names
    network, preprocessor = _network(folder, dict(enumerate(names))), _preprocessor(folder)
    if not kept:
        for module in (module for head in _heads(network) for module in network.get_submodule(head).modules()):
            if isinstance(module, nn.Linear | nn.LayerNorm):
                module.reset_parameters()
    return _finished(folder, network, preprocessor, names, len(names))


def _network(folder: Folder, labels: dict[int, str] | None = None) -> Any:
    """The folder's network in float32; with `labels` for these classes, where its last layer may be new."""
    kind = folder.config["model_type"]
    with quiet() as transformers:
        known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
        if kind not in known:
            raise InputError(f"{folder.name} is a {kind!r}, of which transformers has no image classifier")
        new: dict[str, Any] = {}
        if labels is not None:
            new = {"num_labels": len(labels), "id2label": labels, "label2id": {v: k for k, v in labels.items()}}
        try:
            network, found = transformers.AutoModelForImageClassification.from_pretrained(
                folder.path, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **new,
            )  # fmt: skip
        except Exception as error:  # safetensors and transformers raise their own kinds
            raise InputError(f"{folder.name} cannot be loaded ({first_line(error)})") from error
    _require_applied(folder, network)
    shapes = {
        str(key): f"{key} {tuple(theirs)} instead of {tuple(ours)}" for key, theirs, ours in found["mismatched_keys"]
    }
    if labels is None and shapes:
        raise InputError(
            f"{folder.name}: its weights are not those that its {CONFIG} says: {some(sorted(shapes.values()))}"
        )
    lacking = sorted({*found["missing_keys"], *shapes})
    heads = tuple(f"{head}." for head in _heads(network)) if labels is not None else ()
    new_keys = [key for key in lacking if key.startswith(heads)]
    if missing := [key for key in lacking if key not in new_keys]:
        raise InputError(f"{folder.name} lacks weights of its network: {some(missing)}; it is no trained classifier")
    if unused := sorted(found["unexpected_keys"]):
        warn(f"{folder.name}: left unused, being no part of the network that judges: {some(unused)}")
    require_real_numbers(folder)
    trained = {key: tensor for key, tensor in network.state_dict().items() if key not in new_keys}
    require_usable(trained, folder.name)
    return network


def _require_applied(folder: Folder, network: Any) -> None:
    """Raises InputError for weights that the folder says are quantised, where transformers did not read them so."""
    if "quantization_config" in folder.config and getattr(network, "hf_quantizer", None) is None:
        raise InputError(
            f"{folder.name}: its {CONFIG} says that its weights are quantised (quantization_config), in a way that "
            "transformers does not know; save them in floating point"
        )


def _heads(network: Any) -> tuple[str, ...]:
    """The names of a network's last layers: all that is not its base network."""
    base = network.base_model_prefix
    if not hasattr(network, base):  # CLIP's and SigLIP's base is their vision part
        base = "vision_model"
    return tuple(name for name, _ in network.named_children() if name != base)


def _preprocessor(folder: Folder) -> Any:
    with quiet() as transformers:
        try:
            made = transformers.AutoImageProcessor.from_pretrained(
                folder.path, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # likewise
            raise InputError(f"{folder.name}: its preprocessor cannot be read ({first_line(error)})") from error
    known, said = settings_of(type(made)), made.to_dict()
    if known and (unknown := sorted(key for key in said if key.startswith("do_") and said[key] and key not in known)):
        warn(f"{folder.name}: its preprocessor says {some(unknown)}, which {type(made).__name__} never does: left out")
    return made


def _finished(
    folder: Folder, network: Any, preprocessor: Any, names: tuple[str, ...], outputs: int
) -> HuggingFaceDetector:
    config = HuggingFaceConfig(network.config.to_json_string(), preprocessor.to_json_string(), names, outputs)
    try:
        detector = HuggingFaceDetector(config, network)
    except InputError as error:
        raise InputError(f"{folder.name}: {error}") from None
    _compare(detector, preprocessor, folder.name)
    detector.weights_sha256 = digest(folder.path)
    detector.reading = Reading(detector.mean, detector.std or (1.0, 1.0, 1.0), source=folder.origin or "its folder")
    return detector.eval()


def _compare(detector: HuggingFaceDetector, preprocessor: Any, name: str) -> None:
    """Refuses a detector whose logits for a picture are not those of the folder's own preprocessor and network."""
    draws = np.random.default_rng(derive_seed(0, "hugging face"))
    side = detector.input_size + detector.input_size // 3
    picture = draws.integers(0, 256, (side, side, 3), dtype=np.uint8)
    try:
        with torch.inference_mode():
            theirs = detector.network.eval()(**preprocessor(images=picture, return_tensors="pt")).logits
        ours = answer(detector, detector.prepare(picture)[None])[:, -theirs.shape[1] :]
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: its network does not take what its preprocessor makes, {detector.input_size} x "
            f"{detector.input_size} pixels ({first_line(error)})"
        ) from error
    difference = float((ours - theirs).abs().max())
    if not difference <= TOLERANCE * float(theirs.abs().max()):
        raise InputError(
            f"{name}: its preprocessor does more than resize, crop and normalise (a logit differs by {difference:.2g} "
            "from the pipeline's); write a class of your own"
        )
