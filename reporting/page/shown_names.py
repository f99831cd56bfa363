"""Long lists of names, of which the page shows the beginning."""

from collections.abc import Iterator, Sequence
from typing import Any


class ShownNames:
    """Names of frames of which the page shows the first 200; the tables have all."""

    MOST = 200

    def __init__(self, every: Sequence[Any]) -> None:
        self._shown, self._count = every[: self.MOST], len(every)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._shown)

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self._count - len(self._shown)
