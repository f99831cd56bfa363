"""Float32 on CUDA is float32: TF32, which keeps 10 bits of mantissa, is off wherever a detector is asked."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import detectors
from detectors.gradients import differentiable, slope, untouched
from detectors.queries import Queries, exact_float32
from tests.attacks.nets import ConvDetector, some_images

pytestmark = pytest.mark.gpu

BACKENDS = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
AMPERE = (8, 0)  # the first that has TF32
FLOAT32, TF32 = 2e-5, 1e-4  # relative errors: less than the one is float32, more than the other is TF32


@pytest.fixture
def tf32(cuda: torch.device) -> Iterator[torch.device]:
    """A device whose user has TF32 on."""
    before = [backend.fp32_precision for backend in BACKENDS]
    for backend in BACKENDS:
        backend.fp32_precision = "tf32"
    try:
        yield cuda
    finally:
        for backend, precision in zip(BACKENDS, before, strict=True):
            backend.fp32_precision = precision


def product(device: torch.device, dtype: torch.dtype) -> Tensor:
    """A product of matrices that are drawn."""
    draws = torch.Generator().manual_seed(0)
    one, other = (torch.randn(512, 512, generator=draws).to(device, dtype) for _ in range(2))
    return one @ other


def convolution(device: torch.device, dtype: torch.dtype) -> Tensor:
    """A convolution of images that are drawn."""
    draws = torch.Generator().manual_seed(0)
    images, weights = (torch.randn(*shape, generator=draws) for shape in ((8, 64, 32, 32), (64, 64, 3, 3)))
    return functional.conv2d(images.to(device, dtype), weights.to(device, dtype), padding=1)


@pytest.mark.parametrize("work", [product, convolution])
def test_exact_float32_switches_tf32_off(
    tf32: torch.device, work: Callable[[torch.device, torch.dtype], Tensor]
) -> None:
    truth = work(tf32, torch.float64)

    def error() -> float:
        return float((work(tf32, torch.float32) - truth).abs().max() / truth.abs().max())

    with exact_float32():
        assert error() < FLOAT32
    assert all(backend.fp32_precision == "tf32" for backend in BACKENDS)
    if torch.cuda.get_device_capability(tf32) >= AMPERE:
        assert error() > TF32  # so that the line above says something, and the user's setting is back


def test_logits_and_gradients_are_float32s_whatever_the_user_has_set(tf32: torch.device) -> None:
    images, none = some_images(4, spread=0.5), torch.zeros(4, dtype=torch.bool)
    detector, twin = ConvDetector().to(tf32), ConvDetector().double()
    with differentiable(tf32), untouched(detector), exact_float32():
        found = slope(Queries(detector), images, detector.real, none)
    inputs = images.double().requires_grad_()
    truth = twin(inputs)
    (gradient,) = torch.autograd.grad(truth.log_softmax(1)[:, twin.real].sum(), inputs)
    assert torch.allclose(Queries(detector).logits(images).double(), truth.detach(), rtol=1e-5, atol=1e-5)
    assert torch.allclose(found.gradients.double(), gradient, atol=1e-5 * float(gradient.abs().max()))


def test_a_detector_on_cuda_says_what_it_says_on_the_cpu(cuda: torch.device) -> None:
    here, there = detectors.load("demo"), detectors.load("demo", device="cuda")
    assert {weight.device.type for weight in there.parameters()} == {"cuda"}
    assert there.weights_sha256 == here.weights_sha256
    images = torch.rand(5, 3, here.input_size, here.input_size, generator=torch.Generator().manual_seed(0))
    here_said, there_said = Queries(here).logits(images), Queries(there, batch_size=2).logits(images.to(cuda))
    assert there_said.device.type == "cpu"
    assert torch.allclose(here_said, there_said, atol=1e-4 * float(here_said.abs().max()))


def test_bfloat16_is_another_precision_and_comes_back_as_float32(cuda: torch.device) -> None:
    images, detector = some_images(4), ConvDetector().to(cuda)
    full, rounded = (Queries(detector, precision=precision).logits(images) for precision in ("float32", "bfloat16"))
    assert rounded.dtype == torch.float32
    assert not torch.equal(full, rounded)
    assert torch.allclose(full, rounded, atol=0.05 * float(full.abs().max()))
