"""What a run scores by stays as it was; a detector may be what changes itself."""

import pytest
import torch
from torch import Tensor

from common.errors import InputError
from detectors.queries import Queries
from scoring.unchanged import Unchanged, UnchangedAnswers
from tests.scoring.stand_ins import SIZE, PlantedDetector
from xai.explanation_settings import build_settings


class LeavesHooks(PlantedDetector):
    """A hook more after each call."""

    def forward(self, images: Tensor) -> Tensor:
        self.register_forward_hook(lambda _module, _inputs, logits: None)
        return super().forward(images)


def test_a_detector_that_changes_itself_is_not_laid_to_others_alone() -> None:
    detector = LeavesHooks()
    unchanged = Unchanged(detector, build_settings("quick", {}, ()), {})
    unchanged.require()
    Queries(detector).logits(torch.rand(1, 3, SIZE, SIZE))
    with pytest.raises(InputError, match="an explainer, attack or metric of this run, or its own forward, has changed"):
        unchanged.require()


def test_answers_that_change_by_themselves_are_laid_to_nobody() -> None:
    image = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))

    class Scaled(PlantedDetector):
        draws, factor = False, 1.0

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * (torch.rand(()) if self.draws else self.factor)

    detector = Scaled()
    answers = UnchangedAnswers(detector)
    answers.see(image)
    answers.require("method own")
    detector.draws = True
    answers.require("method own")
    detector.draws, detector.factor = False, 1.01
    answers.require_gradient("method own")
    with pytest.raises(InputError, match="method own has changed what the detector answers, or its gradient, for the"):
        answers.require("method own")
