"""What every region attack has in common: the attack proposes, this base projects, asks again and judges."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import final

import torch
from torch import Tensor

from attacks.pairs import UNKNOWN, Account, Batch, Judged, Pair, Proposal, together
from common.errors import InputError
from common.global_generators import isolated
from detectors.answers import says
from detectors.base import Detector
from detectors.gradients import differentiable, slope, untouched
from detectors.queries import Queries, counting, exact_float32, gradient_batch

_BYTES = 255.0
_FAR = 10.0  # what no proposal about [0, 1] reaches by chance, and pictures of 0 to 255 do


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack did to N (image, region) pairs; every tensor is on the CPU.

    Attributes:
        images: (N, 3, H, W) float32 in [0, 1], equal to the input outside each region: the first that the detector
            calls Real, else the one of the highest log p(Real) that was judged, the input among them.
        logits: (N, C) float32, what the detector says of them.
        flipped: (N,) bool, whether that is Real.
        steps: (N,) int64, the steps a pair took; 0 where the detector said Real from the start.
        forwards: (N,) int64, images passed to the detector for that pair, the attack's and the judge's; a pass backward
            counts as one more.
        queries: (N,) int64, forwards that an attacker without gradients would have needed; UNKNOWN where the attack
            cannot do without.
        proposals: (N, 3) int64, how many images were proposed; in how many of them a value inside the region was NaN or
            infinite; in how many every one was (`attacks.proposals`).
    """

    images: Tensor
    logits: Tensor
    flipped: Tensor
    steps: Tensor
    forwards: Tensor
    queries: Tensor
    proposals: Tensor


@dataclass(frozen=True)
class RegionAttack(ABC):
    """Base of every region attack; a subclass's fields are its settings.

    A subclass defines `propose` and `rounds`. It cannot leave its region, the L-infinity ball or [0, 1], cannot
    declare its own success, and cannot understate its cost: the base projects, asks and counts. One attack of this
    package alone is let off its limits, and says so in its settings: `attacks.published_nes`.

    Attributes:
        epsilon: the L-infinity budget in pixel units, in (0, 1].
    """

    epsilon: float = 16 / 255

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ValueError(f"epsilon is in pixel units and must lie in (0, 1], got {self.epsilon}")

    @property
    @abstractmethod
    def rounds(self) -> int:
        """The most calls of `propose` for a pair; the verdict is taken after each."""

    @property
    def uses_gradients(self) -> bool:
        """Whether `propose` gets the gradient of log p(Real), from the pass that judged the last proposal."""
        return False

    def wants_gradient(self, rounds: int) -> bool:
        """Whether the proposal after so many rounds needs a new gradient; by default, where gradients are used."""
        return self.uses_gradients

    def steps_taken(self, rounds: int) -> int:
        """How many steps so many rounds are: more where a proposal iterates by itself."""
        return rounds

    def queries_per_round(self, forwards: int) -> int:
        """What an attacker without gradients would have spent in a round, the verdict on its result aside.

        `forwards` is what was passed. UNKNOWN where the attack cannot do without gradients, as by default those that
        use them; one whose `propose` makes a pass backward is not asked.
        """
        return UNKNOWN if self.uses_gradients else forwards

    @property
    def one_by_one(self) -> bool:
        """Whether `propose` must get one pair at a time, as it uses different forwards for each or mixes them."""
        return False

    def check(self, detector: Detector) -> None:  # noqa: B027 - most attacks work on every detector
        """Raises InputError where the attack cannot work on the detector, whatever the image; by default never.

        It is asked before any frame is attacked, so it should take no more than a few forwards.
        """

    @abstractmethod
    def propose(self, queries: Queries, batch: Batch) -> Tensor | Proposal:
        """New images (n, 3, H, W) for the pairs of `batch`, unprojected; NaN and infinity count as no change.

        It runs with autograd on, autocast off, and the detector frozen in evaluation mode. Every pair of the batch
        must get the same number of forwards, or the attack say what each cost (`Proposal`) or be `one_by_one`.
        """

    @final
    def __call__(
        self, detector: Detector, images: Tensor, regions: Tensor, seeds: Sequence[int], batch_size: int = 32
    ) -> AttackResult:
        """Attacks each image inside its region until the detector says Real or the rounds are used up.

        Every round is judged, and the best image so far is kept: an attack that ends worse than it began leaves the
        image as it was. As many pairs are under attack at a time as a pass holds images. One that has flipped is done
        at once and the next one starts, so that passes stay full; one with an empty region is never attacked. What
        happens to a pair depends on its image, region and seed alone, up to the rounding of batched arithmetic. The
        detector runs in evaluation mode, on its own device, and is as it was afterwards: modes, `requires_grad`,
        `grad`. Where its memory runs out, fewer images pass at a time.

        Args:
            detector: what is attacked.
            images: (N, 3, H, W) float32 in [0, 1]; one image expanded to all pairs is asked about once, and that
                forward charged to each.
            regions: (N, H, W) bool, True where a pixel may change.
            seeds: one integer in [0, 2**63) per pair.
            batch_size: how many images pass through the detector at a time, forward alone.

        Raises:
            ValueError: shapes, counts, types or values are not as above.
            InputError: the attack cannot work on the detector (`check`), its `rounds` are no whole number from 1, or it
                proposes something else than images; it uses gradients and the detector gives none, or one that is not
                finite.
            RuntimeError: memory does not even hold one image at a time.
        """
        self.check(detector)
        self._check_rounds()
        settings = self._settings
        _check(images, regions, seeds)
        queries = Queries(detector, batch_size)
        most = gradient_batch(batch_size) if self.uses_gradients else batch_size
        with (
            differentiable(queries.device),
            untouched(detector),
            exact_float32(),
            isolated(int(seeds[0]) if len(seeds) else 0),  # of attacks that draw from global generators
            counting(detector) as meter,
        ):
            attackable = regions.flatten(1).any(dim=1).cpu()
            first = self._judged_inputs(queries, images, attackable)
            result = _no_attack(images, first.logits, detector.real)
            waiting = deque((attackable & ~result.flipped).nonzero()[:, 0].tolist())
            account, active = Account(meter), list[Pair]()
            while waiting or active:
                while waiting and len(active) < most:
                    index = waiting.popleft()
                    active.append(Pair.of(index, images, regions, seeds, first, queries))
                for group in [[pair] for pair in active] if self.one_by_one else [active]:
                    self._round(queries, group, account)
                done = [pair for pair in active if pair.flipped or pair.rounds >= self.rounds]
                self._write(done, result)
                active = [pair for pair in active if pair not in done]
                if self._settings != settings:
                    raise InputError(
                        f"{type(self).__name__} has changed its own settings while it attacked: leave them"
                    )
        return result

    @property
    def _settings(self) -> str:
        """Numbers and texts among its fields: one that changed its budget would be written down with another."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return repr([(name, value) for name, value in values if isinstance(value, (bool, int, float, str))])

    def _judged_inputs(self, queries: Queries, images: Tensor, attackable: Tensor) -> Judged:
        """What the detector says of the inputs; where all pairs share one image, expanded, it is asked once."""
        shared = len(images) > 1 and images.stride(0) == 0
        asked, wanted = (images[:1], attackable.any()[None]) if shared else (images, attackable)
        judged = self._judge(queries, asked, wanted & self.wants_gradient(0))
        return judged.shared_by(len(images)) if shared else judged

    def _judge(self, queries: Queries, images: Tensor, wanted: Tensor) -> Judged:
        """What the detector says of images (n, 3, H, W), and the gradients of those `wanted`; empty where none is."""
        if not wanted.any():
            return Judged(queries.logits(images), torch.empty(0))
        answer = slope(queries, images, queries.detector.real, ~wanted)
        return Judged(answer.logits, answer.gradients)

    def _round(self, queries: Queries, pairs: Sequence[Pair], account: Account) -> None:
        """One round of pairs: what is proposed, projected, and what the detector says of it."""
        real, states = queries.detector.real, [pair.generator.get_state() for pair in pairs]
        size, most, halved = queries.batch_size, queries.detector.most_images, False
        account.forget()
        while True:
            batch = together(pairs, self.uses_gradients)
            try:
                proposal = self.propose(Queries(queries.detector, queries.batch_size), batch)
                break
            except RuntimeError as error:
                if not queries.halve(error):
                    queries.detector.most_images = most  # fewer images did not help: it is not they that fill memory
                    raise
                halved = True
            account.forget()
            for pair, state in zip(pairs, states, strict=True):
                pair.generator.set_state(state)
        if halved:
            queries.say_smaller(size)
        went_back, spent = account.went_back, account.charges(proposal, len(pairs))
        before = together(pairs, False)  # the attack may have written over what it was given
        proposed = proposal.images if isinstance(proposal, Proposal) else proposal
        images = self._project(proposed, before.images, before.originals, before.regions)
        afterwards = [pair.rounds + 1 for pair in pairs]
        wanted = torch.tensor([rounds < self.rounds and self.wants_gradient(rounds) for rounds in afterwards])
        judged = self._judge(queries, images, wanted)
        broken, lost = _not_finite(proposed, before.regions)
        for i, pair in enumerate(pairs):
            pair.broken, pair.lost = pair.broken + broken[i], pair.lost + lost[i]
            pair.take(images[i], judged.of(i, bool(wanted[i])), real, self._keeps_last)
            pair.rounds += 1
            pair.forwards += spent[i] + 1 + bool(wanted[i] and not pair.flipped)
            needed = UNKNOWN if went_back else self.queries_per_round(spent[i])
            pair.queries = UNKNOWN if UNKNOWN in (needed, pair.queries) else pair.queries + needed + 1

    def _write(self, pairs: Sequence[Pair], result: AttackResult) -> None:
        """Writes down what became of pairs that are done."""
        for pair in pairs:
            result.images[pair.index] = pair.best.image
            result.logits[pair.index] = pair.best.logits
            result.flipped[pair.index] = pair.flipped
            result.steps[pair.index] = self.steps_taken(pair.rounds)
            result.forwards[pair.index] = pair.forwards
            result.queries[pair.index] = pair.queries
            result.proposals[pair.index] = torch.tensor([pair.rounds, pair.broken, pair.lost])

    def _check_rounds(self) -> None:
        rounds: object = self.rounds
        if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1:
            raise InputError(f"{type(self).__name__}: its rounds are {rounds!r}; expected a whole number of at least 1")

    @property
    def _keeps_last(self) -> bool:
        """Whether the last image is the result, not the best that was judged."""
        return False

    def _project(self, proposal: Tensor, current: Tensor, originals: Tensor, masks: Tensor) -> Tensor:
        """The proposal inside the region, the L-infinity ball around the original, and [0, 1]."""
        if not isinstance(proposal, Tensor) or proposal.shape != originals.shape or proposal.is_complex():
            got = tuple(proposal.shape) if isinstance(proposal, Tensor) else f"a {type(proposal).__name__}"
            raise InputError(
                f"{type(self).__name__}.propose returned {got}; expected a tensor of images {tuple(originals.shape)}"
            )
        kind, proposal = proposal.dtype, proposal.detach().to(originals)
        finite = torch.where(proposal.isfinite(), proposal, current)
        if not kind.is_floating_point or _in_bytes(finite, originals):
            raise InputError(
                f"{type(self).__name__}.propose returned images of {kind} up to {float(finite.max()):g}; expected "
                "floating values about [0, 1]: each would be the furthest that its pixel may go"
            )
        near = torch.minimum(torch.maximum(finite, originals - self.epsilon), originals + self.epsilon)
        return torch.where(masks, near.clamp(0.0, 1.0), originals)


def _no_attack(images: Tensor, logits: Tensor, real: int) -> AttackResult:
    """The result of no attack at all, on inputs of which the detector says `logits`."""
    ones = torch.ones(len(images), dtype=torch.int64)
    untouched_images = images.cpu().clone(memory_format=torch.contiguous_format)
    none = torch.zeros(len(images), 3, dtype=torch.int64)
    return AttackResult(untouched_images, logits, says(logits, real), 0 * ones, ones.clone(), ones.clone(), none)


def _not_finite(proposal: Tensor, masks: Tensor) -> tuple[list[int], list[int]]:
    """Of proposals (n, 3, H, W), whether a value inside the masks (n, 1, H, W) is no number, and whether all are."""
    ignored = (~proposal.detach().isfinite()).to(masks.device) & masks
    if not ignored.any():
        return [0] * len(masks), [0] * len(masks)
    some = ignored.flatten(1).any(dim=1)
    every = (ignored | ~masks).flatten(1).all(dim=1)
    return some.int().tolist(), every.int().tolist()


def _check(images: Tensor, regions: Tensor, seeds: Sequence[int]) -> None:
    if images.ndim != 4 or regions.shape != (len(images), *images.shape[2:]) or len(seeds) != len(images):
        raise ValueError(
            f"expected images (N, 3, H, W), regions (N, H, W) and N seeds; "
            f"got {tuple(images.shape)}, {tuple(regions.shape)} and {len(seeds)}"
        )
    if images.dtype != torch.float32 or regions.dtype != torch.bool:
        raise ValueError(f"expected float32 images and bool regions, got {images.dtype} and {regions.dtype}")
    low, high = (image_range.item() for image_range in images.aminmax()) if images.numel() else (0.0, 1.0)
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images must lie in [0, 1], got values from {low:g} to {high:g}")


def _in_bytes(proposal: Tensor, originals: Tensor) -> bool:
    """Whether a proposal is a picture of 0 to 255: divided by 255 it is about the original, which far noise is not."""
    if proposal.max() <= _FAR:
        return False
    return bool((proposal / _BYTES - originals).abs().mean() < 0.25 * originals.mean())
