"""What the contract tests share: a small detector that counts, pictures for it, and a record of what a call changed."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.base import Detector
from detectors.queries import Queries
from xai.base import Score

SIZE = 32


class BrokenDetectorError(RuntimeError):
    """What a detector raises that breaks down."""


class SmallDetector(Detector):
    """A random convolutional network that counts the images it is given and says Real of black ones.

    It has what a careless caller would disturb: batch norm and dropout, which behave otherwise in training, and
    weights. "Real" is neither its first class nor its last.

    Attributes:
        images_seen: how many images have been passed to it.
        largest_batch: how many at most in one forward pass.
        passes_left: after how many forward passes it breaks down; None for never.
    """

    class_names = ("Deepfakes", "Real", "Face2Face", "FaceSwap", "NeuralTextures")
    real = 1
    input_size = SIZE
    mean = (0.45, 0.5, 0.55)

    def __init__(self) -> None:
        super().__init__()
        self.images_seen = self.largest_batch = 0
        self.passes_left: int | None = None
        convolution, norm = nn.Conv2d(3, 8, 5, padding=2, bias=False), nn.BatchNorm2d(8)
        self.features = nn.Sequential(convolution, norm, nn.ReLU(), nn.AvgPool2d(4), nn.Dropout(0.5))
        self.head = nn.Linear(8 * (SIZE // 4) ** 2, len(self.class_names))
        _draw_weights(convolution, norm, self.head, self.real)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 5) of images (N, 3, SIZE, SIZE) in [0, 1]; fails when it breaks down."""
        if self.passes_left is not None:
            self.passes_left -= 1
            if self.passes_left < 0:
                raise BrokenDetectorError("the detector broke down")
        self.images_seen += len(images)
        self.largest_batch = max(self.largest_batch, len(images))
        return self.head(self.features(images / 0.25).flatten(1))


def _draw_weights(convolution: nn.Conv2d, norm: nn.BatchNorm2d, head: nn.Linear, real: int) -> None:
    """Draws weights so that black gives its biases, of which Real's is the largest, and brightness speaks for fakes."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        convolution.weight.normal_(std=0.1, generator=generator)
        norm.weight.uniform_(0.5, 2.0, generator=generator)
        head.weight.normal_(std=0.05, generator=generator)
        head.weight[real] -= 0.01
        head.bias.zero_()
        head.bias[real] = 1.0


class WatchedScore(Score):
    """A score that knows how many images it was given at most at a time.

    Attributes:
        largest_batch: that number.
    """

    def __init__(self, queries: Queries, target: int) -> None:
        super().__init__(queries, target)
        self.largest_batch = 0

    def __call__(self, images: Tensor) -> Tensor:
        """p(target), (N,)."""
        self.largest_batch = max(self.largest_batch, len(images))
        return super().__call__(images)

    def log_odds(self, images: Tensor) -> Tensor:
        """log p(target) - log(1 - p(target)), (N,)."""
        self.largest_batch = max(self.largest_batch, len(images))
        return super().log_odds(images)


def photo(seed: int = 0, size: int = SIZE) -> Tensor:
    """A smooth random picture (3, size, size) in [0, 1] with a little noise, so that no two pixels are alike."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=generator)
    smooth = functional.interpolate(coarse, (size, size), mode="bicubic")[0]
    return (smooth + 0.02 * torch.randn(3, size, size, generator=generator)).clamp(0.0, 1.0)


def blocks(count: int = 4) -> np.ndarray:
    """Segments (SIZE, SIZE) int32: a grid of count x count squares."""
    rows = np.arange(SIZE) * count // SIZE
    return (rows[:, None] * count + rows).astype(np.int32)


def in_use(passes_left: int | None = None) -> SmallDetector:
    """A detector as a training loop leaves it: training mode but for one part, a frozen weight, a gradient, a hook."""
    detector = SmallDetector().train()
    detector.passes_left = passes_left
    detector.features[4].eval()
    detector.features[0].weight.requires_grad_(False)
    detector.head.bias.grad = torch.full_like(detector.head.bias, 0.5)
    detector.head.register_forward_hook(_pass_on)
    return detector


def _pass_on(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output


def stir(seed: int) -> None:
    """Seeds the global generators of torch, numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state under test
    random.seed(seed)


def refuse_new_generators(patch: pytest.MonkeyPatch, of_torch: bool) -> None:
    """Makes numpy's new generators fail, and with `of_torch` torch's too: what is drawn must come from a given one."""
    patch.setattr(np.random, "default_rng", _given)
    patch.setattr(np.random, "RandomState", type("RandomState", (np.random.RandomState,), {"__init__": _given}))
    if of_torch:
        patch.setattr(torch, "Generator", type("Generator", (torch.Generator,), {"__new__": _given}))


def _given(*arguments: object) -> np.random.Generator:
    """The generator that is given, as `numpy.random.default_rng` does; fails for anything else."""
    generator = arguments[0] if arguments else None
    assert isinstance(generator, np.random.Generator), "draws from a generator that was not given"
    return generator


@contextlib.contextmanager
def without_a_trace(detector: Detector, *inputs: Tensor | np.ndarray) -> Iterator[None]:
    """Fails where what happens inside changes the detector, an input, a global generator or a setting of torch."""
    torch.backends.cudnn.deterministic = False  # torch's default, whatever an earlier test left
    before = _record(detector, inputs)
    yield
    after = _record(detector, inputs)
    changed = [what for what in before if before[what] != after[what]]
    assert not changed, f"changed: {', '.join(changed)}"


def _record(detector: Detector, inputs: tuple[Tensor | np.ndarray, ...]) -> dict[str, Any]:
    parts, weights = dict(detector.named_modules()), dict(detector.named_parameters())
    return {
        "the detector's parts": {name: id(part) for name, part in parts.items()},
        "the detector's training and evaluation modes": {name: part.training for name, part in parts.items()},
        "the detector's hooks": {name: _hooks(part) for name, part in parts.items()},
        "the detector's weights and buffers": {name: _bytes(value) for name, value in detector.state_dict().items()},
        "requires_grad": {name: weight.requires_grad for name, weight in weights.items()},
        "the gradients of weights": {name: _bytes(weight.grad) for name, weight in weights.items()},
        "the inputs": [_bytes(array) for array in inputs],
        "the gradients of inputs": [_gradient(array) for array in inputs],
        "torch's global generator": _bytes(torch.get_rng_state()),
        "numpy's global generator": repr(np.random.get_state(legacy=False)),  # noqa: NPY002
        "Python's global generator": random.getstate(),
        "torch's settings": _settings(),
    }


def _hooks(part: nn.Module) -> dict[str, list[tuple[int, int]]]:
    """What is hooked to a module, by the kind of hook."""
    kinds = {name: hooks for name, hooks in vars(part).items() if name.endswith("_hooks") and isinstance(hooks, dict)}
    return {name: [(key, id(hook)) for key, hook in hooks.items()] for name, hooks in kinds.items()}


def _bytes(array: Tensor | np.ndarray | None) -> bytes | None:
    if array is None:
        return None
    return array.tobytes() if isinstance(array, np.ndarray) else array.detach().numpy().tobytes()


def _gradient(array: Tensor | np.ndarray) -> object:
    return (array.requires_grad, _bytes(array.grad)) if isinstance(array, Tensor) else None


def _settings() -> tuple[object, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
        torch.get_default_dtype(),
        torch.get_num_threads(),
    )
