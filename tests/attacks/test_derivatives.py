"""Attacks on detectors whose gradient is of no use: finite differences where there are, else one clear line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import efficiency
import evaluate
import visualize
import xai
from attacks import NES, build_attack
from attacks.derivatives import usable_attacks
from common import console
from common.errors import InputError
from robustness.__main__ import app as robustness
from tests.attacks import faulty
from tests.attacks.faulty import name
from tests.scoring.stand_ins import PlantedDetector, picture, write_frames

LESS_SURE = "where an attack has made the verdict less sure"
FAULTS: Mapping[type[PlantedDetector], str] = {
    faulty.WithoutGradient: "it gives no gradient",
    faulty.Detached: "it gives no gradient",
    faulty.Rounding: "its gradient is zero",
    faulty.NotFinite: "its gradient is not finite",
    faulty.Cascade: f"its gradient is zero {LESS_SURE}",
    faulty.LateCascade: f"its gradient is zero {LESS_SURE}",
    faulty.ReversedCascade: f"its gradient disagrees with finite differences (relative difference 2.00) {LESS_SURE}",
    faulty.PartlyDetached: "its gradient disagrees with finite differences (relative difference 1.00)",
}
QUICK = ("segments.count=9", "segments.compactness=1000", "LIME.samples=20", "adversarial.pairs=3",
         "adversarial.steps=2", "nes.pairs=4", "nes.steps=2")  # fmt: skip
FINITE = ("--set", "nes.derivatives=finite", "--set", "adversarial.derivatives=finite",
          "--set", "protocol.flip_thresholds=none")  # fmt: skip


def jumps(names: str) -> str:
    """What is warned of where Rounding is asked by finite differences."""
    return (
        "warning: Rounding: probes of finite differences of standard deviation 0.001 move it in jumps, as where its "
        f"answers or its input are rounded: what {names} cannot flip says little; try longer ones (sigma=0.0078), or "
        "state least_noise = 2 / 255 in its class"
    )


def image(detector: PlantedDetector) -> torch.Tensor:
    return detector.prepare(picture("a", "Face2Face"))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=1, families=("Deepfakes", "FaceSwap"))


def run(app: Any, detector: type[PlantedDetector], index: Path, *words: object, sets: tuple[str, ...] = QUICK) -> int:
    settings = [word for setting in sets for word in ("--set", setting)]
    given = ["--device", "cpu", "--threads", 1, "--detector", name(detector), "--frames", index, *settings, *words]
    return console.status(app, [str(word) for word in given])


def evaluated(detector: type[PlantedDetector], index: Path, results: Path, *words: object) -> int:
    plain = ("--method", "LIME_adv", "--baseline", "none")
    return run(evaluate.app, detector, index, *plain, "--preset", "quick", "--results", results, *words)


def test_only_what_takes_exact_derivatives_is_changed_and_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    detector = faulty.Rounding()
    square, by_hand = build_attack("torchattacks:Square"), NES(derivatives="finite", steps=3)
    attacks = {"nes": NES(pairs=7), "square": square, "by hand": by_hand, "adversarial": NES(steps=80)}
    usable = usable_attacks(attacks, detector, image(detector))
    assert usable == {
        "nes": NES(pairs=7, derivatives="finite"),
        "square": square,
        "by hand": by_hand,
        "adversarial": NES(steps=80, derivatives="finite"),
    }
    assert capsys.readouterr().err == (
        "warning: Rounding: its gradient is zero; finite differences are used for nes and adversarial, as with "
        "--set nes.derivatives=finite --set adversarial.derivatives=finite\n"
        f"{jumps('nes and by hand and adversarial')}\n"
    )
    assert usable_attacks({"nes": NES()}, PlantedDetector(), image(PlantedDetector())) == {"nes": NES()}
    assert usable_attacks({"nes": by_hand}, detector, image(detector)) == {"nes": by_hand}
    assert capsys.readouterr().err == f"{jumps('nes')}\n"


@pytest.mark.parametrize("attack", ["pgd", "fgsm", "torchattacks:MIFGSM", "torchattacks:CW"])
def test_an_attack_that_must_have_a_gradient_is_refused_or_warned_of(
    attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attacks = {attack: build_attack(attack)}
    for cut_off in (faulty.WithoutGradient, faulty.Rounding, faulty.NotFinite):
        with pytest.raises(InputError, match=rf"{cut_off.__name__}: it.*; {attack} can follow none: attack with nes"):
            usable_attacks(attacks, cut_off(), image(cut_off()))
    misleading = faulty.PartlyDetached()
    assert usable_attacks(attacks, misleading, image(misleading)) == attacks
    assert f"what {attack} cannot flip by following it says little" in capsys.readouterr().err


@pytest.mark.parametrize("detector", FAULTS)
def test_a_run_takes_finite_differences_and_says_so(
    detector: type[PlantedDetector], index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limited = ("--limit", 1, "--set", "protocol.threshold_steps=1")
    usual = (*limited, "--set", "protocol.flip_thresholds=budget")
    assert evaluated(detector, index, tmp_path / "by itself", *usual) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        f"warning: {detector.__name__}: {FAULTS[detector]}; finite differences are used for nes and adversarial, "
        f"pgd and flip thresholds are left out, as with {' '.join([*FINITE[:4], '--attack nes', *FINITE[4:]])}",
        *([jumps("nes and adversarial")] if detector is faulty.Rounding else []),
    ]
    assert evaluated(detector, index, tmp_path / "asked for", *FINITE, "--attack", "nes", *limited) == 0
    assert "finite differences are used" not in capsys.readouterr().err
    folders = [tmp_path / part / "evaluation-LIME_adv" for part in ("by itself", "asked for")]
    configurations = [json.loads((folder / "config.json").read_text()) for folder in folders]
    assert configurations[0]["attacks"]["nes"]["derivatives"] == "finite"
    assert configurations[0]["settings"]["adversarial"]["derivatives"] == "finite"
    assert configurations[0]["protocol"]["flip_thresholds"] == ["none"]
    assert configurations[0] == configurations[1]
    rows = [(folder / "rows_LIME_adv.csv").read_bytes() for folder in folders]
    assert rows[0] == rows[1]
    assert evaluated(detector, index, tmp_path / "by itself", *usual) == 0  # goes on, in the same configuration


def test_workers_take_what_the_run_found_and_do_not_warn_again(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(faulty.Rounding, index, tmp_path / "alone") == 0
    capfd.readouterr()
    assert evaluated(faulty.Rounding, index, tmp_path / "two", "--workers", 2) == 0
    assert capfd.readouterr().err.count("finite differences are used") == 1
    rows = [(tmp_path / part / "evaluation-LIME_adv" / "rows_LIME_adv.csv").read_bytes() for part in ("alone", "two")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("detector", [faulty.PartlyDetached, faulty.ReversedCascade])
def test_an_attack_that_was_warned_of_goes_on_in_every_worker(
    detector: type[PlantedDetector], index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "LIME", "--baseline", "none", "--attack", "pgd", "--set", "protocol.flip_thresholds=none")
    for results, *more in ((tmp_path / "alone",), (tmp_path / "two", "--workers", 2)):
        assert run(evaluate.app, detector, index, *words, "--results", results, *more, sets=QUICK[:3]) == 0
        told = capfd.readouterr().err
        assert told.count("what pgd cannot flip by following it says little") == 1
        assert "left out" not in told
    rows = [(tmp_path / part / "evaluation-LIME" / "rows_LIME.csv").read_bytes() for part in ("alone", "two")]
    assert rows[0] == rows[1]


def test_a_sound_detector_is_attacked_by_exact_derivatives(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(PlantedDetector, index, tmp_path) == 0
    assert "warning" not in capsys.readouterr().err
    found = json.loads((tmp_path / "evaluation-LIME_adv" / "config.json").read_text())
    assert found["attacks"]["nes"]["derivatives"] == found["settings"]["adversarial"]["derivatives"] == "exact"


def test_a_gradient_that_is_not_finite_at_black_or_on_the_way_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    for detector in (faulty.NotFiniteAtBlack(), faulty.NotFiniteOnceUnsure()):
        frame = image(detector)
        if isinstance(detector, faulty.NotFiniteAtBlack):
            assert usable_attacks({"nes": NES()}, detector, frame) == {"nes": NES()}
            frame[:, -8:] = 0
        assert usable_attacks({"nes": NES()}, detector, frame) == {"nes": NES(derivatives="finite")}
        told = capsys.readouterr().err
        assert told.startswith(f"warning: {type(detector).__name__}: its gradient is not finite; finite differences")


def test_one_that_cannot_do_with_probes_outside_of_the_range_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for detector, said in ((faulty.GuessesRange(), 1), (faulty.Bytes(), 1), (faulty.Rounding(), 0)):
        usable_attacks({"nes": NES()}, detector, image(detector))
        told = capsys.readouterr().err
        assert told.count("answers otherwise for pixels 0.003 below 0 and above 1") == said
        assert told.count("finite differences are used for nes") == 1
    usable_attacks({"nes": NES()}, faulty.Asserts(), image(faulty.Asserts()))
    assert "Asserts gives no answer for pixels 0.003 below 0 and above 1, where finite" in capsys.readouterr().err
    usable_attacks({"nes": NES(derivatives="finite")}, PlantedDetector(), image(PlantedDetector()))
    usable_attacks({"nes": NES()}, PlantedDetector(), image(PlantedDetector()))
    assert capsys.readouterr().err == ""


def test_the_first_frame_that_can_be_read_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = write_frames(tmp_path, videos=1, families=("Deepfakes", "FaceSwap"))
    next(tmp_path.rglob("Deepfakes/**/*.png")).write_bytes(b"no picture")
    assert evaluated(faulty.Rounding, index, tmp_path / "results") == 0
    assert "its gradient is zero; finite differences are used" in capsys.readouterr().err


@pytest.mark.parametrize("attack", ["pgd", "fgsm", "torchattacks:PGD"])
def test_pgd_on_a_detector_without_gradients_is_one_line_at_the_start(
    attack: str, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    sets = QUICK[:5]
    plain = ("--method", "LIME", "--attack", attack, "--results", tmp_path)
    assert run(evaluate.app, faulty.Detached, index, *plain, sets=sets) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: Detached: it gives no gradient; {attack} can follow none: attack with nes")
    assert told.count("\n") == 1
    assert not list(tmp_path.rglob("failures.csv"))


@pytest.mark.parametrize("detector", [faulty.Halved, faulty.HalvedWithoutCast])
def test_half_precision_is_one_line(
    detector: type[PlantedDetector], index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert evaluated(detector, index, tmp_path) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "float16" in told
    assert "call .float() on it" in told
    assert told.count("\n") == 1


def test_half_precision_may_be_explained_where_nothing_is_attacked(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "LIME", "--out", tmp_path / "picture.png")
    assert run(visualize.app, faulty.Halved, index, *words, "--adversarial-mask", "No", sets=QUICK[:5]) == 0
    assert run(visualize.app, faulty.Halved, index, *words, sets=QUICK[:5]) == 1
    assert "the adversarial fill is one" in capsys.readouterr().err


def test_explanations_in_bfloat16_are_no_half_precision(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(PlantedDetector, index, tmp_path, "--precision", "bfloat16") == 0
    assert "warning" not in capsys.readouterr().err


def test_other_commands_do_the_same(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--method", "LIME", "--out", tmp_path / "picture.png")
    assert run(visualize.app, faulty.Rounding, index, *words, sets=QUICK[:5]) == 0
    assert "finite differences are used for adversarial" in capsys.readouterr().err
    words = ("--method", "LIME_adv", "--results", tmp_path, "--limit", 1)
    assert run(efficiency.app, faulty.Rounding, index, *words, sets=QUICK[:5]) == 0
    assert "finite differences are used for adversarial" in capsys.readouterr().err
    given = ["attack", "--device", "cpu", "--detector", name(faulty.Rounding), "--frames", str(index), "--no-check",
             "--attack", "nes", "--epsilon", "8/255", "--set", "nes.pairs=3", "--set", "nes.steps=2", "--seed", "3",
             "--results", str(tmp_path)]  # fmt: skip
    assert console.status(robustness, given) == 0
    assert "finite differences are used for nes" in capsys.readouterr().err
    (configuration,) = [path for path in tmp_path.rglob("config.json") if "robustness" in path.read_text()]
    assert json.loads(configuration.read_text())["attacks"]["nes 8/255"]["derivatives"] == "finite"


def test_explain_makes_the_adversarial_image_by_finite_differences(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {component: {} for component in ("segments", "LIME", "adversarial")}
    for setting in QUICK[:5]:
        component, _, rest = setting.partition(".")
        settings[component] |= dict([rest.split("=")])
    frame = picture("a", "Face2Face")
    explained = xai.explain(faulty.Rounding(), frame, "LIME_adv", preset="quick", overrides=settings)
    assert capsys.readouterr().err.count("finite differences are used for adversarial") == 1
    settings["adversarial"]["derivatives"] = "finite"
    asked = xai.explain(faulty.Rounding(), frame, "LIME_adv", preset="quick", overrides=settings)
    assert np.array_equal(explained.saliency, asked.saliency)
    assert explained.forwards == asked.forwards
    assert capsys.readouterr().err == f"{jumps('adversarial')}\n"
