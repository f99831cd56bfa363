"""Whether a detector does what the Detector class says, tried on pictures of noise when it is loaded."""

import math
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from common.console import warn
from common.errors import FAILED, InputError, described
from common.global_generators import isolated
from data.frames import CLASS_NAMES
from detectors.answers import NO_CHANCE, ForwardError, NotFiniteError
from detectors.base import REAL, Detector
from detectors.checks.consistency import ROUNDING, TOLERANCE, probes, require_consistent, weights_seen
from detectors.checks.hidden_networks import require_networks_seen
from detectors.loading.class_names import class_name
from detectors.memory import ran_out
from detectors.queries import Queries

MOST_MARGIN = 1e4
"""Between the two largest logits of every picture of noise: a hundred times what float32's softmax can tell."""


def require_hashable(detector: Detector, name: str) -> None:
    """Raises InputError where a detector or a network in it has no hash, by which torch goes through them."""
    try:
        list(detector.named_modules())
    except TypeError as error:
        raise InputError(
            f"detector {name} has an __eq__ and no __hash__, or a network in it has, so that torch cannot go through "
            f"its networks ({described(error)}): add a __hash__"
        ) from error


def check_contract(detector: Detector, name: str) -> None:
    """Raises InputError, saying what is wrong, where a detector does not do what the Detector class says."""
    for attribute in ("input_size", "class_names", "real"):
        if not hasattr(detector, attribute):
            raise InputError(f"detector {name} does not set {attribute!r}, see detectors/base.py")
    for attribute in ("input_size", "real"):
        if isinstance(number := getattr(detector, attribute), np.integer):
            setattr(detector, attribute, int(number))
    for attribute, fits, expected in _ATTRIBUTES:
        if not fits(value := getattr(detector, attribute)):
            raise InputError(f"detector {name}: its {attribute} is {value!r}; expected {expected}")
    names, real = detector.class_names, detector.real
    if not 0 <= real < len(names) or names[real] != REAL:
        raise InputError(
            f"detector {name}: its class {real} must be named {REAL!r}; its classes are {', '.join(names)}"
        )
    others = [other for index, other in enumerate(names) if index != real and class_name(other) == REAL]
    if others:
        raise InputError(
            f"detector {name}: its class {others[0]!r} reads as real, too, and would count as fake beside {REAL!r}; "
            "make them one class, or give it another name"
        )
    _require_not_hidden(detector, name)
    _require_labels(detector, name)
    if type(detector).__call__ is not Detector.__call__:
        raise InputError(f"detector {name} has a __call__ of its own, past which nothing is looked at: name it forward")
    require_networks_seen(detector, name)
    kinds = {str(weight.dtype).removeprefix("torch.") for weight in detector.parameters()} - {"float32"}
    try:
        made = None if any(map(is_lazy, detector.parameters())) else weights_seen(detector)
        _require_consistent(detector)
        before = weights_seen(detector)
        if made is not None and before != made:
            warn(
                f"detector {name} has changed its weights with the first pictures that it was asked about, which are "
                "noise: if it sets itself up by pictures (an ActNorm), give it weights that are; if it loads or makes "
                "its weights then, let it do so where it is made"
            )
        _require_logits(detector, name)
        _require_pictures_kept(detector, name)
        require_draws_left_alone(detector, name, probes(detector)[:1])
        noise = probes(detector)
        black_and_white = (noise > noise.mean(dim=(1, 2, 3), keepdim=True)).float()  # further than noise goes
        Queries(detector).logits(black_and_white)
        _remark_one_colour(detector, name)
        if weights_seen(detector) != before:
            raise InputError(
                f"detector {name} changes its weights or buffers whenever it is asked (an observer of a quantisation, "
                "statistics that go on): let it do so in training mode alone"
            )
    except FAILED as raised:
        error = raised.__cause__ if isinstance(raised, ForwardError) and raised.__cause__ else raised
        if isinstance(error, InputError) or ran_out(error):
            raise
        told = f"its weights are {' and '.join(sorted(kinds))}: call .float() on it" if kinds else "mend its forward"
        raise InputError(
            f"detector {name} fails on images (N, 3, {detector.input_size}, {detector.input_size}) in float32 "
            f"({described(error)}); {told}"
        ) from error


def _require_consistent(detector: Detector) -> None:
    """`require_consistent` about pictures of noise, which from then on lie in memory as its forward needs them.

    What a convolution makes of channels last lies so, too, and has no `view` as rows. A detector that fails on channels
    last, whenever it is asked, and on contiguous pictures does not, is asked about contiguous ones.
    """
    images = probes(detector)
    try:
        require_consistent(detector, images)
    except ForwardError:
        if detector.memory_format != torch.channels_last or not _needs_contiguous(detector, images):
            raise
        require_consistent(detector, images)


def _needs_contiguous(detector: Detector, images: Tensor) -> bool:
    """Whether it answers images (N, 3, S, S) that are contiguous alone; then its `memory_format` says so."""
    answered = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        detector.memory_format = memory_format
        try:
            Queries(detector).logits(images)
        except ForwardError:
            answered.append(False)
        else:
            answered.append(True)
    if answered != [True, False]:
        return False
    detector.memory_format = torch.contiguous_format
    return True


def _remark_one_colour(detector: Detector, name: str) -> None:
    """Warns of a detector that has no answer to a black or a white picture, as where it divides by its deviation."""
    side = detector.input_size
    try:
        Queries(detector).logits(torch.arange(2.0).view(2, 1, 1, 1).repeat(1, 3, side, side))
    except NotFiniteError:
        warn(
            f"detector {name} gives logits that are not finite for pictures of one colour: what hides all of a frame "
            "(SHAP, masks) fails there, and such frames are left out; where its forward divides by a picture's "
            "deviation or range, let it add a small number"
        )


def _require_not_hidden(detector: Detector, name: str) -> None:
    """Refuses networks and tensors by names that its class has already: Python would find the class's."""
    for given in (*detector._modules, *detector._parameters, *detector._buffers):
        if hasattr(type(detector), given):
            raise InputError(
                f"detector {name} sets {given!r} to a network or tensor, which what its class has by that name hides, "
                f"so that it is never used: define {given!r} in the class, or call the network otherwise"
            )


def _require_labels(detector: Detector, name: str) -> None:
    """Refuses a `label_of` that contradicts the order of `class_names`: accuracies would be of other classes.

    Asked are the families of FaceForensics++, one that no detector knows, which is not real either, and the detector's
    own names; what it has no answer to is asked by frames.
    """
    names = detector.class_names
    for family in dict.fromkeys((*CLASS_NAMES, "FaceShifter", "another manipulation", *names)):
        try:
            label = detector.label_of(family)
        except FAILED:
            continue
        if not isinstance(label, int) or not 0 <= label < len(names):  # of no class, or refused where a frame has it
            continue
        if (label == detector.real) != (family == REAL) or (family in names and label != names.index(family)):
            raise InputError(
                f"detector {name}: its label_of gives {family} the class {label}, which is {names[label]} in its "
                "class_names: let them agree, or leave label_of out"
            )


def require_draws_left_alone(detector: Detector, name: str, images: Tensor) -> None:
    """Refuses a detector that seeds global generators: attacks and libraries that draw from them would draw the same
    after every answer."""
    drawn = []
    for seed in (1, 2):
        with isolated(seed):
            Queries(detector).logits(images)
            drawn.append((float(torch.rand(())), np.random.random(), random.random()))  # noqa: NPY002 - what it may seed
    if any(one == other for one, other in zip(*drawn, strict=True)):
        raise InputError(
            f"detector {name} seeds a global generator (torch.manual_seed or the like) whenever it is asked, so that "
            "what attacks draw is the same each time: let it draw from a generator of its own, or not at all"
        )


def _require_logits(detector: Detector, name: str) -> None:
    """Refuses probabilities: a softmax would be taken of them a second time."""
    answers = _possible(Queries(detector, batch_size=3).logits(probes(detector)))
    sums = answers.sum(dim=1)
    for total in (1.0, 100.0):
        if float(answers.min()) >= 0 and bool(((sums - total).abs() < 1e-5 * total).all()):
            raise InputError(
                f"detector {name} answers probabilities, which add up to {total:g}, and not logits: leave the softmax "
                "out, or return their logarithm"
            )
    lowest, highest = float(answers.min()), float(answers.max())
    total = float(sums.mean())
    alike = float((sums - total).abs().max()) < 1e-5 * abs(total)
    if alike and abs(total) > 1e-3 * float(answers.abs().max()) and float((answers[0] - answers[1]).abs().max()) > 0:
        warn(
            f"detector {name} answers numbers that add up to {total:.4g} for every picture of noise, and they are "
            "taken for logits: where they are probabilities, scaled or shifted, return their logit"
        )
    largest = answers.topk(min(2, answers.shape[1]), dim=1).values
    if (margin := float((largest[:, 0] - largest[:, -1]).min())) > MOST_MARGIN:
        warn(
            f"detector {name} answers pictures of noise with logits that are {margin:.2g} and more apart: all its "
            "probabilities are 0 or 1, and what attacks and explanations measure is lost in that; see "
            "whether its weights or its normalisation are damaged"
        )
    elif bool((answers == answers.round()).all()) and highest > lowest and not (lowest >= 0 and highest <= 1):
        warn(
            f"detector {name} answers whole numbers from {lowest:g} to {highest:g} for pictures of noise, and they are "
            "taken for logits: where they are decisions, nothing is known of how sure they are"
        )
    if lowest >= 0 and highest <= 1:
        warn(
            f"detector {name} answers numbers from {lowest:.2g} to {highest:.2g} for pictures of noise, and they are "
            "taken for logits: where they are probabilities (a sigmoid for each class), return their logit"
        )
    if _alike(answers):
        warn(
            f"detector {name} answers three different pictures of noise alike: where it does so for frames, there is "
            "nothing to explain"
        )


def _possible(logits: Tensor) -> Tensor:
    """Logits (N, C) float64, without classes that are masked off: far below the largest, and always by as much."""
    exact = logits.double()
    below = exact.amax(dim=1, keepdim=True) - exact
    spread = exact.amax(dim=0) - exact.amin(dim=0)
    return exact[:, ~((below > NO_CHANCE).all(dim=0) & (spread < TOLERANCE * below.amin(dim=0)))]


def _alike(logits: Tensor) -> bool:
    """Whether logits (N, C) of all images are the same, but for a thousandth of the largest and what float32 rounds.

    What all logits of an image share is taken away first.
    """
    own = logits - logits.mean(dim=1, keepdim=True)
    spread = float((own.amax(dim=0) - own.amin(dim=0)).max())
    return spread <= TOLERANCE * float(own.abs().max()) + ROUNDING * float(logits.abs().max())


def _require_pictures_kept(detector: Detector, name: str) -> None:
    """Refuses a detector that writes over the pictures that it is given: they are asked about again."""
    given = probes(detector).contiguous(memory_format=detector.memory_format)  # as a pass has them: nothing copies it
    before = given.clone()
    Queries(detector, batch_size=3).logits(given)
    if not torch.equal(given, before):
        raise InputError(
            f"detector {name} writes over the pictures that it is given: let its forward work on a copy, or leave out "
            "what ends in _ (mul_, sub_) and += on its input"
        )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _distinct_names(value: Any) -> bool:
    named = isinstance(value, (tuple, list)) and all(isinstance(name, str) and name.strip() for name in value)
    return named and len(set(value)) == len(value) >= 2


def _three(value: Any, lowest: float, highest: float) -> bool:
    """Whether a value is three finite numbers from `lowest` to `highest`."""
    numbers = isinstance(value, (tuple, list)) and len(value) == 3
    return numbers and all(isinstance(v, (int, float)) and math.isfinite(v) and lowest <= v <= highest for v in value)


_ATTRIBUTES = (
    ("input_size", lambda value: _whole(value) and value >= 1, "a whole number of pixels"),
    ("class_names", _distinct_names, "at least two names, all different, in the order of the logits"),
    ("real", _whole, f"the index of {REAL!r} in class_names, a whole number"),
    ("mean", lambda value: _three(value, 0.0, 1.0), "three numbers in [0, 1], of red, green and blue"),
    (
        "std",
        lambda value: value is None or _three(value, 1e-6, 10.0),
        "None, or three numbers above 0 in units of images in [0, 1]",
    ),
)
