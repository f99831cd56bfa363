"""Which worker pool is started for what was asked, and that no worker stays when the work is over."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from common.errors import InputError
from data.entry import Entry
from detectors import Queries
from detectors.checks.consistency import probes
from runs.run_options import EvaluationOptions
from runs.setup import prepare_run, settled
from runs.workers import start
from runs.workers.start import PreparedRun, WorkerOptions, prepared_parts, worker_pool
from tests.runs.test_configuration import CONFIGURATION
from tests.runs.workers.test_worker_pool import Pretend
from tests.scoring.stand_ins import PlantedDetector, picture, save

PLANTED = "tests.scoring.stand_ins:PlantedDetector"
SCORER = SimpleNamespace(detector=PlantedDetector())
ANSWERS = Queries(SCORER.detector).logits(probes(SCORER.detector))


def prepared(keys: tuple[str, ...] = ("x.png",), **changed: Any) -> Any:
    """What of a prepared run says what it is of."""
    told: list[Any] = []
    entries = [Entry(key, True, 3) for key in keys]
    selection = SimpleNamespace(keys=keys, entries=entries, stamps={"x.png": b"of the run"}, told=told)
    selection.expect = told.append
    return SimpleNamespace(
        configuration=replace(CONFIGURATION, **changed), selection=selection, scorer=SCORER, given=None
    )


OTHER_DETECTOR = replace(CONFIGURATION.detector, weights="other")


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({}, None),
        ({"detector": OTHER_DETECTOR}, "the detector changed since the run was started"),
        ({"own_code": {"mine": "c"}}, "the user's own code changed since the run was started"),
        ({"detector": OTHER_DETECTOR, "keys": ("y.png",)}, "the detector and the frames' index changed since"),
        ({"settings": {"saliency:maps": {"fingerprint": "other"}}}, "the run's settings changed since"),
        ({"attacks": {"malafide": {"filter_sha256": "other"}}}, "the run's attacks changed since"),
        ({"versions": {"torch": "9.9"}}, "the run's versions changed .*, or differs where a worker runs"),
        ({"device": "cuda (Other)", "threads": 7}, "the run's device and the run's threads changed since"),
    ],
)
def test_a_worker_that_finds_another_run_scores_nothing(
    later: dict[str, Any], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "prepare_run", lambda options, **_: prepared(**later))
    plan = PreparedRun(EvaluationOptions(), Path(), 1, prepared_parts(prepared()), {"x.png": b"of the run"}, ANSWERS)
    if said is None:
        selection, score = plan(0)
        assert score is SCORER
        assert cast(Any, selection).told == [{"x.png": b"of the run"}], "pictures of other bytes are refused"
        return
    with pytest.raises(InputError, match=said):
        plan(0)


def test_a_worker_whose_detector_answers_otherwise_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that draws, when it is made, what is no weight: its files and hashes are the same."""
    monkeypatch.setattr(start, "prepare_run", lambda options, **_: prepared())
    plan = PreparedRun(EvaluationOptions(), Path(), 1, prepared_parts(prepared()), {}, ANSWERS + torch.eye(5)[0])
    with pytest.raises(InputError, match="PlantedDetector answers otherwise in a worker than where the run was"):
        plan(0)


COLUMNS = "relative_path,bin_label,mc_label,family,video,mask_path"


@pytest.mark.parametrize("column", ["nothing", "mc_label", "family", "video", "mask_path"])
def test_a_worker_takes_the_index_as_the_run_began_with_it(tmp_path: Path, column: str) -> None:
    """In every column that numbers depend on, whatever becomes of the file while workers start."""

    def write(**changed: str) -> None:
        cells = {"mc_label": "", "family": "New", "video": "one", "mask_path": "1.png", **changed}
        path.write_text(f"{COLUMNS}\n" + "".join(f"{key}.png,1,{','.join(cells.values())}\n" for key in (1, 2)))

    path, other = tmp_path / "index.csv", {"mc_label": "3", "family": "Other", "video": "two", "mask_path": "2.png"}
    for key in (1, 2):
        save(tmp_path, f"{key}.png", picture(str(key), "Deepfakes"))
    write(**({"family": "Deepfakes"} if column == "mc_label" else {}))
    options = EvaluationOptions(
        methods=("LIME",), attacks=("pgd",), frames=path, detector=PLANTED, device="cpu", baselines=("none",)
    )
    setup = prepare_run(options)
    plan = PreparedRun(
        settled(options, setup),
        tmp_path,
        setup.configuration.threads,
        prepared_parts(setup),
        setup.selection.stamps,
        ANSWERS,
    )
    if column == "nothing":
        assert plan(0)[0].entries == setup.selection.entries
        return
    write(**({"family": "Deepfakes"} if column == "mc_label" else {}) | {column: other[column]})
    with pytest.raises(InputError, match="the frames' index changed since the run was started"):
        plan(0)


def test_workers_have_the_threads_that_the_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many the process has left by then, as it has set its own to a worker's share."""
    plans: list[PreparedRun] = []
    monkeypatch.setattr(start.torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(start, "ProcessPool", lambda plan, slots: plans.append(plan) or Pretend(slots))
    with worker_pool(WorkerOptions(workers=2), prepared(threads=4), EvaluationOptions(), Path()):
        assert [plan.threads for plan in plans] == [4]


def test_a_crew_leaves_also_where_there_was_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second cluster cannot be joined while the first one is held."""
    pool = Pretend(2)
    monkeypatch.setattr(start, "ProcessPool", lambda plan, slots: pool)
    with worker_pool(WorkerOptions(workers=2), prepared(), EvaluationOptions(), Path()) as found:
        assert found is pool
        assert not pool.closed
    assert pool.closed


def test_one_process_needs_no_crew() -> None:
    for worker_options in (WorkerOptions(), WorkerOptions(workers=1)):
        with worker_pool(worker_options, prepared(), EvaluationOptions(), Path()) as found:
            assert found is None


def test_threads_are_shared_equally_unless_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.torch, "get_num_threads", lambda: 8)
    counts = [
        WorkerOptions(),
        WorkerOptions(workers=3),
        WorkerOptions(workers=20),
        WorkerOptions(workers=3, threads=5),
        WorkerOptions(workers=3, ray="auto"),
    ]
    assert [worker_options.threads_each() for worker_options in counts] == [8, 2, 1, 5, 1]
