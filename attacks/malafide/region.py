"""A trained filter as a region attack: `malafide:FILTER`."""

from dataclasses import dataclass, field, make_dataclass
from typing import ClassVar

from torch import Tensor

from attacks.base import Batch, RegionAttack
from attacks.malafide.filter import BATCH
from attacks.malafide.filter_files import StoredFilter
from attacks.malafide.known_filters import load_known
from common.errors import InputError
from detectors.queries import Queries


@dataclass(frozen=True)
class Malafide(RegionAttack):
    """Filters the image; the base class restricts the change to the region, the L-infinity ball and [0, 1].

    `malafide_attack(FILTER)` makes the class of a filter; its field `filter_sha256` ties a run to the file's content.
    """

    stored: ClassVar[StoredFilter]

    @property
    def rounds(self) -> int:
        """One: the filter is what it is."""
        return 1

    @property
    def one_by_one(self) -> bool:
        """Where the filter rescales by a whole batch, a pair must not see its neighbours."""
        return self.stored.filter.spec.range == BATCH

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        """The filtered originals; the detector is not asked."""
        return self.stored.filter(batch.originals)


def malafide_attack(path: str) -> type[Malafide]:
    """The region attack of a filter's file. Raises InputError where there is none, or it cannot be read."""
    if not path:
        raise InputError(
            "the attack malafide needs a filter: name it as malafide:FILTER (`python -m attacks malafide train` makes "
            "them); evaluate.py with --attack malafide trains one first"
        )
    stored = load_known(path)
    return make_dataclass(
        "Malafide",
        [("filter_sha256", str, field(default=stored.sha256, init=False))],
        bases=(Malafide,),
        namespace={"stored": stored, "__doc__": f"The filter {path} on regions; see Malafide.", "__module__": __name__},
        frozen=True,
    )
