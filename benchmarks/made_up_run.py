"""Finished frames of a run that never was: synthetic scores with a planted answer, in the form that a big run has.

A verdict falls by how strong a ranking is, how deep it is attacked, and how hard its video and its frame are:

    drop = 0.95 / (1 + exp(-1.8 strength)),  strength = 2.4 skill + log2(depth) - video - frame + noise - 1

with video ~ N(0, 0.7), frame ~ N(0, 0.7) and noise ~ N(0, 0.6), one for each ranking of each frame. A verdict flips
where it falls by more than a half. RISE has the skill of random regions, 0: no test should find a difference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from runs import parquet_records
from runs.packed_frames import Tables
from runs.selection import FAMILIES
from scoring.baselines.baseline_regions import OWNED
from scoring.baselines.table import BASELINES, ORACLE, RANDOM, RANDOM_AREA, WHOLE
from scoring.costs import FrameCost
from scoring.flip_threshold import THRESHOLD_DEPTH, budgets
from scoring.protocol import Protocol
from scoring.records import FlipThreshold, FrameVerdict, MetricValue, Row
from xai.regions import ALL, Depth

SKILL: Mapping[str, float] = {
    "LIME": 0.42, "LIME_adv": 0.66, "SHAP": 0.50, "SHAP_adv": 0.71, "SOBOL": 0.30, "SOBOL_adv": 0.54,
    "RISE": 0.0, "RISE_adv": 0.15,
}  # fmt: skip
BASELINE_SKILL = {"face-centre": 0.25, "edges": 0.2, "mask": 0.6, "oracle": 1.3, "whole": 2.5, "bottom-k": -0.3}
EPSILON, NES_FORWARDS = 16 / 255, 40
REAL_SHARE, MASKED_SHARE, SEGMENTS = 0.03, 0.9, 50


@dataclass(frozen=True)
class MadeUpRun:
    """A run of `frames` frames, in videos of `per_video`, that are scored as a preset's protocol says."""

    protocol: Protocol
    frames: int
    per_video: int
    seed: int = 0

    def key(self, index: int) -> str:
        """The key of the frame at `index`."""
        return f"{self._video(index // self.per_video)}/{index % self.per_video:04d}.png"

    def _video(self, number: int) -> str:
        return f"manipulated_sequences/{FAMILIES[number % len(FAMILIES)]}/c23/videos/{number:07d}.mp4"

    @cached_property
    def rankings(self) -> list[tuple[str, str, int]]:
        """What is attacked in a frame: (method, of, draw), in the order of a run's rows."""
        draws = {RANDOM: self.protocol.draws, RANDOM_AREA: self.protocol.area_draws}
        rankings = [(method, "", 0) for method in SKILL]
        for baseline in (*(a for a in self.protocol.baselines if a not in (WHOLE, ORACLE)), WHOLE, ORACLE):
            owners = tuple(SKILL) if baseline in OWNED else ("",)
            rankings += [(baseline, of, draw) for of in owners for draw in range(draws.get(baseline, 1))]
        return rankings

    @cached_property
    def columns(self) -> list[tuple[int, str]]:
        """The rows of a frame: which ranking, and at which depth."""
        depths = self.protocol.depths
        return [(n, d) for n, (m, *_) in enumerate(self.rankings) for d in ((ALL,) if m == WHOLE else depths)]

    def tables(self, start: int, stop: int) -> Tables:
        """All that is kept of the frames from `start` to `stop`."""
        batch = _Batch(self, start, stop)
        return {
            FrameVerdict: batch.verdicts(),
            Row: batch.rows(),
            FlipThreshold: batch.flip_thresholds(),
            MetricValue: parquet_records.of_values(MetricValue, []),
            FrameCost: batch.costs(),
        }


class _Batch:
    """Some frames, with everything that is drawn for them."""

    def __init__(self, run: MadeUpRun, start: int, stop: int) -> None:
        self.run, self.count = run, stop - start
        self.draws = np.random.default_rng([run.seed, start])
        indices = np.arange(start, stop)
        self.keys = [run.key(index) for index in range(start, stop)]
        self.video = indices // run.per_video
        self.family = self.video % len(FAMILIES)
        hard = np.random.default_rng([run.seed, 2**31]).normal(0, 0.7, size=int(self.video[-1]) + 1)[self.video]
        self.hard = hard + self.draws.normal(0, 0.7, size=self.count)
        self.real = self.draws.random(self.count) < REAL_SHARE
        self.masked = self.draws.random(self.count) < MASKED_SHARE
        self.strength = np.array([SKILL.get(m, BASELINE_SKILL.get(m, 0.0)) for m, *_ in run.rankings])
        noise = self.draws.normal(0, 0.6, size=(self.count, len(run.rankings)))
        self.push = 2.4 * self.strength - self.hard[:, None] + noise - 1

    def rows(self) -> pa.Table:
        run, columns = self.run, self.run.columns
        which = np.array([n for n, _ in columns])
        sizes = np.array([_segments(depth) for _, depth in columns])
        shape = (self.count, len(columns))
        there = ~self.real[:, None] | np.array(
            [m != ORACLE and run.rankings[n][2] == 0 for n, m in ((n, run.rankings[n][0]) for n, _ in columns)]
        )
        fell = 0.95 / (1 + np.exp(-1.8 * (self.push[:, which] + np.log2(sizes))))
        drop = np.where(self.real[:, None], 0.0, fell)
        flipped = drop > 0.5
        before = np.clip(self.draws.normal(0.97, 0.01, size=self.count), 0.9, 1.0)[:, None]
        area = np.clip(sizes / SEGMENTS * self.draws.uniform(0.85, 1.15, size=shape), 0, 1) * ~self.real[:, None]
        precision = np.clip(0.35 + 0.4 * self.strength[which] + self.draws.normal(0, 0.2, size=shape), 0, 1)
        steps = np.where(flipped, self.draws.integers(1, 8, size=shape), 7)
        text = _Texts(shape, there)
        family, says = text.of_frame(FAMILIES, self.family), np.where(self.real, 0, 1 + self.family)
        classes, named = ("Real", *FAMILIES), [run.rankings[n] for n, _ in columns]
        numbers = {
            "label": (1 + self.family)[:, None],
            "correct": ~self.real[:, None],
            "seed": 0,
            "draw": np.array([draw for *_, draw in named]),
            "weak": self.draws.random(shape) < 0.02,
            "completeness_error": -1.0,
            "stability": np.where(
                np.array([named in BASELINES for named, *_ in named]) | self.real[:, None], -1.0, 0.8
            ),
            "epsilon": EPSILON,
            "k": np.where(self.real[:, None], 0, np.minimum(np.ceil(sizes), SEGMENTS)),
            "area": area,
            "mask_precision": np.where((self.masked & ~self.real)[:, None], precision, -1.0),
            "before": before,
            "after": before - drop,
            "drop": drop,
            "correct_after": ~flipped & ~self.real[:, None],
            "flipped_to_real": flipped,
            "linf": np.where(self.real[:, None], 0.0, EPSILON),
            "steps": np.where(self.real[:, None], 0, steps),
            "forwards": NES_FORWARDS * steps,
            "queries": NES_FORWARDS * steps,
        }
        texts = {
            **self._origins(text),
            "predicted": text.of_frame(classes, says),
            "target": family,
            **self._names(text, [n for n, _ in columns]),
            "attack": text.same("nes"),
            "depth": text.of_column([depth for _, depth in columns]),
            "predicted_after": text.of_row(classes, np.where(flipped, 0, says[:, None])),
        }
        return _table(Row, texts, numbers, there)

    def verdicts(self) -> pa.Table:
        shape = (self.count, 1)
        text, classes = _Texts(shape, np.ones(shape, dtype=bool)), ("Real", *FAMILIES)
        says = np.where(self.real, 0, 1 + self.family)
        spoken = [
            " ".join("0.96" if c == said else "0.01" for c in range(len(classes))) for said in range(len(classes))
        ]
        made = {"segments": SEGMENTS, "adversarial_steps": 30, "adversarial_forwards": 60, "adversarial_queries": 2431}
        numbers = {
            "label": (1 + self.family)[:, None],
            "correct": ~self.real[:, None],
            "seed": 0,
            "before": 0.97,
            "adversarial_flipped": np.where(self.real, -1, self.hard < 1)[:, None],
            **{name: np.where(self.real, -1, value)[:, None] for name, value in made.items()},
        }
        texts = {
            **self._origins(text),
            "predicted": text.of_frame(classes, says),
            "target": text.of_frame(FAMILIES, self.family),
            "probabilities": text.of_frame(spoken, says),
            "unscored": text.of_frame(("",), 0 * says),
        }
        return _table(FrameVerdict, texts, numbers, text.there)

    def flip_thresholds(self) -> pa.Table:
        rankings = list(range(len(self.run.rankings)))
        levels = np.array(budgets(self.run.protocol.budget_rounds, EPSILON))
        shape = (self.count, len(rankings))
        needed = np.searchsorted(levels, EPSILON * np.exp(-0.8 * (self.push + math.log2(int(THRESHOLD_DEPTH)))))
        there = np.broadcast_to(~self.real[:, None], shape)
        text = _Texts(shape, there)
        texts = {
            **self._origins(text),
            **self._names(text, rankings),
            "attack": text.same("pgd"),
            "measure": text.same("budget"),
        }
        numbers = {
            "seed": 0,
            "draw": np.array([draw for *_, draw in self.run.rankings]),
            "value": levels[np.minimum(needed, len(levels) - 1)],
            "reached": needed < len(levels),
        }
        return _table(FlipThreshold, texts, numbers, there)

    def costs(self) -> pa.Table:
        stages = ("verdict", "segments", "adversarial", *SKILL, "attack nes", "grades")
        forwards = np.array([1, 0, 200, *(150 + 200 * name.endswith("_adv") for name in SKILL), 2500, 400])
        shape = (self.count, len(stages))
        text = _Texts(shape, np.ones(shape, dtype=bool))
        numbers = {
            "forwards": forwards,
            "calls": -(-forwards // 16),
            "seconds": forwards * self.draws.uniform(0.009, 0.011, size=shape),
        }
        return _table(
            FrameCost, {"key": text.of_frame(self.keys), "stage": text.of_column(stages)}, numbers, text.there
        )

    def _origins(self, text: "_Texts") -> dict[str, pa.Array]:
        first = int(self.video[0])
        videos = [self.run._video(number) for number in range(first, int(self.video[-1]) + 1)]
        return {
            "key": text.of_frame(self.keys),
            "video": text.of_frame(videos, self.video - first),
            "family": text.of_frame(FAMILIES, self.family),
            "segmentation": text.same("slic-50"),
        }

    def _names(self, text: "_Texts", which: list[int]) -> dict[str, pa.Array]:
        named = [self.run.rankings[n] for n in which]
        fills = ["adversarial" if m.endswith("_adv") else "mean" if m in SKILL else "" for m, *_ in named]
        return {
            "method": text.of_column([method for method, *_ in named]),
            "of": text.of_column([of for _, of, _ in named]),
            "fill": text.of_column(fills),
        }


class _Texts:
    """Texts for a frame's rows, as codes: `there` (frames, columns) is True where a row exists."""

    def __init__(self, shape: tuple[int, int], there: np.ndarray) -> None:
        self.shape, self.there = shape, there

    def of_row(self, names: "tuple[str, ...] | list[str]", codes: np.ndarray) -> pa.Array:
        """A text for every row."""
        chosen = np.broadcast_to(codes, self.shape)[self.there].astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(chosen), pa.array(list(names)))

    def of_frame(self, names: "tuple[str, ...] | list[str]", codes: np.ndarray | None = None) -> pa.Array:
        """A text for every frame."""
        return self.of_row(names, (np.arange(len(names)) if codes is None else codes)[:, None])

    def of_column(self, names: "tuple[str, ...] | list[str]") -> pa.Array:
        """A text for every column."""
        known = list(dict.fromkeys(names))
        return self.of_row(known, np.array([known.index(name) for name in names]))

    def same(self, name: str) -> pa.Array:
        """One text for all."""
        return self.of_row([name], np.zeros(1))


def _segments(depth: str) -> float:
    """About how many segments a depth is."""
    if depth == ALL:
        return SEGMENTS
    parsed = Depth.parse(depth)
    return parsed.count or max(1.0, parsed.share * SEGMENTS)


def _table(kind: type, texts: Mapping[str, pa.Array], numbers: Mapping[str, Any], there: np.ndarray) -> pa.Table:
    wanted = parquet_records.schema(kind)
    columns = [
        texts[field.name]
        if field.name in texts
        else pa.array(np.broadcast_to(numbers[field.name], there.shape)[there]).cast(field.type)
        for field in wanted
    ]
    return pa.table(columns, schema=wanted)
