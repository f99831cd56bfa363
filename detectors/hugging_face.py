"""An image classifier of transformers as a detector: the network, and what its preprocessor does to a picture."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from common.console import warn
from common.errors import InputError
from common.extras import extra
from detectors.base import REAL, resize, to_pictures
from detectors.loading.checkpoints import Checkpoint
from detectors.loading.conventions import Conventions
from detectors.loading.reading import agreed_classes
from detectors.loading.saving import MAX_INPUT, Config, NetworkDetector, config_in
from detectors.loading.weight_loading import load_into

EXTRA = "hf"
FLIPPED = "do_flip_channel_order"
"""The setting of preprocessors that turn RGB to BGR, as MobileViT's do."""


@dataclass(frozen=True)
class HuggingFaceConfig(Config):
    """All that makes a detector of the weights of a transformers network.

    Attributes:
        network: its `config.json`, as text.
        preprocessor: its `preprocessor_config.json`, likewise.
        class_names: one per class, "Real" among them; of a one-logit network two, the second being what it stands for.
        outputs: how many logits the network itself has: 1, or one per class.
    """

    model: ClassVar[str] = "huggingface"

    network: str
    preprocessor: str
    class_names: tuple[str, ...]
    outputs: int

    def __post_init__(self) -> None:
        if self.class_names.count(REAL) != 1 or len(set(self.class_names)) != len(self.class_names):
            raise InputError(f"class names must differ and hold {REAL!r} once, got {', '.join(self.class_names)}")
        if self.outputs != len(self.class_names) and (self.outputs, len(self.class_names)) != (1, 2):
            raise InputError(f"{self.outputs} logits cannot stand for {len(self.class_names)} classes")

    @property
    def title(self) -> str:
        """What transformers calls the family, and the number of logits."""
        return f"a {json.loads(self.network).get('model_type')} of transformers with {self.outputs} outputs"


class HuggingFaceDetector(NetworkDetector):
    """A classifier of transformers behind its preprocessor's normalisation; one logit z gives the classes [0, z].

    `prepare` resizes and crops as the preprocessor does, and `forward` turns RGB to BGR where it does and normalises as
    it does, so that the logits of a picture are those of transformers' own pipeline. The input is square: a picture
    whose shape the preprocessor would keep is stretched first, with a warning.
    """

    config: HuggingFaceConfig

    def __init__(self, config: HuggingFaceConfig, network: Any = None) -> None:
        """`network` has weights already; None makes one with new weights. Raises InputError where neither works."""
        super().__init__()
        self.config, self.class_names = config, config.class_names
        self.real = config.class_names.index(REAL)
        with _one_line(f"{config.title} cannot be made"):
            self.preprocessor = _preprocessor(config.preprocessor)
            self._turned = _turns_colours(self.preprocessor)
            self.network = _new_network(config.network) if network is None else network
            self._patch = _patch_size(self.network, self.preprocessor)
            self.input_size = self._side()
        mean, std = normalisation(self.preprocessor)
        self.mean, self.std = (mean[::-1], std[::-1]) if self._turned else (mean, std)
        scale = 1 / torch.tensor(std)
        self._scale: Tensor
        self._shift: Tensor
        self.register_buffer("_scale", scale.view(3, 1, 1), persistent=False)
        self.register_buffer("_shift", (-torch.tensor(mean) * scale).view(3, 1, 1), persistent=False)
        self._stretched = False
        self.colour_order = "BGR" if self._turned else "RGB"

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, S, S) in [0, 1]."""
        given = images.flip(1) if self._turned else images
        values = torch.addcmul(self._shift, given, self._scale)
        logits: Tensor = self.network(**self._arguments(values)).logits
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if self.config.outputs == 1 else logits

    def prepare(self, image: np.ndarray) -> Tensor:
        """One frame (H, W, 3) uint8 RGB as the preprocessor resizes and crops it: (3, S, S) float32 in [0, 1]."""
        prepared = self._prepared(image)
        side = self.input_size
        if prepared.shape[1:] != (side, side):
            if not self._stretched:
                warn(
                    f"pictures that are not square are stretched to {side} x {side}: {self._who} would keep their shape"
                )
                self._stretched = True
            stretched = to_pictures(resize(image, side, antialias=True)[None])[0]
            prepared = self._prepared(stretched)
        return prepared

    def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
        """A frame's mask (H, W) bool, resized and cropped as `prepare` does a frame: (S, S) bool."""
        white = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
        return self.prepare(white)[0].numpy() >= 0.5

    @property
    def _who(self) -> str:
        return type(self.preprocessor).__name__

    def _side(self) -> int:
        """The side of the input in pixels. Raises ValueError where the preprocessor makes no square of a square."""
        height, width = self._prepared(np.zeros((256, 256, 3), np.uint8)).shape[1:]
        if height != width or not 1 <= height <= MAX_INPUT:
            raise ValueError(f"its preprocessor makes {height} x {width} pixels of a square picture")
        return int(height)

    def _prepared(self, image: np.ndarray) -> Tensor:
        """A picture (H, W, 3) uint8 as the preprocessor makes it before it normalises, (3, h, w) float32 in [0, 1]."""
        made = self.preprocessor(
            images=np.ascontiguousarray(image), do_rescale=True, rescale_factor=1 / 255, do_normalize=False,
            input_data_format="channels_last", return_tensors="pt", **({FLIPPED: False} if self._turned else {}),
        )  # fmt: skip
        values: Tensor = made["pixel_values"][0]
        if self._patch is None:
            return values.float().contiguous()
        rows, columns = (int(number) for number in made["spatial_shapes"][0])
        patches = values[: rows * columns].float().reshape(rows, columns, self._patch, self._patch, 3)
        return patches.permute(4, 0, 2, 1, 3).reshape(3, rows * self._patch, columns * self._patch).contiguous()

    def _arguments(self, values: Tensor) -> dict[str, Tensor]:
        """The network's arguments for normalised images (N, 3, S, S): themselves, or their patches."""
        if self._patch is None:
            return {"pixel_values": values}
        count, side = len(values), self.input_size // self._patch
        patches = values.reshape(count, 3, side, self._patch, side, self._patch).permute(0, 2, 4, 3, 5, 1)
        return {
            "pixel_values": patches.reshape(count, side * side, -1),
            "pixel_attention_mask": torch.ones(count, side * side, dtype=torch.int32, device=values.device),
            "spatial_shapes": torch.full((count, 2), side, device=values.device),
        }


def from_own_file(checkpoint: Checkpoint, conventions: Conventions) -> HuggingFaceDetector:
    """The detector of one of our own files; InputError for any other, and where the user contradicts it."""
    config = config_in(checkpoint, HuggingFaceConfig)
    agreed_classes(config.class_names, config.outputs, checkpoint, conventions)
    refuse_reading(conventions, str(checkpoint.path))
    with _one_line(f"{checkpoint.path}: its description of the network cannot be read"):
        detector = HuggingFaceDetector(config)
    load_into(detector.network, checkpoint, config.title)
    return detector


def refuse_reading(conventions: Conventions, who: str) -> None:
    """Raises InputError where the user says how pictures are read, which the preprocessor's file says."""
    if conventions.normalisation is not None or conventions.input_size is not None:
        raise InputError(f"{who} says itself how pictures are read; leave out --normalise, --mean, --std and --size")


def normalisation(preprocessor: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The mean and standard deviation, RGB of pictures in [0, 1], that a preprocessor's settings amount to.

    It multiplies bytes by its factor, then subtracts its mean and divides by its deviation, where it does each.
    """
    scale = 255 * preprocessor.rescale_factor if preprocessor.do_rescale else 255.0
    mean, std = (preprocessor.image_mean, preprocessor.image_std) if preprocessor.do_normalize else (0.0, 1.0)
    red, green, blue = (float(value) / scale for value in _three(mean))
    over_red, over_green, over_blue = (float(value) / scale for value in _three(std))
    if not min(over_red, over_green, over_blue) > 0 or not all(map(math.isfinite, (red, green, blue))):
        raise InputError(f"its preprocessor's mean {mean} and std {std} cannot be used")
    return (red, green, blue), (over_red, over_green, over_blue)


@contextmanager
def quiet() -> Iterator[Any]:
    """transformers without its log and progress bars, which are as before afterwards. InputError without it."""
    transformers = extra("transformers", EXTRA, "a Hugging Face network")
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turns what transformers raises for settings that it cannot use into one line."""
    try:
        yield
    except InputError:
        raise
    except (AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{what} ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """An error's type, and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0].rstrip('.')}" if said else type(error).__name__


def _new_network(text: str) -> Any:
    with quiet() as transformers:
        settings = json.loads(text)
        config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
        return transformers.AutoModelForImageClassification.from_config(config, dtype=torch.float32)


def _preprocessor(text: str) -> Any:
    with quiet() as transformers:
        settings = json.loads(text)
        kind: Any = getattr(transformers, str(settings.get("image_processor_type")), None)
        known = isinstance(kind, type) and issubclass(kind, transformers.BaseImageProcessor)
        if not known:
            raise ValueError(f"transformers has no image processor {settings.get('image_processor_type')!r}")
        return kind.from_dict(settings)


def _turns_colours(preprocessor: Any) -> bool:
    """Whether a preprocessor gives its network BGR."""
    return FLIPPED in settings_of(type(preprocessor)) and bool(getattr(preprocessor, FLIPPED, False))


def settings_of(kind: Any) -> frozenset[str]:
    """The names of the settings that a kind of image processor knows; none where it does not say."""
    return frozenset(getattr(getattr(kind, "valid_kwargs", None), "__annotations__", ()))


def _patch_size(network: Any, preprocessor: Any) -> int | None:
    """The side of a patch where the network takes patches in place of images, as SigLIP 2's does; else None."""
    if network.config.model_type != "siglip2":
        return None
    return int(preprocessor.patch_size)


def _three(value: Any) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if len(values) not in (1, 3):
        raise InputError(f"its preprocessor says {value!r} where one number or three are needed: red, green and blue")
    return values * 3 if len(values) == 1 else values
