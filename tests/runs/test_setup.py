"""From options to a run that is ready to start."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from torch import Tensor

from common.errors import InputError
from detectors import Detector
from runs.chosen_parts import chosen_methods
from runs.run_options import EvaluationOptions
from runs.setup import prepare_run
from tests.scoring.metrics.own import Peak
from tests.scoring.stand_ins import GUESS, Eraser, TwoClassPlanted, write_frames

OWN = "tests.scoring.metrics.own:Peak"


def options(**changes: object) -> EvaluationOptions:
    return EvaluationOptions(methods=("LIME",), attacks=("pgd",), limit=1, device="cpu", **changes)  # type: ignore[arg-type]


def test_a_users_own_metric_takes_settings() -> None:
    setup = prepare_run(options(metrics=(OWN,), overrides=(f"{OWN}.factor=2",)))
    assert setup.scorer.metrics == {OWN: Peak(factor=2.0)}
    assert setup.configuration.metrics[OWN]["factor"] == 2.0


def test_the_protocols_settings_are_taken_under_their_earlier_names() -> None:
    protocol = prepare_run(options(overrides=("protocol.grade_steps=3", "protocol.grades=budget"))).scorer.protocol
    assert (protocol.threshold_steps, protocol.flip_thresholds) == (3, ("budget",))


def test_a_setting_of_a_metric_that_is_not_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="deletion"):
        prepare_run(options(overrides=("deletion.steps=3",)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"budgets": ("8/255",), "overrides": ("pgd.epsilon=4/255",)}, "--budget and --set pgd.epsilon say the same"),
        ({"segments": ("20",), "overrides": ("segments.count=9",)}, "--segments and --set segments.count say the same"),
        ({"segments": ("20",), "overrides": ("segments.kind=grid",)}, "--segments and --set segments.kind"),
        ({"attacks": (), "overrides": ("protocol.depths=1",)}, "protocol.depths: this command attacks no regions"),
    ],
)
def test_options_of_which_one_would_do_nothing_are_refused(changes: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        prepare_run(replace(options(), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"overrides": ("RISE.samples=9", "blur.kernel=9")}, ("RISE.samples", "blur.kernel")),
        ({"overrides": ("adversarial.steps=3",)}, ("adversarial.steps",)),
        ({"overrides": ("protocol.draws=9", "protocol.area_draws=2")}, ("protocol.draws",)),
        ({"overrides": ("protocol.budget_rounds=2", "protocol.flip_thresholds=fraction")}, ("protocol.budget_rounds",)),
        ({"overrides": ("SOBOL.designs=4", "segments.count=9", "protocol.area_draws=2")}, ()),
        ({"overrides": ("blur.kernel=9",), "metrics": ("deletion",)}, ()),
        ({"overrides": ("adversarial.steps=3",), "methods": ("SOBOL_adv",)}, ()),
    ],
)
def test_a_setting_of_what_the_run_does_not_have_is_said(
    changes: dict[str, tuple[str, ...]], names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"methods": ("SOBOL",), "baselines": ("random-area",), **changes}
    prepare_run(replace(options(), **given))  # type: ignore[arg-type]
    said = " and ".join(f"--set {name}" for name in names)
    expected = f"{said} {'change' if len(names) > 1 else 'changes'} nothing: the run has nothing of it"
    told = capsys.readouterr().err
    assert expected in told if names else "nothing of it" not in told


@pytest.mark.parametrize("name", ["random", "oracle", "face-centre", "mask"])
def test_a_map_that_is_named_as_a_baseline_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"a method would be called {name}, as a baseline is"):
        chosen_methods([f"saliency:maps/{name}"])


def test_a_budget_that_is_given_twice_counts_once() -> None:
    assert prepare_run(options(budgets=("16/255", "8/255", "16/255"))).scorer.budgets == (16 / 255, 8 / 255)


def test_other_settings_of_the_segments_hold_for_every_way_to_divide_frames() -> None:
    scorer = prepare_run(options(segments=("20", "grid"), overrides=("segments.sigma=2",))).scorer
    assert [(each.segments.name, each.segments.sigma) for each in scorer.segmentations.values()] == [
        ("slic-20", 2.0),
        ("grid-49", 2.0),
    ]


def closed() -> Detector:
    """A detector of two classes that gives no gradient."""

    class Closed(TwoClassPlanted):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.detach())

    return Closed()


@dataclass(frozen=True)
class Choosy(Eraser):
    """An attack that works on no detector of two classes."""

    def check(self, detector: Detector) -> None:
        if len(detector.class_names) == 2:
            raise InputError("two classes are too few")


def test_all_that_cannot_work_on_a_detector_is_said_at_once_before_any_work(tmp_path: Path) -> None:
    me, asked = "tests.runs.test_setup", Path(write_frames(tmp_path, videos=1))
    attacks = ("torchattacks:AutoAttack", "torchattacks:APGD", f"{me}:Choosy", "pgd", "torchattacks:Square")
    given = EvaluationOptions(
        methods=("cam:GradCAM", GUESS),
        detector=f"{me}:closed",
        frames=asked,
        attacks=attacks,
        device="cpu",
        overrides=("torchattacks:APGD.loss=dlr", "cam:GradCAM.layer=nowhere"),
    )
    with pytest.raises(InputError) as caught:
        prepare_run(given, folder=tmp_path / "run")
    for expected in (
        "cam:GradCAM: the detector has no layer 'nowhere'",
        "torchattacks:AutoAttack needs a detector of at least 4 classes, this one has 2",
        "torchattacks:APGD with the loss dlr needs a detector of at least 3 classes, this one has 2",
        f"{me}:Choosy: two classes are too few",
        "gives no gradient",
    ):
        assert expected in str(caught.value)
    assert "Square can" not in str(caught.value)
    assert not (tmp_path / "run").exists()
