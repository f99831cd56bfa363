"""A user's detector whose weights are not those of its file, or of no file, is said to be so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import detectors
from common.errors import InputError
from detectors import Detector
from detectors.checks.own_weights import origin_of
from detectors.randomised import randomised
from detectors.registry import loaded_as
from tests.scoring.stand_ins import SIZE


class Small(Detector):
    """A convolution and a head."""

    input_size, class_names, real = 16, ("Real", "Fake"), 0

    def __init__(self, path: Path | None = None, strict: bool = True) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 2)
        if path is not None:
            self.load_state_dict(torch.load(path, weights_only=True), strict=strict)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.head(self.net(images))
        return found


def told(make: Callable[[], Detector], checkpoint: Path | None) -> str:
    return " ".join(origin_of(make(), "own", make, checkpoint).remarks)


def saved(path: Path, change: Callable[[dict[str, Tensor]], Any] = lambda weights: weights) -> Path:
    torch.save(change(Small().state_dict()), path)
    return path


@pytest.mark.parametrize("change", [lambda w: w, lambda w: {key: value.half().float() for key, value in w.items()}])
def test_weights_of_the_file_are_not_remarked_on(change: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", change)
    assert told(lambda: Small(path), path) == ""


def test_weights_that_are_computed_of_the_file_s_are_not_remarked_on(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth")

    def folded() -> Detector:
        made = Small(path)
        made.net[0].weight.data.mul_(1.5)
        return made

    assert told(folded, path) == ""


def test_a_prefix_that_nothing_fits_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", lambda weights: {f"model.{key}": value for key, value in weights.items()})
    said = told(lambda: Small(path, strict=False), path)
    assert f"detector own does not have 4 of 4 tensors of {path}" in said
    assert "detector own draws 4 of 4 weights when it is made (net.0.weight, " in said


def test_a_head_that_no_file_has_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", lambda weights: {k: v for k, v in weights.items() if not k.startswith("head")})
    said = told(lambda: Small(path, strict=False), path)
    assert "does not have" not in said
    assert "detector own draws 2 of 4 weights when it is made (head.weight, head.bias)" in said


@pytest.mark.parametrize("seeded", [True, False])
def test_weights_without_a_file_are_compared_with_those_of_another_making(seeded: bool) -> None:
    def make() -> Detector:
        if seeded:
            torch.manual_seed(3)
        return Small()

    assert bool(told(make, None)) != seeded


@pytest.mark.parametrize("way", ["prefix", "never", "fitting"])
def test_weights_that_are_drawn_by_a_seed_and_not_of_the_file_are_said(way: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    path = saved(tmp_path / "x.pth", lambda weights: {f"model.{key}": value for key, value in weights.items()})

    def make() -> Detector:
        torch.manual_seed(3)
        if way == "prefix":
            return Small(path, strict=False)
        made = Small()
        if way == "fitting":
            stored = torch.load(path, weights_only=True)
            made.load_state_dict(made.state_dict() | {k: v for k, v in stored.items() if k in made.state_dict()})
        return made

    said = told(make, path)
    assert f"detector own does not have 4 of 4 tensors of {path}" in said
    assert "detector own draws 4 of 4 weights by a seed when it is made (net.0.weight, " in said
    assert torch.manual_seed(3).initial_seed() == 3  # what was another meanwhile is as it was


def test_what_of_its_file_a_detector_leaves_out_is_said(tmp_path: Path) -> None:
    more = saved(tmp_path / "more.pth", lambda weights: weights | {"attention.weight": torch.rand(4, 4)})
    assert f"detector own leaves 1 of 5 tensors of {more} (attention.weight) out" in told(
        lambda: Small(more, strict=False), more
    )
    torch.manual_seed(5)
    one, other = (
        saved(tmp_path / f"{name}.pth", lambda weights: weights | {"head.bias": torch.zeros(2)}) for name in ("a", "b")
    )
    assert told(lambda: Small(one), other) == (
        f"detector own has none of the tensors of {other}: it loads another file, or none"
    )


@pytest.mark.parametrize("prefix", ["", "module."])
def test_statistics_of_batch_norms_that_are_not_those_of_the_file_are_said(prefix: str, tmp_path: Path) -> None:
    path, stored = tmp_path / "x.pth", Counted()
    stored.net[1].running_mean.fill_(3.0)  # type: ignore[union-attr, operator]
    with torch.no_grad():
        stored.head.weight.mul_(2)
    torch.save({f"{prefix}{key}": value for key, value in stored.state_dict().items()}, path)

    def copied(wanted: Callable[[Counted], Any]) -> Detector:
        made = Counted()
        for key, value in wanted(made):
            value.data.copy_(torch.load(path, weights_only=True)[f"{prefix}{key}"])
        return made

    said = told(lambda: copied(lambda made: made.named_parameters()), path)
    assert said == (
        f"detector own has 1 other mean or variance of batch norms than {path} (net.1.running_mean): they are buffers, "
        "which copying parameters leaves out"
    )
    assert told(lambda: copied(lambda made: made.state_dict(keep_vars=True).items()), path) == ""


class Loading(Small):
    """One that loads weights of its own."""

    stored: ClassVar[dict[str, Tensor]] = {}

    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__()
        self.register_buffer("mean_of_pictures", torch.zeros(3))
        self.load_state_dict(self.stored, strict=False)


class LoadsItsHeadLater(Loading):
    """One whose head is of a second file."""

    def __init__(self) -> None:
        super().__init__()
        self.head.load_state_dict({"weight": torch.ones(2, 4), "bias": torch.ones(2)})


@pytest.mark.parametrize(
    ("kind", "keys", "told"),
    [
        ("Loading", lambda key: key, ""),
        ("Loading", lambda key: f"module.{key}", "has 4 of 5 weights that no file gave it (net.0.weight, net.0.bias "),
        ("Loading", lambda key: key.replace("head", "fc"), "has 2 of 5 weights that no file gave it (head.weight, "),
        ("LoadsItsHeadLater", lambda key: key.replace("head", "fc"), ""),
    ],
)
def test_what_no_file_gave_is_said(
    kind: str,
    keys: Callable[[str], str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Loading, "stored", {keys(key): value for key, value in Small().state_dict().items()})
    before = nn.Module.load_state_dict
    loaded = loaded_as(detectors.load(f"tests.detectors.checks.test_own_weights:{kind}"))
    assert loaded is not None
    assert not loaded.draws  # so that another process is asked about it, too
    assert nn.Module.load_state_dict is before
    said = " ".join(capsys.readouterr().err.split())
    assert told in said
    assert ("no file gave it" in said) == bool(told)


class Counted(Small):
    """One with a batch norm."""

    seen: ClassVar[bool] = True

    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__()
        norm = nn.BatchNorm2d(4)
        self.net.insert(1, norm)
        if self.seen and norm.running_mean is not None:
            norm.running_mean.fill_(0.1)


@pytest.mark.parametrize("seen", [True, False])
def test_batch_norms_that_have_seen_no_picture_are_said(
    seen: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Counted, "seen", seen)
    detectors.load("tests.detectors.checks.test_own_weights:Counted")
    assert ("has 1 batch norm whose statistics are those of a network" in capsys.readouterr().err) != seen


def test_a_file_in_a_format_of_its_own_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"anything")

    def make() -> Detector:
        torch.manual_seed(3)
        return Small()

    assert told(make, tmp_path / "x.bin") == ""


def test_a_run_is_told_of_it_once_the_detector_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    detectors.load("tests.detectors.checks.test_own_weights:Small")
    assert "detector tests.detectors.checks.test_own_weights:Small draws 4 of 4 weights" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("name", ["Sparse", "Complex", "NumpySize"])
def test_weights_of_unusual_kinds_are_loaded_and_can_be_drawn_anew(name: str) -> None:
    detector = detectors.load(f"tests.unusual_detectors:{name}")
    assert detector.input_size == SIZE
    assert type(detector.input_size) is int
    other = randomised(detector, 0)
    assert not torch.equal(other.pattern, detector.pattern)


def test_a_layer_that_is_never_made_is_one_line() -> None:
    with pytest.raises(InputError, match=r"Unused .*uninitialized") as raised:
        detectors.load("tests.unusual_detectors:Unused")
    assert "\n" not in str(raised.value)


def test_weights_without_values_are_one_line() -> None:
    with pytest.raises(InputError, match=r"WithoutValues cannot be put on cpu .*: give its weights and buffers values"):
        detectors.load("tests.unusual_detectors:WithoutValues")
