"""ROAD: the score and the verdict with removed pixels drawn from their neighbours instead of painted over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from scoring.metrics.base import About, Case, Value, require
from scoring.metrics.faithfulness.imputation import impute
from scoring.metrics.faithfulness.removal import pixel_ranks, reversed_ranks, shares_to_counts
from xai.base import chunks


@dataclass(frozen=True)
class ROAD:
    """Remove and debias (Rong et al. 2022): means over shares of pixels removed by noisy linear imputation.

    `morf` is the mean of p(target) with the most relevant removed, `lerf` with the least relevant, `between` is
    lerf - morf; `kept` is how often the verdict stays the target with the most relevant removed: the accuracy of the
    paper, of one frame. Costs two forwards for each share.

    Attributes:
        shares: of the pixels, below 1.
        noise: standard deviation of the Gaussian noise on imputed pixels, which keeps a network from recognising them.
    """

    about: ClassVar[About] = About(
        summary="Mean p(target), and how often the verdict stays, with pixels imputed, most or least relevant first.",
        values=(
            Value("morf", 0.0, 1.0, "lower"),
            Value("lerf", 0.0, 1.0, "higher"),
            Value("between", -1.0, 1.0, "higher"),
            Value("kept", 0.0, 1.0, "lower"),
        ),
        needs="model",
        paper='Rong et al., "A consistent and efficient evaluation strategy for attribution methods", ICML 2022',
        category="faithfulness",
    )

    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    noise: float = 0.01

    def __post_init__(self) -> None:
        require(bool(self.shares) and all(0 < share < 1 for share in self.shares), "shares must lie between 0 and 1")
        require(self.noise >= 0, f"noise must be at least 0, got {self.noise}")

    def __call__(self, case: Case) -> dict[str, float]:
        """The four means."""
        morf, kept = self._scores(case, pixel_ranks(case.saliency))
        lerf, _ = self._scores(case, reversed_ranks(case.saliency))
        return {"morf": morf, "lerf": lerf, "between": lerf - morf, "kept": kept}

    def _scores(self, case: Case, ranks: np.ndarray) -> tuple[float, float]:
        """The mean p(target) over the shares, and the share of verdicts that stay."""
        images = self._images(case, ranks, case.score.batch_size)
        probabilities = torch.cat([case.score.queries.probabilities(batch) for batch in images])
        kept = probabilities.argmax(dim=1) == case.target
        return float(probabilities[:, case.target].double().mean()), float(kept.double().mean())

    def _images(self, case: Case, ranks: np.ndarray, size: int) -> Iterator[Tensor]:
        """The imputed images, a chunk at a time, in [0, 1]; both orders have the same noise at the same pixels."""
        draws = case.draws("road")
        image = case.image.detach().cpu().numpy()
        counts = shares_to_counts(self.shares, ranks.size)
        for at in chunks(len(counts), size):
            batch = []
            for count in counts[at]:
                removed = ranks < count
                noise = self.noise * draws.standard_normal(image.shape)
                batch.append(np.clip(np.where(removed, impute(image, removed) + noise, image), 0.0, 1.0))
            yield torch.from_numpy(np.stack(batch)).float().to(case.image.device)
