"""Any class activation map of the grad-cam package (Gildenblat 2021) as an explainer: `cam:GradCAM`, ..."""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam import score_cam
from pytorch_grad_cam.base_cam import BaseCAM
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from common.errors import InputError
from common.global_generators import isolated
from detectors.base import Detector
from detectors.gradients import differentiable, require_gradient, untouched
from detectors.layers import as_maps, feature_layer, module, require_layer_on_frame
from detectors.queries import Queries, exact_float32
from xai.ablation_cam import AblationCAM, WithoutChannel
from xai.base import Fill, Score, background
from xai.component_sign import signed_components
from xai.libraries import LogOdds, one_line_errors, unknown

FAMILY = "cam"

_LAYERS: WeakKeyDictionary[Detector, dict[tuple[str, bool], str]] = WeakKeyDictionary()
"""The layer of each detector by the one asked for: looking for it takes forwards that no single frame should pay."""

_TRIED_ON_FRAME: WeakKeyDictionary[Detector, set[tuple[str, bool]]] = WeakKeyDictionary()
"""Which of these layers were seen to serve for a frame."""

_TRIED: WeakKeyDictionary[Detector, set["ClassActivationMap"]] = WeakKeyDictionary()
"""The maps that need second derivatives and were seen to work, by detector."""

_MASKING = frozenset({"ScoreCAM"})  # hides pixels
_DRAWING = frozenset({"RandomCAM"})
_PLAIN = frozenset({"AblationCAM", "ShapleyCAM"})  # take a layer's output as it is
_SECOND_ORDER = frozenset({"ShapleyCAM"})  # differentiate gradients, which fused attention does not allow
_OURS: dict[str, type[BaseCAM]] = {"AblationCAM": AblationCAM}  # taken in place of the package's
_GIVEN = frozenset({"self", "model", "target_layers", "reshape_transform", "ablation_layer", "batch_size"})


@dataclass(frozen=True)
class ClassActivationMap:
    """One map of the grad-cam package; `cam_explainer(NAME)` makes the class, its fields the map's arguments.

    What is explained is the log-odds of the class, at one layer: the last feature map that everything passes through,
    or `layer`. The package sees the frame's difference to the fill's background (see `LogOdds`), which matters only
    to what masks pixels (ScoreCAM). Maps are what the package makes of them: at least 0, scaled to [0, 1], enlarged
    bilinearly; but for the sign of components (see `signed_components`) and for AblationCAM's channels, which are zero
    at every layer (see `WithoutChannel`). Maps that differentiate gradients (ShapleyCAM) have attention computed by its
    formula, since the fused kernels have no second derivative.

    Attributes:
        layer: its dotted name in the detector; "" finds it (see `detectors.layers.feature_layer`).
    """

    algorithm: ClassVar[type[BaseCAM]]
    hides: ClassVar[bool]
    """Whether the fill matters to it."""
    uses_segments: ClassVar[bool] = False
    follows_gradient: ClassVar[bool] = True
    deterministic: ClassVar[bool]
    """Whether every run gives the same map."""

    layer: str = ""

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        """The map, (H, W) float32 in [0, 1]. Raises InputError where the package cannot explain the detector."""
        seed = int(generator.integers(2**31))
        return self._explained(
            score.queries.detector, score.target, image, background(fill, image), seed, score.batch_size
        )

    def check(self, detector: Detector) -> None:
        """Tries what could fail on every frame.

        Raises InputError where the detector gives no gradient, has no such layer, or none that could be found, or where
        the map needs second derivatives and the detector has none.
        """
        if self.layer:
            self._layer(detector)
        require_gradient(detector, self._name)
        self._layer(detector)
        tried = _TRIED.setdefault(detector, set())
        if self.algorithm.__name__ in _SECOND_ORDER and self not in tried:
            sides = detector.input_size, detector.input_size
            image = torch.rand(3, *sides, generator=torch.Generator().manual_seed(0)).to(Queries(detector).device)
            self._explained(detector, detector.real, image, torch.full_like(image, 0.5), seed=0, batch_size=1)
            tried.add(self)

    def check_on_frame(self, detector: Detector, image: Tensor) -> None:
        """Raises InputError where the layer, which was found by noise, does not serve for the first frame."""
        wanted, tried = (self.layer, self._takes_transformers), _TRIED_ON_FRAME.setdefault(detector, set())
        if wanted not in tried:
            layer = self._layer(detector)
            with differentiable(Queries(detector).device), untouched(detector):
                require_layer_on_frame(
                    detector, layer, image, self._option, self._takes_transformers, is_named=bool(self.layer)
                )
            tried.add(wanted)

    def _explained(
        self, detector: Detector, target: int, image: Tensor, hidden: Tensor, seed: int, batch_size: int
    ) -> np.ndarray:
        """The map (H, W) of an image (3, H, W), of which `hidden` (3, H, W) is the background."""
        layer, difference = self._layer(detector), (image - hidden)[None].requires_grad_()
        second_order = self.algorithm.__name__ in _SECOND_ORDER
        with (
            one_line_errors(self._name, detector),
            differentiable(image.device),
            untouched(detector),
            exact_float32(),
            isolated(seed),
            _without_bars(),
            signed_components(),
            sdpa_kernel(SDPBackend.MATH) if second_order else contextlib.nullcontext(),
        ):
            maps = self._map(LogOdds(detector, target, hidden), layer, difference, batch_size)
        return np.asarray(maps[0], dtype=np.float32)

    def _layer(self, detector: Detector) -> str:
        known = _LAYERS.setdefault(detector, {})
        if (self.layer, self._takes_transformers) not in known:
            with differentiable(Queries(detector).device), untouched(detector):
                known[self.layer, self._takes_transformers] = feature_layer(
                    detector, self.layer or None, self._option, self._takes_transformers
                )
        return known[self.layer, self._takes_transformers]

    @property
    def _takes_transformers(self) -> bool:
        """Whether it can weigh what `as_maps` makes of a transformer's output."""
        return self.algorithm.__name__ not in _PLAIN

    @property
    def _name(self) -> str:
        return f"{FAMILY}:{self.algorithm.__name__}"

    @property
    def _option(self) -> str:
        """How the user names a layer."""
        return f"--set {self._name}.layer=NAME"

    def _map(self, function: LogOdds, layer: str, difference: Tensor, batch_size: int) -> np.ndarray:
        """The package's map (1, H, W); the detector keeps its hooks and layers, whatever happens."""
        settings = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        settings |= {"batch_size": batch_size, "ablation_layer": WithoutChannel()}
        at_construction, at_call = (
            {name: settings[name] for name in inspect.signature(of).parameters if name in settings}
            for of in (self.algorithm.__init__, self.algorithm.__call__)
        )
        where = module(function.detector, layer)
        hooks = set(where._forward_hooks)
        cam = self.algorithm(function, [where], _kept, **at_construction)
        where.register_forward_hook(
            lambda _module, _inputs, output: output.clone()
        )  # behind the package's, see `_kept`
        cam.batch_size = batch_size  # ScoreCAM asks for it, and takes it in no other way
        try:
            return cam(difference, [_itself], **at_call)
        finally:
            seen = cam.activations_and_grads
            seen.activations.clear()  # or `release` detaches what cannot be
            seen.gradients.clear()
            seen.release()
            for left in set(where._forward_hooks) - hooks:  # AblationCAM's, where its second forward pass fails
                del where._forward_hooks[left]
            if function.detector.get_submodule(layer) is not where:  # AblationCAM puts another in its place
                function.detector.set_submodule(layer, where)


@functools.cache
def cam_explainer(name: str) -> type[ClassActivationMap]:
    """The explainer that runs `pytorch_grad_cam.NAME`: a dataclass with that map's arguments as fields.

    Raises InputError for a name that the package does not have, and for what is no map of one class by itself.
    """
    if name not in _usable():
        if inspect.isclass(getattr(pytorch_grad_cam, name, None)):
            raise InputError(f"cam:{name} is no map of one class at one layer; there are: {', '.join(_usable())}")
        raise unknown(name, _usable(), "grad-cam")
    algorithm: type[BaseCAM] = _OURS.get(name) or getattr(pytorch_grad_cam, name)
    namespace = {
        "algorithm": algorithm,
        "hides": name in _MASKING,
        "deterministic": name not in _DRAWING,
        "__doc__": f"pytorch_grad_cam.{name} as an explainer; see ClassActivationMap.",
        "__module__": __name__,
    }
    settings = [(setting, type(default), field(default=default)) for setting, default in _settings(algorithm).items()]
    return make_dataclass(name, settings, bases=(ClassActivationMap,), namespace=namespace, frozen=True)


def _kept(output: Tensor) -> Tensor:
    """A layer's output as maps, the very tensor: what follows the layer may work in place, and is given a copy."""
    maps = as_maps(output)
    if maps is None:
        raise InputError(f"the layer's output {tuple(output.shape)} holds no feature map")
    return maps


def _itself(score: Tensor) -> Tensor:
    return score


def _settings(algorithm: type[BaseCAM]) -> dict[str, Any]:
    """The arguments that are numbers, words or switches, when made and when asked, each with its default."""
    constructor = inspect.signature(algorithm.__init__).parameters
    call = inspect.signature(algorithm.__call__).parameters
    both = {name: parameter.default for name, parameter in {**constructor, **call}.items() if name not in _GIVEN}
    return {name: default for name, default in both.items() if isinstance(default, bool | int | float | str)}


@functools.cache
def _usable() -> list[str]:
    """The names of the package's maps of one class at one layer; FullGrad sums over all layers it knows by type."""
    every = {name: kind for name, kind in vars(pytorch_grad_cam).items() if inspect.isclass(kind)}
    return sorted(name for name, kind in every.items() if issubclass(kind, BaseCAM) and name != "FullGrad")


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keeps the package's own progress bars from drawing over ours, while it lasts."""
    tqdm = score_cam.tqdm
    bar = tqdm.tqdm
    tqdm.tqdm = lambda steps: steps
    try:
        yield
    finally:
        tqdm.tqdm = bar
