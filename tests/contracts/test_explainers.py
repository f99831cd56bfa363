"""What every explainer must hold: a map of the frame, from its own draws and counted questions, and nothing else."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
from torch import Tensor

import xai
from common.errors import InputError
from detectors.queries import Queries
from tests.contracts.cases import (
    SIZE,
    BrokenDetectorError,
    SmallDetector,
    WatchedScore,
    blocks,
    in_use,
    photo,
    refuse_new_generators,
    stir,
    without_a_trace,
)
from xai.base import DetectorSpecificExplainer, Explainer, FrameExplainer, Score
from xai.explanation_settings import FILLS
from xai.fills import composite
from xai.methods import ADVERSARIAL, EXPLAINERS, FAMILIES, SUFFIX, hides, load_explainer

LIBRARIES = {"captum": captum.attr, "cam": pytorch_grad_cam}
REPRESENTATIVES = {
    "captum": {"IntegratedGradients", "Saliency", "DeepLift", "GuidedBackprop", "Occlusion", "KernelShap"},
    "cam": {"GradCAM", "ScoreCAM", "AblationCAM", "EigenCAM"},
}
"""Members of a library that must be in the table."""

SAVED = "saliency:maps"
OWN = ("tests.xai.own:Occlusion", "tests.xai.own:darkness")
SILENT = (SAVED, OWN[1])
"""What asks the detector nothing."""

ONLY_TIES = "SHAP"  # it draws, but to break ties, of which a picture without two like pixels has none

LIBRARY_DRAWS = frozenset(
    f"captum:{member}" for member in ("GradientShap", "KernelShap", "Lime", "ShapleyValueSampling")
) | {"cam:RandomCAM"}
"""Libraries' explainers that draw; all are seeded, so that the state of the generator does not tell."""

SMALLER: dict[str, dict[str, object]] = {
    "captum:Occlusion": {"sliding_window_shapes": (3, 8, 8), "strides": (3, 8, 8)},
    "captum:KernelShap": {"n_samples": 60},
    "captum:Lime": {"n_samples": 60},
    "captum:ShapleyValueSampling": {"n_samples": 2},
    "captum:IntegratedGradients": {"n_steps": 10},
    "adversarial": {"pairs": 2, "steps": 2},
    "segments": {"count": 16},
}
LEAST_BATCH = {"captum:GradientShap": 4}  # samples are drawn four at a time, so that draws follow no batch size
TARGET = 3
KEY = "a frame"


def members(family: str) -> list[str]:
    """The explainers of a library that can explain the small detector."""
    names = []
    for member in sorted(vars(LIBRARIES[family])):
        name = f"{family}:{member}"
        try:
            explainer = load_explainer(name)
            if isinstance(explainer, DetectorSpecificExplainer):
                explainer.check(SmallDetector())
        except InputError:
            continue
        names.append(name)
    return names


MEMBERS = {family: members(family) for family in LIBRARIES}
NAMES = [*EXPLAINERS, *MEMBERS["captum"], *MEMBERS["cam"], SAVED, *OWN]


@dataclass(frozen=True, eq=False)
class Subject:
    """An explainer under test, by what the table calls it and by the name that stands for it."""

    label: str
    name: str
    settings: xai.ExplanationSettings

    @property
    def explainer(self) -> Explainer:
        """The explainer of the frame."""
        explainer = self.settings.explainers[xai.parse_method(self.name).explainer]
        return explainer.for_frame(KEY) if isinstance(explainer, FrameExplainer) else explainer

    def explain(
        self,
        detector: SmallDetector,
        image: Tensor,
        generator: np.random.Generator | None = None,
        score: Score | None = None,
        background: Tensor | None = None,
    ) -> np.ndarray:
        """Its map of an image; pixels are hidden by its own fill unless a background is given."""
        segments = blocks()
        if background is None:
            own = self.settings.fills[xai.parse_method(self.name).fill]
            background = own(image, segments, detector.mean)
        draws = np.random.default_rng(0) if generator is None else generator
        asked = Score(Queries(detector, 16), TARGET) if score is None else score
        saliency = self.explainer(asked, image, segments, composite(image, background), draws)
        assert np.array_equal(segments, blocks())
        return saliency


@pytest.fixture(scope="module", params=NAMES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Every explainer in its smallest form."""
    name = f"saliency:{saved_maps(tmp_path_factory.mktemp('maps'))}" if request.param == SAVED else request.param
    methods = [xai.parse_method(name)]
    known = {*EXPLAINERS, *(method.explainer for method in methods), ADVERSARIAL, "segments"}
    smaller = {component: values for component, values in SMALLER.items() if component in known}
    return Subject(request.param, name, xai.build_settings("quick", smaller, methods))


def saved_maps(folder: Path) -> Path:
    """A folder with the frame's map, of another size than the frame."""
    np.save(folder / f"{KEY}.npy", np.random.default_rng(0).normal(size=(40, 40)))
    return folder


def test_the_table_has_every_explainer_and_family() -> None:
    assert set(EXPLAINERS) <= set(NAMES)
    assert {name.partition(":")[0] for name in NAMES if name not in (*EXPLAINERS, *OWN)} == set(FAMILIES) - {"vit"}
    # of transformers alone: tests/xai/test_vit.py
    for family, wanted in REPRESENTATIVES.items():
        assert {f"{family}:{member}" for member in wanted} <= set(MEMBERS[family])
    assert set(NAMES) >= LIBRARY_DRAWS


def test_the_map_has_the_frames_shape_and_says_something(subject: Subject) -> None:
    saliency = subject.explain(SmallDetector(), photo())
    assert isinstance(saliency, np.ndarray)
    assert (saliency.shape, saliency.dtype) == ((SIZE, SIZE), precision(subject))
    assert np.isfinite(saliency).all()
    assert saliency.min() < saliency.max()


def test_the_same_seed_gives_the_same_map_whatever_the_global_generators_say(subject: Subject) -> None:
    maps = []
    for state in (0, 1):
        stir(state)
        maps.append(subject.explain(SmallDetector(), photo()))
    assert np.array_equal(maps[0], maps[1])


def test_no_more_images_at_a_time_than_asked_for_and_it_does_not_matter_how_many(subject: Subject) -> None:
    saliency = subject.explain(SmallDetector(), photo())
    for size in (32, 3):
        detector = SmallDetector()
        score = WatchedScore(Queries(detector, size), TARGET)
        assert_close(saliency, subject.explain(detector, photo(), score=score))
        assert detector.largest_batch <= max(size, LEAST_BATCH.get(subject.label, 1))
        assert score.largest_batch <= size


def test_another_seed_gives_another_map_where_it_draws_and_nowhere_else(subject: Subject) -> None:
    generators = [np.random.default_rng(seed) for seed in (0, 1)]
    first, second = (subject.explain(SmallDetector(), photo(), generator) for generator in generators)
    drew = state_of(generators[0]) != state_of(np.random.default_rng(0))
    assert np.array_equal(first, second) != depends_on_the_seed(subject, drew)


def state_of(generator: np.random.Generator) -> tuple[object, int]:
    """What changes when anything is drawn from a generator, or another is spawned of it."""
    sequence = generator.bit_generator.seed_seq
    assert isinstance(sequence, np.random.SeedSequence)
    return generator.bit_generator.state, sequence.n_children_spawned


def depends_on_the_seed(subject: Subject, drew: bool) -> bool:
    """Whether the map must, where the explainer did or did not draw from its generator."""
    if subject.label.partition(":")[0] in FAMILIES:
        return subject.label in LIBRARY_DRAWS
    return drew and subject.label != ONLY_TIES


def test_every_draw_is_from_the_frames_generator(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    generators = [np.random.default_rng(0) for _ in range(3)]
    saliency = subject.explain(SmallDetector(), photo(), generators[0])
    detector, image = SmallDetector(), photo()
    refuse_new_generators(monkeypatch, of_torch=state_of(generators[0]) == state_of(generators[1]))
    assert np.array_equal(subject.explain(detector, image, generators[2]), saliency)


def test_nothing_else_changes(subject: Subject) -> None:
    detector, image, background = in_use(), photo(), photo(9)
    with without_a_trace(detector, image, background):
        saliency = subject.explain(detector, image, background=background)
    assert_close(saliency, subject.explain(SmallDetector(), image, background=background))


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_nothing_changes_where_the_detector_breaks_down(subject: Subject, passes: int) -> None:
    detector, image = in_use(), photo()
    if isinstance(subject.explainer, DetectorSpecificExplainer):
        subject.explainer.check(detector)
    detector.passes_left = passes
    with without_a_trace(detector, image), contextlib.suppress(BrokenDetectorError, InputError):
        subject.explain(detector, image, score=Score(Queries(detector, 4), TARGET))


def test_forwards_are_counted(subject: Subject) -> None:
    detector = SmallDetector()
    for name in names_of(subject):
        frame = frame_of(subject, detector)
        before, backwards = detector.images_seen, 0

        def count(_detector: SmallDetector, gradients: tuple[Tensor, ...]) -> None:
            nonlocal backwards
            backwards += len(gradients[0])

        handle = detector.register_full_backward_pre_hook(count)
        explanation = frame.explain(name)
        handle.remove()
        checks = 2 if explanation.completeness else 0  # of the map's sum; no part of the explanation
        assert explanation.forwards + checks == detector.images_seen - before + backwards
        assert (explanation.forwards > 0) == (subject.label not in SILENT or name.endswith(SUFFIX))


def precision(subject: Subject) -> type:
    """Maps from files keep theirs, so that their order stays."""
    return np.float64 if subject.name.startswith("saliency:") else np.float32


def names_of(subject: Subject) -> list[str]:
    """The method, and the same with the adversarial fill where it hides pixels."""
    return [subject.name, subject.name + SUFFIX] if hides(subject.name) else [subject.name]


def frame_of(subject: Subject, detector: SmallDetector) -> xai.FrameExplanations:
    """The frame's explanations, with nothing left to find out about the detector."""
    if isinstance(subject.explainer, DetectorSpecificExplainer):
        subject.explainer.check(detector)
    return xai.FrameExplanations(detector, photo(), TARGET, subject.settings, key=KEY)


@pytest.mark.parametrize("fill", [*FILLS, ADVERSARIAL])
def test_it_works_with_every_fill(subject: Subject, fill: str) -> None:
    detector = SmallDetector()
    frame = frame_of(subject, detector)
    score = Score(Queries(detector), TARGET)
    saliency = subject.explainer(score, photo(), blocks(), frame.fill(fill), np.random.default_rng(0))
    assert (saliency.shape, saliency.dtype) == ((SIZE, SIZE), precision(subject))
    assert np.isfinite(saliency).all()


def test_the_fill_matters_to_what_hides_pixels_and_to_nothing_else(subject: Subject) -> None:
    first, second = (subject.explain(SmallDetector(), photo(), background=photo(seed)) for seed in (7, 8))
    if not hides(subject.name):
        assert_close(first, second)
    elif subject.label not in SILENT:  # a user's function does not say that it hides nothing
        assert np.abs(first - second).max() > 1e-2 * np.abs(first).max()


def assert_close(saliency: np.ndarray, other: np.ndarray) -> None:
    """Fails unless two maps are the same within the rounding of batched arithmetic."""
    assert np.abs(saliency - other).max() <= 1e-4 * np.abs(saliency).max()
