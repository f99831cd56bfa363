"""What a detector may answer: looked at in every pass, whoever asks."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError, checkpoint

from common.errors import InputError, described, is_interrupt
from common.memory import place
from common.process_state import kept_process_state
from detectors.memory import ran_out

NO_CHANCE = 100.0
"""How far below the largest logit a class has no chance: its probability is 0 in float32."""


class _Passes(threading.local):
    """The passes that this thread is in, by the detector's id."""

    def __init__(self) -> None:
        self.of: Counter[int] = Counter()


_PASSES = _Passes()


class NotFiniteError(InputError):
    """A detector gave logits that are NaN or infinite: they say nothing, and `argmax` would make a class of them."""


class ForwardError(InputError, RuntimeError):
    """A detector's `forward` raised something, the cause; a RuntimeError, as torch raises what has no gradient."""


@contextlib.contextmanager
def asking(detector: nn.Module, images: Tensor) -> Iterator[None]:
    """Puts back what a forward pass inside changes of the process, and says on one line what it raises.

    Memory that runs out is left as it is, for who can ask about fewer images (N, 3, S, S).

    Raises:
        ForwardError: `forward` raised anything but an InputError.
    """
    name = type(detector).__name__
    _PASSES.of[id(detector)] += 1
    try:
        with kept_process_state(f"asking detector {name}", once=True):
            yield
    except InputError:
        raise
    except BaseException as error:
        if is_interrupt(error) or ran_out(error) or _ends_recomputation(error):
            raise
        told = f"{described(error)}, at {place(error)}"
        raise ForwardError(f"detector {name} fails on {_pictures(len(images))} ({told}); mend its forward") from error
    finally:
        _PASSES.of[id(detector)] -= 1
        _PASSES.of += Counter()  # without those that ended


def _ends_recomputation(error: BaseException) -> bool:
    """Whether an error is how torch's own gradient checkpointing ends what it computes again, as a part of forward."""
    return type(error).__module__ == checkpoint.__module__ and not isinstance(error, CheckpointError)


def asks_itself(detector: nn.Module) -> bool:
    """Whether this pass was begun inside another of the same detector, as a forward that turns pictures may call it."""
    return _PASSES.of[id(detector)] > 1


def check_answer(detector: nn.Module, images: Tensor, logits: object, training: bool) -> None:
    """Refuses what is not logits (N, C), floating and finite, of the N images asked about.

    Args:
        detector: that was asked, for messages.
        images: (N, 3, S, S).
        logits: its answer.
        training: whether it was in training mode. There a loss may overflow and be taken back, so that logits need not
            be finite.

    Raises:
        InputError: another type, shape or device; NotFiniteError where some are NaN or infinite.
    """
    name, names = type(detector).__name__, getattr(detector, "class_names", ())
    if not isinstance(logits, Tensor):
        raise InputError(f"detector {name} returned a {type(logits).__name__}; expected a tensor of logits")
    expected = (len(images), len(names))
    if logits.shape != expected:
        raise InputError(
            f"detector {name} returned {tuple(logits.shape)} for {_pictures(expected[0])}; expected logits {expected}"
        )
    if not logits.is_floating_point():
        raise InputError(f"detector {name} returned {logits.dtype}; expected floating logits")
    if logits.device != images.device:
        raise InputError(f"detector {name} returned logits on {logits.device} for images on {images.device}")
    if training or torch.compiler.is_compiling() or torch.jit.is_tracing() or _is_all_finite(in_float32(logits)):
        return
    lost = int((~in_float32(logits.detach()).isfinite()).any(dim=1).sum())
    raise NotFiniteError(f"detector {name} gives logits that are not finite for {lost} of {_pictures(expected[0])}")


def in_float32(logits: Tensor) -> Tensor:
    """Logits (N, C) as float32; of float64 without what the classes share, beside which their differences would round.

    No softmax, difference or order of them changes.
    """
    if logits.dtype == torch.float64:
        logits = logits - logits.detach().amax(dim=1, keepdim=True)
    return logits.float()


def with_chances(logits: Tensor) -> Tensor:
    """Logits (N, C), none of them more than NO_CHANCE below the largest of its image.

    A class that is masked off by -1e9 or so would otherwise be the scale that everything else is small beside.
    """
    return logits.clamp(min=logits.amax(dim=1, keepdim=True) - NO_CHANCE)


def has_chance(logits: Tensor) -> Tensor:
    """Which of logits (N, C) are less than NO_CHANCE below the largest of their image, (N, C) bool."""
    return logits > logits.amax(dim=1, keepdim=True) - NO_CHANCE


def _is_all_finite(logits: Tensor) -> bool:
    """Whether all are finite; true inside vmap, where nobody can look: who calls vmap is looked at in its turn."""
    finite = logits.detach().isfinite().all()
    try:
        return bool(finite)
    except RuntimeError:
        if torch._C._functorch.is_batchedtensor(finite):
            return True
        raise


def require_unequal(detector: nn.Module, names: Sequence[str], logits: Tensor) -> None:
    """Refuses logits (C,) whose largest two are equal: a verdict of them would be the order of the classes.

    Raises:
        InputError: naming the classes that tie.
    """
    tied = [name for name, logit in zip(names, logits.tolist(), strict=True) if logit == float(logits.max())]
    if len(tied) > 1:
        raise InputError(
            f"detector {type(detector).__name__} gives no verdict: its logits for {' and '.join(tied)} are equal"
        )


def says(logits: Tensor, target: int) -> Tensor:
    """Whether logits (..., C) call an image `target`, (...) bool: its logit is larger than every other."""
    others = torch.cat([logits[..., :target], logits[..., target + 1 :]], dim=-1)
    return logits[..., target] > others.amax(dim=-1)


def said_class(logits: Tensor, real: int) -> Tensor:
    """The class of each of N images by their logits (N, C), (N,) int64: Real only where `says` it, so not in a tie.

    Of probabilities it would be another where these round to the same number.
    """
    others = logits.index_fill(1, torch.tensor(real, device=logits.device), -torch.inf)
    return torch.where(says(logits, real), real, others.argmax(dim=1))


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
