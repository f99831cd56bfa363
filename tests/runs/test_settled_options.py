"""What a run hands to its workers: options that every one of them can read, whichever names the user gave."""

import pytest

from runs.run_options import EvaluationOptions
from runs.setup import prepare_run, settled


@pytest.mark.parametrize("name", ["protocol.grades", "protocol.flip_thresholds", ""])
def test_workers_read_what_they_are_given(name: str) -> None:
    own = (f"{name}=none",) if name else ()
    options = EvaluationOptions(methods=("LIME",), preset="quick", baselines=("none",), limit=1, overrides=own)
    given = settled(options, prepare_run(options))
    assert [text for text in given.overrides if "threshold" in text or "grades" in text] == [
        "protocol.flip_thresholds=none"
    ]
    assert not prepare_run(given).scorer.protocol.finds_thresholds
