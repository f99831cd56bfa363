"""A frame that is called Real has the rows that it would have with a fake verdict."""

import pytest

from scoring.baselines.baseline_regions import unexplained
from scoring.baselines.table import MASK
from scoring.protocol import Protocol


@pytest.mark.parametrize("has_mask", [True, False])
def test_the_mask_has_no_row_on_a_frame_without_one(has_mask: bool) -> None:
    """Else its accuracy would be of other frames than its drop, and than what stands beside it."""
    made = {region.ranking.method for region in unexplained([("LIME", "blur")], Protocol(), (4, 4), has_mask)}
    assert made - {"LIME"} == set(Protocol().baselines) - (set() if has_mask else {MASK})
