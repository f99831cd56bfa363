"""What every region attack must hold: it stays inside, is judged by the detector, and leaves nothing behind."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor

from attacks import AttackResult, RegionAttack, build_attack
from attacks.base import UNKNOWN
from attacks.malafide.fidelity import LINF, Fidelity
from attacks.malafide.filter import BATCH, Filter, FilterSpec, identity
from attacks.malafide.filter_files import save
from attacks.registry import ATTACKS, FAMILIES
from common.errors import InputError
from detectors.answers import ForwardError
from detectors.queries import Queries, counting
from tests.contracts.cases import SIZE, SmallDetector, in_use, photo, stir, without_a_trace

EPSILON = 8 / 255
BATCH_SIZE = 8
CLOSE, REAL, EMPTY = 0, 2, 3  # numbers of pairs, see `six_pairs`
OWN = "tests.contracts.own:Reckless"
FILTERS = {
    "malafide:image": FilterSpec(3),
    "malafide:batch": FilterSpec(3, BATCH),
    "malafide:linf": FilterSpec(3, fidelity=Fidelity(LINF, EPSILON)),
}
"""Filters of the three kinds, by what the tests call them; the test writes their files."""

SMALLER: dict[str, dict[str, Any]] = {
    "torchattacks:JSMA": {"gamma": 0.0005},
    "torchattacks:Square": {"n_queries": 20},
    "torchattacks:Pixle": {"restarts": 2},
    "torchattacks:SPSA": {"nb_sample": 16},
    "torchattacks:OnePixel": {"steps": 2},
    "torchattacks:EADL1": {"max_iterations": 10, "binary_search_steps": 2},
    "torchattacks:EADEN": {"max_iterations": 10, "binary_search_steps": 2},
    "torchattacks:CW": {"steps": 5},
    "torchattacks:SparseFool": {"steps": 2},
    **{
        f"torchattacks:{member}": {"steps": 3}
        for member in ("APGDT", "DeepFool", "FAB", "SINIFGSM", "TIFGSM", "VMIFGSM", "VNIFGSM")
    },
}
"""Settings of what would take long."""

DRAWING = frozenset({"nes", "pgd", OWN, "torchattacks:FFGSM", "torchattacks:Square", "torchattacks:Pixle"})
"""Attacks of which another seed must make something else; not all that draw."""

LEFT_OUT = frozenset({"torchattacks:AutoAttack"})  # APGD, APGDT, FAB and 5000 queries of Square, which are here

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torchattacks")


def library_names() -> list[str]:
    """The attacks of torchattacks that need a model alone."""
    names = []
    for member in torchattacks.__all__:
        try:
            build_attack(f"torchattacks:{member}")
        except InputError:
            continue
        names.append(f"torchattacks:{member}")
    return names


LIBRARY = [name for name in library_names() if name not in LEFT_OUT]
NAMES = [*ATTACKS, *LIBRARY, *FILTERS, OWN]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images (N, 3, SIZE, SIZE), regions (N, SIZE, SIZE) and seeds of N pairs."""

    images: Tensor
    regions: Tensor
    seeds: Sequence[int]

    def only(self, pair: int) -> "Pairs":
        """One of the pairs, alone."""
        part = slice(pair, pair + 1)
        return Pairs(self.images[part], self.regions[part], self.seeds[part])


@dataclass(frozen=True, eq=False)
class Run:
    """An attack of that name on the pairs, and how many images passed forward and backward in it."""

    name: str
    attack: RegionAttack
    pairs: Pairs
    result: AttackResult
    images_seen: int

    def again(self, pairs: Pairs) -> AttackResult:
        """The same attack on a new detector of the same weights."""
        return self.attack(SmallDetector(), pairs.images, pairs.regions, pairs.seeds, BATCH_SIZE)


def six_pairs() -> Pairs:
    """A close verdict, a small region, a frame that is Real, an empty region, black and white, a region of a pixel."""
    harsh = (photo(4) > 0.5).float()
    images = torch.stack([barely_fake(photo(0)), photo(1), torch.zeros_like(harsh), photo(3), harsh, photo(5)])
    regions = torch.zeros(6, SIZE, SIZE, dtype=torch.bool)
    regions[CLOSE] = True
    regions[1, 4:20, 6:18] = True
    regions[REAL, 4:20, 6:18] = True
    regions[4, ::2, 3:] = True
    regions[5, 17, 9] = True
    return Pairs(images, regions, [11, 2**62 + 1, 3, 4, 5, 6])


def barely_fake(image: Tensor) -> Tensor:
    """An image darkened until the detector all but says Real."""
    detector, real, fake = SmallDetector(), 0.0, 1.0
    for _ in range(12):
        middle = (real + fake) / 2
        says_real = int(detector(middle * image[None]).argmax()) == detector.real
        real, fake = (middle, fake) if says_real else (real, middle)
    return fake * image


def build(name: str, folder: Path) -> RegionAttack:
    """The attack of that name in its smallest form, with a budget that is not the default."""
    if name in FILTERS:
        path = folder / "filter.safetensors"
        weight = identity(3) + 0.1 * torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(1))
        save(path, Filter(FILTERS[name], weight))
        name = f"malafide:{path}"
    return build_attack(name, "quick", {"epsilon": EPSILON, **SMALLER.get(name, {})})


@pytest.fixture(scope="module", params=NAMES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every attack, once on all pairs together."""
    attack, pairs, detector = build(request.param, tmp_path_factory.mktemp("filter")), six_pairs(), SmallDetector()
    stir(0)
    with counting(detector) as meter:
        result = attack(detector, pairs.images, pairs.regions, pairs.seeds, BATCH_SIZE)
    return Run(request.param, attack, pairs, result, meter.images)


def test_the_table_has_every_attack_and_family() -> None:
    assert set(ATTACKS) <= set(NAMES)
    assert {name.partition(":")[0] for name in NAMES if name not in (*ATTACKS, OWN)} == set(FAMILIES)
    assert set(NAMES) >= DRAWING
    assert {f"torchattacks:{member}" for member in ("PGD", "APGD", "Square", "CW", "DeepFool", "Pixle")} <= set(LIBRARY)


def test_the_result_has_its_shapes_and_types_on_the_cpu(run: Run) -> None:
    result, count = run.result, len(run.pairs.seeds)
    shapes = {
        "images": ((count, 3, SIZE, SIZE), torch.float32),
        "logits": ((count, 5), torch.float32),
        "flipped": ((count,), torch.bool),
        "steps": ((count,), torch.int64),
        "forwards": ((count,), torch.int64),
        "queries": ((count,), torch.int64),
        "proposals": ((count, 3), torch.int64),
    }
    assert {field.name for field in fields(result)} == set(shapes)
    for name, (shape, kind) in shapes.items():
        tensor = getattr(result, name)
        assert (tuple(tensor.shape), tensor.dtype, tensor.device.type) == (shape, kind, "cpu"), name
        assert not tensor.requires_grad, name


def test_images_change_inside_the_region_the_ball_and_the_range_only(run: Run) -> None:
    images, originals = run.result.images, run.pairs.images
    outside = ~run.pairs.regions[:, None].expand_as(images)
    assert torch.equal(images[outside], originals[outside])
    assert images.isfinite().all()
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images - originals).abs().max() <= EPSILON + 1e-6


def test_the_verdict_is_the_detectors_own(run: Run) -> None:
    detector = SmallDetector()
    assert torch.allclose(run.result.logits, Queries(detector).logits(run.result.images), atol=1e-4)
    assert torch.equal(run.result.flipped, run.result.logits.argmax(dim=1) == detector.real)


def test_nothing_is_done_where_there_is_nothing_to_do(run: Run) -> None:
    for pair in (REAL, EMPTY):
        assert torch.equal(run.result.images[pair], run.pairs.images[pair])
        assert (int(run.result.steps[pair]), int(run.result.forwards[pair])) == (0, 1)
    assert bool(run.result.flipped[REAL])
    assert not bool(run.result.flipped[EMPTY])


def test_an_attack_goes_on_until_it_flips_or_is_spent(run: Run) -> None:
    attack, result = run.attack, run.result
    for pair in set(range(len(run.pairs.seeds))) - {REAL, EMPTY}:
        steps, flipped = int(result.steps[pair]), bool(result.flipped[pair])
        assert steps in {attack.steps_taken(rounds) for rounds in range(1, attack.rounds + 1)}
        assert steps >= 1
        assert flipped or steps == attack.steps_taken(attack.rounds)
        assert int(result.forwards[pair]) >= 2


def test_every_pass_is_charged_to_a_pair(run: Run) -> None:
    """In a batch, the pass backward that another pair needs takes one along that has just flipped: nobody's charge."""
    assert int(run.result.forwards.sum()) <= run.images_seen
    for pair in range(len(run.pairs.seeds)):
        with counting(detector := SmallDetector()) as meter:
            pairs = run.pairs.only(pair)
            alone = run.attack(detector, pairs.images, pairs.regions, pairs.seeds, BATCH_SIZE)
        assert int(alone.forwards) == meter.images


def test_queries_are_what_an_attacker_without_gradients_needs(run: Run) -> None:
    queries, forwards = run.result.queries, run.result.forwards
    known = queries != UNKNOWN
    assert known[[REAL, EMPTY]].all()
    if run.attack.uses_gradients and run.name != "nes":
        assert not known[run.result.steps > 0].any()
    else:
        assert (queries[known] >= torch.minimum(forwards[known], run.result.steps[known] + 1)).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_with_a_name_flips_a_close_verdict(name: str, tmp_path: Path) -> None:
    pair = six_pairs().only(CLOSE)
    result = build(name, tmp_path)(SmallDetector(), pair.images, pair.regions, pair.seeds)
    assert result.flipped.all()
    assert (result.steps > 0).all()


def test_the_same_seeds_give_the_same_result_whatever_the_global_generators_say(run: Run) -> None:
    stir(1)
    assert_same(run.result, run.again(run.pairs), range(len(run.pairs.seeds)), tolerance=0.0)


@pytest.mark.parametrize("name", sorted(DRAWING))
def test_another_seed_gives_another_result_where_it_draws(name: str, tmp_path: Path) -> None:
    attack, pairs = build(name, tmp_path), six_pairs()
    first, second = (attack(SmallDetector(), pairs.images, pairs.regions, [seed] * 6).images for seed in (0, 1))
    assert not torch.equal(first, second)


def test_a_pair_does_not_depend_on_its_neighbours(run: Run) -> None:
    for pair in range(len(run.pairs.seeds)):
        assert_same(run.result, run.again(run.pairs.only(pair)), [pair], tolerance=1e-5)


def test_no_more_images_at_a_time_than_asked_for_and_it_does_not_matter_how_many(run: Run) -> None:
    detector, pairs = SmallDetector(), run.pairs
    result = run.attack(detector, pairs.images, pairs.regions, pairs.seeds, 2)
    assert detector.largest_batch <= 2
    assert_same(run.result, result, range(len(pairs.seeds)), tolerance=1e-5)


def test_nothing_else_changes(run: Run) -> None:
    detector, pairs, seeds = in_use(), run.pairs, list(run.pairs.seeds)
    with without_a_trace(detector, pairs.images, pairs.regions):
        result = run.attack(detector, pairs.images, pairs.regions, seeds, BATCH_SIZE)
    assert seeds == run.pairs.seeds
    assert_same(run.result, result, range(len(seeds)), tolerance=1e-5)


@pytest.mark.parametrize("passes", [1, 4])
def test_nothing_changes_where_the_detector_breaks_down(run: Run, passes: int) -> None:
    detector, pairs = in_use(passes), run.pairs
    with without_a_trace(detector, pairs.images, pairs.regions), contextlib.suppress(ForwardError):
        run.attack(detector, pairs.images, pairs.regions, pairs.seeds, BATCH_SIZE)


def assert_same(result: AttackResult, other: AttackResult, pairs: Sequence[int], tolerance: float) -> None:
    """Fails unless those pairs of a result are all of the other, images and logits within a tolerance."""
    rows = list(pairs)
    assert torch.allclose(result.images[rows], other.images, atol=tolerance, rtol=0)
    assert torch.allclose(result.logits[rows], other.logits, atol=100 * tolerance, rtol=0)
    for name in ("flipped", "steps", "forwards"):
        assert torch.equal(getattr(result, name)[rows], getattr(other, name)), name
