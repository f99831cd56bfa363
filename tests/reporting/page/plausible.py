"""Plausible results of a run that never was: tables, headlines and albums to build a report from, at any size."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.statistics import Estimate, PairedComparison
from runs.finished_run import FinishedRun
from runs.frame_table import frame_lines
from runs.gallery import sprites
from runs.gallery.sprites import Album
from runs.run_folder import RunFolder
from scoring.baselines.table import CENTRE, EDGES, RANDOM_AREA
from xai.ranking import rank, top_region

COUNTS, AREAS = ("1", "2", "3"), ("2%", "5%", "10%", "20%")
SKILL = {
    "LIME": 0.42, "SHAP": 0.50, "SOBOL": 0.30, "RISE": 0.06,
    "LIME_adv": 0.66, "SHAP_adv": 0.71, "SOBOL_adv": 0.47, "RISE_adv": 0.13,
}  # fmt: skip
ARM_SKILL = {
    "oracle": 1.0, "mask": 0.55, "face-centre": 0.33, "edges": 0.2, "random": 0.0, "bottom-k": -0.2,
    "random-area": 0.0, "random-model": 0.04, "whole": 1.6,
}  # fmt: skip
CENTRE_SCORE = 0.33
FAMILIES = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
MAIN = 16 / 255
BUDGETS = (MAIN, 2 / 255, 4 / 255, 8 / 255)
SHARE = {"1": 0.02, "2": 0.04, "3": 0.06, "2%": 0.019, "5%": 0.048, "10%": 0.096, "20%": 0.195, "all": 1.0}


def keys(count: int, names: Sequence[str] = FAMILIES, prefix: str = "") -> pd.DataFrame:
    """`count` frames: key, video, family, predicted."""
    rng = np.random.default_rng(1)
    family = [names[place % len(names)] for place in range(count)]
    video = [f"{each}/{place // (6 * len(names)):03d}" for place, each in enumerate(family)]
    key = [f"{prefix}manipulated_sequences/{v}.mp4/{place:05d}_0.png" for place, v in enumerate(video)]
    predicted = np.where(rng.random(count) < 0.04, "Real", family)
    return pd.DataFrame({"key": key, "video": video, "family": family, "predicted": predicted})


def rows(
    frames: pd.DataFrame, methods: Sequence[str] = tuple(SKILL), attacks: Sequence[str] = ("nes", "pgd")
) -> pd.DataFrame:
    """Tidy rows of every method and reference arm, at every depth, and at smaller budgets for the depths by count."""
    parts = [
        _rows(frames, method, "", skill, attack, depth, epsilon)
        for attack in attacks
        for method, skill in _skills(methods).items()
        for depth in (("all",) if method == "whole" else (*COUNTS, *AREAS))
        for epsilon in (BUDGETS if depth in COUNTS else (MAIN,))
    ]
    parts += [
        _rows(frames, "random-area", method, 0.0, attack, depth, epsilon)
        for attack in attacks
        for method in methods
        for depth in (*COUNTS, *AREAS)
        for epsilon in (BUDGETS if depth in COUNTS else (MAIN,))
    ]
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def finished(
    count: int = 500, methods: Sequence[str] = tuple(SKILL), names: Sequence[str] = FAMILIES, prefix: str = ""
) -> FinishedRun:
    """A whole run of `count` frames."""
    frames = keys(count, names, prefix)
    found = frames[frames["predicted"] != "Real"]
    scores, thresholds, costs = rows(frames, methods), _graded(found, methods), _costs(frames, methods)
    lines = frame_lines(_verdicts(scores), scores, thresholds, costs)
    failures = {f"{prefix}manipulated_sequences/broken/{n}.png": "no face has a pixel" for n in range(3)}
    return FinishedRun(
        scores, thresholds, _metrics(found, methods), costs, _configuration(methods, count), failures, lines,
    )  # fmt: skip


def headlines(run: FinishedRun, attacks: Sequence[str] = ("nes", "pgd")) -> tuple[Headline, ...]:
    """Headlines of all frames, of each family and of another segmentation, with intervals as wide as the sample."""
    methods = [m for m in dict.fromkeys(run.rows["method"]) if m not in ARM_SKILL]
    families = [str(family) for family in run.rows["family"].dropna().unique()]
    frames, videos = run.rows["key"].nunique(), run.rows["video"].nunique()
    made = []
    for attack in attacks:
        made.append(_headline(Condition(attack), methods, frames, videos))
        made += [
            _headline(Condition(attack, f), methods, frames // len(families), videos // len(families)) for f in families
        ]
        made.append(_headline(Condition(attack, segmentation="grid-7"), methods, frames, videos))
    return tuple(made)


def album(key: str, image: np.ndarray, mask: np.ndarray | None, methods: Sequence[str], seed: int) -> Album:
    """An album with smooth random maps over a picture."""
    rng = np.random.default_rng(seed)
    size = image.shape[0]
    cells = np.arange(size) * 7 // size
    segments = 7 * cells[:, None] + cells[None, :]
    saliency = {m: gaussian_filter(rng.normal(size=(size, size)), size / 14).astype(np.float32) for m in methods}
    regions = {m: top_region(segments, rank(saliency[m], segments), 3) for m in methods}
    noise = rng.choice([-16, 16], size=image.shape)
    attacked = {
        m: np.where(regions[m][..., None], (image + noise).clip(0, 255), image).astype(np.uint8) for m in methods
    }
    outcomes = {m: "Real" if rng.random() < 0.5 else "Deepfakes" for m in methods}
    return Album(key, "nes", "Deepfakes", image, segments, saliency, regions, attacked, outcomes, mask)


def portrait(seed: int, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture with an ellipse in it, (size, size, 3) uint8, and the ellipse's mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    mask = (x / 0.27) ** 2 + (y / 0.36) ** 2 < 1
    colours = rng.uniform(60, 200, size=(2, 3))
    picture = (
        np.where(mask[..., None], colours[0], colours[1])
        + gaussian_filter(rng.normal(size=(size, size, 3)), (3, 3, 0)) * 90
    )
    return picture.clip(0, 255).astype(np.uint8), mask


def fill_gallery(
    folder: Path, run: FinishedRun, count: int, methods: Sequence[str] = tuple(SKILL), size: int = 96
) -> None:
    """Albums of the first `count` frames of a run."""
    seals = RunFolder(folder).seals
    for place, key in enumerate(run.rows["key"].drop_duplicates().head(count)):
        sprites.save(folder, album(str(key), *portrait(place, size), methods, place), seals)


def _skills(methods: Sequence[str]) -> dict[str, float]:
    ours = {m: SKILL.get(m, 0.3) for m in methods}
    return ours | {baseline: skill for baseline, skill in ARM_SKILL.items() if baseline != "random-area"}


def _rows(
    frames: pd.DataFrame, method: str, of: str, skill: float, attack: str, depth: str, epsilon: float
) -> dict[str, np.ndarray]:
    count = len(frames)
    rng = np.random.default_rng(hash_of(method, of, attack, depth))
    hardness = np.random.default_rng(7).normal(size=count)
    share = SHARE[depth] * rng.uniform(0.85, 1.15, count) if depth != "all" else np.ones(count)
    push = 2.2 * skill + 2.4 * math.log10(epsilon * 255) + 1.1 * np.log10(share / 0.06) + (attack == "pgd")
    strength = push - 3.1 - 0.9 * hardness + 0.5 * rng.normal(size=count)
    family, predicted = frames["family"].to_numpy(object), frames["predicted"].to_numpy(object)
    real = predicted == "Real"
    drop = np.where(real, 0.0, 0.95 / (1 + np.exp(-1.8 * strength)))
    flipped = (drop > 0.48) & ~real
    after = np.where(flipped, "Real", predicted)
    there = np.random.default_rng(hash_of(method, of, depth))  # a region is the same under every attack
    inside = np.clip(0.35 + 0.5 * max(skill, -0.4) + 0.2 * there.normal(size=count), 0, 1)
    unmasked = np.random.default_rng(9).random(count) < 0.1
    fill = "" if method in ARM_SKILL else "adversarial" if method.endswith("_adv") else "blur"
    known = {
        "seed": 0, "segmentation": "slic-50", "method": method, "of": of, "draw": 0, "fill": fill, "weak": False,
        "completeness_error": np.nan,
        "attack": attack, "epsilon": epsilon, "depth": depth, "k": 3, "label": 1, "before": 0.97, "linf": epsilon,
        "steps": 10, "forwards": 400, "queries": 400,
    }  # fmt: skip
    return {
        **{name: frames[name].to_numpy(object) for name in ("key", "video", "family", "predicted")},
        **{name: np.full(count, each, dtype=object if isinstance(each, str) else None) for name, each in known.items()},
        "correct": (predicted == family).astype(int), "target": family, "area": share,
        "mask_precision": np.where(unmasked, np.nan, inside), "after": 0.97 - drop, "drop": drop,
        "predicted_after": after, "correct_after": (after == family).astype(int), "flipped_to_real": flipped,
    }  # fmt: skip


def hash_of(*parts: str) -> int:
    """A seed for names, the same every time."""
    return int.from_bytes("/".join(parts).encode(), "big") % (2**31)


def _verdicts(scores: pd.DataFrame) -> pd.DataFrame:
    """What is kept of each frame: the adversarial image flips two in three of those that are called fake."""
    frames = scores.drop_duplicates("key")
    fake = frames["predicted"].to_numpy(object) != "Real"
    flipped = np.random.default_rng(11).random(len(frames)) < 2 / 3
    names = ["key", "video", "family", "label", "seed", "segmentation", "predicted", "correct", "target", "before"]
    made = {"segments": 49, "adversarial_steps": 30, "adversarial_forwards": 60, "adversarial_queries": 2431}
    return frames[names].assign(
        probabilities="0.01 0.97 0.01 0.005 0.005",
        unscored="",
        adversarial_flipped=np.where(fake, flipped, -1).astype(int),
        **{name: np.where(fake, value, -1) for name, value in made.items()},
    )


def _graded(frames: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    parts = []
    for method, skill in {**{m: SKILL.get(m, 0.3) for m in methods}, "oracle": 1.0, "random-area": 0.0}.items():
        rng = np.random.default_rng(hash_of(method))
        scale = np.exp(-1.2 * skill)
        for measure, centre, limit in (
            ("budget", 9 / 255, 32 / 255),
            ("queries", 900.0, 4051.0),
            ("fraction", 0.35, 1.0),
        ):
            value = centre * scale * np.exp(0.7 * rng.normal(size=len(frames)))
            parts.append(
                frames[["key", "video", "family"]].assign(
                    method=method, of="", draw=0, seed=0, segmentation="slic-50", fill="",
                    attack="nes" if measure == "queries" else "pgd",
                    measure=measure, value=np.minimum(value, limit), reached=value < limit,
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _metrics(frames: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    names = {
        "deletion": False,
        "insertion": True,
        "AOPC": True,
        "IROF": True,
        "infidelity": False,
        "sensitivity": False,
        "pointing game": True,
        "relevance mass": True,
    }
    parts = []
    for method in methods:
        for name, higher in names.items():
            rng = np.random.default_rng(hash_of(method, name))
            level = 0.3 + (0.4 if higher else -0.2) * SKILL.get(method, 0.3)
            value = level + 0.05 * rng.normal(size=len(frames))
            parts.append(
                frames[["key", "video", "family"]].assign(
                    method=method, metric=name, value=value, better="higher" if higher else "lower"
                )
            )
    return pd.concat(parts, ignore_index=True)


def _costs(frames: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    queries = {"LIME": 2000, "SHAP": 2001, "SOBOL": 2112, "RISE": 4000}
    stages = {"verdict": 1, "segments": 0, "adversarial": 3200, "attack nes": 41200, "attack pgd": 700}
    stages |= {m: queries.get(m.removesuffix("_adv"), 1000) + 3200 * m.endswith("_adv") for m in methods}
    return pd.concat(
        [
            frames[["key"]].assign(stage=stage, forwards=n, calls=-(-n // 128), seconds=0.02 + n * 0.0031)
            for stage, n in stages.items()
        ],
        ignore_index=True,
    )


def _configuration(methods: Sequence[str], count: int) -> dict[str, object]:
    return {
        "preset": "published", "methods": list(methods), "seed": 0, "batch_size": 128, "precision": "float32",
        "detector": {"name": "ffattr_released", "class_names": ["Real", *FAMILIES], "input_size": 224,
                     "weights": "9c1f" * 16},
        "frames": {"count": count, "fingerprint": "ab12" * 16, "split": "test", "limit": None},
        "attacks": {"nes": {"epsilon": MAIN, "pairs": 40, "steps": 50}, "pgd": {"epsilon": MAIN, "steps": 10}},
        "versions": {"torch": "2.15.0", "numpy": "2.4.6"},
    }  # fmt: skip


def _headline(condition: Condition, methods: Sequence[str], frames: int, videos: int) -> Headline:
    rng = np.random.default_rng(hash_of(condition.attack, condition.family, condition.segmentation))
    half = 1.3 / math.sqrt(max(videos, 2))
    spread = 0.02 if not condition.family else 0.09
    scores = {
        m: SKILL.get(m, 0.3) * (0.85 if condition.attack == "pgd" else 1) + spread * rng.normal() for m in methods
    }
    return Headline(
        condition,
        tuple(
            HeadlineLine(
                method=m, score=Estimate(s, s - half, s + half),
                flips=Estimate(s * 0.9, s * 0.9 - half, s * 0.9 + half),
                drop=Estimate(0.2 + 0.4 * s, 0.15 + 0.4 * s, 0.25 + 0.4 * s),
                flip_rate=Estimate(0.15 + 0.55 * s, 0.1 + 0.55 * s, 0.2 + 0.55 * s), frames=frames, videos=videos,
                undefined=1 if m.startswith("RISE") else 0, is_significant=abs(s) > half,
                against=_against(s, half, beats_centre=s > CENTRE_SCORE + half) if not condition.family else {},
                better_than=tuple(o for o in methods if s - scores[o] > 1.3 * half),
            )
            for m, s in scores.items()
        ),
        (HeadlineLine(CENTRE, Estimate(CENTRE_SCORE, 0.0, 2 * CENTRE_SCORE), frames=frames, videos=videos),),
        videos=videos,
        needed=6,
    )  # fmt: skip


def _against(score: float, half: float, beats_centre: bool) -> dict[str, PairedComparison]:
    """The comparisons that fit a score with that interval."""
    difference = Estimate(0.4 * score, 0.4 * (score - half), 0.4 * (score + half))
    p = 0.0001 if abs(score) > half else 0.4
    shown = PairedComparison(difference=difference, p=p, p_holm=p)
    centre = shown if beats_centre else PairedComparison(difference=difference, p=0.6, p_holm=0.6)
    return {RANDOM_AREA: shown, CENTRE: centre, EDGES: shown}
