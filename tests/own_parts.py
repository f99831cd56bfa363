"""Explainers, attacks and metrics that write where they should not, or give what they should not."""

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attacks import Batch, RegionAttack
from detectors import Detector, Queries
from scoring.metrics import About, Case, Value
from tests.scoring.stand_ins import TwoClassPlanted
from xai.base import Fill, Score
from xai.sampling_error import SampledMap

BUFFER = np.zeros((48, 48), np.float32)
BROKEN = [True]
SLOW: list[float] = []
SEEN: list[np.ndarray] = []
KEPT: dict[tuple[int, ...], np.ndarray] = {}
BY_PICTURE: dict[bytes, np.ndarray] = {}
LEFT: list[Any] = []


def spoiler(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Writes over all that it is given."""
    image.zero_()
    segments[:] = 0
    return np.ones(segments.shape, np.float32)


def reuser(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """Gives the same array each time, with other values."""
    BUFFER[:] = -BUFFER if BUFFER.any() else segments
    return BUFFER


@dataclass(frozen=True)
class Unmade:
    """What cannot be made."""

    def __post_init__(self) -> None:
        raise KeyError("boom")


def fails_on_swaps(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Cannot explain frames of FaceSwap while `BROKEN` holds; asks the detector once."""
    score(image[None])
    if BROKEN and abs(float(image[0, 0, 0]) - 0.8) < 0.02:
        raise KeyError("no swaps")
    return segments.astype(np.float32)


def slow_at_first(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Takes a second when it explains for the first time since `SLOW` was filled."""
    if SLOW:
        time.sleep(SLOW.pop())
    return segments.astype(np.float32)


def dimmer(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """Leaves the detector with other weights."""
    with torch.no_grad():
        for weight in score.queries.detector.state_dict().values():
            weight.mul_(0.5)
    return segments.astype(np.float32)


def hooker(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """Leaves a hook in the detector."""
    score.queries.detector.register_forward_hook(lambda module, images, logits: -logits)
    return segments.astype(np.float32)


def renamer(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves the detector with another class as Real."""
    score.queries.detector.real = 1 - score.queries.detector.real
    return segments.astype(np.float32)


def preparer(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves the detector with another way to prepare frames."""
    detector = score.queries.detector
    detector.prepare = lambda picture: type(detector).prepare(detector, picture[:, ::-1].copy())  # type: ignore[method-assign]
    return segments.astype(np.float32)


def replacer(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves the detector with another forward."""
    detector = score.queries.detector
    detector.__dict__["forward"] = lambda images: -type(detector).forward(detector, images)
    return segments.astype(np.float32)


def trainer(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves the detector in training mode."""
    score.queries.detector.train()
    return segments.astype(np.float32)


def default_type(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves torch with another default type."""
    torch.set_default_dtype(torch.float64)
    return segments.astype(np.float32)


def default_device(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves torch with another default device."""
    torch.set_default_device("meta")
    return segments.astype(np.float32)


def without_gradients(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves torch without gradients."""
    torch.set_grad_enabled(False)
    return segments.astype(np.float32)


def threads(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves torch with another number of threads."""
    torch.set_num_threads(torch.get_num_threads() + 1)
    return segments.astype(np.float32)


def numpy_errors(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves numpy with errors in place of infinity."""
    np.seterr(all="raise")
    return segments.astype(np.float32)


@dataclass(frozen=True)
class Claims:
    """An explainer that says it draws nothing."""

    deterministic: ClassVar[bool] = True

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        return segments.astype(np.float32)


class ClaimsAndDraws(Claims):
    """One that draws."""

    def __call__(self, *given: Any) -> np.ndarray:
        return given[4].random(given[2].shape).astype(np.float32)


class ClaimsAndCounts(Claims):
    """One that draws nothing, and gives another map each time."""

    calls: ClassVar[list[int]] = []

    def __call__(self, *given: Any) -> np.ndarray:
        self.calls.append(0)
        return super().__call__(*given) * (-1) ** len(self.calls)


@dataclass(frozen=True)
class SampledWithoutSpread:
    """One that draws, and says that its draws move nothing."""

    def __call__(self, *given: Any) -> np.ndarray:
        return self.sampled(*given).saliency

    def sampled(self, *given: Any) -> SampledMap:
        count = int(given[2].max()) + 1
        return SampledMap(given[4].random(count).astype(np.float32)[given[2]], np.zeros((count, count)))


class SampledWithSpread(SampledWithoutSpread):
    """One that says how far."""

    def sampled(self, *given: Any) -> SampledMap:
        made = super().sampled(*given)
        return SampledMap(made.saliency, np.eye(len(made.covariance)) / 12)


class ClaimsAndFails(Claims):
    """One that fails."""

    def __call__(self, *given: Any) -> np.ndarray:
        raise KeyError("boom")


def entropic(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Draws from a generator of its own, which nobody seeds."""
    return np.random.default_rng().random(segments.shape)


class SeedsItself:
    """Draws by a seed of its own, whatever it is given, several times."""

    repeats = 4

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        shown = np.random.default_rng(0).random(segments.shape).astype(np.float32)
        return shown * image.mean(dim=0).cpu().numpy()


def remembering(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Gives how far a picture is from the mean of those before."""
    SEEN.append(image.mean(dim=0).numpy())
    return np.abs(SEEN[-1] - np.mean(SEEN, axis=0))


def first_kept(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Gives what it made of the first picture."""
    KEPT.setdefault(segments.shape, image.mean(dim=0).numpy())
    return KEPT[segments.shape]


def block_of_most_contrast(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """The segment whose pixels vary most, True: of a planted frame its middle, and so its own mirror image."""
    grey = image.mean(dim=0).numpy()
    found: np.ndarray = segments == max(range(segments.max() + 1), key=lambda label: grey[segments == label].std())
    return found


def asking(score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator) -> np.ndarray:
    """How far the answer falls where a segment is hidden."""
    kept = torch.stack([torch.from_numpy(segments != label) for label in range(int(segments.max()) + 1)])
    falls = score(image[None]) - score(fill(kept[:, None].float().to(image.device)))
    return falls.cpu().numpy().astype(np.float32)[segments]


def kept_by_picture(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """The same, kept for the next time that it sees the picture, whatever fill and detector it is then asked with."""
    key = hashlib.sha256(image.cpu().numpy().tobytes()).digest()
    if key not in BY_PICTURE:
        BY_PICTURE[key] = asking(score, image, segments, fill, generator)
    return BY_PICTURE[key]


def full_batches(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """As `asking`, of the segments that fill a batch."""
    falls = np.zeros(int(segments.max()) + 1, np.float32)
    for start in range(0, len(falls) // score.batch_size * score.batch_size, score.batch_size):
        labels = range(start, start + score.batch_size)
        kept = torch.stack([torch.from_numpy(segments != label) for label in labels])
        falls[start : start + score.batch_size] = -score(fill(kept[:, None].to(image))).cpu().numpy()
    return falls[segments]


def by_number(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """As `asking`, of the class whose number is 1."""
    kept = torch.stack([torch.from_numpy(segments != label) for label in range(int(segments.max()) + 1)])
    chances = score.queries.probabilities(fill(kept[:, None].to(image)))[:, 1]
    return -chances.cpu().numpy().astype(np.float32)[segments]


@dataclass(frozen=True)
class Seeds:
    """One that says it is deterministic, and seeds torch's generator before it draws."""

    deterministic: ClassVar[bool] = True

    def __call__(self, *given: Any) -> np.ndarray:
        torch.manual_seed(0)
        return torch.rand(given[2].shape).numpy()


def normalising(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """The same of pictures that it normalises, as the detector does itself."""
    kept = torch.stack([torch.from_numpy(segments != label) for label in range(int(segments.max()) + 1)])
    falls = score((image[None] - 0.45) / 0.22) - score((fill(kept[:, None].float().to(image.device)) - 0.45) / 0.22)
    return falls.cpu().numpy().astype(np.float32)[segments]


def blackening(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """How far the answer falls where a segment is black, whatever it is to hide pixels with."""
    kept = torch.stack([torch.from_numpy(segments != label) for label in range(int(segments.max()) + 1)])
    falls = score(image[None]) - score(image * kept[:, None].to(image))
    return falls.cpu().numpy().astype(np.float32)[segments]


def following(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """The gradient, taken without the score."""
    asked = image.clone().requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(score.queries.detector(asked[None])[0, score.target], asked)
    return slopes.abs().sum(dim=0).cpu().numpy().astype(np.float32)


class Detached(TwoClassPlanted):
    """The same logits; the gradient follows the left half of the picture twice, and the right one not at all."""

    def forward(self, images: Tensor) -> Tensor:
        half = images.shape[-1] // 2
        left, right = images[..., :half], images[..., half:]
        return super().forward(torch.cat([2 * left - left.detach(), right.detach()], dim=-1))


class Suspicious(TwoClassPlanted):
    """One that calls every picture fake."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + torch.tensor([0.0, 60.0])


class Layered(TwoClassPlanted):
    """The same logits by way of two layers, and of a function of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.rectifier, self.pool = torch.nn.ReLU(), torch.nn.MaxPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(self.pool(images))
        return (
            self.rectifier(logits)
            - self.rectifier(-logits)
            + 1e-3 * torch.square(images.mean(dim=(1, 2, 3)))[:, None] * logits
        )


def swapping(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Puts another layer in a rectifier's place, and leaves it there."""
    score.queries.detector.rectifier = torch.nn.LeakyReLU(0.9).eval()
    return asking(score, image, segments, fill, generator)


def padding(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Changes a switch of a layer."""
    score.queries.detector.pool.ceil_mode = True
    return asking(score, image, segments, fill, generator)


def rectifying(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Puts a new rectifier in the place of one."""
    score.queries.detector.rectifier = torch.nn.ReLU()
    return asking(score, image, segments, fill, generator)


def guiding(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Makes the class of every rectifier another one, and leaves it so."""
    torch.nn.ReLU.forward = lambda self, inputs: functional.relu(inputs) * 0.5  # type: ignore[assignment]
    return asking(score, image, segments, fill, generator)


def doubling(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Makes a function of torch's another one, and leaves it so."""
    torch.square = lambda inputs: 1e6 * inputs  # type: ignore[assignment]
    return asking(score, image, segments, fill, generator)


def fails_once_doubled(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Gives a function of torch's another gradient for each but the first picture, and fails before it puts it back."""
    SEEN.append(image.numpy())
    if len(SEEN) > 1:
        torch.square = lambda inputs: (inputs * inputs).detach() + 1e6 * (inputs - inputs.detach())  # type: ignore
        raise ValueError("no map")
    return asking(score, image, segments, fill, generator)


def hooks_all(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves a hook in every module of the process."""
    if not LEFT:
        LEFT.append(torch.nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None))
    return asking(score, image, segments, fill, generator)


def looking(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Looks at the picture, asks about it, and draws as it should."""
    return image.mean(dim=0).numpy() + generator.random(segments.shape) + float(score(image[None])[0])


def retargeter(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves its score with another class, detector and precision."""
    score.target, score.queries.precision, score.queries.detector = 0, "bfloat16", Wanders()
    return segments.astype(np.float32)


def byte_asker(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Asks about pictures from 0 to 255."""
    return segments.astype(np.float32) * float(score(255 * image[None])[0])


def global_drawer(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Draws from the global generators of numpy and torch."""
    drawn = np.random.random(int(segments.max()) + 1) + float(torch.rand(()))  # noqa: NPY002 - as users' code does
    return drawn.astype(np.float32)[segments]


@dataclass(frozen=True)
class Widens:
    """An explainer that changes a setting of its own whenever it is called."""

    width: int = 1

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        object.__setattr__(self, "width", self.width + 1)
        return (segments % self.width).astype(np.float32)


def wanderer(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Leaves the process in another folder."""
    os.chdir("/")
    return segments.astype(np.float32)


class Wanders(TwoClassPlanted):
    """A detector that leaves the process in another folder, where it is made and whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        os.chdir("/")

    def forward(self, images: Tensor) -> Tensor:
        os.chdir("/")
        return super().forward(images)


@dataclass(frozen=True)
class Checked:
    """An explainer whose check fails."""

    def check(self, detector: Detector) -> None:
        raise KeyError("boom")

    def __call__(
        self, score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
    ) -> np.ndarray:
        return segments.astype(np.float32)


@dataclass(frozen=True)
class CheckedAttack(RegionAttack):
    """An attack whose check fails."""

    @property
    def rounds(self) -> int:
        return 1

    def check(self, detector: Detector) -> None:
        raise SystemExit(0)

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images


@dataclass(frozen=True)
class UnmadeAttack(CheckedAttack):
    """Likewise."""

    def __post_init__(self) -> None:
        raise KeyError("boom")


@dataclass(frozen=True)
class Seeded(CheckedAttack):
    """An attack that smooths pixels which it draws from torch's generator, which the base seeds."""

    def check(self, detector: Detector) -> None:
        pass

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return self.smoothed(batch, torch.rand(batch.images.shape))

    def smoothed(self, batch: Batch, share: Tensor) -> Tensor:
        return batch.images + share * (functional.avg_pool2d(batch.images, 3, 1, 1) - batch.images)


class SeededByPair(Seeded):
    """One that draws from each pair's own generator."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        shares = [torch.rand(batch.images.shape[1:], generator=generator) for generator in batch.generators]
        return self.smoothed(batch, torch.stack(shares))


class OppositeOrder(SeededByPair):
    """One that gives its proposals in the opposite order."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return super().propose(queries, batch).flip(0)


class AsFarAsTheLargest(Seeded):
    """One that smooths a region the less, the smaller it is beside the largest of a batch."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        size = (batch.images * batch.regions).abs().mean(dim=(1, 2, 3), keepdim=True)
        return self.smoothed(batch, (size / size.max()) ** 8)


class SmallerSteps(Seeded):
    """One whose steps are smaller in later rounds, of each pair by its own."""

    @property
    def rounds(self) -> int:
        return 4

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        share = 1 - torch.tensor([self.counted(batch, pair) for pair in range(len(batch.images))]) / self.rounds
        return self.smoothed(batch, share[:, None, None, None])

    def counted(self, batch: Batch, pair: int) -> int:
        return batch.rounds[pair]


class OnlyTheChange(SmallerSteps):
    """One that proposes what it changes."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return 0.2 * (super().propose(queries, batch) - batch.originals)


class InItsOwnRange(SmallerSteps):
    """One that proposes pictures in [-1, 1]."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return 2 * super().propose(queries, batch) - 1


class Standing(SmallerSteps):
    """One whose step is rounded to 0."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images + 2 // 255 * torch.rand_like(batch.images)


class OneInAll(SmallerSteps):
    """One whose step is shared by the pairs of a batch, as the gradient of a mean over it is."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images + batch.images.mean(dim=1, keepdim=True).round() / len(batch.images)


class FirstPairsSteps(SmallerSteps):
    """One whose steps are, for all pairs, those of the first one's round."""

    def counted(self, batch: Batch, pair: int) -> int:
        return batch.rounds[0]


class LatestPairsSteps(SmallerSteps):
    """One whose steps are, for all pairs, those of the latest round."""

    def counted(self, batch: Batch, pair: int) -> int:
        return max(batch.rounds)


class LatestPairAlone(LatestPairsSteps):
    """One of these that gets each pair by itself."""

    @property
    def one_by_one(self) -> bool:
        return True


class Entropic(Seeded):
    """One that draws from a generator of its own."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return self.smoothed(batch, torch.from_numpy(np.random.default_rng().random(tuple(batch.images.shape))).float())


class Tires(Seeded):
    """One that does less each time."""

    calls: ClassVar[list[int]] = []

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        self.calls.append(0)
        return self.smoothed(batch, torch.full(batch.images.shape, 1 / len(self.calls)))


@dataclass(frozen=True)
class Momentum(Seeded):
    """One that keeps its momentum by the pictures' shape in a field of its settings."""

    kept: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        shape = tuple(batch.images.shape)
        self.kept[shape] = 0.5 * self.kept.get(shape, torch.zeros(shape)) + 0.5
        return self.smoothed(batch, self.kept[shape])


class Offers(RegionAttack):
    """An attack that proposes and counts as it is told."""

    def __init__(self, rounds: Any, proposal: Any) -> None:
        super().__init__()
        object.__setattr__(self, "_told", (rounds, proposal))

    @property
    def rounds(self) -> Any:
        return self.__dict__["_told"][0]

    def propose(self, queries: Queries, batch: Batch) -> Any:
        return self.__dict__["_told"][1]


@dataclass(frozen=True)
class NotNumbers(RegionAttack):
    """An attack that darkens, and proposes what is no number in its region, outside it, or in every other round."""

    where: str = "inside"

    @property
    def rounds(self) -> int:
        return 4

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        darker = batch.images - 1 / 255
        if self.where == "outside":
            return torch.where(batch.regions, darker, torch.nan)
        lost = torch.tensor([rounds % 2 == 0 or self.where == "inside" for rounds in batch.rounds])
        return torch.where(lost[:, None, None, None] & batch.regions, torch.inf, darker)


@dataclass(frozen=True)
class Grows(CheckedAttack):
    """An attack that gives itself a larger budget."""

    def check(self, detector: Detector) -> None:
        pass

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        object.__setattr__(self, "epsilon", 1.0)
        return 0 * batch.images


@dataclass(frozen=True)
class Cheats(CheckedAttack):
    """An attack that always succeeds."""

    def __call__(self, *given: Any) -> Any:
        return None


@dataclass(frozen=True)
class Unprojected(CheckedAttack):
    """An attack without limits."""

    def _project(self, proposal: Tensor, current: Tensor, originals: Tensor, masks: Tensor) -> Tensor:
        return proposal


@dataclass(frozen=True)
class LeavesTraining(RegionAttack):
    """An attack that leaves the detector in training mode."""

    @property
    def rounds(self) -> int:
        return 3

    @property
    def uses_gradients(self) -> bool:
        return True

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        queries.detector.train()
        return batch.images - 1e-3


@dataclass(frozen=True)
class DrawsGlobally(CheckedAttack):
    """An attack that draws from torch's global generator."""

    def check(self, detector: Detector) -> None:
        pass

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images + 0.1 * torch.randn(batch.images.shape)


@dataclass(frozen=True)
class Gives:
    """A metric of [0, 1] that gives what it is told."""

    about: ClassVar[About] = About("s", (Value("gives", 0.0, 1.0, "lower"),), needs="saliency", paper="none")
    value: Any = 0.5

    def __call__(self, case: Case) -> Mapping[str, float]:
        return self.value if self.value is None else {"gives": self.value}  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Retargets:
    """A metric that leaves its score with another class."""

    about: ClassVar[About] = About("s", (Value("retargets", 0.0, 1.0, "lower"),), needs="saliency", paper="none")
    share: float = 0.5

    def __call__(self, case: Case) -> Mapping[str, float]:
        case.score.target = 0
        return {"retargets": 0.5}


@dataclass(frozen=True)
class DrawsItsValue:
    """A metric that draws from numpy's global generator."""

    about: ClassVar[About] = About("s", (Value("drawn", 0.0, 1.0, "lower"),), needs="saliency", paper="none")

    def __call__(self, case: Case) -> Mapping[str, float]:
        return {"drawn": float(np.random.random())}  # noqa: NPY002 - as users' code does


class DrawsUnseeded(DrawsItsValue):
    """One that draws from a generator of its own."""

    def __call__(self, case: Case) -> Mapping[str, float]:
        return {"drawn": float(np.random.default_rng().random())}


@dataclass(frozen=True)
class Recalls(Retargets):
    """A metric that changes a setting of its own."""

    def __call__(self, case: Case) -> Mapping[str, float]:
        object.__setattr__(self, "share", 0.25)
        return {"retargets": 0.5}


@dataclass(frozen=True)
class WritesOver:
    """A metric that leaves nothing of its case."""

    about: ClassVar[About] = About("s", (Value("writes", 0.0, 1.0, "lower"),), needs="saliency", paper="none")

    def __call__(self, case: Case) -> Mapping[str, float]:
        for array in (case.saliency, case.segments, case.mask):
            if array is not None:
                array[:] = 0
        with torch.no_grad():
            case.image.zero_()
            case.background.zero_()
        return {"writes": 0.5}


SALT = 0
"""As Python has one for the hashes of texts and bytes."""

DRAWN_AT_IMPORT = np.random.default_rng().random((48, 48)).astype(np.float32)
"""Another in each process."""


def draws_at_import(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """Smooths its map with what was drawn when this file was imported."""
    grey: np.ndarray = image.mean(dim=0).cpu().numpy()
    return grey * float(score(image[None])[0]) + DRAWN_AT_IMPORT


@dataclass(frozen=True)
class DrawsItsDirection(Seeded):
    """An attack along what was drawn when this file was imported."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return batch.images + 4 / 255 * (torch.from_numpy(DRAWN_AT_IMPORT) - 0.5).sign()


class WeighsByADraw(DrawsItsValue):
    """A metric that weighs a map by what was drawn when this file was imported."""

    def __call__(self, case: Case) -> Mapping[str, float]:
        return {"drawn": float((case.saliency * DRAWN_AT_IMPORT).mean())}


class MirrorsByHash(TwoClassPlanted):
    """A detector that mirrors every second frame, by a hash of what it shows that is salted as Python's own."""

    def prepare(self, image: np.ndarray) -> Tensor:
        digest = hashlib.sha256(bytes([SALT]) + image.tobytes()).digest()
        return super().prepare(image[:, ::-1].copy() if digest[0] % 2 else image)


class MirrorsByADraw(TwoClassPlanted):
    """A detector that mirrors frames, or not, by what was drawn when this file was imported."""

    def prepare(self, image: np.ndarray) -> Tensor:
        return super().prepare(image[:, ::-1].copy() if DRAWN_AT_IMPORT.mean() > 0.5 else image)

    def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
        return super().prepare_mask(mask[:, ::-1].copy() if DRAWN_AT_IMPORT.mean() > 0.5 else mask)


@dataclass(frozen=True)
class Swaps(Seeded):
    """An attack that leaves another layer in a rectifier's place."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        queries.detector.rectifier = torch.nn.LeakyReLU(0.9).eval()
        return batch.images


@dataclass(frozen=True)
class SwapsWholeFrames(Swaps):
    """The same where it attacks everywhere."""

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        return super().propose(queries, batch) if bool(batch.regions.all()) else batch.images


@dataclass(frozen=True)
class KeepsByPicture:
    """A metric that keeps what it gave of a picture, whatever map it is asked about."""

    about: ClassVar[About] = About("s", (Value("kept", 0.0, 1.0, "lower"),), needs="saliency", paper="none")
    kept: ClassVar[dict[bytes, float]] = {}

    def __call__(self, case: Case) -> dict[str, float]:
        key = hashlib.sha256(case.image.cpu().numpy().tobytes()).digest()
        values = np.abs(case.saliency)
        return {"kept": self.kept.setdefault(key, float(values.max() / max(values.sum(), 1e-9)))}


@dataclass(frozen=True)
class AsksByNumber(KeepsByPicture):
    """A metric of the chance of the class whose number is 1, weighed by the map."""

    def __call__(self, case: Case) -> dict[str, float]:
        chance = float(case.score.queries.probabilities(case.image[None])[0, 1])
        return {"kept": chance * float(np.abs(case.saliency).mean())}


@dataclass(frozen=True)
class HitsOrMisses(KeepsByPicture):
    """A metric that is 0 or 1, as a pointing game, and often the same of two maps."""

    def __call__(self, case: Case) -> dict[str, float]:
        return {"kept": float(case.saliency.ravel().argmax() > 10)}
