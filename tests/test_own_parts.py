"""What users' own explainers, attacks and metrics write into reaches nobody else; what cannot be is named."""

import contextlib
import json
import os
import py_compile
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import evaluate
import xai
from attacks import RegionAttack
from attacks.pgd import PGD
from attacks.registry import build_attack
from common.console import status
from common.errors import InputError
from common.process_state import _STATE
from data.frames import Frame
from detectors import Detector, Queries
from detectors.checks import gradient_check
from detectors.checks.consistency import weights_seen
from detectors.predictions import predict
from detectors.preparing import prepared, prepared_mask
from robustness.threat_model import ThreatModel
from robustness.whole_frame_attack import WholeFrameAttack
from runs.asked_own_parts import Asked, trial
from runs.own_attacks import try_attack
from runs.own_code import own_code
from runs.own_explainers import try_explainer
from runs.run_names import LONGEST_NAME, files_name
from runs.run_options import EvaluationOptions
from runs.setup import prepare_run
from scoring.frame import Scorer
from scoring.inspection import inspect_frame
from scoring.metrics.base import Case, Metric
from scoring.metrics.measuring import measure_case
from scoring.metrics.registry import build_metrics
from scoring.protocol import Protocol
from scoring.recording import correct
from scoring.scored import Scored
from tests.own_parts import (
    LEFT,
    SEEN,
    DrawsItsValue,
    Gives,
    Grows,
    InItsOwnRange,
    Layered,
    NotNumbers,
    Offers,
    Recalls,
    Retargets,
    SmallerSteps,
    Suspicious,
    WritesOver,
)
from tests.scoring.stand_ins import SIZE, TwoClassPlanted, picture, write_frames
from xai.explanation import FrameExplanations
from xai.explanation_settings import build_settings
from xai.methods import parse_method

OWN = "tests.own_parts"
PLANTED = "tests.scoring.stand_ins:TwoClassPlanted"


def explanations(*names: str) -> FrameExplanations:
    methods = tuple(parse_method(f"{OWN}:{name}") for name in names)
    settings = build_settings("quick", {"segments": {"count": 9, "compactness": 1000.0}}, methods)
    detector = TwoClassPlanted()
    return FrameExplanations(detector, detector.prepare(picture("a/b.png", "FaceSwap")), 1, settings)


def test_an_explainer_writes_over_copies_only() -> None:
    frame = explanations("spoiler")
    image, segments = frame.image.clone(), frame.segments.copy()
    frame.explain(f"{OWN}:spoiler")
    assert torch.equal(frame.image, image)
    np.testing.assert_array_equal(frame.segments, segments)
    assert segments.any()


def test_a_map_stays_what_it_was_when_it_was_given() -> None:
    frame = explanations("reuser")
    first = frame.explain(f"{OWN}:reuser").saliency
    kept = first.copy()
    second = frame.explain(f"{OWN}:reuser").saliency
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, -kept)


def test_what_an_explainer_sets_in_its_score_no_other_sees() -> None:
    alone = explanations("spoiler", "global_drawer")
    frame = explanations("retargeter", "spoiler")
    frame.explain(f"{OWN}:retargeter")
    assert torch.equal(frame.score(frame.image[None]), alone.score(frame.image[None]))


def test_pictures_in_bytes_are_refused_where_they_are_asked_about() -> None:
    frame = explanations("byte_asker")
    with pytest.raises(InputError, match=r"asked about images of torch.float32 from .* to .*; expected floating"):
        frame.explain(f"{OWN}:byte_asker")
    with pytest.raises(InputError, match=r"images of torch\.uint8 from"):
        frame.score.log_odds((255 * frame.image[None]).byte())


@pytest.mark.parametrize("asked", [lambda x: x[:, :1], lambda x: x[..., ::2, ::2], lambda x: x[0]])
def test_pictures_of_another_shape_are_refused_too(asked: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """A network without a last layer of fixed size answers these, too."""
    frame = explanations("byte_asker")
    with pytest.raises(InputError, match=r"asked about images of shape \(.*\); expected \(N, 3, 48, 48\)"):
        frame.score(asked(frame.image[None]))


def test_masks_outside_of_0_and_1_are_refused() -> None:
    frame = explanations("byte_asker")
    masks = torch.ones(1, 1, 48, 48)
    for wrong in (-masks, 255 * masks):
        with pytest.raises(InputError, match=r"hide pixels; expected numbers in \[0, 1\]"):
            frame.fill("mean")(wrong)
    torch.testing.assert_close(frame.fill("mean")(masks + 1e-6), frame.fill("mean")(masks))


def test_what_is_drawn_from_global_generators_is_the_same_in_every_run() -> None:
    """It depends on the seed and the frame alone, and moves no generator outside."""
    name, state = f"{OWN}:global_drawer", torch.get_rng_state()
    first, second = (explanations("global_drawer").explain(name).saliency for _ in range(2))
    np.testing.assert_array_equal(first, second)
    frame = explanations("global_drawer")
    other = FrameExplanations(frame.detector, frame.image, 1, frame.settings, seed=1)
    assert not np.array_equal(other.explain(name).saliency, first)
    attack, region = build_attack(f"{OWN}:DrawsGlobally"), torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    images = [attack(frame.detector, frame.image[None], region, [seed]).images for seed in (0, 0, 1)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    values = [measure_case(case(), {"drawn": DrawsItsValue()})[0].value for _ in range(2)]
    assert values[0] == values[1]
    assert torch.equal(torch.get_rng_state(), state)


def case() -> Case:
    frame = explanations("spoiler")
    saliency = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32)
    mask = saliency > 0.5
    draws = np.random.default_rng
    image = frame.image
    return Case(frame.score, image, saliency, frame.segments, mask, image / 2, None, lambda purpose: draws(0))


def test_a_metric_writes_over_copies_only() -> None:
    others = build_metrics(("sparseness", "relevance-mass", "deletion"), "quick")
    alone = [measured.value for measured in measure_case(case(), others)]
    beside = measure_case(case(), {"writes": WritesOver(), "retargets": Retargets(), **others})
    assert [measured.value for measured in beside[2:]] == alone


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 7.0, -0.1])
def test_a_value_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"gave \S+ for 'gives'; it says that this is finite and lies in \[0, 1\]"):
        measure_case(case(), {"own": Gives(value)})


def test_values_without_names_are_refused() -> None:
    with pytest.raises(InputError, match="gave NoneType; expected its values by name"):
        measure_case(case(), {"own": Gives(None)})


def attacked(attack: Offers) -> None:
    detector = TwoClassPlanted()
    image = detector.prepare(picture("a/b.png", "FaceSwap"))[None]
    attack(detector, image, torch.ones(1, SIZE, SIZE, dtype=torch.bool), [0])


@pytest.mark.parametrize("rounds", [0, -1, "3", 1.5, True, None])
def test_an_attack_without_rounds_is_refused(rounds: Any) -> None:
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        attacked(Offers(rounds, torch.zeros(1, 3, SIZE, SIZE)))


@pytest.mark.parametrize("proposal", [None, np.zeros((1, 3, SIZE, SIZE)), torch.zeros(2, 3, SIZE, SIZE)])
def test_an_attack_that_proposes_no_images_is_refused(proposal: Any) -> None:
    with pytest.raises(InputError, match=r"propose returned .*; expected a tensor of images \(1, 3, 48, 48\)"):
        attacked(Offers(2, proposal))


@pytest.mark.parametrize("change", [lambda x: 255 * x, lambda x: (255 * x).byte(), lambda x: x > 0.5])
def test_an_attack_that_proposes_pictures_in_bytes_is_refused(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Projected they would all be the frame, as bright as it may get."""
    image = TwoClassPlanted().prepare(picture("a/b.png", "FaceSwap"))[None]
    with pytest.raises(
        InputError, match=r"propose returned images of torch\..* expected floating values about \[0, 1\]"
    ):
        attacked(Offers(2, change(image)))


def test_an_attack_that_proposes_far_beyond_is_projected() -> None:
    image = TwoClassPlanted().prepare(picture("a/b.png", "FaceSwap"))[None]
    for far in (image + 300, -255 * image, image + 50 * torch.randn(image.shape)):
        attacked(Offers(2, far))


def scored(attacks: dict[str, RegionAttack]) -> Scored:
    methods = (parse_method("LIME"),)
    tiny = {"segments": {"count": 9, "compactness": 1000.0}, "LIME": {"samples": 50}}
    score = Scorer(TwoClassPlanted(), methods, build_settings("quick", tiny, methods), attacks)
    return score(Frame("a/1.png", picture("a/1.png", "FaceSwap"), 1, "FaceSwap", "a"))


def test_an_attack_that_proposes_no_number_has_failed_and_not_found_robust() -> None:
    alone = scored({"pgd": PGD(steps=2)})
    beside = scored({"own": NotNumbers(), "pgd": PGD(steps=2)})
    assert [str(failure) for failure in beside.failures] == [
        f"attack own: all {beside.failures[0].reason.split()[1]} proposals of own are NaN or infinite in the whole "
        "region, so that it attacked nothing; mend its propose"
    ]
    assert int(beside.failures[0].reason.split()[1]) % NotNumbers().rounds == 0
    assert beside.rows == alone.rows
    assert alone.rows


@pytest.mark.parametrize(("where", "told"), [("sometimes", True), ("outside", False)])
def test_proposals_that_are_lost_are_counted_where_they_matter(
    where: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    result = scored({"own": NotNumbers(where=where)})
    assert not result.failures
    assert {row.attack for row in result.rows} == {"own"}
    said = re.findall(
        r"warning: a/1.png: (\d+) of (\d+) proposals of own have values that are NaN or", capsys.readouterr().err
    )
    assert [2 * int(lost) == int(made) > 0 for lost, made in said] == [True] * told


def test_whole_frames_that_were_attacked_by_nothing_are_an_error() -> None:
    detector = TwoClassPlanted()
    images = detector.prepare(picture("a/b.png", "FaceSwap"))[None]
    with pytest.raises(InputError, match="all 4 proposals of own 16/255 are NaN or infinite"):
        WholeFrameAttack("own", NotNumbers(), 0)(detector, images, ["a/b.png"], 4)


def options(tmp_path: Path, **changes: Any) -> EvaluationOptions:
    frames = str(write_frames(tmp_path / "frames", videos=1, families=("FaceSwap",)))
    given = {"methods": ("LIME",), "attacks": ("nes",), "detector": PLANTED, "device": "cpu", **changes}
    return EvaluationOptions(frames=frames, **given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": (f"{OWN}:Checked",)}, r"its check fails \(KeyError: 'boom', at check in own_parts.py, line"),
        ({"attacks": (f"{OWN}:CheckedAttack",)}, r"its check fails \(SystemExit: 0, at check in own_parts.py, line"),
    ],
)
def test_a_check_that_fails_is_told_before_the_work(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepare_run(options(tmp_path, **changes))


def test_maps_of_no_frame_are_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "other.npy", np.ones((8, 8)))
    with pytest.raises(InputError, match="has no saliency map of any of the 1 frames; expected names such as"):
        prepare_run(options(tmp_path, saliency=(str(tmp_path / "maps"),)))


def test_many_methods_have_files_with_names_of_bounded_length() -> None:
    names = [f"{OWN}:a_method_with_a_name_{index}" for index in range(30)]
    assert len(files_name(names)) == LONGEST_NAME + 9
    assert files_name(names) != files_name(names[:-1])
    assert files_name(names[:2]) == "tests.own_parts-a_method_with_a_name_0+tests.own_parts-a_method_with_a_name_1"


def test_own_code_is_that_of_names_and_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my_detector.py"
    file.write_text("from tests.scoring.stand_ins import TwoClassPlanted\nclass Mine(TwoClassPlanted): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = prepare_run(options(tmp_path, detector="my_detector:Mine")).configuration
    assert before.own_code.keys() == {"my_detector", "tests.scoring.stand_ins"}
    file.write_text(file.read_text() + "# edited\n")
    after = prepare_run(options(tmp_path, detector="my_detector:Mine")).configuration
    assert [module for module in before.own_code if before.own_code[module] != after.own_code[module]] == [
        "my_detector"
    ]
    assert '"own_code"' in before.to_json()


def test_own_code_is_also_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "own_net": "import torch, flipscope\nfrom own_package import near\nfrom tests.scoring.stand_ins import "
        "TwoClassPlanted\nclass Mine(TwoClassPlanted):\n    def late(self): import own_late, no_such_module\n",
        "own_package/__init__": "",
        "own_package/near": "from . import far\nfrom .far import GAIN\n",
        "own_package/far": "GAIN = 1\n",
        "own_package/unused": "",
        "own_late": "not python\n",
    }
    for name, text in texts.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = prepare_run(options(tmp_path, detector="own_net:Mine")).configuration.own_code
    imported = {"own_net", "own_late", "own_package", "own_package.far", "own_package.near"}
    assert before.keys() == {*imported, "tests.scoring.stand_ins"}
    (tmp_path / "own_package" / "far.py").write_text("GAIN = 2\n")
    after = prepare_run(options(tmp_path, detector="own_net:Mine")).configuration.own_code
    assert [module for module in before if before[module] != after[module]] == ["own_package.far"]


def test_what_is_installed_or_the_projects_is_no_own_code() -> None:
    detector: Detector = TwoClassPlanted()
    assert own_code(("LIME", "captum:Lime", "torchattacks:PGD", "nes"), (torch.nn.Linear(1, 1), parse_method)) == {}
    assert own_code((), (detector,)).keys() == {"tests.scoring.stand_ins"}


@pytest.mark.parametrize("name", ["ClaimsAndDraws", "ClaimsAndCounts", "ClaimsAndCounts_adv", "SampledWithoutSpread"])
def test_one_that_says_it_draws_nothing_is_tried_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} says that it is deterministic, and gave two maps of the first frame"):
        prepare_run(options(tmp_path, methods=(f"{OWN}:{name}",)))


def test_one_that_draws_by_a_seed_of_its_own_and_says_it_draws_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Seeds says that it is deterministic, and draws by a seed that it sets itsel"):
        prepare_run(options(tmp_path, methods=(f"{OWN}:Seeds",)))
    assert torch.manual_seed(3).initial_seed() == 3


@pytest.mark.parametrize("name", ["Claims", "ClaimsAndFails", "SampledWithSpread"])
def test_one_that_draws_nothing_or_fails_later_is_left_alone(tmp_path: Path, name: str) -> None:
    assert prepare_run(options(tmp_path, methods=(f"{OWN}:{name}",))).scorer.methods[0].name == f"{OWN}:{name}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("entropic", "entropic gave two maps of the first frame, which differ by"),
        ("remembering", "remembering gave two maps of the first frame, which differ by"),
        ("first_kept", "first_kept gave the same map of the first frame and of its mirror image"),
        ("SeedsItself", "SeedsItself gave the same map 4 times, by other draws"),
        ("block_of_most_contrast", "block_of_most_contrast gave the same map of the first frame for the detector and"),
        ("kept_by_picture", "kept_by_picture gave the same map of the first frame for the detector and for one that"),
        ("kept_by_picture_adv", "kept_by_picture_adv gave the same map of the first frame for the detector and"),
        ("full_batches", "full_batches gave another map of the first frame, by "),
        ("by_number", "by_number gave another map of the first frame, by "),
        ("blackening_adv", "blackening gave the same map of the first frame whatever hides its pixels"),
        ("blackening", ""),
        ("asking_adv", ""),
        ("asking", ""),
        ("looking", ""),
        ("looking_adv", "looking gave the same map of the first frame whatever hides its pixels"),
    ],
)
def test_an_explainer_that_depends_on_more_than_it_is_given_is_warned_of(
    tmp_path: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_run(options(tmp_path, methods=(f"{OWN}:{name}",)))
    told = capsys.readouterr().err
    assert words in told
    assert bool(words) == ("of the first frame" in told or "gave the same map" in told)


@pytest.mark.parametrize(
    ("kind", "name", "words", "warned"),
    [
        ("attacks", "Entropic", " made two pictures of the first frame by the same draws", True),
        ("attacks", "Tires", " made two pictures of the first frame by the same draws", True),
        ("attacks", "Momentum", " made two pictures of the first frame by the same draws", True),
        ("attacks", "Seeded", " made two pictures of the first frame by the same draws", False),
        ("attacks", "Seeded", " made other pictures of two regions of the first frame together", True),
        ("attacks", "OppositeOrder", " made other pictures of two regions of the first frame together", True),
        ("attacks", "AsFarAsTheLargest", " made other pictures of two regions of the first frame together", True),
        ("attacks", "SeededByPair", " made ", False),
        ("attacks", "FirstPairsSteps", " proposed otherwise for 3 regions of the first frame, one in its last", True),
        ("attacks", "LatestPairsSteps", " proposed otherwise for 3 regions of the first frame, one in its last", True),
        ("attacks", "OneInAll", " proposed otherwise for 3 regions of the first frame together than for each", True),
        ("attacks", "OnlyTheChange", " proposed values from -0.", True),
        ("attacks", "Standing", " proposed the first frame itself: it changes nothing", True),
        ("attacks", "LatestPairAlone", " ", False),
        ("attacks", "SmallerSteps", " ", False),
        ("metrics", "DrawsUnseeded", ".drawn gave", True),
        ("metrics", "DrawsItsValue", ".drawn gave 0.667787 of 4 different maps of one picture: it does not look", True),
        ("metrics", "KeepsByPicture", ".kept gave ", True),
        ("metrics", "HitsOrMisses", ".kept gave ", False),
        ("metrics", "AsksByNumber", " gave ", True),
    ],
)
def test_an_attack_or_metric_that_does_not_repeat_itself_is_warned_of(
    tmp_path: Path, kind: str, name: str, words: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    made = prepare_run(options(tmp_path, **{kind: (f"{OWN}:{name}",)}))
    assert json.dumps(made.configuration.to_json())  # what the trial left in a part's fields is not in it
    told = f"{kind.removesuffix('s')} {OWN}:{name}{words}"
    assert (told in capsys.readouterr().err) == warned


@pytest.fixture
def clouds() -> Tensor:
    """A picture (3, SIZE, SIZE) that is dark and bright, and smooth."""
    cells = torch.rand((1, 3, 6, 6), generator=torch.Generator().manual_seed(0)).round()
    return functional.interpolate(cells, (SIZE, SIZE), mode="bilinear")[0].clamp(0, 1)


@pytest.mark.parametrize(
    ("detector", "name", "words"),
    [
        ("Layered", "normalising", "normalising asked the detector about pictures from -2 to 2.5: it takes them in [0"),
        ("Detached", "following", "; what follows it (the maps of tests.own_parts:following) may not show what moves"),
        ("Layered", "following", ""),
        ("Detached", "asking", ""),
    ],
)
def test_an_explainer_that_asks_otherwise_than_it_should_is_warned_of(
    tmp_path: Path, detector: str, name: str, words: str, clouds: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    scorer = prepare_run(options(tmp_path, methods=(f"{OWN}:{name}",), detector=f"{OWN}:{detector}")).scorer
    gradient_check._TRIED.discard(scorer.detector)
    gradient_check._TRIED_ON_FRAME.discard(scorer.detector)
    gradient_check._KNOWN_TO_MISLEAD.pop(scorer.detector, None)
    capsys.readouterr()
    try_explainer(scorer.methods[0], trial(scorer, clouds), trial(scorer, clouds, 1))
    said = capsys.readouterr().err
    assert (words in said) if words else said == "", said


def test_a_part_that_asks_far_outside_of_pictures_is_warned_of(
    clouds: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    detector, asked, noisy = TwoClassPlanted().eval(), Asked(), Asked()
    with asked.of(detector):
        detector((clouds[None] - 0.45) / 0.22)
    asked.remark_range("metric own")
    assert capsys.readouterr().err == (
        "warning: metric own asked the detector about pictures from -2 to 2.5: it takes them in [0, 1], and "
        "normalises them itself\n"
    )
    with noisy.of(detector):
        detector(clouds[None] - 0.5)
    noisy.remark_range("metric own")
    assert capsys.readouterr().err == ""
    assert not noisy.followed


def test_an_attack_that_proposes_pictures_in_another_range_is_warned_of(
    clouds: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = Suspicious().eval()
    said_of_it = "attack own proposed the first frame at 1.9 times its contrast, from -1 to "
    for attack, words in ((InItsOwnRange(), said_of_it), (SmallerSteps(), "")):
        assert try_attack("own", attack, detector, clouds, 8)
        said = capsys.readouterr().err
        assert (words in said) if words else said == "", said


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("swapping", "the class of its rectifier, the mode of its rectifier and 2 more"),
        ("padding", "ceil_mode of its pool"),
        ("rectifying", ""),
    ],
)
def test_a_part_that_changes_a_layer_of_the_detector_is_refused(tmp_path: Path, name: str, what: str) -> None:
    """But for one that puts a new rectifier in its place, as libraries do that had replaced it."""
    asked = options(tmp_path, methods=(f"{OWN}:{name}",), detector=f"{OWN}:Layered")
    with pytest.raises(InputError, match=f"has changed {what}; leave") if what else contextlib.nullcontext():
        prepare_run(asked)


@pytest.mark.parametrize("name", ["dimmer", "hooker", "replacer"])
def test_a_part_that_alters_the_detector_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no longer as it was loaded: an explainer"):
        prepare_run(options(tmp_path, methods=(f"{OWN}:{name}",)))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("guiding", "its own forward, has changed the class of its rectifier; leave that part out"),
        ("doubling", "doubling has changed what the detector answers, or its gradient, for the whole process"),
    ],
)
def test_a_part_that_alters_torch_for_every_network_is_refused_before_the_work(
    tmp_path: Path, name: str, words: str
) -> None:
    """By a layer's class, which all networks of a process share, or by a function that a forward calls."""
    forward, square = torch.nn.ReLU.forward, torch.square
    try:
        with pytest.raises(InputError, match=words):
            prepare_run(options(tmp_path, methods=(f"{OWN}:{name}",), detector=f"{OWN}:Layered"))
    finally:
        torch.nn.ReLU.forward, torch.square = forward, square  # type: ignore[method-assign]


def test_a_part_that_alters_torch_later_ends_its_frames_and_all_after_it() -> None:
    methods = (parse_method(f"{OWN}:fails_once_doubled"), parse_method("LIME"))
    tiny = {"segments": {"count": 9, "compactness": 1000.0}, "LIME": {"samples": 50}}
    settings, square = build_settings("quick", tiny, methods), torch.square
    score = Scorer(Layered().eval(), methods, settings, {"pgd": PGD(steps=1)}, Protocol(baselines=()))
    SEEN.clear()
    try:
        for key in ("a/1.png", "a/2.png", "a/3.png"):
            frame = Frame(key, picture(key, "FaceSwap"), 1, "FaceSwap", "a")
            refused = pytest.raises(InputError, match="an explainer, attack or metric of this run has changed what the")
            with contextlib.nullcontext() if key == "a/1.png" else refused:
                score(frame)
    finally:
        torch.square = square  # type: ignore[assignment]
        SEEN.clear()


def test_a_hook_of_every_module_that_is_left_is_refused(tmp_path: Path) -> None:
    try:
        with pytest.raises(InputError, match="its own forward, has changed the hooks of every module; leave"):
            prepare_run(options(tmp_path, methods=(f"{OWN}:hooks_all",), detector=f"{OWN}:Layered"))
    finally:
        LEFT.pop().remove()


@pytest.mark.parametrize(("method", "detector"), [(f"{OWN}:wanderer", PLANTED), ("LIME", f"{OWN}:Wanders")])
def test_relative_paths_stay_where_they_were_wherever_own_code_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], method: str, detector: str
) -> None:
    write_frames(tmp_path / "frames", videos=3, families=("FaceSwap",))
    monkeypatch.chdir(tmp_path)
    words = ["--frames", "frames/index.csv", "--detector", detector, "--device", "cpu", "--threads", "1"]
    words += ["--method", method, "--attack", "pgd", "--preset", "quick", "--results", "results", "--run", "r"]
    words += ["--set", "segments.count=9", "--set", "segments.compactness=1000"]
    assert status(evaluate.app, words) == 0
    assert Path.cwd() == tmp_path
    assert len(pd.read_csv(tmp_path / "results" / "r" / "frames.csv")) == 3
    assert not (tmp_path / "results" / "r" / "failures.csv").read_text().splitlines()[1:]
    assert (tmp_path / "results" / "r" / "report.html").is_file()
    assert f"from {tmp_path} to /: it is put back" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dimmer", "hooker", "preparer", "renamer", "replacer", "trainer"])
def test_a_part_that_alters_the_detector_ends_its_frames(name: str) -> None:
    """This frame's and every later one's, as those would be scored by another detector."""
    methods = (parse_method(f"{OWN}:{name}"),)
    settings = build_settings("quick", {"segments": {"count": 9, "compactness": 1000.0}}, methods)
    score = Scorer(TwoClassPlanted().eval(), methods, settings, {"pgd": PGD(steps=1)}, Protocol(baselines=()))
    for key in ("a/1.png", "a/2.png"):
        frame = Frame(key, picture(key, "FaceSwap"), 1, "FaceSwap", "a")
        with pytest.raises(InputError, match="is no longer as it was loaded: an explainer"):
            score(frame)


@pytest.mark.parametrize(("method", "metric"), [(f"{OWN}:Widens", Retargets()), ("LIME", Recalls())])
def test_a_part_that_alters_its_own_settings_ends_its_frames(method: str, metric: Metric) -> None:
    methods = (parse_method(method),)
    tiny = {"segments": {"count": 9, "compactness": 1000.0}} | ({"LIME": {"samples": 50}} if method == "LIME" else {})
    settings = build_settings("quick", tiny, methods)
    attacks, metrics = {"pgd": PGD(steps=1)}, {"own": metric}
    score = Scorer(TwoClassPlanted().eval(), methods, settings, attacks, Protocol(baselines=()), metrics)
    frame = Frame("a/1.png", picture("a/1.png", "FaceSwap"), 1, "FaceSwap", "a")
    with pytest.raises(InputError, match=f"{method if method != 'LIME' else 'own'} has changed its own settings"):
        score(frame)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("default_type", "torch's default type"),
        ("default_device", "torch's default device"),
        ("without_gradients", "whether torch keeps gradients"),
        ("threads", "torch's threads"),
        ("numpy_errors", "how numpy takes errors"),
    ],
)
def test_a_part_that_alters_the_process_changes_nothing_for_others(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = Frame("a/1.png", picture("a/1.png", "FaceSwap"), 1, "FaceSwap", "a")
    state = [read() for _, read, _ in _STATE]
    rows = []
    for names in (("LIME",), (f"{OWN}:{name}", "LIME")):
        methods = tuple(map(parse_method, names))
        tiny = {"segments": {"count": 9, "compactness": 1000.0}, "LIME": {"samples": 50}}
        settings = build_settings("quick", tiny, methods)
        scorer = Scorer(TwoClassPlanted(), methods, settings, {"pgd": PGD(steps=2)}, Protocol(baselines=()))
        rows.append([row for row in scorer(frame).rows if row.method == "LIME"])
    assert rows[0] == rows[1]
    assert f"own code has changed {words} (" in capsys.readouterr().err
    assert [read() for _, read, _ in _STATE] == state


@pytest.mark.parametrize("name", ["Cheats", "Unprojected"])
def test_an_attack_that_would_judge_itself_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="of its own, which project and judge what it proposes"):
        build_attack(f"{OWN}:{name}")


def test_an_attack_is_judged_in_evaluation_mode_whatever_it_leaves() -> None:
    class Normed(TwoClassPlanted):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(self.norm(images))

    detector = Normed().eval()
    image = detector.prepare(picture("a/b.png", "FaceSwap"))[None]
    before = weights_seen(detector)
    region = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    result = build_attack(f"{OWN}:LeavesTraining")(detector, image, region, [0])
    assert torch.allclose(result.logits, Queries(detector).logits(result.images), atol=1e-4)
    assert (detector.training, weights_seen(detector)) == (False, before)


def test_an_attack_that_widens_its_budget_has_failed() -> None:
    with pytest.raises(InputError, match="Grows has changed its own settings while it attacked"):
        attacked(Grows())


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda made: made + 0.001 * torch.rand(made.shape), "prepares a frame otherwise each time"),
        (lambda made: made * 255, r"its prepare gave values from .*; expected images in \[0, 1\]"),
        (lambda made: made - 0.5, r"its prepare gave values from -"),
        (lambda made: made * torch.nan, "its prepare gave values from nan to nan"),
        (lambda made: made[:, :40], r"its prepare gave \(3, 40, 48\) torch.float32; expected \(3, 48, 48\) float32"),
        (lambda made: made.double(), r"its prepare gave \(3, 48, 48\) torch.float64"),
        (lambda made: made.numpy(), "its prepare gave a ndarray"),
    ],
)
def test_what_a_detector_prepares_is_looked_at(prepare: Callable[[torch.Tensor], Any], words: str) -> None:
    class Prepares(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> Any:
            return prepare(0.5 * super().prepare(image))

    with pytest.raises(InputError, match=words):
        prepared(Prepares(), picture("a/1.png", "FaceSwap"))


def test_a_detector_prepares_copies() -> None:
    class Flips(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            image[:] = image[::-1].copy()
            return super().prepare(image)

    image = picture("a/1.png", "FaceSwap")
    kept = image.copy()
    assert torch.equal(prepared(Flips(), image), TwoClassPlanted().prepare(kept[::-1]))
    np.testing.assert_array_equal(image, kept)


def test_a_rare_draw_is_found_at_the_first_frame_and_remembered() -> None:
    draws = np.random.default_rng(0)

    class Flips(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            made = super().prepare(image)
            return made.flip(2) if draws.random() < 0.3 else made

    detector, image = Flips(), picture("a/1.png", "FaceSwap")
    for _ in range(10):
        with pytest.raises(InputError, match="prepares a frame otherwise each time"):
            prepared(detector, image)


def test_a_face_box_that_is_kept_from_frame_to_frame_is_found() -> None:
    """Of the brightest place of a picture; where there is none, of the last picture that had one."""

    class KeepsTheBox(TwoClassPlanted):
        box: tuple[int, int] | None = None

        def prepare(self, image: np.ndarray) -> torch.Tensor:
            grey = image[..., 0]
            if grey.max() > 200 or self.box is None:
                row, column = np.unravel_index(grey.argmax(), grey.shape)
                self.__dict__["box"] = (int(row), int(column))
            row, column = self.box or (0, 0)
            return super().prepare(np.roll(image, (-row, -column), axis=(0, 1)))

    detector, frames = KeepsTheBox(), []
    for place in ((8, 30), (20, 11), None):
        frame = np.tile(np.arange(60, 120, dtype=np.uint8)[:, None, None], (1, 60, 3))
        if place is not None:
            frame[place] = 255
        frames.append(frame)
    for frame in frames[:2]:
        prepared(detector, frame)
    with pytest.raises(InputError, match="prepares a frame otherwise each time, or after another"):
        prepared(detector, frames[2])


class FirstBox(TwoClassPlanted):
    """Cuts every picture where the first was brightest."""

    box: tuple[int, int] | None = None

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        if self.box is None:
            row, column = np.unravel_index(image[..., 0].argmax(), image.shape[:2])
            self.__dict__["box"] = (int(row), int(column))
        return super().prepare(np.roll(image, [-side for side in self.box or ()], axis=(0, 1)))


class Cropper:
    """Keeps the place of the first picture, for whoever asks."""

    box: tuple[int, ...] = ()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.box = self.box or tuple(int(at) for at in np.unravel_index(image[..., 0].argmax(), image.shape[:2]))
        return np.roll(image, [-side for side in self.box], axis=(0, 1))


class FirstBoxOfAnObject(TwoClassPlanted):
    """The same in an object."""

    def __init__(self) -> None:
        super().__init__()
        self._cropper = Cropper()

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return super().prepare(self._cropper(image))


class ByShape(TwoClassPlanted):
    """Remembers what it prepared by the picture's shape."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[int, ...], torch.Tensor] = {}

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return self.kept.setdefault(image.shape, super().prepare(image))


class RunningMean(TwoClassPlanted):
    """Makes a picture as bright as those before it on the whole."""

    mean, count = 0.0, 0

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        made = super().prepare(image)
        if self.count < 20:
            self.mean, self.count = self.mean + float(made.mean()), self.count + 1
        return (made - made.mean() + self.mean / self.count).clamp(0, 1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FirstBox, "prepares a frame otherwise each time, or after another"),
        (FirstBoxOfAnObject, "prepares a frame otherwise each time, or after another"),
        (ByShape, "prepares two different pictures alike"),
        (RunningMean, "prepares a frame otherwise each time, or after another"),
    ],
)
def test_what_a_prepare_keeps_from_the_frames_before_is_found(kind: type[Detector], words: str) -> None:
    detector = kind()
    with pytest.raises(InputError, match=words):
        for number, family in enumerate(("FaceSwap", "Deepfakes", "Real")):
            prepared(detector, np.roll(picture(f"a/{number}.png", family), 5 * number, axis=0))


def test_a_prepare_that_leaves_something_for_the_forward_is_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Leaves(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            self.__dict__["brightness"] = image.mean()
            return super().prepare(image)

    class FindsLater(TwoClassPlanted):
        finder: object = None

        def prepare(self, image: np.ndarray) -> torch.Tensor:
            self.__dict__["finder"] = self.finder or object()
            return super().prepare(image)

    for kind, told in ((Leaves, True), (FindsLater, False)):
        detector = kind()
        for number in range(4):
            made = prepared(detector, picture(f"a/{number}.png", "Real"))
            assert torch.equal(made, TwoClassPlanted().prepare(picture(f"a/{number}.png", "Real")))
        assert capsys.readouterr().err.count(f"{kind.__name__} keeps brightness whenever it prepares a frame") == told


def test_memory_that_a_prepare_uses_again_is_copied() -> None:
    class Reuses(TwoClassPlanted):
        kept = torch.empty(3, SIZE, SIZE)

        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return self.kept.copy_(super().prepare(image))

    images = [picture("a/1.png", family) for family in ("FaceSwap", "Real")]
    sound, detector = TwoClassPlanted(), Reuses()
    for made, image in zip([prepared(detector, image) for image in images], images, strict=True):
        assert torch.equal(made, sound.prepare(image))


@pytest.mark.parametrize(
    "ask",
    [
        lambda detector, frame: prepared(detector, frame.image),
        lambda detector, frame: xai.explain(detector, frame.image, "LIME", preset="quick"),
        lambda detector, frame: predict(detector, [frame]),
        lambda detector, frame: ThreatModel(detector, detector, 1).attackable([frame]),
        lambda detector, frame: inspect_frame(frame, Scorer(detector, (), build_settings("quick", {}, ()), {})),
    ],
)
def test_what_is_prepared_is_looked_at_whoever_asks(ask: Callable[[Detector, Frame], object]) -> None:
    class Jitters(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return 0.5 * super().prepare(image) + 0.01 * torch.rand(1)

    with pytest.raises(InputError, match="prepares a frame otherwise each time"):
        ask(Jitters(), Frame("a/1.png", picture("a/1.png", "FaceSwap"), 1, "FaceSwap", "a"))


@pytest.mark.parametrize(
    "image", [np.zeros((SIZE, SIZE, 3)), np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE, 4), np.uint8), None]
)
def test_a_frame_that_is_no_picture_in_bytes_is_refused(image: Any) -> None:
    for ask in (TwoClassPlanted().prepare, lambda frame: xai.explain(TwoClassPlanted(), frame, "LIME", preset="quick")):
        with pytest.raises(InputError, match=r"a frame is a numpy array \(H, W, 3\) uint8 in RGB, got"):
            ask(image)


@pytest.mark.parametrize(
    ("move", "follows"),
    [
        (lambda image: image, True),
        (lambda image: image.copy(), True),
        (lambda image: image[:, ::-1].copy(), False),
        (lambda image: image[8:-8, 8:-8].copy(), False),
        (lambda image: np.rot90(image).copy(), False),
    ],
)
def test_masks_must_move_as_pictures_do(move: Callable[[np.ndarray], np.ndarray], follows: bool) -> None:
    class Moves(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return super().prepare(move(image))

    class MovesBoth(Moves):
        def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
            return super().prepare_mask(move(mask))

    mask = np.ones((64, 64), bool)
    assert prepared_mask(MovesBoth(), mask).all()
    if follows:
        assert prepared_mask(Moves(), mask).all()
        return
    with pytest.raises(InputError, match="its prepare moves pixels elsewhere than its prepare_mask"):
        prepared_mask(Moves(), mask)


def test_a_mask_in_memory_that_is_used_again_is_copied() -> None:
    class Reuses(TwoClassPlanted):
        kept = np.zeros((SIZE, SIZE), bool)

        def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
            self.kept[:] = super().prepare_mask(mask)
            return self.kept

    detector, full = Reuses(), np.ones((64, 64), bool)
    first = prepared_mask(detector, full)
    prepared_mask(detector, ~full)
    assert first.all()


@pytest.mark.parametrize(("gain", "said"), [(1.0, ""), (0.5, "0.5 times as large"), (1 / 255, "0.0039 times as large")])
def test_a_prepare_in_other_units_is_remarked_on(gain: float, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Prepares(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return super().prepare(image) * gain + (1 - gain) / 2

    detector = Prepares()
    for _ in range(2):
        prepared(detector, picture("a/1.png", "FaceSwap"))
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("its prepare makes differences of brightness") == bool(said)
    assert said in told


def middle(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle, as torchvision's Resize and CenterCrop leave it."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side].copy()


def bordered(image: np.ndarray) -> np.ndarray:
    """The picture in a black square, as a letterbox leaves it."""
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side, *image.shape[2:]), image.dtype)
    square[top : top + height, left : left + width] = image
    return square


@pytest.mark.parametrize("move", [middle, bordered])
def test_pictures_that_are_not_square_show_what_square_ones_hide(move: Callable[[np.ndarray], np.ndarray]) -> None:
    class Moves(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return super().prepare(move(image))

    class MovesBoth(Moves):
        def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
            return super().prepare_mask(move(mask))

    prepared_mask(MovesBoth(), np.ones((64, 64), bool))
    with pytest.raises(InputError, match="its prepare moves pixels elsewhere than its prepare_mask"):
        prepared_mask(Moves(), np.ones((64, 64), bool))


@pytest.mark.parametrize("wrong", [lambda mask: ~mask, lambda mask: np.ones_like(mask), lambda mask: mask.T.copy()])
def test_a_mask_of_its_own_must_mark_the_same_pixels(wrong: Callable[[np.ndarray], np.ndarray]) -> None:
    class Masks(TwoClassPlanted):
        def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
            return wrong(super().prepare_mask(mask))

    with pytest.raises(InputError, match="its prepare moves pixels elsewhere than its prepare_mask"):
        prepared_mask(Masks(), np.ones((64, 64), bool))


def test_a_prepare_that_knows_only_faces_is_taken_at_its_word() -> None:
    class Faces(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            raise ValueError("no face in this picture")

    assert prepared_mask(Faces(), np.ones((64, 64), bool)).all()


def test_a_mask_must_lie_where_the_face_of_its_own_frame_was_cut_out() -> None:
    """A face is a place brighter than its dark surroundings; what has none is taken whole."""

    class Crops(TwoClassPlanted):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return super().prepare(image[box(image)])

    class CropsBoth(Crops):
        at: tuple[slice, ...] = ()

        def prepare(self, image: np.ndarray) -> torch.Tensor:
            self.__dict__["at"] = box(image)
            return super().prepare(image)

        def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
            return super().prepare_mask(mask[self.at])

    def box(image: np.ndarray) -> tuple[slice, ...]:
        rows, columns = np.nonzero(image[..., 0] > 100)
        found = len(rows) and len(rows) < 5000 and image[..., 0].min() < 32
        return (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)) if found else ()

    frame, mask = np.full((96, 96, 3), 20, np.uint8), np.zeros((96, 96), bool)
    frame[10:70, 30:90] = picture("a/1.png", "FaceSwap").repeat(2, axis=0).repeat(2, axis=1)[:60, :60] // 2 + 110
    mask[20:50, 40:70] = True
    detector = CropsBoth()
    assert prepared(detector, frame).shape == (3, SIZE, SIZE)
    np.testing.assert_array_equal(prepared_mask(detector, mask, frame), detector.prepare_mask(mask))
    with pytest.raises(InputError, match="its prepare moves the pixels of this frame's mask elsewhere"):
        prepared_mask(Crops(), mask, frame)


@pytest.mark.parametrize("made", [np.ones((5, 5), bool), np.full((SIZE, SIZE), 0.3), None])
def test_a_mask_of_another_size_or_type_is_refused(made: Any) -> None:
    class Masks(TwoClassPlanted):
        def prepare_mask(self, mask: np.ndarray) -> Any:
            return made

    with pytest.raises(InputError, match=r"its prepare_mask gave .*; expected \(48, 48\) bool"):
        prepared_mask(Masks(), np.ones((SIZE, SIZE), bool))


@pytest.mark.parametrize("label", [7, -1, "Fake", True, 1.0])
def test_a_label_that_is_no_class_is_refused(label: Any) -> None:
    class Labels(TwoClassPlanted):
        def label_of(self, family: str | None) -> Any:
            return label

    frame = Frame("a/1.png", picture("a/1.png", "FaceSwap"), 1, "FaceSwap", "a")
    with pytest.raises(
        InputError, match=r"its label_of gave .* for FaceSwap; expected None, or the index of one of its 2"
    ):
        correct(Labels(), frame, 0)


def test_what_cannot_be_made_is_one_line() -> None:
    with pytest.raises(InputError, match=r"explainer .* cannot be made without arguments \(KeyError: 'boom'\)"):
        build_settings("quick", methods=[parse_method(f"{OWN}:Unmade")])
    with pytest.raises(InputError, match=r"attack .* cannot be made without arguments \(KeyError: 'boom'\)"):
        build_attack(f"{OWN}:UnmadeAttack")


MINE = "from tests.scoring.stand_ins import TwoClassPlanted\nGAIN = {}\nclass Mine(TwoClassPlanted):\n"


@pytest.mark.parametrize("name", ["edited_net", "edited_package.net", "edited_package.with_parts.net"])
def test_own_code_that_is_edited_while_a_run_is_prepared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It was imported by then, and the file that would be named as the run's never ran."""
    file = tmp_path / f"{name.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True, parents=True)
    while_made = "    def __init__(self):\n        super().__init__()\n        open(__file__, 'a').write('# edited')\n"
    file.write_text(MINE.format(1) + while_made)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=rf"{file.name} changed while the run was prepared from it"):
        prepare_run(options(tmp_path, detector=f"{name}:Mine"))


def test_bytecode_of_another_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes it where the file has the same time, in seconds, and size: as after `cp -p`."""
    file = tmp_path / "turned_back.py"
    file.write_text(MINE.format(1) + "    pass\n")
    os.utime(file, (1e9, 1e9))
    py_compile.compile(str(file), doraise=True)
    file.write_text(MINE.format(2) + "    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    os.utime(file, (1e9, 1e9))
    with pytest.raises(InputError, match=r"turned_back.py is not what Python runs: .*\.pyc is of another text"):
        prepare_run(options(tmp_path, detector="turned_back:Mine"))
    assert sys.modules["turned_back"].GAIN == 1
