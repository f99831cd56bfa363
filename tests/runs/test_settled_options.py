"""What a run hands to its workers: options that every one of them can read, whichever names the user gave."""

from pathlib import Path
from typing import Any

import pytest

from runs.run_options import EvaluationOptions
from runs.setup import prepare_run, settled
from runs.workers.start import prepared_parts
from tests.scoring.stand_ins import write_frames

PLANTED = "tests.scoring.stand_ins:PlantedDetector"


@pytest.mark.parametrize("name", ["protocol.grades", "protocol.flip_thresholds", ""])
def test_workers_read_what_they_are_given(name: str) -> None:
    own = (f"{name}=none",) if name else ()
    options = EvaluationOptions(methods=("LIME",), preset="quick", baselines=("none",), limit=1, overrides=own)
    given = settled(options, prepare_run(options))
    found = [text for text in given.overrides if "threshold" in text or "grades" in text]
    assert found == ["protocol.flip_thresholds=none"] * len(own)
    assert not prepare_run(given).scorer.protocol.finds_thresholds


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"preset": "published"},
        {"methods": ("LIME_adv",), "detector": "tests.runs.test_setup:closed", "attacks": ("nes",)},
        {"detector": "tests.scoring.stand_ins:Normalised", "methods": ("All",), "as_published": ("All",)},
        {"metrics": ("insertion", "deletion"), "attacks": ("pgd", "nes"), "budgets": ("8/255",), "seeds": 2,
         "segments": ("grid-9", "9"), "survives": ("half",), "precision": "bfloat16", "until_stable": 0.9,
         "batch_size": "auto"},
    ],
    ids=["nothing", "published", "without gradients", "as published", "much"],
)  # fmt: skip
def test_workers_find_the_runs_own_configuration(tmp_path: Path, asked: dict[str, Any]) -> None:
    """All of it but what the pictures say, which they do not read for it: a worker refuses to start otherwise."""
    options = EvaluationOptions(
        **{"methods": ("LIME",), "preset": "quick", "detector": PLANTED, "device": "cpu", **asked},
        frames=write_frames(tmp_path, videos=1),
    )
    setup = prepare_run(options, folder=tmp_path / "run")
    again = prepare_run(settled(options, setup), folder=tmp_path / "run", as_written=True)
    assert prepared_parts(again) == prepared_parts(setup)
