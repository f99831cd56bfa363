"""Users' own explainers, attacks, metrics and `prepare`, asked about a run's first frame."""

import contextlib
import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

import attacks.registry
import xai.methods
from attacks import Batch, Proposal, RegionAttack
from common.console import warn
from common.errors import FAILED
from common.process_state import kept_process_state
from common.registry import names_own_code
from common.seeds import generator
from detectors import Detector, Queries
from detectors.preparing import prepares_itself
from runs.first_given import ATTACK, DETECTOR, METHOD, METRIC, FirstGiven, sampled
from runs.selection import Selection
from scoring.frame import Scorer
from scoring.metrics import Case, Metric
from scoring.metrics.measuring import Measurement, measure_case
from xai.explanation import Explanation, FrameExplanations, explained_class
from xai.methods import ADVERSARIAL, Method

Given = Mapping[str, np.ndarray]
"""What parts give, as in `runs.first_given.FirstGiven`."""

DEPENDS = (
    "by the same draws: it draws by a generator of its own, or keeps something from call to call. No run is the same "
    "again, and its numbers depend on what it saw before; draw from the generator that it is given, and keep nothing"
)
"""What is said of a part that does not repeat itself."""

BEYOND = 0.75
"""How far outside of [0, 1] an own part may ask without a remark: noise leads there, normalising leads further."""

OTHER_BATCH = 7
"""Images in a pass, of own parts that are asked in other batches."""

ASKED_TOLERANCE = 0.05
"""Of the range of a map, or of a metric's value: what passes of other sizes may change by rounding."""

QUARTERS = 3
"""How many quarters of a frame own attacks are tried on: its middle, and two beside it."""

MOVES = 8
"""How many pictures an own `prepare` is asked about: the first frame, and it moved."""


@dataclass(frozen=True)
class OwnParts:
    """Those of a run that are users' own.

    Attributes:
        methods: with an explainer of a user's, by that; none with the adversarial fill, which would cost an attack.
        attacks: by name.
        metrics: by name.
        prepares: whether the detector prepares frames by a user's own code.
    """

    methods: Mapping[str, Method]
    attacks: Mapping[str, RegionAttack]
    metrics: Mapping[str, Metric]
    prepares: bool

    @classmethod
    def of(cls, scorer: Scorer) -> "OwnParts":
        """Those of a scorer."""
        where = str(getattr(scorer.detector.prepare, "__module__", ""))
        return cls(
            own_methods(scorer.methods),
            {name: each for name, each in scorer.attacks.items() if attacks.registry.is_own(name)},
            {name: each for name, each in scorer.metrics.items() if names_own_code(name)},
            prepares_itself(scorer.detector) and not where.startswith("detectors."),
        )

    @property
    def explain_or_attack(self) -> bool:
        """Whether there are others than a `prepare`."""
        return bool(self.methods or self.attacks or self.metrics)


@kept_process_state("trying own parts")
def given_here(scorer: Scorer, selection: Selection, elsewhere: FirstGiven) -> FirstGiven:
    """What the parts of a run give here of the frame that another process of it asked them about, each asked once.

    What fails here, or cannot be read, is left out, to fail when its frame's turn comes.
    """
    own, given = OwnParts.of(scorer), dict[str, np.ndarray]()
    image = prepared_again(scorer.detector, selection, elsewhere.key)
    if image is None or not elsewhere.parts:
        return FirstGiven(elsewhere.key, given)
    if own.prepares:
        given |= of_prepare(scorer.detector, selection, elsewhere.key)
    asked: list[Callable[[FrameExplanations], Given]] = [
        *(partial(_explained, method) for method in own.methods.values()),
        *(partial(of_attack, name, attack, scorer.batch_size) for name, attack in own.attacks.items()),
        *(partial(_measured, name, metric) for name, metric in own.metrics.items()),
    ]
    for ask in asked:
        with contextlib.suppress(*FAILED):
            given |= ask(trial(scorer, image))
    return FirstGiven(elsewhere.key, given)


def prepared_again(detector: Detector, selection: Selection, key: str) -> Tensor | None:
    """A frame as the detector prepares it, (3, S, S), copied; None where it cannot be."""
    try:
        return detector.prepare(selection.frame(selection.keys.index(key)).image).clone()
    except FAILED:
        return None


def trial(scorer: Scorer, image: Tensor, seed: int = 0) -> FrameExplanations:
    """The frame (3, S, S) that own parts are tried on."""
    target = explained_class(Queries(scorer.detector).logits(image[None])[0], scorer.detector.real)
    return FrameExplanations(scorer.detector, image, target, scorer.settings, seed, "trial", scorer.batch_size)


def attack_quarters(
    attack: RegionAttack, detector: Detector, image: Tensor, batch_size: int, pairs: Collection[int] = (0,)
) -> Tensor:
    """What an attack makes of quarters of an image (3, S, S), its middle (0) and others, (N, 3, S, S).

    Raises whatever the attack raises.
    """
    middle = quarter(image)
    regions = torch.from_numpy(np.stack([np.roll(middle, move, axis=(0, 1)) for move in (0, -7, 7)]))
    images = image[None].expand(len(pairs), -1, -1, -1)
    return attack(detector, images, regions[list(pairs)], list(pairs), batch_size).images


@dataclass
class Asked:
    """What a detector is asked while `of` is open, whoever asks: the range of the pictures, and whether by a gradient.

    Attributes:
        lowest, highest: of all values.
        followed: whether a gradient was taken of them.
    """

    lowest: float = 0.0
    highest: float = 1.0
    followed: bool = False

    @contextlib.contextmanager
    def of(self, detector: Detector) -> Iterator[None]:
        """Listens to a detector."""
        handle = detector.register_forward_pre_hook(self._hear)
        try:
            yield
        finally:
            handle.remove()

    def remark_range(self, who: str) -> None:
        """Warns that `who` asked about values far outside of [0, 1]."""
        if self.lowest < -BEYOND or self.highest > 1 + BEYOND:
            warn(
                f"{who} asked the detector about pictures from {self.lowest:.2g} to {self.highest:.2g}: it takes them "
                "in [0, 1], and normalises them itself"
            )

    def _hear(self, _module: object, inputs: tuple[object, ...]) -> None:
        images = inputs[0] if inputs else None
        if isinstance(images, Tensor) and images.numel():
            low, high = (float(value) for value in images.detach().aminmax())
            self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
            self.followed |= images.requires_grad and torch.is_grad_enabled()


class _ClassesTurned(Detector):
    """A detector whose classes are in the opposite order, and mean the same."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.class_names = tuple(reversed(detector.class_names))
        self.real = len(self.class_names) - 1 - detector.real
        self.input_size, self.mean, self.std = detector.input_size, detector.mean, detector.std

    def forward(self, images: Tensor) -> Tensor:
        return self.detector(images).flip(1)


def asked_otherwise(frame: FrameExplanations) -> Mapping[str, FrameExplanations]:
    """A frame on the same segments, with the same draws, asked otherwise in what may change nothing, by how."""
    classes, size = len(frame.detector.class_names), frame.batch_size
    in_batches = OTHER_BATCH + (size == OTHER_BATCH)
    others = {
        f"in batches of {in_batches}, not of {size}: leave no pictures out, and mix none": (
            frame.detector, frame.target, in_batches
        ),
        "with the classes in another order: ask for `score.target`, not for a class by its number": (
            _ClassesTurned(frame.detector), classes - 1 - frame.target, size
        ),
    }  # fmt: skip
    asked = {}
    for how, (detector, target, batch_size) in others.items():
        asked[how] = FrameExplanations(
            detector, frame.image, target, frame.settings, frame.seed, frame.key, batch_size, frame.precision
        )
        asked[how].segments = frame.segments
    return asked


@dataclass(frozen=True, eq=False)
class Proposed:
    """What an attack proposes for QUARTERS quarters of an image, unprojected, (QUARTERS, 3, S, S) on the CPU each.

    Attributes:
        regions: the quarters, (QUARTERS, S, S) bool.
        alone: for each by itself, in its first round.
        together: for all at once; None where it gets one at a time.
        last_alone, last_together: where the last is in its last round, as in a run, where the next pair begins once one
            is done; None also where it has one round.
    """

    regions: Tensor
    alone: Tensor
    together: Tensor | None = None
    last_alone: Tensor | None = None
    last_together: Tensor | None = None


class _AskedError(Exception):
    """Ends an attack of which all is known that was to be asked."""


def proposed(attack: RegionAttack, detector: Detector, image: Tensor, batch_size: int) -> Proposed | None:
    """What a copy of an attack proposes; arguments as of `attack_quarters`.

    None where it proposes nothing, as of a frame that the detector calls real, or gets fewer pairs at a time. Raises
    whatever the attack raises.
    """
    attack = copy.deepcopy(attack)
    propose, found = attack.propose, list[Proposed]()
    every = [*range(QUARTERS)]
    last = [*[0] * (QUARTERS - 1), attack.rounds - 1]

    def asked(queries: Queries, batch: Batch) -> Tensor:
        def of(rows: list[int], rounds: list[int]) -> Tensor:
            made = propose(queries, _rows(batch, rows, rounds))
            return (made.images if isinstance(made, Proposal) else made).detach().cpu().float()

        regions = batch.regions[:, 0].cpu()
        if attack.one_by_one:
            found.append(Proposed(regions, of([0], [0])))
        elif len(batch.images) == QUARTERS:
            alone = torch.cat([of([row], [0]) for row in every])
            together = of(every, [0] * QUARTERS)
            if attack.rounds == 1:
                found.append(Proposed(regions, alone, together))
            else:
                last_alone = torch.cat([alone[:-1], of(every[-1:], last[-1:])])
                found.append(Proposed(regions, alone, together, last_alone, of(every, last)))
        raise _AskedError

    object.__setattr__(attack, "propose", asked)
    with contextlib.suppress(_AskedError):
        attack_quarters(attack, detector, image, batch_size, every)
    return found[0] if found else None


def _rows(batch: Batch, rows: list[int], rounds: list[int]) -> Batch:
    """Copies of some pairs of a batch, in these rounds."""
    return Batch(
        batch.images[rows],
        batch.originals[rows],
        batch.regions[rows],
        [torch.Generator().set_state(batch.generators[row].get_state()) for row in rows],
        rounds,
        batch.gradients[rows] if len(batch.gradients) else batch.gradients,
        batch.logits[rows],
    )


def own_methods(methods: Iterable[Method]) -> dict[str, Method]:
    """Those by users' own explainers, by these, none with the adversarial fill."""
    own = {each.explainer: each for each in methods if names_own_code(each.explainer, xai.methods.FAMILIES)}
    return {
        name: replace(method, fill="mean") if method.fill == ADVERSARIAL else method for name, method in own.items()
    }


def measure(
    name: str, metric: Metric, frame: FrameExplanations, saliency: np.ndarray | None = None
) -> list[Measurement]:
    """What a metric says of a map (H, W), by default of the frame's brightness. Raises whatever the metric raises."""
    case = Case(
        score=frame.score,
        image=frame.image,
        saliency=_brightness(frame.image) if saliency is None else saliency,
        segments=frame.segments,
        mask=quarter(frame.image),
        background=frame.image.mean(dim=(1, 2), keepdim=True).expand_as(frame.image),
        explain=lambda image, _: _brightness(image),
        draws=partial(generator, 0, "trial"),
    )
    return measure_case(case, {name: metric})


def of_prepare(detector: Detector, selection: Selection, key: str) -> Given:
    """What is kept of a frame as the detector prepares it, as it is and moved; zeros where it cannot be prepared.

    Mirrored by the parity of a hash, one picture is the same in every second process.
    """
    made = np.zeros((MOVES, 3, detector.input_size, detector.input_size), dtype=np.float32)
    image = selection.frame(selection.keys.index(key)).image
    for move, picture in enumerate(made):
        with contextlib.suppress(*FAILED):
            places = [move * side // MOVES for side in image.shape[:2]]
            picture[:] = detector.prepare(np.roll(image, places, axis=(0, 1))).cpu().numpy()
    return {f"{DETECTOR} {type(detector).__name__}'s prepare": sampled(made)}


def of_map(method: Method, made: Explanation) -> Given:
    """What is kept of an explanation."""
    return {f"{METHOD} {method.name}": sampled(made.saliency)}


def of_values(measured: Collection[Measurement]) -> Given:
    """What is kept of a metric's values."""
    return {f"{METRIC} {each.full_name}": sampled(np.array([each.value])) for each in measured}


def _explained(method: Method, frame: FrameExplanations) -> Given:
    return of_map(method, frame.explain(method))


def of_attack(name: str, attack: RegionAttack, batch_size: int, frame: FrameExplanations) -> Given:
    """What is kept of an attack on a quarter, by a copy: what changes there, and its first proposal and its last.

    Proposals, since where none is better than the frame, the frame is what comes out. Nothing where it proposes none,
    as of a frame that the detector calls real. Raises whatever the attack raises.
    """
    attack = copy.deepcopy(attack)
    propose, proposals = attack.propose, list[Tensor]()

    def kept(queries: Queries, batch: Batch) -> Tensor | Proposal:
        made = propose(queries, batch)
        proposals.append((made.images if isinstance(made, Proposal) else made).detach().cpu().float().clone())
        return made

    object.__setattr__(attack, "propose", kept)
    images = attack_quarters(attack, frame.detector, frame.image, batch_size)
    if not proposals:
        return {}
    changes = torch.cat([images, proposals[0], proposals[-1]]).nan_to_num(0, 0, 0) - frame.image.cpu()
    return {f"{ATTACK} {name}": sampled(changes.numpy()[..., quarter(frame.image)])}


def _measured(name: str, metric: Metric, frame: FrameExplanations) -> Given:
    return of_values(measure(name, metric, frame))


def quarter(image: Tensor) -> np.ndarray:
    """The middle of a picture, half as wide and high, (H, W) bool."""
    middle, edge = np.zeros(image.shape[1:], dtype=bool), image.shape[-1] // 4
    middle[edge:-edge, edge:-edge] = True
    return middle


def _brightness(image: Tensor) -> np.ndarray:
    """A map that follows the picture at no cost, (H, W)."""
    return image.mean(dim=0).cpu().numpy()
