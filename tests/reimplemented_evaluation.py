"""The published evaluation once more, step by step from docs/methods.md and docs/reproduce.md: a twin for a test.

Nothing of `xai`, `attacks`, `scoring` or `runs` is used: numpy, torch, scikit-image, scikit-learn, scipy, shap, and a
detector that gives logits. All ten differences of docs/reproduce.md are on, unless one is named as left out.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import shap
import torch
from scipy.stats import norm, qmc
from skimage.segmentation import quickshift, slic
from sklearn.linear_model import Ridge
from torch import Tensor
from torch.nn.functional import interpolate

from detectors import Detector

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Region = npt.NDArray[np.bool_]
Ask = Callable[[Tensor], Floats]

METHODS = ("LIME", "SHAP", "SOBOL", "RISE", "LIME_adv", "SHAP_adv", "SOBOL_adv", "RISE_adv")
SWAPPED = {"SOBOL": "RISE", "RISE": "SOBOL", "SOBOL_adv": "RISE_adv", "RISE_adv": "SOBOL_adv"}
DEPTHS = (1, 2, 3)
LIME_WIDTH, SHAP_BLUR, SHAP_BATCH = 0.25, 128, 50
BATCH = 16  # images that the detector is asked about at a time


@dataclass(frozen=True)
class Sizes:
    """How many samples and steps are taken; the other numbers are the published ones."""

    lime_samples: int
    shap_evaluations: int
    sobol_grid: int
    sobol_designs: int
    rise_samples: int
    rise_grid: int
    pairs: int
    step: float
    steps: int
    adversarial_steps: int
    segments: int = 50


@dataclass(frozen=True)
class Attacked:
    """One region of one frame after the attack."""

    method: str
    depth: int
    drop: float
    flipped: bool
    linf: float
    area: float


class _Masker(shap.maskers.Image):  # type: ignore[misc]
    """shap's own, whose tree of rectangles is made once for all frames of a shape."""

    def build_partition_tree(self) -> None:
        self.clustering = _rectangles(self.input_shape)


@cache
def _rectangles(shape: tuple[int, ...]) -> Floats:
    return shap.maskers.Image(0, shape).clustering


class Evaluation:
    """One frame's evaluation with the draws of one seed."""

    def __init__(
        self, detector: Detector, image: Tensor, sizes: Sizes, seed: Sequence[int], without: Collection[str] = ()
    ) -> None:
        """Asks for the verdict.

        Args:
            detector: what is explained and attacked; it says the mean and the deviation of its normalisation.
            image: (3, S, S) in [0, 1].
            sizes: how many samples and steps.
            seed: of all draws.
            without: the published differences that are left out.
        """
        self.detector, self.image, self.sizes, self.without = detector, image, sizes, without
        self.random = np.random.default_rng(seed)
        assert detector.std is not None
        self.mean, self.std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (detector.mean, detector.std))
        self.probabilities = self._softmax(image[None])[0]
        self.target = int(self.probabilities.argmax())

    def rows(self, methods: Sequence[str] = METHODS) -> list[Attacked]:
        """What the attack of each method's best one, two and three regions does; none for a frame called Real."""
        if self.target == self.detector.real:
            return []
        ranked = {method: self._ranked(method) for method in methods}
        places = [(method, depth) for method in methods for depth in DEPTHS if len(ranked[method][1])]
        regions = [np.isin(ranked[method][0], ranked[method][1][:depth]) for method, depth in places]
        images = self._climbed_alike(regions)
        rows = []
        for (method, depth), region, image, after in zip(places, regions, images, self._softmax(images), strict=True):
            name = method if "swapped-rows" in self.without else SWAPPED.get(method, method)
            drop = float(self.probabilities[self.target] - after[self.target])
            flipped, linf = int(after.argmax()) == self.detector.real, float((image - self.image).abs().max())
            rows.append(Attacked(name, depth, drop, flipped, linf, float(region.mean())))
        return rows

    # ---- the detector's answers

    def _softmax(self, images: Tensor) -> Floats:
        with torch.inference_mode():
            logits = torch.cat([self.detector(part) for part in images.split(BATCH)])
        return torch.softmax(logits.double(), dim=1).numpy()

    def _once(self, images: Tensor) -> Floats:
        return self._softmax(images)[:, self.target]

    def _twice(self, images: Tensor) -> Floats:
        if "two-softmaxes" in self.without:
            return self._once(images)
        again = np.exp(self._softmax(images))
        return again[:, self.target] / again.sum(axis=1)

    # ---- segments and rankings

    def _ranked(self, method: str) -> tuple[Labels, Labels]:
        """The segments that a method is ranked over, and their labels, best first; none where LIME drops the frame."""
        explainer = method.removesuffix("_adv")
        if explainer == "LIME":
            segments = self._quickshift() if method == "LIME" and "lime-row" not in self.without else self._slic()
            importance = self._lime(segments, self.adversarial)
            if (importance > 0).sum() < 3 and "dropped-frames" not in self.without:
                return segments, np.array([], dtype=int)
        else:
            hidden = self.adversarial if method.endswith("_adv") else None
            segments = self._slic() if "own-segments" in self.without else self._slic_of_normalised()
            saliency = {"SHAP": self._shap, "SOBOL": self._sobol, "RISE": self._rise}[explainer](hidden)
            importance = np.array([saliency[segments == label].mean() for label in range(segments.max() + 1)])
            importance = np.round(
                importance / np.abs(importance).max(), 12
            )  # equal ones are tied, whatever the rounding
        return segments, np.argsort(-importance, kind="stable")

    def _slic(self) -> Labels:
        return slic(self.image.permute(1, 2, 0).numpy(), n_segments=self.sizes.segments, start_label=0)

    def _slic_of_normalised(self) -> Labels:
        normalised = (self.image - self.mean) / self.std
        return slic(normalised.permute(1, 2, 0).numpy(), n_segments=self.sizes.segments, start_label=0)

    def _quickshift(self) -> Labels:
        pixels = self.image.permute(1, 2, 0).double().numpy()
        return quickshift(pixels, kernel_size=4, max_dist=200, ratio=0.2, rng=0)

    # ---- the four explanations

    def _lime(self, segments: Labels, hidden: Tensor) -> Floats:
        """The weight of each segment."""
        count = int(segments.max()) + 1
        shown = self.random.integers(0, 2, (self.sizes.lime_samples, count))
        shown[0] = 1
        scores = self._scores(self._twice, torch.from_numpy(shown[:, segments][:, None]).float(), hidden)
        share = shown.mean(axis=1)
        distance = 1 - np.sqrt(share)  # the cosine of a row of zeros and ones with ones alone is sqrt(share)
        weights = np.sqrt(np.exp(-(distance**2) / LIME_WIDTH**2))
        return Ridge(alpha=1).fit(shown, scores, sample_weight=weights).coef_

    def _shap(self, hidden: Tensor | None) -> Floats:
        pixels = self.image.permute(1, 2, 0).numpy()
        value = f"blur({SHAP_BLUR},{SHAP_BLUR})" if hidden is None else hidden.permute(1, 2, 0).numpy()
        explain = shap.PartitionExplainer(
            lambda images: self._once(torch.from_numpy(images).permute(0, 3, 1, 2).float()),
            _Masker(value, pixels.shape),
        )
        values = explain(pixels[None], max_evals=self.sizes.shap_evaluations, batch_size=SHAP_BATCH, silent=True).values
        return values[0].sum(axis=-1)

    def _sobol(self, hidden: Tensor | None) -> Floats:
        grid, designs = self.sizes.sobol_grid, self.sizes.sobol_designs
        cells = grid * grid
        draws = qmc.Sobol(2 * cells, scramble=True, rng=self.random).random(designs)
        a, b = draws[:, :cells], draws[:, cells:]
        swapped = []
        for cell in range(cells):
            own = a.copy()
            own[:, cell] = b[:, cell]
            swapped.append(own)
        masks = torch.from_numpy(np.concatenate([a, b, *swapped]).reshape(-1, 1, grid, grid)).float()
        keep = interpolate(masks, self.image.shape[1:], mode="nearest")
        scores = self._scores(self._once, keep, self._background() if hidden is None else hidden)
        of_a, of_b, of_swapped = scores[:designs], scores[designs : 2 * designs], scores[2 * designs :]
        variance = np.concatenate([of_a, of_b]).var()
        total = ((of_a - of_swapped.reshape(cells, designs)) ** 2).mean(axis=1) / (2 * variance)
        return interpolate(torch.from_numpy(total.reshape(1, 1, grid, grid)), self.image.shape[1:])[0, 0].numpy()

    def _rise(self, hidden: Tensor | None) -> Floats:
        grid, side = self.sizes.rise_grid, self.image.shape[1]
        keep = 0.5 if "rise-keep" in self.without else norm.cdf(0.1)
        cell = -(-side // grid)
        masks = torch.empty(self.sizes.rise_samples, 1, side, side)
        for mask in masks:
            cells = torch.from_numpy(self.random.random((1, 1, grid, grid)) < keep).float()
            large = interpolate(cells, ((grid + 1) * cell,) * 2, mode="bilinear", align_corners=False)
            down, right = self.random.integers(0, cell, 2)
            mask[0] = large[0, 0, down : down + side, right : right + side]
        scores = self._scores(self._twice, masks, self._background() if hidden is None else hidden)
        return np.einsum("n,nij->ij", scores, masks[:, 0].double().numpy()) / (len(masks) * keep)

    def _background(self) -> Tensor:
        return self.mean.expand_as(self.image)

    def _scores(self, ask: Ask, keep: Tensor, hidden: Tensor) -> Floats:
        """The scores of the image where a mask is 1, and of what hides it where a mask is 0."""
        return ask(keep * self.image + (1 - keep) * hidden)

    # ---- the attack

    @cached_property
    def adversarial(self) -> Tensor:
        """The image whose pixels hide those of the frame, for all methods with "_adv" and for LIME."""
        return self._climbed(np.ones((1, *self.image.shape[1:]), dtype=bool), self.sizes.adversarial_steps)[0]

    def _climbed_alike(self, regions: Sequence[Region]) -> Tensor:
        """The attacked images of regions, of which equal ones are attacked once, together."""
        if not regions:
            return self.image[None][:0]
        distinct = list({region.tobytes(): region for region in regions}.values())
        places = [[region.tobytes() for region in distinct].index(region.tobytes()) for region in regions]
        return self._climbed(np.stack(distinct), self.sizes.steps)[places]

    def _climbed(self, regions: Region, steps: int) -> Tensor:
        """The images after NES on each region (R, S, S), not judged after the last step; (R, 3, S, S)."""
        unit = torch.ones(3, 1, 1) if "unbounded-sum" in self.without else self.std
        images, going = self.image.repeat(len(regions), 1, 1, 1), np.arange(len(regions))
        for _ in range(steps):
            if not len(going):
                break
            verdicts, gradients = self._climbing(images[going], unit)
            for region, verdict, gradient in zip(going, verdicts, gradients, strict=True):
                if verdict != self.detector.real:
                    direction = self._estimate(gradient, torch.from_numpy(regions[region])).sign()
                    images[region] = self._kept(images[region] + self.sizes.step * unit * direction)
            going = going[verdicts != self.detector.real]
        return images

    def _kept(self, image: Tensor) -> Tensor:
        """What the published attack leaves as it is."""
        if "unbounded-sum" in self.without:
            image = torch.maximum(torch.minimum(image, self.image + 16 / 255), self.image - 16 / 255)
        return image.clamp(0, 1) if "no-clamp" in self.without else image

    def _climbing(self, images: Tensor, unit: Tensor) -> tuple[Labels, Tensor]:
        """The verdicts, and the gradients of p(Real) by changes that the channels share, in units of a step."""
        verdicts, gradients = [], []
        for part in images.split(BATCH):
            variable = part.clone().requires_grad_()
            logits = self.detector(variable)
            climbed = logits.log_softmax(1) if "nes-on-p" in self.without else logits.softmax(1)
            (gradient,) = torch.autograd.grad(climbed[:, self.detector.real].sum(), variable)
            verdicts.append(logits.detach().argmax(1))
            gradients.append((gradient * unit).sum(1))
        return torch.cat(verdicts).numpy(), torch.cat(gradients)

    def _estimate(self, gradient: Tensor, region: Tensor) -> Tensor:
        """The mean of (u . d) u over the pairs' noise u, which is drawn in the region alone; (S, S)."""
        noise = torch.from_numpy(self.random.standard_normal((self.sizes.pairs, *region.shape), np.float32)) * region
        along = (noise * gradient).sum(dim=(1, 2))
        return (along[:, None, None] * noise).mean(dim=0)
