"""Detectors that break their promise, one way each: refused at the start, or with the answer that breaks it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError
from detectors.answers import NotFiniteError, require_unequal, said_class, says
from detectors.base import Detector
from detectors.checks.consistency import (
    apart,
    differs,
    probes,
    require_consistent,
    require_same_beside,
    require_same_in,
    weights_seen,
)
from detectors.gradients import slope
from detectors.queries import Queries
from detectors.randomised import randomised

SIZE = 16


class Sound(Detector):
    """A small network of fixed weights; the others change what it answers."""

    class_names = ("Real", "Fake")
    real = 0
    input_size = SIZE

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.last = nn.Linear(8, 2)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=draws))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.network(images))


class DropsOut(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return self.last(functional.dropout(self.network(images), 0.1, training=True))


class Remembers(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(8))

    def forward(self, images: Tensor) -> Tensor:
        features = self.network(images)
        self.seen = 0.9 * self.seen + 0.1 * features.mean(0)
        return self.last(features - self.seen)


class CentresTheBatch(Sound):
    def forward(self, images: Tensor) -> Tensor:
        features = self.network(images)
        return self.last(features - features.mean(0))


class AnswersTheFirst(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[:1]).expand(len(images), 2)


class CountsPlaces(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + torch.arange(len(images))[:, None] * torch.tensor([0.0, 0.1])


class DrawsBesideALargeShare(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + 1e4 + 2 * torch.randn(len(images), 2)


class OtherwiseForGradients(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + images.requires_grad * torch.tensor([1.0, 0.0])


class ReadsMemory(Sound):
    """As a library does that is given a pointer: it takes the numbers in the order in which they lie."""

    def forward(self, images: Tensor) -> Tensor:
        side = SIZE
        return super().forward(images.as_strided(images.shape, (3 * side * side, side * side, side, 1)))


class DrawsBesideAMaskedClass(Sound):
    class_names = ("Real", "Fake", "Unused")

    def forward(self, images: Tensor) -> Tensor:
        drawn = super().forward(images) + torch.randn(len(images), 2)
        return torch.cat([drawn, torch.full((len(images), 1), -1e9)], dim=1)


class BrokenWeights(Sound):
    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.last.weight[0, 0] = torch.nan


class OneRow(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[:1])


class Several(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images), images  # type: ignore[return-value]


class Labels(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).long()


class Elsewhere(Sound):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).to("meta")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (DropsOut, "the second time"),
        (Remembers, "the second time"),
        (CentresTheBatch, "beside others"),
        (AnswersTheFirst, "at another place of a batch"),
        (CountsPlaces, "at another place of a batch"),
        (DrawsBesideALargeShare, "the second time"),
        (DrawsBesideAMaskedClass, "the second time"),
        (OtherwiseForGradients, "where its gradient is wanted, or where it lies in memory as NCHW"),
        (ReadsMemory, "where its gradient is wanted, or where it lies in memory as NCHW"),
        (BrokenWeights, r"not finite for 1 of 1 picture$"),
        (OneRow, r"returned \(1, 2\) for 3 pictures; expected logits \(3, 2\)"),
        (Several, "returned a tuple"),
        (Labels, "returned torch.int64"),
        (Elsewhere, "returned logits on meta for images on cpu"),
    ],
)
def test_a_promise_that_is_broken_is_named(kind: Callable[[], Detector], words: str) -> None:
    detector = kind().eval()
    with torch.random.fork_rng([]), pytest.raises(InputError, match=words):
        torch.manual_seed(0)  # two draws of a small network may be the same
        require_consistent(detector, probes(detector))


def test_what_all_logits_share_may_be_large() -> None:
    class Shifted(Sound):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 1e4

    require_consistent(Shifted().eval(), probes(Shifted()))


def test_weights_that_nobody_wrote_to_are_the_same_also_where_one_is_nan() -> None:
    detector = Sound()
    detector.register_buffer("unused", torch.tensor([float("nan"), float("inf")]))
    before = weights_seen(detector)
    assert weights_seen(detector) == before
    with torch.no_grad():
        detector.last.bias[0] += 1e-3
    assert weights_seen(detector) != before


@pytest.mark.parametrize(
    "order",
    [lambda weight: weight.flip(0), lambda weight: weight.flip(1), lambda weight: weight.flip(-1), lambda w: w.mT],
)
def test_weights_in_another_order_are_others(order: Callable[[Tensor], Tensor]) -> None:
    detector = Sound()
    detector.register_buffer("square", torch.rand(3, 3, 3, generator=torch.Generator().manual_seed(0)))
    detector.register_buffer("empty", torch.zeros(0))
    before = weights_seen(detector)
    detector.square = order(detector.square)
    assert weights_seen(detector) != before


def test_a_batch_of_the_runs_size_is_tried() -> None:
    """As detectors of clips do: eight pictures are taken for one film, fewer are not."""

    class Clips(Sound):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return logits.mean(dim=0).expand_as(logits) if len(images) % 8 == 0 else logits

    detector = Clips()
    require_consistent(detector, probes(detector))
    with pytest.raises(InputError, match="Clips answers a picture differently in a batch of 16 than in one of 3"):
        require_same_beside(detector, probes(detector), 16)
    require_same_beside(Sound(), probes(detector), 16)
    require_same_beside(detector, probes(detector), 3)  # as it is asked


def test_a_batch_that_is_not_full_is_tried_as_well() -> None:
    """As detectors that work in chunks do: where the last is padded, they are put together in another order."""

    class Chunks(Sound):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return logits.roll(16, dims=0) if len(images) > 16 and len(images) % 16 else logits

    detector = Chunks()
    with pytest.raises(InputError, match="Chunks answers a picture differently in a batch of 43 than in one of 3"):
        require_same_beside(detector, probes(detector), 64)


def test_another_answer_in_half_precision_is_refused() -> None:
    class Overflows(Sound):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return logits.flip(1) if torch.is_autocast_enabled("cpu") else logits

    images = probes(Sound())
    with pytest.raises(InputError, match="Overflows answers differently in bfloat16"):
        require_same_in("bfloat16", Overflows(), images)
    require_same_in("float32", Overflows(), images)
    require_same_in("bfloat16", Sound(), images)


def test_a_detector_may_be_called_inside_vmap_and_traced() -> None:
    """Values cannot be looked at in there; the detector around it is looked at."""
    detector = Sound().eval()
    images = probes(detector)
    expected = detector(images)
    with torch.no_grad():
        mapped = torch.func.vmap(lambda image: detector(image[None])[0])(images)
        traced = torch.jit.trace(detector, images, check_trace=False)(images)
    torch.testing.assert_close(mapped, expected)
    torch.testing.assert_close(traced, expected)


@pytest.mark.parametrize("training", [False, True])
def test_a_sound_detector_passes_in_any_mode(training: bool) -> None:
    detector = Sound().train(training)
    require_consistent(detector, probes(detector))
    assert detector.training is training


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_may_round(kind: torch.dtype) -> None:
    class Halved(Sound):
        def forward(self, images: Tensor) -> Tensor:
            with torch.autocast("cpu", kind):
                return super().forward(images)

    require_consistent(Halved(), probes(Halved()))


class TestAnswers:
    def test_a_nan_of_one_picture_is_refused_with_how_many(self) -> None:
        class Divides(Sound):
            def forward(self, images: Tensor) -> Tensor:
                return super().forward(images) / images.std(dim=(1, 2, 3))[:, None]

        images = torch.rand(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        images[1], images[4] = 0.5, 0.0
        with pytest.raises(NotFiniteError, match="not finite for 2 of 5 pictures"):
            Queries(Divides()).logits(images)
        assert Queries(Divides()).logits(images[[0, 2, 3]]).isfinite().all()

    def test_answers_in_the_same_memory_stay_what_they_were(self) -> None:
        """As those of a graph captured on a GPU do not, nor those of an engine with a buffer for its outputs."""

        class Reuses(Sound):
            def __init__(self) -> None:
                super().__init__()
                self.outputs = torch.zeros(8, 2)

            def forward(self, images: Tensor) -> Tensor:
                self.outputs[: len(images)] = super().forward(images).detach()
                return self.outputs[: len(images)]

        images = torch.rand(7, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        expected = Queries(Sound(), 3).logits(images)
        torch.testing.assert_close(Queries(Reuses(), 3).logits(images), expected)
        none = torch.ones(len(images), dtype=torch.bool)
        with torch.enable_grad():
            torch.testing.assert_close(slope(Queries(Reuses().eval(), 12), images, 0, none).logits, expected)

    @pytest.mark.parametrize(("masked", "half"), [(-1e9, False), (-1e4, True)])
    def test_classes_that_are_masked_off_are_no_scale(self, masked: float, half: bool) -> None:
        one, other = (torch.tensor([[0.1, value, masked, masked]]) for value in (0.3, 0.33))
        assert differs(one, other, half) == pytest.approx(0.015)
        assert differs(one[:, :2], other[:, :2], half) == pytest.approx(0.015)
        assert differs(one, one + 1e-5 * torch.eye(4)[:1], half) == 0.0
        assert differs(one, torch.tensor([[0.1, 0.3, -1.0, masked]]), half) > 0

    def test_what_the_classes_share_in_float64_hides_nothing(self) -> None:
        class Shifted(Sound):
            def forward(self, images: Tensor) -> Tensor:
                return super().forward(images).double() + 1e9

        images = probes(Sound())
        expected = Queries(Sound()).probabilities(images)
        torch.testing.assert_close(Queries(Shifted()).probabilities(images), expected)

    def test_what_is_finite_in_float64_alone_is_refused(self) -> None:
        class Large(Sound):
            def forward(self, images: Tensor) -> Tensor:
                return super().forward(images).double() * 1e39

        with pytest.raises(NotFiniteError, match="not finite for 3 of 3 pictures"):
            Queries(Large()).logits(probes(Large()))

    def test_an_overflow_in_training_is_the_trainings_affair(self) -> None:
        detector = BrokenWeights().train()
        assert not detector(torch.rand(2, 3, SIZE, SIZE)).isfinite().all()

    def test_a_copy_with_other_weights_is_looked_at_as_well(self) -> None:
        other = randomised(Sound(), 0)
        with torch.no_grad():
            other.last.weight.fill_(torch.inf)  # type: ignore[union-attr]
        with pytest.raises(NotFiniteError):
            other(torch.rand(2, 3, SIZE, SIZE))

    def test_a_tie_is_no_verdict(self) -> None:
        names = ("Real", "Deepfakes", "FaceSwap")
        with pytest.raises(InputError, match="no verdict: its logits for Real and FaceSwap are equal"):
            require_unequal(Sound(), names, torch.tensor([1.5, 0.0, 1.5]))
        require_unequal(Sound(), names, torch.tensor([1.5, 0.0, 1.4999]))

    def test_a_class_is_said_where_it_is_above_all_others(self) -> None:
        logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-5.0, -5.5]])
        assert says(logits, 0).tolist() == [True, False, False, True]
        assert says(logits, 1).tolist() == [False, True, False, False]
        assert said_class(logits, 0).tolist() == [0, 1, 1, 0], "in a tie, as nothing has flipped, it is not Real"
        assert said_class(logits, 1).tolist() == [0, 1, 0, 0]


def test_what_one_picture_rounds_excuses_no_other() -> None:
    far = torch.tensor([[-1e6, -1e6 + 1.0], [0.0, 2.0]])
    assert apart(far, far + torch.tensor([[0.0, 0.0], [0.0, 1.0]]), 1e-3) == pytest.approx(0.5)
    assert apart(far, far + torch.tensor([[0.0, 0.5], [0.0, 0.0]]), 1e-3) == 0
    assert np.isnan(apart(torch.full((1, 2), torch.nan), torch.zeros(1, 2), 1e-3))
