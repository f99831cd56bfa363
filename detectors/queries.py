"""The one way a detector is called in bulk: in chunks, without gradients, and counted."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from common.console import warn
from common.errors import InputError
from detectors.answers import asks_itself, check_answer, in_float32
from detectors.base import Detector
from detectors.memory import ran_out

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


GRADIENT_SHARE = 4
"""A forward whose gradient is wanted keeps every activation, so it takes this share of `batch_size` at a time."""


def gradient_batch(batch_size: int) -> int:
    """How many images go forward and backward at a time where `batch_size` go forward alone."""
    return max(1, batch_size // GRADIENT_SHARE)


class Queries:
    """Batched, counted, gradient-free access to a detector.

    `batch_size` images go through the detector at a time, or as many as memory was found to hold. `precision`
    "bfloat16" runs the network under autocast (not for finite differences: sigma 0.001 vanishes in it); logits and
    everything after are float32 always. Inputs may live on any device; results are on the CPU.

    Attributes:
        images: how many images have been passed to the detector so far.
        calls: in how many forward passes.
    """

    def __init__(self, detector: Detector, batch_size: int = 32, precision: str = "float32") -> None:
        if batch_size < 1:
            raise InputError(f"batch size must be at least 1, got {batch_size}")
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
        self.detector = detector
        self.precision = precision
        self.images = 0
        self.calls = 0
        self._asked = batch_size

    @property
    def batch_size(self) -> int:
        """Images in a forward pass: what was asked for, or what the detector's memory was found to hold."""
        most = self.detector.most_images
        return self._asked if most is None else min(self._asked, most)

    @property
    def gradient_batch(self) -> int:
        """Images in a pass forward and backward: a share of those that go forward alone, or what memory holds."""
        usual, most = gradient_batch(self.batch_size), self.detector.most_gradient_images
        return usual if most is None else min(usual, most)

    @property
    def device(self) -> torch.device:
        """Where the detector's weights live."""
        parameter = next(self.detector.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, C) float32 of images (N, 3, S, S) in [0, 1]."""
        chunks: list[Tensor] = []
        start = 0
        while start < len(images):
            chunk = images[start : start + self.batch_size]
            try:
                chunks.append(answer(self.detector, chunk.to(self.device), self.precision))
            except RuntimeError as error:
                if not self.retry_smaller(error):
                    raise
                continue
            tell(self.detector, chunk, chunks[-1], self.precision)
            start += len(chunk)
            self.images += len(chunk)
            self.calls += 1
        return torch.cat(chunks).cpu() if chunks else torch.empty(0, len(self.detector.class_names))

    def retry_smaller(self, error: RuntimeError) -> bool:
        """Whether what failed can be tried again, with half as many images at a time: where memory ran out.

        The detector remembers, for whoever asks it next.
        """
        size = self.batch_size
        if not self.halve(error):
            return False
        self.say_smaller(size)
        return True

    def halve(self, error: RuntimeError) -> bool:
        """`retry_smaller` without a word: for who does not know yet whether fewer images help (`say_smaller`)."""
        size = self.batch_size
        if size == 1 or not ran_out(error):
            return False
        self.detector.most_images = size // 2
        return True

    def say_smaller(self, size: int) -> None:
        """Warns that `size` images at a time were too many, and how many now are not."""
        self._say_smaller(size, "", self.batch_size)

    def retry_smaller_gradient(self, error: RuntimeError) -> bool:
        """The same of a pass forward and backward; how many images go forward alone does not change."""
        size = self.gradient_batch
        if size == 1 or not ran_out(error):
            return False
        self.detector.most_gradient_images = size // 2
        self._say_smaller(size, ", forward and backward,", size // 2, GRADIENT_SHARE * (size // 2))
        return True

    def _say_smaller(self, size: int, how: str, now: int, batch_size: int | None = None) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        warn(
            f"{size} images at a time{how} do not fit into memory: going on with {now}. Another batch size "
            f"rounds otherwise; --batch-size {batch_size or now} makes runs the same again"
        )

    def probabilities(self, images: Tensor) -> Tensor:
        """Softmax of the logits, (N, C)."""
        return probabilities(self.logits(images))

    def log_probability(self, images: Tensor, target: int) -> Tensor:
        """log p(target), (N,): exact also where p itself would round to 0 or 1."""
        return self.logits(images).log_softmax(dim=1)[:, target]

    def log_odds(self, images: Tensor, target: int) -> Tensor:
        """log p(target) - log(1 - p(target)), (N,)."""
        return log_odds(self.logits(images), target)


def answer(detector: Detector, images: Tensor, precision: str = "float32") -> Tensor:
    """One forward pass, as all queries make it: logits (N, C) float32 of images (N, 3, S, S), on their device."""
    autocast = torch.autocast(images.device.type, PRECISIONS[precision], enabled=precision != "float32")
    with evaluating(detector), exact_float32(), torch.no_grad(), autocast:  # a forward may want gradients of its own
        logits: Tensor = detector(images.contiguous(memory_format=detector.memory_format))
        check_answer(detector, images, logits, training=False)
        return in_float32(logits).detach()


def probabilities(logits: Tensor) -> Tensor:
    """Softmax of logits (N, C): the only place where it is taken."""
    return logits.softmax(dim=1)


def log_odds(logits: Tensor, target: int) -> Tensor:
    """log p(target) - log(1 - p(target)), (N,), of logits (N, C), C at least 2.

    It ranks as p does, without the ties that p has where it rounds to 1 and without gradients that vanish there. A
    detector's logit is neither: of two classes `[0, z]` the first has a constant one.
    """
    others = [label for label in range(logits.shape[1]) if label != target]
    return logits[:, target] - logits[:, others].logsumexp(dim=1)


class Meter:
    """What has been asked of a detector, whoever asked: `images` passed to it, in `calls` passes.

    A pass backward through the detector counts as one more, of as many images as went forward; `backward` says how many
    images those were. A pass that a detector makes of itself inside of one is part of that.
    """

    def __init__(self) -> None:
        self.images = 0
        self.calls = 0
        self.backward = 0

    def count(self, module: nn.Module, inputs: tuple[Tensor, ...], logits: object) -> None:
        """Counts one forward pass that gave an answer, and every backward pass from it; a forward hook."""
        if asks_itself(module):
            return
        images = len(inputs[0])
        self._passed(images)
        if isinstance(logits, Tensor) and logits.requires_grad:
            logits.register_hook(lambda _gradient: self._went_back(images))

    def _went_back(self, images: int) -> None:
        self.backward += images
        self._passed(images)

    def _passed(self, images: int) -> None:
        self.images += images
        self.calls += 1


@contextlib.contextmanager
def counting(detector: Detector, meter: Meter | None = None) -> Iterator[Meter]:
    """Counts every pass of a detector while it is open: on a new meter, or on one that counts other detectors, too."""
    meter = meter or Meter()
    handle = detector.register_forward_hook(meter.count)
    try:
        yield meter
    finally:
        handle.remove()


L = TypeVar("L")

Listener = Callable[[Tensor, Tensor, str], None]
"""Told images (N, 3, S, S), the logits (N, C) that they were answered with, and in which precision."""

_LISTENERS: WeakKeyDictionary[Detector, list[Listener]] = WeakKeyDictionary()


def listening(detector: Detector, listener: Listener) -> contextlib.AbstractContextManager[None]:
    """Tells a listener every answer to queries and to attacks' gradients while it is open.

    What a library asks by itself is not told: it may have changed the network for it, as Ablation-CAM does.
    """
    return one_of(_LISTENERS, detector, listener)


@contextlib.contextmanager
def one_of(listeners: WeakKeyDictionary[Detector, list[L]], detector: Detector, listener: L) -> Iterator[None]:
    """Has a listener among those of a detector while it is open."""
    own = listeners.setdefault(detector, [])
    own.append(listener)
    try:
        yield
    finally:
        own.remove(listener)


def tell(detector: Detector, images: Tensor, logits: Tensor, precision: str = "float32") -> None:
    """Tells those who listen to a detector what it answered."""
    for listener in _LISTENERS.get(detector, ()):
        listener(images, logits, precision)


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Puts every submodule in evaluation mode and gives each its own mode back, whatever happens inside.

    Raises InputError where one of them stays in training mode.
    """
    modes = {child: child.training for child in module.modules() if hasattr(child, "training")}  # frozen scripts: none
    try:
        if any(modes.values()):
            module.eval()
            require_evaluating(module)
        yield
    finally:
        for child, training in modes.items():
            if child.training != training:
                child.training = training


def require_evaluating(module: nn.Module) -> None:
    """Raises InputError where a part of a detector is in training mode, although `eval` was called."""
    for name, child in module.named_modules():
        if getattr(child, "training", False):
            part = f"its {name} ({type(child).__name__}) stays" if name else "it stays"
            raise InputError(
                f"detector {type(module).__name__} cannot be put into evaluation mode: {part} in training mode after "
                "eval(); mend its train method"
            )


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 arithmetic as IEEE 754 has it, and deterministic convolutions, while it lasts.

    A GPU's default, TF32, keeps 10 bits of mantissa, in which finite differences of sigma 0.001 vanish.
    """
    cudnn, mkldnn = cast(Any, torch.backends.cudnn), cast(Any, torch.backends.mkldnn)  # their stubs lag behind
    backends = (cudnn.conv, torch.backends.cuda.matmul, mkldnn.matmul)
    before = [backend.fp32_precision for backend in backends]
    deterministic = cudnn.deterministic
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        cudnn.deterministic = True
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
        cudnn.deterministic = deterministic
