"""Infidelity: how wrongly the saliency foretells what a perturbation does to the score."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from scoring.metrics.base import About, Case, Value, require
from xai.base import chunks

PERTURBATIONS = ("square", "noise")


@dataclass(frozen=True)
class Infidelity:
    """Mean of (I . saliency - (p(x) - p(x - I)))^2 over perturbations I (Yeh et al., NeurIPS 2019).

    With "square", a random square is replaced by the background, and I counts its pixels as 1, the others as 0: what
    attributions of a pixel's presence must foretell, as those of LIME, SHAP, SOBOL and RISE. With "noise", I is
    Gaussian noise: what gradients must foretell. Saliency maps have no common unit, so each is first multiplied by the
    number that makes it foretell best, as in the authors' code, unless `scaled` is off. That number is never negative,
    or a map turned upside down would foretell as well as the map itself. Costs samples + 1 forwards.

    Attributes:
        samples: how many perturbations.
        perturbation: "square" or "noise".
        smallest: a square's shortest side, as a share of the frame's height; sides are drawn uniformly.
        largest: its longest.
        sigma: standard deviation of the noise, in [0, 1]. Noisy frames are not cut to [0, 1], as I must be exact.
        scaled: whether the saliency takes its best scale.
    """

    about: ClassVar[About] = About(
        summary="Mean squared error of the saliency's forecast of what random perturbations do to p(target).",
        values=(Value("infidelity", 0.0, np.inf, "lower"),),
        needs="model",
        paper='Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019',
        category="faithfulness",
    )

    samples: int = 1000
    perturbation: str = "square"
    smallest: float = 0.05
    largest: float = 0.5
    sigma: float = 0.2
    scaled: bool = True

    def __post_init__(self) -> None:
        known = " or ".join(PERTURBATIONS)
        require(self.samples >= 1, f"samples must be at least 1, got {self.samples}")
        require(self.perturbation in PERTURBATIONS, f"perturbation must be {known}, got {self.perturbation!r}")
        require(0 < self.smallest <= self.largest <= 1, "a square's sides must be 0 < smallest <= largest <= 1")
        require(self.sigma > 0, f"sigma must be above 0, got {self.sigma}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The mean squared error: at most 1 where the saliency is scaled, and where it is 0 throughout."""
        foretold, seen = self.forecasts(case)
        scale = best_scale(foretold, seen) if self.scaled else 1.0
        return {"infidelity": float(((scale * foretold - seen) ** 2).mean())}

    def forecasts(self, case: Case) -> tuple[np.ndarray, np.ndarray]:
        """I . saliency and p(x) - p(x - I) of each perturbation, (samples,) float64 each."""
        draws = case.draws("infidelity")
        before = float(case.score(case.image[None]).double())
        foretold, scores = [], []
        for at in chunks(self.samples, case.score.batch_size):
            perturbed = list(self._perturbed(case, draws, at.stop - at.start))
            foretold += [value for value, _ in perturbed]
            scores.append(case.score(torch.stack([image for _, image in perturbed])).double())
        return np.array(foretold), before - torch.cat(scores).numpy()

    def _perturbed(self, case: Case, draws: np.random.Generator, count: int) -> Iterator[tuple[float, Tensor]]:
        """I . saliency and x - I, one by one."""
        saliency = case.saliency.astype(np.float64)
        for _ in range(count):
            if self.perturbation == "noise":
                noise = (self.sigma * draws.standard_normal(tuple(case.image.shape))).astype(np.float32)
                yield (
                    float((noise.sum(axis=0, dtype=np.float64) * saliency).sum()),
                    case.image - torch.from_numpy(noise).to(case.image),
                )
            else:
                rows, columns = self._square(saliency.shape, draws)
                image = case.image.clone()
                image[:, rows, columns] = case.background[:, rows, columns]
                yield float(saliency[rows, columns].sum()), image

    def _square(self, shape: tuple[int, ...], draws: np.random.Generator) -> tuple[slice, slice]:
        """A square that lies inside the frame, each of its places as likely."""
        height, width = shape
        shortest, longest = (max(1, min(round(share * height), width)) for share in (self.smallest, self.largest))
        side = int(draws.integers(shortest, longest + 1))
        top, left = int(draws.integers(height - side + 1)), int(draws.integers(width - side + 1))
        return slice(top, top + side), slice(left, left + side)


def best_scale(foretold: np.ndarray, seen: np.ndarray) -> float:
    """The factor, at least 0, of the forecasts that makes their squared error least."""
    power = float((foretold**2).sum())
    return max(0.0, float((foretold * seen).sum()) / power) if power > 0 else 0.0
