"""What `--model NAME` trains: a network, the recipe of its paper, and for how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from common.console import warn
from common.errors import InputError
from data.frames import CLASS_NAMES
from data.landmarks import Landmarks
from detectors import sbi, xception
from detectors.base import Detector
from detectors.caddm import CaddmConfig, CaddmDetector
from detectors.hugging_face import HuggingFaceDetector
from detectors.loading.class_names import BINARY, OrderUnknownError
from detectors.loading.conventions import Conventions
from detectors.loading.hugging_face_source import new_hugging_face
from detectors.loading.saving import NetworkDetector
from detectors.loading.timm_source import published_config
from detectors.registry import load
from detectors.timm_network import TimmConfig, TimmDetector
from detectors.training.caddm_recipe import FacialSwaps
from detectors.training.classification import Classification
from detectors.training.recipe import Recipe
from detectors.training.sbi_recipe import SelfBlending


@dataclass(frozen=True)
class Wanted:
    """What the user asked of a network.

    Attributes:
        backbone: timm's name for it; None for the model's own.
        size: the side of the input in pixels; None for the model's own.
        pretrained: whether timm's weights are downloaded for the backbone.
        class_names: the classes of the network, where the model does not fix them.
    """

    backbone: str | None = None
    size: int | None = None
    pretrained: bool = False
    class_names: tuple[str, ...] = BINARY


@dataclass(frozen=True)
class Model:
    """A kind of detector that can be trained.

    Attributes:
        backbone: timm's name of its network, where the user names no other.
        names_network: whether the model's name itself names the network, so that no --init can bring another.
        build: from what is wanted to the new detector.
        recipe: how it is trained; landmarks may be given.
        epochs: how long.
        batch_size: frames per step.
    """

    backbone: str
    build: Callable[[str, Wanted], NetworkDetector]
    recipe: Callable[[Landmarks | None], Recipe]
    epochs: int
    batch_size: int
    names_network: bool = False


def _attribution(backbone: str, wanted: Wanted) -> NetworkDetector:
    config = replace(published_config(backbone, CLASS_NAMES), input_size=wanted.size or TimmConfig.input_size)
    return TimmDetector(config, wanted.pretrained)


def _caddm(backbone: str, wanted: Wanted) -> NetworkDetector:
    return CaddmDetector(CaddmConfig(backbone, wanted.size or CaddmConfig.input_size), wanted.pretrained)


def _published(config: TimmConfig) -> Callable[[str, Wanted], NetworkDetector]:
    """Builds a published detector's network, or another one behind the same normalisation and classes."""

    def build(backbone: str, wanted: Wanted) -> NetworkDetector:
        chosen = replace(config, network=backbone, input_size=wanted.size or config.input_size)
        return TimmDetector(chosen, wanted.pretrained)

    return build


def _timm(backbone: str, wanted: Wanted) -> NetworkDetector:
    config = published_config(backbone, wanted.class_names)
    return TimmDetector(replace(config, input_size=wanted.size or config.input_size), wanted.pretrained)


def _hugging_face(folder: str, wanted: Wanted) -> NetworkDetector:
    if wanted.backbone not in (None, folder) or wanted.size is not None or wanted.pretrained:
        raise InputError(f"hf:{folder} brings its own weights and size; leave out --backbone, --size and --pretrained")
    return new_hugging_face(folder, wanted.class_names)


def _plain(_landmarks: Landmarks | None) -> Recipe:
    return Classification(learning_rate=1e-4, warmup=0.0, weight_decay=0.0, label_smoothing=0.0, balanced=False)


HUGGING_FACE = "hf:"


def _fine_tuning(_landmarks: Landmarks | None) -> Recipe:
    return Classification(learning_rate=5e-5)


MODELS: Mapping[str, Model] = {
    "attribution": Model("tf_efficientnetv2_b0", _attribution, lambda _: Classification(), 20, 32),
    "caddm": Model("tf_efficientnet_b3", _caddm, lambda _: FacialSwaps(), 20, 32),
    "sbi": Model(sbi.CONFIG.network, _published(sbi.CONFIG), SelfBlending, 100, 16),
    "xception": Model(xception.CONFIG.network, _published(xception.CONFIG), _plain, 20, 32),
}
"""The models with a name of their own; `timm:NETWORK` is any network, trained as the attribution classifier is, and
`hf:FOLDER` one of transformers, trained on from its weights."""


def model(name: str) -> Model:
    """The model of a name, `timm:NETWORK` or `hf:FOLDER`. Raises InputError for another one."""
    if name.startswith("timm:"):
        return Model(name.removeprefix("timm:"), _timm, lambda _: Classification(), 20, 32, names_network=True)
    if name.startswith(HUGGING_FACE):
        return Model(name.removeprefix(HUGGING_FACE), _hugging_face, _fine_tuning, 20, 32, names_network=True)
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; known: {', '.join(MODELS)}, timm:NETWORK, hf:FOLDER, hf:OWNER/NAME")
    return MODELS[name]


def new_detector(kind: Model, wanted: Wanted, init: str | None) -> NetworkDetector:
    """A detector in training mode whose weights take gradients.

    `init` (a detector's name or a checkpoint) gives the weights of the backbone, and those of the last layers where
    they are the same; without a backbone in `wanted` it also gives the backbone's name, and without a size its size.
    Raises InputError where its network is another one.
    """
    if init is None:
        return kind.build(wanted.backbone or kind.backbone, wanted).train()
    if kind.build is _hugging_face:
        raise InputError(f"hf:{kind.backbone} brings its own weights; leave out --init")
    start = _start(init)
    if not isinstance(start, NetworkDetector) or isinstance(start, HuggingFaceDetector):
        raise InputError(
            f"--init {init}: weights can only be taken from a network of timm or CADDM (one of transformers is trained "
            "by --model hf:FOLDER)"
        )
    backbone = wanted.backbone or (kind.backbone if kind.names_network else _backbone_name(start))
    detector = kind.build(backbone, replace(wanted, size=wanted.size or start.input_size))
    _copy(start, detector, f"--init {init}", backbone)
    return detector.train()


def _start(init: str) -> Detector:
    """The detector whose weights training starts from, with a warning where nothing says what its outputs are.

    Their order is then taken to be the usual one: in training, the last layer turns round where it is another.
    """
    try:
        return load(init, optimise=False)
    except OrderUnknownError as error:
        names = {len(BINARY): BINARY, len(CLASS_NAMES): CLASS_NAMES}.get(error.outputs)
        if names is None:
            raise
        warn(f"--init {init} does not say which output is Real; its last layer starts as that of {', '.join(names)}")
        return load(init, optimise=False, conventions=Conventions(classes=",".join(names)))


def _backbone_name(detector: NetworkDetector) -> str:
    config = detector.config
    if isinstance(config, CaddmConfig):
        return config.backbone
    if isinstance(config, TimmConfig):
        return config.network
    raise TypeError(f"a backbone is not known of {type(config).__name__}")


def _copy(start: NetworkDetector, detector: NetworkDetector, who: str, backbone: str) -> None:
    """Copies what both networks have; InputError where that is not at least the backbone."""
    theirs, ours = _by_part(start), _by_part(detector)
    same = {key for key, tensor in theirs.items() if key in ours and ours[key].shape == tensor.shape}
    lacking = sorted(key for key in ours if key.startswith(_BACKBONE) and key not in same)
    if lacking:
        raise InputError(
            f"{who} does not have the weights of {backbone} (such as {lacking[0].removeprefix(_BACKBONE)}): leave out "
            "--backbone to take its own"
        )
    for key in same:
        ours[key].copy_(theirs[key])


_BACKBONE = "backbone."


def _by_part(detector: NetworkDetector) -> dict[str, Tensor]:
    """A detector's weights by name, with those of its backbone (of a timm network all but the last layer) under it."""
    tensors = detector.network.state_dict()
    if not isinstance(detector, TimmDetector):
        return tensors
    published: Any = detector.network.pretrained_cfg
    heads = published["classifier"]
    last = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    return {key if key.startswith(last) else f"{_BACKBONE}{key}": tensor for key, tensor in tensors.items()}
