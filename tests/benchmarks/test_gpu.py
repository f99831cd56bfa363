"""What is measured on a GPU, on a CPU and with a small network: every step counts and says what it should."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import detectors
from attacks import build_attack
from benchmarks import gpu, gpu_steps
from benchmarks.bounded_steps import Line, Step
from benchmarks.common import Clock
from benchmarks.gpu_passes import Kind, TwoWayMeter, best_pass, pass_cost
from benchmarks.gpu_steps import Best, Extent
from common import console
from common.errors import InputError
from data.frames import Frame
from detectors import Detector
from detectors.queries import counting
from scoring.costs import Cost, ProgressCallback
from scoring.scored import Scored
from tests.attacks.nets import ConvDetector, some_images, squares
from tests.xai.helpers import SmallNetwork

ROOT = Path(gpu_steps.ROOT)
TINY = Extent.tiny("cpu")


def small(*_arguments: object, **_options: object) -> Detector:
    """A network that calls everything fake."""
    network = SmallNetwork(64)
    with torch.no_grad():
        network.linear.bias[0] -= 20
    return network


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[Step], list[Line]]:
    """What runs a step here and now, with a small network."""
    monkeypatch.setattr(detectors, "load", small)
    monkeypatch.setattr(gpu_steps, "keep_freed_memory", lambda: True)

    def make(step: Step) -> list[Line]:
        return [line for job in step(TINY, lambda _begun: None) for line in job.measure()]

    return make


def test_passes_are_measured_by_size(made: Callable[[Step], list[Line]]) -> None:
    first, *others = made(gpu_steps.passes)
    assert first.result == "4 images"
    assert [line.what.split(", ")[1] for line in others] == ["1 image a pass", "2 images a pass"]
    for line in others:
        assert re.fullmatch(r"(?:(?:, )?(?:float32|bfloat16|forward and backward) [\d.]+ \(\d+ MiB\)){3}", line.result)


def test_ratios_are_of_all_that_passed(made: Callable[[Step], list[Line]]) -> None:
    lines = {line.what: line for line in made(gpu_steps.ratios)}
    nes = lines["nes on 2 regions of a frame"]
    assert ", 5 images forward, 3 back" in nes.result  # 1 for both, 2 steps each; the last needs no gradient
    assert all(line.aim == "at most 1.10" for what, line in lines.items() if what != "best passes")
    assert len(lines) == 6


def test_peers_and_precisions_and_derivatives_have_their_lines(made: Callable[[Step], list[Line]]) -> None:
    (peer,), (rounded,) = made(gpu_steps.peers), made(gpu_steps.precision)
    exact, finite, both = made(gpu_steps.derivatives)
    assert peer.what == "SOBOL beside SOBOL, loop, 132 samples"
    assert "times faster" in peer.result
    assert peer.aim == "at least 10"
    assert "rank agreement" in rounded.result
    assert ", 5 images passed, 19 queries" in exact.result  # 1 + 2 steps of a forward, and 2 backward
    assert ", 19 images passed, 19 queries" in finite.result  # 1 + 2 steps of 2 x 4 + 1
    assert "0 verdicts differ" in both.result


def test_a_frame_says_its_slowest_stages(made: Callable[[Step], list[Line]], monkeypatch: pytest.MonkeyPatch) -> None:
    def score(_detector: Detector, _frame: Frame, _size: int, on_stage: ProgressCallback) -> Scored:
        on_stage("LIME")
        return Scored([], [], [], [Cost("LIME", 2000, 20, 9.0), Cost("segments", 0, 0, 0.0)], None)

    monkeypatch.setattr(gpu_steps, "score", score)
    whole, stage = made(gpu_steps.whole_frame)
    assert "2000 images passed, 0 rows" in whole.result
    assert stage == Line("a published frame, LIME", "9.0 s, 2000 images passed")


def test_tests_are_counted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tests" / "gpu"
    folder.mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    (folder / "test_some_of_each.py").write_text(
        "import pytest\npytestmark = pytest.mark.gpu\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "def test_absent(): pytest.skip('no card')\n"
    )
    monkeypatch.setattr(gpu_steps, "ROOT", tmp_path)
    begun: list[str] = []
    (job,) = gpu_steps.gpu_tests(TINY, begun.append)
    summary, bad = job.measure()
    assert summary.result == "1 passed, 1 failed, 1 skipped (no card)"
    assert bad.failed
    assert bad.what.endswith("test_some_of_each.py::test_bad")
    assert len(begun) == 3


def test_every_gpu_test_is_marked_and_skips_without_a_device() -> None:
    (job,) = gpu_steps.gpu_tests(TINY, lambda _begun: None)
    (line,) = job.measure()
    assert not line.failed
    if not torch.cuda.is_available():
        count = re.fullmatch(r"0 passed, 0 failed, (\d+) skipped \(torch sees no CUDA device\)", line.result)
        assert count is not None
        assert int(count[1]) > 20


def test_both_ways_are_counted_apart() -> None:
    meter, images, attack = TwoWayMeter(), some_images(3, spread=0.6), build_attack("pgd", overrides={"steps": 5})
    detector = ConvDetector()
    with counting(detector, meter):
        result = attack(detector, images, squares((0, 0), (9, 14), (20, 20)), [1, 2, 3])
    assert meter.images == meter.forwards + meter.backwards == int(result.forwards.sum())
    assert 0 < meter.backwards < meter.forwards
    assert Best(2.0, 5.0).seconds(meter) == pytest.approx(2 * meter.forwards + 3 * meter.backwards)


class Full(ConvDetector):
    """One of which memory holds two images."""

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(images)


@pytest.mark.parametrize("kind", Kind)
def test_sizes_that_do_not_fit_are_left_out(kind: Kind) -> None:
    detector = Full()
    cost = pass_cost(detector, 2, kind)
    assert cost is not None
    assert cost.seconds > 0
    assert pass_cost(detector, 4, kind) is None
    assert best_pass(detector, (2, 4), kind) > 0
    assert detector.most_images is None  # nobody after this passes fewer images for it


def test_processor_time_is_not_a_gpus() -> None:
    Clock.PROCESSOR.check(torch.device("cpu"))
    Clock.WALL.check(torch.device("cuda"))
    with pytest.raises(InputError, match="--clock wall"):
        Clock.PROCESSOR.check(torch.device("cuda"))


def test_the_table_is_markdown() -> None:
    rows = gpu.markdown({"passes": [Line("a | b", "1", "2"), Line("c", "3")], "frame": [Line("d", "4")]})
    assert rows[0] == "| step | what | result | aim |"
    assert rows[2:] == [r"| passes | a \| b | 1 | 2 |", "| passes | c | 3 |  |", "| frame | d | 4 |  |"]


def test_steps_are_chosen_by_name_and_stay_in_order() -> None:
    assert list(gpu.chosen_steps(None, quick=False)) == list(gpu.STEPS)
    assert gpu.FRAME not in gpu.chosen_steps(None, quick=True)
    assert list(gpu.chosen_steps(["frame", "passes"], quick=True)) == ["passes", "frame"]
    with pytest.raises(InputError, match="unknown step 'speed'; known: tests, passes"):
        gpu.chosen_steps(["speed"], quick=False)


def test_the_command_writes_its_table(tmp_path: Path) -> None:
    arguments = ["--device", "cpu", "--quick", "--step", "passes", "--out", str(tmp_path / "gpu.md")]
    assert console.status(gpu.app, arguments) == 0
    text = (tmp_path / "gpu.md").read_text()
    assert text.startswith("CPU (")
    assert f"torch {torch.__version__}" in text
    assert "| passes | batch size auto | 4 images |  |" in text
    assert "2 images a pass" in text


def test_a_step_that_there_is_no_time_for_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "STEPS", {"passes": gpu.Limited(gpu_steps.passes, gpu.LEAST - 1)})
    arguments = ["--device", "cpu", "--quick", "--out", str(tmp_path / "gpu.md")]
    assert console.status(gpu.app, arguments) == 0
    assert "| passes | all of it | not begun: the 450 s were over |  |" in (tmp_path / "gpu.md").read_text()


def script(**environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh")]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_script_says_in_one_line_what_is_missing() -> None:
    for environment, words in (
        ({"PYTHON": "/no/such/python"}, "there is no /no/such/python"),
        ({}, "device 'cuda' is not available"),
    ):
        done = script(**environment)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_script_ends_within_eight_minutes() -> None:
    limit = re.search(r"--kill-after=(\d+) (\d+)", (ROOT / "benchmarks" / "gpu.sh").read_text())
    assert limit is not None
    assert int(limit[1]) + int(limit[2]) < 480
    assert int(limit[2]) >= gpu.SECONDS + 15
