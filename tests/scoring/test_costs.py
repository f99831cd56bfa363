"""What a stage takes is counted where it happens: on the detector."""

import torch

from detectors.queries import counting
from scoring.costs import Cost, CostTracker
from tests.toys import LinearDetector


def test_each_stage_is_charged_its_own_forwards_and_calls() -> None:
    detector = LinearDetector(torch.ones(3, 4, 4))
    told: list[str] = []
    with counting(detector) as meter:
        tracker = CostTracker(meter, told.append)
        with tracker.stage("adversarial"):
            detector(torch.zeros(5, 3, 4, 4))
        with tracker.stage("LIME"):
            detector(torch.zeros(2, 3, 4, 4))
            detector(torch.zeros(1, 3, 4, 4))
        with tracker.stage("LIME_adv", including="adversarial"):
            detector(torch.zeros(3, 3, 4, 4))
    detector(torch.zeros(7, 3, 4, 4))  # after the meter is closed, nothing counts
    assert told == ["adversarial", "LIME", "LIME_adv"]
    assert [(cost.stage, cost.forwards, cost.calls) for cost in tracker.costs] == [
        ("adversarial", 5, 1),
        ("LIME", 3, 2),
        ("LIME_adv", 8, 2),
    ]
    adversarial, lime, lime_adv = tracker.costs
    assert lime.seconds >= 0
    assert lime_adv.seconds >= adversarial.seconds
    assert meter.images == 11


def test_a_stage_is_charged_what_its_own_trial_took() -> None:
    detector = LinearDetector(torch.ones(3, 4, 4))
    with counting(detector) as meter:
        tracker = CostTracker(meter, lambda stage: None)
        for images in (5, 7):  # two seeds, each with an adversarial image of its own
            with tracker.stage("adversarial"):
                detector(torch.zeros(images, 3, 4, 4))
            with tracker.stage("LIME_adv", including="adversarial"):
                detector(torch.zeros(1, 3, 4, 4))
    assert [cost.forwards for cost in tracker.costs] == [5, 6, 7, 8]


def test_a_cost_compares_by_value() -> None:
    assert Cost("LIME", 3, 2, 0.5) == Cost("LIME", 3, 2, 0.5)
    assert Cost("LIME", 3, 2, 0.5) != Cost("LIME", 3, 1, 0.5)


def test_a_copy_with_other_weights_is_counted_where_it_is_asked() -> None:
    detector, other = LinearDetector(torch.ones(3, 4, 4)), LinearDetector(-torch.ones(3, 4, 4))
    with counting(detector) as meter:
        tracker = CostTracker(meter, lambda stage: None)
        with tracker.stage("random-model"), tracker.also(other):
            other(torch.zeros(6, 3, 4, 4))
            detector(torch.zeros(1, 3, 4, 4))
        with tracker.stage("attack nes"):
            other(torch.zeros(6, 3, 4, 4))
    assert [(cost.stage, cost.forwards, cost.calls) for cost in tracker.costs] == [
        ("random-model", 7, 2),
        ("attack nes", 0, 0),
    ]
    assert not other._forward_hooks


def test_a_pass_backward_counts_as_one_more() -> None:
    detector, images = LinearDetector(torch.ones(3, 4, 4)), torch.zeros(5, 3, 4, 4, requires_grad=True)
    with counting(detector) as meter:
        logits = detector(images)
        assert (meter.images, meter.calls) == (5, 1)
        torch.autograd.grad(logits.sum(), images, retain_graph=True)
        assert (meter.images, meter.calls) == (10, 2)
        torch.autograd.grad(logits[0, 1], images)
    assert (meter.images, meter.calls) == (15, 3)
