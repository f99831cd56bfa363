"""What fails on a frame leaves the rest of it as it would be alone, and says where and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks import Batch, RegionAttack
from common.errors import InputError
from detectors import Queries
from runs.chosen_parts import chosen_methods
from runs.gallery.albums import album
from scoring.attempts import NothingScoredError, StageFailure, as_text, from_text, reason_of
from scoring.frame import Scorer
from scoring.metrics.base import About, Case, Value
from scoring.protocol import Protocol
from scoring.records import MetricValue
from scoring.scored import Scored
from tests.scoring.metrics.own import Peak
from tests.scoring.stand_ins import GUESS, Eraser, PlantedDetector
from tests.scoring.test_frame import TINY, frame
from xai.base import Fill, Score
from xai.explanation_settings import build_settings

ME = "tests.scoring.test_attempts"
PROTOCOL = Protocol(
    baselines=("random", "random-area", "whole", "oracle", "random-model"),
    depths=("1", "2", "3"),
    draws=1,
    area_draws=1,
    threshold_steps=2,
    budget_rounds=2,
    flip_thresholds=("budget",),
)


def unlabelled(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """An explainer that looks for what is not there."""
    raise KeyError("logits")


def starved(
    score: Score, image: Tensor, segments: np.ndarray, fill: Fill, generator: np.random.Generator
) -> np.ndarray:
    """An explainer that needs more memory than there is."""
    raise MemoryError("Unable to allocate 84.4 GiB for an array")


@dataclass(frozen=True)
class Broken(RegionAttack):
    """An attack that fails, whatever the region."""

    @property
    def rounds(self) -> int:
        return 1

    def propose(self, queries: Queries, batch: Batch) -> Tensor:
        raise AssertionError("only one class")


@dataclass(frozen=True)
class Undone:
    """A metric that fails."""

    about: ClassVar[About] = About("Nothing.", (Value("undone", 0.0, 1.0, None),), "saliency", "none")

    def __call__(self, case: Case) -> Mapping[str, float]:
        raise ZeroDivisionError("division by zero")


def scorer(*methods: str, **changes: object) -> Scorer:
    chosen = chosen_methods(list(methods))
    settings = build_settings("quick", TINY, chosen)
    made = Scorer(PlantedDetector(), chosen, settings, {"eraser": Eraser()}, PROTOCOL, seed=5)
    return replace(made, **changes)  # type: ignore[arg-type]


def stages(scored: Scored) -> list[tuple[str, str]]:
    return [(failure.stage, failure.reason) for failure in scored.failures]


@pytest.fixture(name="alone", scope="module")
def _alone() -> Scored:
    return scorer(GUESS)(frame())


def test_a_method_that_fails_leaves_the_others_rows_as_they_are_without_it(alone: Scored) -> None:
    scored = scorer(f"{ME}:unlabelled", GUESS, f"{ME}:starved")(frame())
    assert stages(scored) == [
        (f"{ME}:unlabelled", "KeyError: 'logits'"),
        (f"{ME}:starved", "no memory is left (Unable to allocate 84.4 GiB for an array)"),
    ]
    assert scored.rows == alone.rows
    assert scored.flip_thresholds == alone.flip_thresholds
    assert all('raise KeyError("logits")' in failure.trace for failure in scored.failures[:1])
    (verdict,) = scored.frame_verdicts
    assert [failure.stage for failure in from_text(verdict.unscored)] == [stage for stage, _ in stages(scored)]
    assert replace(verdict, unscored="") == alone.frame_verdicts[0]
    shown = album(frame(), scored)
    assert shown is not None
    assert list(shown.saliency) == [GUESS]


@pytest.mark.parametrize("order", [("broken", "eraser"), ("eraser", "broken")])
def test_an_attack_that_fails_leaves_the_others_rows(order: tuple[str, str], alone: Scored) -> None:
    every: dict[str, RegionAttack] = {"broken": Broken(), "eraser": Eraser()}
    scored = scorer(GUESS, attacks={name: every[name] for name in order})(frame())
    assert stages(scored) == [("attack broken", "AssertionError: only one class")]
    assert scored.rows == alone.rows
    assert scored.flip_thresholds == alone.flip_thresholds
    assert scored.views is not None
    assert list(scored.views.attacked) == [GUESS]


def test_an_attack_that_fails_at_one_budget_says_at_which(alone: Scored) -> None:
    @dataclass(frozen=True)
    class Small(Eraser):
        def propose(self, queries: Queries, batch: Batch) -> Tensor:
            if self.epsilon > 0.05:
                raise InputError("too much")
            return super().propose(queries, batch)

    scored = scorer(GUESS, attacks={"small": Small()}, budgets=(16 / 255, 4 / 255))(frame())
    assert stages(scored) == [("attack small at 16/255", "too much")]
    assert {row.epsilon for row in scored.rows} == {4 / 255}


def test_a_metric_that_fails_leaves_the_others_values(alone: Scored) -> None:
    both = scorer(GUESS, metrics={"undone": Undone(), "peak": Peak()})(frame())
    peak = scorer(GUESS, metrics={"peak": Peak()})(frame())
    assert stages(both) == [(f"metric undone of {GUESS}", "ZeroDivisionError: division by zero")]
    assert both.metric_values == peak.metric_values != []
    assert all(isinstance(value, MetricValue) for value in both.metric_values)
    assert both.rows == alone.rows


def test_a_trial_that_fails_leaves_the_others(alone: Scored) -> None:
    """A frame that one way to divide it cannot divide is scored by the other."""
    coarse = build_settings("quick", TINY, chosen_methods([GUESS]))
    impossible = replace(coarse, segments=replace(coarse.segments, kind="grid", count=10_000))
    scored = scorer(GUESS, segmentations={"grid-10000": impossible, "slic-9": coarse})(frame())
    assert [stage for stage, _ in stages(scored)] == ["segments"]
    assert [verdict.unscored != "" for verdict in scored.frame_verdicts] == [True, False]
    assert {row.segmentation for row in scored.rows} == {"slic-9"}
    assert len(scored.rows) == len(alone.rows)


@pytest.mark.parametrize(
    ("methods", "changes", "reason"),
    [
        ((f"{ME}:unlabelled",), {}, f"{ME}:unlabelled: KeyError: 'logits'"),
        ((f"{ME}:unlabelled", f"{ME}:starved"), {"attacks": {}}, r"KeyError: 'logits' \(and 1 more\)"),
        ((GUESS,), {"attacks": {"broken": Broken()}}, "attack broken: AssertionError: only one class"),
    ],
)
def test_where_every_method_or_every_attack_fails_nothing_stands(
    methods: tuple[str, ...], changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(NothingScoredError, match=reason) as caught:
        scorer(*methods, **changes)(frame())
    assert all(failure.trace for failure in caught.value.failures)


def test_a_frame_called_real_has_nothing_that_could_fail() -> None:
    scored = scorer(f"{ME}:unlabelled")(frame(planted=False))
    assert scored.failures == []
    assert {row.predicted for row in scored.rows} == {"Real"}


def test_failures_are_kept_as_text_and_read_back() -> None:
    failures = [
        StageFailure("LIME: a, b", 'it said "no"'),
        StageFailure("attack nes", "\N{GREEK SMALL LETTER EPSILON}"),
    ]
    assert from_text(as_text(failures)) == failures
    assert as_text([]) == ""
    assert from_text("") == []
    for damaged in ("[", "3", json.dumps([["only one"]])):
        with pytest.raises(InputError, match="does not say which parts"):
            from_text(damaged)


def test_reasons_name_the_error_and_memory_that_ran_out() -> None:
    cpu = RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried to allocate 90607165440 bytes.")
    assert reason_of(cpu) == "no memory is left (tried to allocate 90607165440 bytes)"
    assert reason_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 84.38 GiB. GPU 0")).endswith(
        "(Tried to allocate 84.38 GiB)"
    )
    assert reason_of(MemoryError()) == "no memory is left (MemoryError)"
    assert reason_of(ValueError("two\nlines")) == "ValueError: two lines"
    assert reason_of(AssertionError()) == "AssertionError"
    assert reason_of(InputError("its own words")) == "its own words"


def test_a_frame_in_few_segments_is_warned_of_with_what_helps(capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.03 * 255, (48, 48, 3))
    whole = frame()
    noisy = replace(whole, image=(whole.image + noise).clip(0, 255).astype(np.uint8))
    plain, smoothed = (
        build_settings("quick", {"segments": {"count": 20, "sigma": sigma}}, chosen_methods([GUESS]))
        for sigma in (0.0, 2.0)
    )
    made = scorer(GUESS, attacks={}, protocol=replace(PROTOCOL, baselines=()))
    (verdict,) = replace(made, settings=plain)(noisy).frame_verdicts
    told = " ".join(capsys.readouterr().err.split())
    assert 0 < verdict.segments < 10
    assert f"{whole.key} falls into {verdict.segments} segments, where 20 were asked for" in told
    assert "--set segments.sigma=1 smooths it first" in told
    (verdict,) = replace(made, settings=smoothed)(noisy).frame_verdicts
    assert verdict.segments >= 10
    assert capsys.readouterr().err == ""
