"""Seeds depend on what they are for, and on nothing else."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.seeds import derive_seed, generator

PARTS = st.lists(st.text() | st.integers(), max_size=3).map(tuple)


@given(st.integers(), PARTS)
def test_seed_is_a_function_of_its_arguments_in_range(seed: int, parts: tuple[str | int, ...]) -> None:
    assert derive_seed(seed, *parts) == derive_seed(seed, *parts)
    assert 0 <= derive_seed(seed, *parts) < 2**63


def test_seed_is_the_same_on_every_machine() -> None:
    assert (
        derive_seed(0, "frame.png", "LIME")
        == int(hashlib.sha256(b"(0, 'frame.png', 'LIME')").hexdigest()[:16], 16) >> 1
    )


@given(PARTS, PARTS)
def test_different_purposes_get_different_seeds(first: tuple[str | int, ...], second: tuple[str | int, ...]) -> None:
    assert (derive_seed(0, *first) == derive_seed(0, *second)) == (repr(first) == repr(second))


def test_global_state_is_neither_read_nor_changed() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = generator(1, "a").random(3)
    np.random.seed(5)  # noqa: NPY002
    assert np.array_equal(first, generator(1, "a").random(3))
    np.random.seed(0)  # noqa: NPY002
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
