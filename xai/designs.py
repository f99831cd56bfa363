"""Which features samples show: subsets drawn alone, in complementary pairs, or from balanced designs.

In every design each subset, seen alone, is uniform over all subsets, so that an estimate has the same limit whatever
the design. Subsets of one design depend on each other so that what disturbs one is made good by another: a subset and
its complement cancel all interactions of two features; the rows of a Hadamard matrix show every feature as often with
as without every other one (Plackett and Burman 1946), which keeps one feature's effect out of another's.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import hadamard as sylvester

PLAIN, COMPLEMENTARY, BALANCED = "plain", "complementary", "balanced"
DRAWS = (PLAIN, COMPLEMENTARY, BALANCED)


def check_draws(draws: str) -> None:
    """Raises ValueError for a name of no design."""
    if draws not in DRAWS:
        raise ValueError(f"draws must be one of {', '.join(DRAWS)}, got {draws!r}")


def coins(samples: int, features: int, draws: str, generator: np.random.Generator) -> np.ndarray:
    """Subsets (samples, features) of 0 and 1, each uniform over all subsets; subset and complement are neighbours.

    Balanced designs follow each other, each with its own columns of the matrix, signs of them and order of its rows;
    the last may be cut.

    Args:
        samples: how many, at least 0.
        features: of how many, at least 1.
        draws: of DRAWS.
        generator: gives the draws.
    """
    if draws == PLAIN:
        return generator.integers(0, 2, size=(samples, features))
    if draws == COMPLEMENTARY:
        return _with_complements(generator.integers(0, 2, size=(-(-samples // 2), features)))[:samples]
    matrix = hadamard(order(features))
    blocks = []
    for _ in range(-(-samples // block_size(features, draws))):
        columns = generator.permutation(len(matrix))[:features]
        signs = generator.choice((-1, 1), features)
        rows = generator.permutation(len(matrix))
        blocks.append(_with_complements((matrix[rows][:, columns] * signs + 1) // 2))
    return np.concatenate([np.empty((0, features), dtype=np.int64), *blocks])[:samples]


def block_size(features: int, draws: str) -> int:
    """How many neighbouring subsets are drawn together; independent of all others."""
    return {PLAIN: 1, COMPLEMENTARY: 2, BALANCED: 2 * order(features)}[draws]


def ends(samples: int, shares: Sequence[float], size: int = 1) -> list[int]:
    """Where to look at samples that come in blocks of `size`: whole blocks of about these shares; last, all samples."""
    counts = {int(share * samples) // size * size for share in shares}
    return [*sorted(count for count in counts if 0 < count < samples), samples]


def order(features: int) -> int:
    """The least order of a Hadamard matrix that `hadamard` can make with at least so many columns."""
    wanted = features
    while _factors(wanted) is None:
        wanted += 1
    return wanted


def hadamard(size: int) -> np.ndarray:
    """A matrix (size, size) of -1 and 1 with orthogonal columns, by Sylvester's and Paley's constructions (1933).

    Raises ValueError where these give none of this size.
    """
    factors = _factors(size)
    if factors is None:
        raise ValueError(f"no Hadamard matrix of order {size} is known here")
    power, prime = factors
    return np.kron(sylvester(power, dtype=np.int64), _paley(prime) if prime else np.ones((1, 1), dtype=np.int64))


def _factors(size: int) -> tuple[int, int] | None:
    """A power of two and a prime p (0 for none) whose matrices multiply to one of this order; None where none do."""
    power = 1
    while size % power == 0:
        rest = size // power
        if rest == 1:
            return power, 0
        if rest % 4 == 0 and _is_prime(rest - 1):
            return power, rest - 1  # Paley's first: p of remainder 3
        if rest % 4 == 0 and rest // 2 % 4 == 2 and _is_prime(rest // 2 - 1):
            return power, rest // 2 - 1  # his second: p of remainder 1
        power *= 2
    return None


def _paley(prime: int) -> np.ndarray:
    """Paley's matrix: of order p + 1 for a prime of remainder 3 by 4, of 2 (p + 1) for one of remainder 1."""
    numbers = np.arange(prime)
    character = np.where(np.isin(numbers, numbers[1:] ** 2 % prime), 1, -1)
    character[0] = 0
    if prime % 4 == 3:
        skew = np.zeros((prime + 1, prime + 1), dtype=np.int64)
        skew[0, 1:], skew[1:, 0] = 1, -1
        skew[1:, 1:] = character[(numbers[None] - numbers[:, None]) % prime]
        return skew + np.eye(prime + 1, dtype=np.int64)
    conference = np.ones((prime + 1, prime + 1), dtype=np.int64)
    conference[0, 0] = 0
    conference[1:, 1:] = character[(numbers[None] - numbers[:, None]) % prime]
    identity = np.eye(prime + 1, dtype=np.int64)
    return np.kron(conference, np.array([[1, 1], [1, -1]])) + np.kron(identity, np.array([[1, -1], [-1, -1]]))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _with_complements(subsets: np.ndarray) -> np.ndarray:
    return np.stack([subsets, 1 - subsets], axis=1).reshape(-1, subsets.shape[1])
