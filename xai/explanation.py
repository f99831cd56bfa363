"""The explanations of one frame: its segments and adversarial image are made once, its methods share them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.errors import InputError
from common.global_generators import isolated
from common.process_state import kept_process_state
from common.seeds import derive_seed, generator
from detectors.base import Detector
from detectors.preparing import prepared
from detectors.queries import Queries, counting
from xai.base import (
    CompiledExplainer,
    DetectorSpecificExplainer,
    Explainer,
    Fill,
    FrameExplainer,
    Score,
    uses_segments,
)
from xai.completeness import CompleteExplainer, Completeness
from xai.explanation_settings import ExplanationSettings, build_settings, check_settings
from xai.fills import composite
from xai.method_explanation import Explanation
from xai.methods import ADVERSARIAL, Method, parse_method
from xai.sampling import sampled_map
from xai.sampling_error import SampledMap
from xai.stopping import GrowingExplainer, UntilStable
from xai.usable_fill import with_usable_fill


@dataclass(frozen=True, eq=False)
class AdversarialImage:
    """A frame attacked as a whole, and what that took.

    Attributes:
        image: (3, H, W) float32 in [0, 1], on the CPU; the frame itself where the detector called it real at once.
        flipped: whether the detector calls it real.
        steps: of the attack.
        forwards: images passed to the detector, forward and backward.
        queries: forwards that an attacker without gradients would have needed; -1 where the attack cannot do without.
        seconds: wall time.
    """

    image: Tensor
    flipped: bool
    steps: int
    forwards: int
    queries: int
    seconds: float


class FrameExplanations:
    """Explains one frame by any number of methods.

    The segments are made when first needed, and so is the adversarial image; both are kept. A draw depends on the
    seed, the frame's key and the explainer, not on the fill: LIME and LIME_adv show the same subsets, so that they
    differ by the fill alone; what an explainer draws from global generators depends on the same. Explainers, fills and
    divisions are given copies: what one writes into, no other sees.
    """

    def __init__(
        self,
        detector: Detector,
        image: Tensor,
        target: int,
        settings: ExplanationSettings,
        seed: int = 0,
        key: str = "",
        batch_size: int = 32,
        precision: str = "float32",
    ) -> None:
        """Prepares to explain a frame; the detector is not asked yet.

        Args:
            detector: what is explained.
            image: (3, S, S) float32 in [0, 1], the frame at the detector's input size.
            target: the index of the class to explain.
            settings: of segments, explainers, fills and the adversarial image.
            seed: with `key`, of every draw.
            key: the frame's name.
            batch_size: images in a forward pass, at least 1.
            precision: "float32" or "bfloat16", of the methods' queries; the adversarial image is always made in
                float32.

        Raises:
            InputError: the image has another size, the detector no such class, or batch size or precision cannot be.
        """
        size = detector.input_size
        if image.shape != (3, size, size):
            raise InputError(f"expected an image of shape (3, {size}, {size}), got {tuple(image.shape)}")
        known = len(detector.class_names)
        if isinstance(target, bool) or not isinstance(target, int | np.integer) or not 0 <= target < known:
            raise InputError(f"class {target} cannot be explained: the detector has {known}, from 0")
        self._queries = Queries(detector, batch_size, precision)
        self.detector, self.target, self.settings = detector, target, settings
        self.image = image.to(self._queries.device)
        self.seed, self.key = seed, key
        self._own_segments: dict[Callable[[Tensor], np.ndarray], np.ndarray] = {}

    @property
    def batch_size(self) -> int:
        """Images in a forward pass."""
        return self._queries.batch_size

    @property
    def precision(self) -> str:
        """Of the methods' queries."""
        return self._queries.precision

    @property
    def score(self) -> Score:
        """p(target) of images, asked as the explanations ask: in their batches and precision."""
        return Score(self._queries, self.target).copied()

    def segments_of(self, method: Method) -> np.ndarray:
        """The superpixels that a method's explanation is ranked over, (S, S) int32: the frame's, or its own."""
        if method.segments is None:
            return self.segments
        if method.segments not in self._own_segments:
            self._own_segments[method.segments] = method.segments(self.image.clone())
        return self._own_segments[method.segments]

    @cached_property
    def segments(self) -> np.ndarray:
        """The frame's superpixels, (S, S) int32."""
        return self.settings.segments(self.image.clone())

    @cached_property
    def adversarial(self) -> AdversarialImage:
        """The frame attacked as a whole, and its cost."""
        started = time.perf_counter()
        whole = torch.ones(1, *self.image.shape[1:], dtype=torch.bool)
        seeds = [derive_seed(self.seed, self.key, ADVERSARIAL)]
        result = self.settings.adversarial(self.detector, self.image[None], whole, seeds, self._queries.batch_size)
        return AdversarialImage(
            image=result.images[0],
            flipped=bool(result.flipped[0]),
            steps=int(result.steps[0]),
            forwards=int(result.forwards[0]),
            queries=int(result.queries[0]),
            seconds=time.perf_counter() - started,
        )

    def explain(self, method: str | Method) -> Explanation:
        """The explanation by a method, named as `xai.methods.parse_method` reads it.

        Raises InputError for an unknown method, one whose explainer the settings lack or that does not suit the
        detector, or one whose saliency map is not finite and of the image's size.
        """
        method = parse_method(method) if isinstance(method, str) else method
        explainer = self._explainer(method)
        self.warm_up(method)
        segments = self.segments_of(method)  # made outside the clock: it belongs to the frame, not to the first method
        extra = self.adversarial if method.fill == ADVERSARIAL else None
        started = time.perf_counter()
        with counting(self.detector) as meter:
            made = self._made(method, explainer, segments)
        seconds = time.perf_counter() - started
        return Explanation(
            saliency=made.saliency,
            segments=segments,
            target=self.target,
            forwards=meter.images + (extra.forwards if extra else 0),
            seconds=seconds + (extra.seconds if extra else 0.0),
            completeness=self._completeness(method, explainer, made),
            covariance=made.covariance,
            method=method.name,
            class_name=str(self.detector.class_names[self.target]),
            picture=self._picture,
        )

    def warm_up(self, method: Method) -> None:
        """Does what a method's explainer does once in a process (`CompiledExplainer`): no cost of this frame."""
        explainer = self.settings.explainers.get(method.explainer)
        if isinstance(explainer, CompiledExplainer):
            explainer.warm_up(*self.image.shape[1:])

    @cached_property
    def _picture(self) -> np.ndarray:
        """The image in 8 bits, (S, S, 3), as explanations keep it."""
        return (255 * self.image.permute(1, 2, 0)).round().clamp(0, 255).to(torch.uint8).cpu().numpy()

    def saliency(self, method: str | Method) -> np.ndarray:
        """The map by a method alone, (H, W) float32: the frame is divided only where the method looks at segments.

        Raises InputError as `explain` does.
        """
        method = parse_method(method) if isinstance(method, str) else method
        explainer = self._explainer(method)
        segments = self._segments_for(explainer) if method.segments is None else self.segments_of(method)
        return self._made(method, explainer, segments).saliency

    def again(
        self, image: Tensor, detector: Detector, settings: ExplanationSettings | None = None
    ) -> "FrameExplanations":
        """The same frame with another image (3, S, S) or another detector of the same classes and size.

        It is explained on the same segments and with the same draws, and by the same settings where no others are
        given. Another image is attacked anew where a fill needs it; another detector keeps this frame's adversarial
        image, so that it differs by its weights alone.
        """
        queries, settings = self._queries, settings or self.settings
        other = FrameExplanations(
            detector, image, self.target, settings, self.seed, self.key, queries.batch_size, queries.precision
        )
        other.segments, other._own_segments = self.segments, self._own_segments
        if image is self.image and "adversarial" in self.__dict__:
            other.adversarial = self.adversarial
        return other

    def fill(self, name: str, segments: np.ndarray | None = None) -> Fill:
        """The frame's fill of that name in the settings, or "adversarial". Raises InputError for an unknown one.

        `segments` are those whose colours it may need; None for the frame's.
        """
        if name == ADVERSARIAL:
            return composite(self.image, self.adversarial.image.to(self.image))
        if name not in self.settings.fills:
            raise InputError(f"unknown fill {name!r}; known: {', '.join(self.settings.fills)}, {ADVERSARIAL}")
        background = self.settings.fills[name]
        parts = self._segments_for(background) if segments is None else segments
        return composite(self.image, background(self.image.clone(), parts.copy(), self.detector.mean).clone())

    @kept_process_state("explaining")
    def _made(self, method: Method, explainer: Explainer, segments: np.ndarray) -> SampledMap:
        draws = generator(self.seed, self.key, "explain", method.explainer)
        score, fill = self._asked(method)
        with isolated(derive_seed(self.seed, self.key, "global", method.explainer)):
            return sampled_map(explainer, score, self.image.clone(), segments.copy(), fill, draws, method.name)

    def _completeness(self, method: Method, explainer: Explainer, made: SampledMap) -> Completeness | None:
        """Asks the detector about the frame and the hidden frame: a check of the map, and no part of its cost."""
        if not isinstance(explainer, CompleteExplainer):
            return None
        score, fill = self._asked(method)
        segments = self.segments_of(method).copy()
        return explainer.completeness(score, self.image.clone(), segments, fill, made.saliency.copy())

    def _asked(self, method: Method) -> tuple[Score, Fill]:
        """What a method asks the detector, and what it hides pixels with."""
        own = None if method.segments is None else self.segments_of(method)
        return Score(self._queries, self.target, method.softmaxes).copied(), self.fill(method.fill, own)

    def _segments_for(self, part: object) -> np.ndarray:
        """The segments, or for what does not look at them the whole frame as one, (S, S) int32."""
        return self.segments if uses_segments(part) else np.zeros(self.image.shape[1:], dtype=np.int32)

    def _explainer(self, method: Method) -> Explainer:
        if method.explainer not in self.settings.explainers:
            raise InputError(f"the settings have no explainer {method.explainer!r}: give the method to build_settings")
        explainer = self.settings.explainers[method.explainer]
        if isinstance(explainer, DetectorSpecificExplainer):
            explainer.check(self.detector)  # outside the count: its forwards belong to no single frame
        if isinstance(explainer, GrowingExplainer) and self.settings.stopping.probability < 1:
            return UntilStable(explainer, self.settings.stopping)
        return explainer.for_frame(self.key) if isinstance(explainer, FrameExplainer) else explainer


def explained_class(scores: Tensor, real: int) -> int:
    """The class that an explanation is about: the predicted one, or where that is Real, the likeliest fake.

    `scores` are logits (C,), or probabilities, which may round to the same number where logits do not. What makes a
    face look real is the absence of what the other classes look for, so for a frame called real the evidence for the
    likeliest fake is explained.
    """
    order = scores.argsort(descending=True, stable=True).tolist()
    return order[0] if order[0] != real else order[1]


def explain(
    detector: Detector,
    image: np.ndarray,
    method: str,
    target: int | None = None,
    preset: str = "published",
    seed: int = 0,
    *,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    key: str = "",
    batch_size: int = 32,
    precision: str = "float32",
) -> Explanation:
    """Explains a detector's verdict on one image; the explanation is at the detector's input size.

    Args:
        detector: whose verdict is explained.
        image: (H, W, 3) uint8 RGB of any size.
        method: LIME, LIME_adv, SHAP, ..., captum:NAME, cam:NAME, saliency:FOLDER, or your own `package.module:Name`.
        target: the index of the class to explain; None for that of `explained_class`.
        preset: "published", "quick" or "efficient", as in `build_settings`.
        seed: with `key`, of every draw.
        overrides: settings by component and field, on top of the preset, as in `build_settings`.
        key: the frame's name; a saved saliency map is found by it.
        batch_size: images in a forward pass, at least 1.
        precision: "float32" or "bfloat16", of the method's queries.

    Raises:
        InputError: a name or value is not known or cannot be used, or the method does not suit the detector.
    """
    chosen = parse_method(method)
    settings = build_settings(preset, overrides, [chosen])
    seen = prepared(detector, image)
    check_settings(settings, detector, seen)
    settings = with_usable_fill(settings, chosen, detector, seen, batch_size)
    if target is None:
        target = explained_class(Queries(detector, precision=precision).logits(seen[None])[0], detector.real)
    frame = FrameExplanations(detector, seen, target, settings, seed, key, batch_size, precision)
    return frame.explain(chosen)
