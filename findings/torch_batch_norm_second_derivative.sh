#!/usr/bin/env bash
# torch 2.15.0 (a CPU): channels last, which makes convolutional networks faster, makes the second derivative of a batch
# norm 2 to 4 times slower.
#
# A gradient penalty (adversarial training by Lipschitz constants, WGAN-GP, gradient regularisation) differentiates a
# gradient. On a CPU channels last is the advice for training, and forward and first backward pass of a batch norm are
# as fast there as contiguous or a little faster; one would expect the derivative of the backward pass to follow. It
# does not: networks of many batch norms (Xception, EfficientNet) take up to 1.8 times as long for a whole step with a
# penalty, and are best laid out contiguous for it.
#
# Seen on one thread of an AMD EPYC, images (16, 128, 74, 74), milliseconds of processor time, contiguous and channels
# last: float32 forward 54 and 45, backward 79 and 82, second derivative 742 and 1503; bfloat16 forward 10.6 and 9.7,
# backward 17 and 15, second derivative 219 and 781. The script fails where the second derivative is not at least 1.3
# times slower channels last in bfloat16, or the gradients of both formats differ beyond rounding.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import time

import torch

torch.set_num_threads(1)
FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def measured(dtype, memory_format):
    """(milliseconds of forward, backward and second derivative, the least of five; the gradient of the weights)."""
    torch.manual_seed(0)
    images = torch.randn(16, 128, 74, 74).to(dtype).contiguous(memory_format=memory_format)
    norm, least = torch.nn.BatchNorm2d(128), [float("inf")] * 3
    for _ in range(5):
        norm.zero_grad()
        given = images.clone(memory_format=torch.preserve_format).requires_grad_()
        clock = [time.process_time()]
        answer = (norm(given).float() ** 3).sum()
        clock.append(time.process_time())
        (gradient,) = torch.autograd.grad(answer, given, create_graph=True)
        clock.append(time.process_time())
        gradient.float().square().sum().backward()
        clock.append(time.process_time())
        taken = [1000 * (after - before) for before, after in zip(clock, clock[1:])]
        least = [min(pair) for pair in zip(least, taken)]
    return least, norm.weight.grad.clone()


slower, apart = {}, []
for dtype in (torch.float32, torch.bfloat16):
    found = {name: measured(dtype, memory_format) for name, memory_format in FORMATS.items()}
    for name, ((forward, backward, second), _) in found.items():
        print(f"{dtype}, {name}: forward {forward:.0f} ms, backward {backward:.0f} ms, second {second:.0f} ms")
    (first, one), (last, other) = found.values()
    slower[dtype] = last[2] / first[2]
    apart.append(float((one - other).norm() / one.norm()))
print("second derivative, channels last over contiguous:", {str(key): round(value, 1) for key, value in slower.items()})
print("gradients apart, relative:", [f"{value:.1g}" for value in apart])
if slower[torch.bfloat16] < 1.3 or apart[0] > 1e-3 or apart[1] > 0.05:
    raise SystemExit("changed: the second derivative is as fast channels last, or the formats differ")
PYTHON
echo "as described"
