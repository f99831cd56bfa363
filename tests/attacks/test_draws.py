"""Each pair draws what it would draw alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attacks.draws import PairDraws
from common.global_generators import isolated

DRAWS: list[Callable[[Tensor], Tensor]] = [
    lambda x: torch.empty_like(x).uniform_(-0.3, 0.3),
    lambda x: torch.empty_like(x).uniform_(to=2.0),
    lambda x: torch.empty_like(x).normal_(1.0, 2.0),
    torch.rand_like,
    torch.randn_like,
    lambda x: torch.randn_like(x, dtype=torch.float64),
    lambda x: torch.zeros(len(x), 1).uniform_(0, 1),
]


@pytest.mark.parametrize("number", range(len(DRAWS)))
def test_a_row_is_what_the_global_generator_gives_the_pair_alone(number: int) -> None:
    draw, x, seeds = DRAWS[number], torch.zeros(3, 3, 5, 7), [5, 6, 2**31 - 1]
    with isolated(0):
        before = torch.get_rng_state()
        with PairDraws(seeds, x.device):
            first, second = draw(x), draw(x)
        assert torch.equal(before, torch.get_rng_state())
    for row, seed in enumerate(seeds):
        with isolated(seed):
            assert torch.equal(first[row], draw(x[:1])[0])
            assert torch.equal(second[row], draw(x[:1])[0])


@pytest.mark.parametrize("draw", [lambda: torch.rand(3, 4), lambda: torch.rand_like(torch.zeros(2)), torch.rand])
def test_other_draws_show_in_the_global_state(draw: Callable[..., Tensor]) -> None:
    with isolated(0):
        before = torch.get_rng_state()
        with PairDraws([1, 2, 3], torch.device("cpu")):
            draw() if draw is not torch.rand else torch.rand(())
        assert not torch.equal(before, torch.get_rng_state())


def test_a_draw_from_a_given_generator_is_left_alone() -> None:
    with PairDraws([1, 2], torch.device("cpu")):
        found = torch.zeros(2, 4).normal_(generator=torch.Generator().manual_seed(7))
    assert torch.equal(found, torch.zeros(2, 4).normal_(generator=torch.Generator().manual_seed(7)))
