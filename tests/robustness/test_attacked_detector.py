"""A run from frames to files, on detectors whose verdicts after an attack are known in closed form."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import Tensor

from common.errors import InputError
from detectors import Queries
from robustness import stage_runner
from robustness.attack_options import AttackOptions
from robustness.deep_image_prior import DeepImagePrior
from robustness.stages import AttackStage
from robustness.whole_frame_attack import WholeFrameAttack
from tests.robustness.planted import Coarse, Levels, Misleading, Rounded, Smoothed, Sturdy, write_frames
from tests.robustness.runs import CHECKED, attacked, options, setup

FAKES = {"Deepfakes": [0, 1, 3, 7, -2], "FaceSwap": [0, 0, 2, 5, 9], "Unheard": [30]}
EVERY = [level for levels in FAKES.values() for level in levels]
REAL = [-1, -5, -9, 2]
FILES = ("robustness.csv", "clean.csv", "rows.csv", "check.csv", "robustness.png", "failures.csv")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Fakes at known levels; one is called Real, and one real frame fake."""
    return write_frames(tmp_path / "frames", FAKES, REAL)


def full(index: Path) -> AttackOptions:
    """All budgets and the check at the smallest."""
    return replace(options(index), **{**CHECKED, "square_queries": 20})


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_success_is_the_share_of_fakes_within_reach(tmp_path: Path, index: Path, attack: str) -> None:
    """A fake k levels above the threshold passes as real at budgets above (k + 0.5)/255, and at no smaller one."""
    summary = attacked(tmp_path / "run", Levels, replace(options(index), attacks=(attack,))).summary
    for budget in (1, 2, 4, 8):
        lines = {line.family: line for line in summary.lines if line.epsilon == budget / 255}
        for family, levels in {**FAKES, "all": EVERY}.items():
            called_fake = [level for level in levels if level >= 0]
            within = sum(level + 0.5 < budget for level in called_fake)
            assert lines[family].frames == lines[family].videos == len(called_fake)
            assert lines[family].success.value == pytest.approx(within / len(called_fake))
            assert lines[family].defended.value == pytest.approx(1 - within / len(called_fake))
        assert lines["all"].success.low <= lines["all"].success.value <= lines["all"].success.high
        assert lines["all"].defended.low == pytest.approx(1 - lines["all"].success.high)
        assert lines["Unheard"].success.low != lines["Unheard"].success.low  # one video has no interval
    assert summary.families == ["Deepfakes", "FaceSwap", "Unheard"]


def test_clean_accuracy_and_auc_are_those_of_the_levels(tmp_path: Path, index: Path) -> None:
    summary = attacked(tmp_path / "run", Levels, replace(options(index), attacks=("fgsm",))).summary
    clean = {each.family: each for each in summary.clean}
    assert clean["all"].accuracy.value == pytest.approx((10 + 3) / 15)
    assert clean["Real"].accuracy.value == pytest.approx(3 / 4)
    assert (clean["all"].passed, clean["Deepfakes"].passed, clean["Real"].passed) == (1, 1, 0)
    above = [(fake > real) + 0.5 * (fake == real) for fake in EVERY for real in REAL]
    assert summary.auc == pytest.approx(sum(above) / len(above))
    assert clean["Real"].auc is None


def test_tables_say_what_the_summary_says(tmp_path: Path, index: Path) -> None:
    folder = tmp_path / "run"
    summary = attacked(folder, Levels, full(index)).summary
    table = pd.read_csv(folder / "robustness.csv")
    assert table["success"].tolist() == pytest.approx([line.success.value for line in summary.lines], rel=1e-5)
    rows = pd.read_csv(folder / "rows.csv")
    turned = rows[(rows["attack"] == "pgd") & (rows["epsilon"] < 1.1 / 255)].set_index("key")["real"]
    assert turned.mean() == summary.of("all")["pgd", 1 / 255].success.value
    assert (rows["attack"] == "none").sum() == 15
    assert rows["linf"].max() <= 8 / 255 + 1e-6
    text = (folder / "robustness.md").read_text()
    assert "| fgsm | 1/255 | 30 [" in text
    assert "No flag" in text


def test_interrupted_anywhere_it_goes_on_to_the_same_files(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attacked(tmp_path / "whole", Levels, full(index))
    saved, allowed = stage_runner.Parts.save, 0

    def save(parts: stage_runner.Parts, stage: str, first: str, part: stage_runner.Part) -> None:
        nonlocal allowed
        if allowed == 0:
            raise KeyboardInterrupt
        allowed -= 1
        saved(parts, stage, first, part)

    monkeypatch.setattr(stage_runner.Parts, "save", save)
    interruptions = 0
    while True:
        allowed = 7
        try:
            again = attacked(tmp_path / "broken", Levels, full(index))
            break
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions > 3
    assert again.summary.lines == whole.summary.lines or str(again.summary.lines) == str(whole.summary.lines)
    for name in FILES:
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_what_is_finished_is_not_done_again(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attacked(tmp_path / "run", Levels, full(index))

    def work(*_: object) -> None:
        raise AssertionError("attacked again")

    monkeypatch.setattr(AttackStage, "work", work)
    attacked(tmp_path / "run", Levels, full(index))
    damaged = next((tmp_path / "run" / "parts").glob("pgd_2_255-*.json"))
    damaged.write_text(damaged.read_text()[:-20])
    with pytest.raises(AssertionError, match="attacked again"):
        attacked(tmp_path / "run", Levels, full(index))


def test_another_configuration_is_refused(tmp_path: Path, index: Path) -> None:
    attacked(tmp_path / "run", Levels, replace(options(index), attacks=("fgsm",)))
    for other, key in (
        (replace(options(index, (1 / 255,)), attacks=("fgsm",)), "attacks"),
        (replace(options(index), attacks=("fgsm",), seed=1), "seed"),
        (replace(options(index), attacks=("fgsm",), **CHECKED, check_epsilon="8/255"), "check"),
        (replace(options(index), attacks=("fgsm",), limit=2), "frames"),
    ):
        with pytest.raises(InputError, match=f"made with another configuration.*{key}"):
            attacked(tmp_path / "run", Levels, other)
    with pytest.raises(InputError, match="detector"):
        attacked(tmp_path / "run", Sturdy, replace(options(index), attacks=("fgsm",)))


def test_a_folder_that_becomes_another_runs_gets_no_tables(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = AttackStage.work

    def meanwhile(*given: Any) -> Any:
        (tmp_path / "run" / "config.json").write_text("{}")
        return work(*given)

    monkeypatch.setattr(AttackStage, "work", meanwhile)
    with pytest.raises(InputError, match=r"run/config\.json changed while the run was at work"):
        attacked(tmp_path / "run", Levels, options(index))
    assert not [path.name for path in (tmp_path / "run").glob("*.csv")]


def test_a_detector_that_judges_otherwise_than_before_does_not_go_on(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By something that neither its weights nor its code tell: a service behind it, a variable, a library."""
    wanted = replace(options(index), attacks=("fgsm",))
    attacked(tmp_path / "run", Levels, wanted)
    next((tmp_path / "run" / "parts").glob("fgsm_8_255-*.json")).unlink()
    monkeypatch.setattr("tests.robustness.planted.GREY", 119)
    with pytest.raises(InputError, match=r"run: the detector judges .*png otherwise than when this run was begun"):
        attacked(tmp_path / "run", Levels, wanted)
    monkeypatch.undo()
    attacked(tmp_path / "run", Levels, wanted)


def test_an_attacked_detector_that_judges_otherwise_does_not_go_on(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(options(index), attacks=("fgsm",))
    attacked(tmp_path / "run", Levels, wanted, transfer=Coarse)
    next((tmp_path / "run" / "parts").glob("fgsm_8_255-*.json")).unlink()
    monkeypatch.setattr(Coarse, "fakeness", lambda detector, levels: -detector.gain * levels)
    with pytest.raises(InputError, match=r"the detector, or the one that is attacked, judges .*png otherwise"):
        attacked(tmp_path / "run", Levels, wanted, transfer=Coarse)


def test_attacks_on_frames_whose_verdict_was_lost_begin_anew(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = replace(options(index), attacks=("fgsm",))
    attacked(tmp_path / "run", Levels, wanted)
    for part in (tmp_path / "run" / "parts").glob("clean-*.json"):
        part.unlink()
    monkeypatch.setattr("tests.robustness.planted.GREY", 119)
    attacked(tmp_path / "run", Levels, wanted)
    assert "is done again, as its own verdict was lost" in capsys.readouterr().err
    attacked(tmp_path / "new", Levels, wanted)
    for file in ("clean.csv", "rows.csv", "robustness.csv"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "new" / file).read_bytes()


def test_a_frame_that_cannot_be_read_is_left_out_and_tried_again(
    tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = replace(options(index), attacks=("fgsm",))
    victim = next((tmp_path / "frames").rglob("Deepfakes/**/001.mp4/*.png"))
    good = victim.read_bytes()
    victim.write_bytes(good[:40] + bytes(len(good) - 40))  # same size: the damage shows when it is decoded
    summary = attacked(tmp_path / "run", Levels, wanted).summary
    assert list(summary.failures) == [str(victim.relative_to(tmp_path / "frames"))]
    assert "is left out" in capsys.readouterr().err
    assert summary.of("Deepfakes")["fgsm", 8 / 255].frames == 3
    assert "001.mp4" in (tmp_path / "run" / "failures.csv").read_text()


def test_attacks_transfer_between_inputs_of_the_same_size_as_they_are(tmp_path: Path, index: Path) -> None:
    wanted = replace(options(index, (8 / 255,)), attacks=("fgsm",))
    own = attacked(tmp_path / "own", Levels, wanted).summary
    to_self = attacked(tmp_path / "transfer", Levels, wanted, transfer=Levels).summary
    assert str(own.lines) == str(to_self.lines)
    on_sturdy = attacked(tmp_path / "sturdy", Sturdy, wanted, transfer=Levels).summary
    line = on_sturdy.of("all")["fgsm", 8 / 255]
    assert line.success.value == 0
    assert line.on_source == pytest.approx(9 / 11)
    assert on_sturdy.unattacked == 1  # the fake that Levels calls Real already


@pytest.mark.parametrize("transfer", [True, False])
def test_a_gradient_that_misleads_is_said_where_no_check_follows(
    index: Path, transfer: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    setup(Levels if transfer else Misleading, options(index), transfer=Misleading if transfer else None)
    assert "what fgsm and pgd cannot flip by following it says little" in capsys.readouterr().err
    with pytest.raises(InputError, match="fgsm and pgd can follow none: attack with nes"):
        setup(Levels if transfer else Rounded, options(index), transfer=Rounded if transfer else None)


def test_between_sizes_fakes_are_resized_and_still_pass(tmp_path: Path, index: Path) -> None:
    """Whole levels survive the rounding to 8 bits; grey frames stay grey when they are resized."""
    wanted = replace(options(index), attacks=("fgsm",))
    own = attacked(tmp_path / "own", Levels, wanted).summary
    other = attacked(tmp_path / "other", Levels, wanted, transfer=Coarse).summary
    assert [line.success.value for line in other.lines] == [line.success.value for line in own.lines]


def test_the_check_is_for_white_boxes(tmp_path: Path, index: Path) -> None:
    plan = setup(Levels, full(index), transfer=Coarse)
    assert plan.check is None
    assert not any(stage.name.startswith("check") for stage in plan.plan.stages)


def test_a_defence_is_judged_on_clean_and_attacked_frames(tmp_path: Path, index: Path) -> None:
    """A picture drawn in two iterations is grey noise, so the verdict no longer depends on the frame."""
    dip = {"defence": "dip", "dip_frames": 3, "dip_iterations": 2}
    wanted = replace(options(index, (8 / 255,)), attacks=("fgsm",), **dip)  # type: ignore[arg-type]
    results = attacked(tmp_path / "run", Levels, wanted)
    cases = {each.case: each for each in results.summary.restored}
    assert list(cases) == ["both", "real frames", "fakes", "fgsm 8/255"]
    assert [each.frames for each in cases.values()] == [6, 3, 3, 3]
    assert cases["both"].within.value == pytest.approx(
        (cases["fakes"].within.value + cases["real frames"].within.value) / 2
    )
    assert results.summary.seconds["dip"] > 0
    assert "Deep image prior" in (tmp_path / "run" / "robustness.md").read_text()
    parts = list((tmp_path / "run" / "parts").glob("dip*.json"))
    assert len(parts) == 9  # a fit each
    record = json.loads(parts[0].read_text())["records"]
    assert [each["kind"] for each in record] == ["Redrawn"]


def test_a_perfect_defence_defends(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def brighter(self: DeepImagePrior, image: object, seed: int) -> object:
        return (image + 40 / 255).clamp(0, 1)  # type: ignore[operator]

    monkeypatch.setattr(DeepImagePrior, "__call__", brighter)
    dip = {"defence": "dip", "dip_frames": 50, "dip_iterations": 2}
    wanted = replace(options(index, (8 / 255,)), attacks=("fgsm",), **dip)  # type: ignore[arg-type]
    cases = {each.case: each for each in attacked(tmp_path / "run", Levels, wanted).summary.restored}
    assert cases["fgsm 8/255"].without == pytest.approx(2 / 10)
    assert cases["fgsm 8/255"].within.value == 1
    assert cases["real frames"].within.value == 0
    assert cases["both"].within.value == pytest.approx(11 / 15)
    assert "It has its price" in (tmp_path / "run" / "robustness.md").read_text()


def test_a_detector_that_finds_no_fake_still_has_its_tables(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", {"Deepfakes": [-3, -4]}, [-1, -2])
    results = attacked(tmp_path / "run", Levels, full(index))
    assert results.summary.overall[0].frames == 0
    assert results.summary.clean[0].passed == 2
    assert not (tmp_path / "run" / "robustness.png").exists()
    assert "| fgsm | 1/255 | - |" in (tmp_path / "run" / "robustness.md").read_text()


def test_pgd_that_does_worse_with_more_is_said_to_need_more_steps(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(options(index, (4 / 255, 8 / 255)), attacks=("pgd",))
    attacked(tmp_path / "good", Levels, wanted)
    assert "needs more steps" not in (tmp_path / "good" / "robustness.md").read_text()
    attack = WholeFrameAttack.__call__

    def failing(self: WholeFrameAttack, detector: Levels, images: Tensor, keys: list[str], batch_size: int) -> object:
        result = attack(self, detector, images, keys, batch_size)
        unchanged = replace(result, images=images, logits=Queries(detector).logits(images))
        return unchanged if self.epsilon > 5 / 255 else result

    monkeypatch.setattr(WholeFrameAttack, "__call__", failing)
    attacked(tmp_path / "bad", Levels, wanted)
    assert "pgd does worse at 8/255 than at 4/255" in (tmp_path / "bad" / "robustness.md").read_text()


@pytest.mark.parametrize(
    "changed",
    [
        {"steps": 6},
        {"attacks": ("pgd",)},
        {"epsilons": ("1/255",)},
        {"overrides": ("fgsm.grid=2/255",)},
        {"check": False},
        {"check_epsilon": "5/255"},
        {"check_frames": 1},
        {"apgd_steps": 11},
        {"apgd_restarts": 1},
        {"square_queries": 21},
        {"defence": "dip"},
        {"seed": 1},
        {"batch_size": "4"},
        {"limit": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_no_option_changes_what_is_done_and_not_the_configuration(index: Path, changed: dict[str, Any]) -> None:
    """With a budget of the check at which the run has no PGD, so that the check brings its own."""
    wanted = replace(full(index), attacks=("fgsm",), check_epsilon="3/255")
    one, other = (setup(Levels, each).plan for each in (wanted, replace(wanted, **changed)))
    done, done_otherwise = ([asdict(stage) for stage in plan.stages] for plan in (one, other))
    assert done != done_otherwise or "batch_size" in changed
    assert one.configuration.to_json() != other.configuration.to_json()


ATTACK = """
from dataclasses import dataclass
from attacks import RegionAttack

@dataclass(frozen=True)
class Dims(RegionAttack):
    rounds = 1

    def propose(self, queries, batch):
        return batch.images - {step}
"""


def test_an_attack_of_ones_own_that_was_edited_does_not_go_on(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    wanted = replace(options(index), attacks=("own_dims:Dims",))
    (tmp_path / "own_dims.py").write_text(ATTACK.format(step="0.001"))
    attacked(tmp_path / "run", Levels, wanted)
    (tmp_path / "own_dims.py").write_text(ATTACK.format(step="0.0123"))
    with pytest.raises(InputError, match=r"own_code\.own_dims was .* and is now"):
        attacked(tmp_path / "run", Levels, wanted)


def test_a_detector_that_looks_at_a_whole_batch_is_refused(tmp_path: Path) -> None:
    index = write_frames(tmp_path / "frames", {"Deepfakes": [1, 2, 9]}, [-60])
    with pytest.raises(InputError, match="Smoothed answers a picture that this run asked about differently when it is"):
        attacked(tmp_path / "run", Smoothed, options(index))
