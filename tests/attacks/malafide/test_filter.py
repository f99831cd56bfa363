"""What a filter computes, against naive loops and closed forms."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from torch.nn import functional

from attacks.malafide.convolution import EDGE, FOURIER_FROM, by_fourier, convolve
from attacks.malafide.fidelity import Fidelity, psnr
from attacks.malafide.filter import BoundedCoefficients, Coefficients, Filter, FilterSpec, identity
from attacks.malafide.whitening import Whitening, mean_spectrum
from common.errors import InputError
from tests.attacks.malafide.toys import some_images, some_weight


def naive(images: Tensor, weight: Tensor) -> Tensor:
    """Every output pixel summed by hand, zeros beyond the border."""
    size, result = weight.shape[-1], torch.zeros_like(images)
    margin, (height, width) = size // 2, images.shape[-2:]
    for row in range(height):
        for column in range(width):
            for down in range(size):
                for right in range(size):
                    y, x = row + down - margin, column + right - margin
                    if 0 <= y < height and 0 <= x < width:
                        result[:, :, row, column] += images[:, :, y, x] @ weight[:, :, down, right].T
    return result


@pytest.mark.parametrize(("size", "height", "width"), [(3, 16, 16), (5, 7, 9), (11, 8, 5), (13, 9, 10)])
def test_both_ways_to_convolve_are_the_naive_sum(size: int, height: int, width: int) -> None:
    images, weight = some_images(2, 16)[:, :, :height, :width], some_weight(size)
    expected = naive(images, weight)
    assert torch.allclose(convolve(images, weight), expected, atol=1e-5)
    margin = size // 2
    padded = functional.pad(images, (margin,) * 4)
    assert torch.allclose(by_fourier(padded, weight), expected, atol=1e-5)
    edges = torch.from_numpy(np.pad(images.numpy(), ((0, 0), (0, 0), (margin, margin), (margin, margin)), "edge"))
    inside = naive(edges, weight)[:, :, margin : margin + height, margin : margin + width]
    assert torch.allclose(convolve(images, weight, EDGE), inside, atol=1e-5)


@pytest.mark.parametrize("size", [9, 27, 81])
def test_the_fourier_transform_gives_the_direct_result_and_gradient(size: int) -> None:
    images = some_images(2, 40)
    weight = some_weight(size, spread=0.02).requires_grad_()
    direct = functional.conv2d(images, weight, padding=size // 2)
    fourier = by_fourier(functional.pad(images, (size // 2,) * 4), weight)
    assert torch.allclose(direct, fourier, atol=2e-5)
    towards = torch.randn(direct.shape, generator=torch.Generator().manual_seed(3))
    gradients = [torch.autograd.grad((each * towards).sum(), weight)[0] for each in (direct, fourier)]
    assert torch.allclose(*gradients, atol=1e-3)


@pytest.mark.parametrize("size", [1, 3, 9, FOURIER_FROM, 27, 81])
def test_the_identity_changes_nothing_bit_for_bit(size: int) -> None:
    images = torch.cat([some_images(3, 33), torch.zeros(1, 3, 33, 33), torch.full((1, 3, 33, 33), 0.3)])
    specs = [FilterSpec(size)]
    if size > 1:
        specs += [FilterSpec(size, fidelity=Fidelity.parse(text)) for text in ("psnr:30", "linf:8/255")]
    for spec in specs:
        assert torch.equal(Filter(spec, identity(size))(images), images)
        if spec.fidelity is not None:
            start = BoundedCoefficients(spec, Whitening(mean_spectrum([images], size)))
            assert torch.equal(spec.apply(images, start.weight), images)


def test_the_range_of_an_image_does_not_depend_on_its_batch() -> None:
    images = some_images(5)
    for spec in (FilterSpec(9), FilterSpec(13), FilterSpec(9, fidelity=Fidelity("psnr", 25.0))):
        kept = Filter(spec, some_weight(spec.size))
        together = kept(images)
        alone = torch.cat([kept(image[None]) for image in images])
        assert torch.allclose(together, alone, atol=1e-6)
        assert (together - images).abs().max() > 0.05


def test_the_range_of_an_image_is_the_one_it_had() -> None:
    images, spec = some_images(3), FilterSpec(3)
    filtered = Filter(spec, 7.0 * some_weight(3))(images)
    raw = functional.conv2d(images, 7.0 * some_weight(3), padding=1)
    for before, after, plain in zip(images, filtered, raw, strict=True):
        assert float(after.min()) == pytest.approx(float(before.min()), abs=1e-6)
        assert float(after.max()) == pytest.approx(float(before.max()), abs=1e-6)
        assert np.corrcoef(after.flatten(), plain.flatten())[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_the_range_of_a_batch_is_the_published_formula() -> None:
    images, weight = some_images(3), some_weight(3)
    raw = functional.conv2d(images, weight, padding=1)
    expected = (raw - raw.min()) / (raw.max() - raw.min())
    kept = Filter(FilterSpec(3, "batch"), weight)
    assert torch.allclose(kept(images), expected, atol=1e-6)
    assert not torch.allclose(kept(images[:1]), expected[:1], atol=1e-3)


def test_a_filter_of_nothing_gives_a_constant_picture_not_a_number_divided_by_zero() -> None:
    images = some_images(2)
    for spec in (FilterSpec(3), FilterSpec(3, "batch")):
        assert bool(Filter(spec, torch.zeros(3, 3, 3, 3))(images).isfinite().all())


@pytest.mark.parametrize("floor", [20.0, 30.0, 45.5])
def test_no_image_falls_below_the_floor_and_a_strong_filter_reaches_it(floor: float) -> None:
    images = torch.cat([some_images(3), (some_images(2, seed=5) > 0.5).float()])
    filtered = Filter(FilterSpec(5, fidelity=Fidelity("psnr", floor)), some_weight(5, spread=3.0))(images)
    for before, after in zip(images.numpy(), filtered.numpy(), strict=True):
        assert peak_signal_noise_ratio(before, after, data_range=1.0) >= floor
    assert float(psnr(images, filtered)[:3].min()) < floor + (0.01 if floor > 25 else 1.5)
    assert float(filtered.min()) >= 0.0
    assert float(filtered.max()) <= 1.0


def test_the_largest_change_is_bounded_and_smaller_changes_are_left_alone() -> None:
    images, bound = some_images(3), 8 / 255
    strong, weak = some_weight(5, spread=3.0), some_weight(5, spread=1e-4)
    weak[:, :, 2, 2] = torch.eye(3)
    spec = FilterSpec(5, fidelity=Fidelity("linf", bound))
    change = (Filter(spec, strong)(images).double() - images.double()).abs()
    assert float(change.max()) <= bound
    assert float(change.median()) > 0.99 * bound
    edges = functional.pad(images, (2, 2, 2, 2), mode="replicate")
    assert torch.allclose(Filter(spec, weak)(images), functional.conv2d(edges, weak), atol=1e-6)


def test_a_fidelity_keeps_the_centre_and_mends_no_other_coefficient() -> None:
    spec = FilterSpec(3, fidelity=Fidelity("psnr", 30.0))
    weight = some_weight(3)
    kept = spec.kept(weight)
    assert torch.equal(kept[:, :, 1, 1], torch.eye(3))
    outside = torch.ones(3, 3, dtype=torch.bool)
    outside[1, 1] = False
    assert torch.equal(kept[:, :, outside], weight[:, :, outside])


def test_coefficients_start_as_a_convolutions_do_and_are_weight_normalised() -> None:
    state = torch.get_rng_state()
    first, again, other = (Coefficients(FilterSpec(9), torch.Generator().manual_seed(s)).weight for s in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    bound = (3 * 81) ** -0.5
    assert 0.95 * bound < float(first.detach().abs().max()) <= bound * (1 + 1e-6)
    module = Coefficients(FilterSpec(9), torch.Generator())
    parts = dict(module.named_parameters())
    norms, direction = (parts[f"convolution.parametrizations.weight.original{place}"] for place in (0, 1))
    expected = norms * direction / direction.flatten(1).norm(dim=1).view(3, 1, 1, 1)
    assert torch.allclose(module.weight, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "measure", "bound", "shown"),
    [
        ("psnr:30", "psnr", 30.0, "psnr:30"),
        ("psnr:27.5", "psnr", 27.5, "psnr:27.5"),
        ("linf:8/255", "linf", 8 / 255, "linf:8/255"),
        ("linf:0.1", "linf", 0.1, "linf:0.1"),
    ],
)
def test_fidelities_are_read_and_shown(text: str, measure: str, bound: float, shown: str) -> None:
    fidelity = Fidelity.parse(text)
    assert fidelity == Fidelity(measure, bound)
    assert str(fidelity) == shown
    assert Fidelity.parse(str(fidelity)) == fidelity


@pytest.mark.parametrize(
    "text", ["30", "psnr", "psnr:", "psnr:-3", "psnr:0", "linf:16", "linf:1/0", "ssim:0.9", "psnr:nan"]
)
def test_bad_fidelities_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Fidelity.parse(text)
    assert "\n" not in str(caught.value)


def test_labels_tell_kinds_apart() -> None:
    assert FilterSpec(27).label == "27"
    assert FilterSpec(3, "batch").label == "3-batch"
    assert FilterSpec(9, fidelity=Fidelity.parse("psnr:30")).label == "9-psnr30"
    assert FilterSpec(9, fidelity=Fidelity.parse("linf:8/255")).label == "9-linf8_255"


@pytest.mark.parametrize(
    ("size", "extent", "fidelity", "words"),
    [
        (4, "image", None, "must be odd"),
        (0, "image", None, "must be odd"),
        (-3, "image", None, "from 1 to 1023"),
        (3, "picture", None, "unknown range 'picture'; known: image, batch"),
        (3, "batch", Fidelity("psnr", 30.0), "cannot have the range of a batch"),
        (1, "image", Fidelity("psnr", 30.0), "nothing could change"),
    ],
)
def test_impossible_filters_are_refused(size: int, extent: str, fidelity: Fidelity | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        FilterSpec(size, extent, fidelity)


def test_coefficients_of_another_shape_or_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match=r"size 3 has float32 coefficients \(3, 3, 3, 3\), not float32 \(3, 3, 5, 5\)"):
        Filter(FilterSpec(3), identity(5))
    with pytest.raises(InputError, match="not float64"):
        Filter(FilterSpec(3), identity(3).double())
    with pytest.raises(InputError, match="not all finite"):
        Filter(FilterSpec(3), identity(3) / 0)
