#!/usr/bin/env bash
# timm 1.0.31 (torch 2.15.0, CPU): an Inception-v3's gradient of a picture is another one beside other pictures, although
# its logits are not.
#
# In evaluation mode a picture's logits do not depend on the others of its batch but for the last bit, and one expects
# the same of its gradient: attacks and maps by gradients are computed in batches, and compared with those of pictures
# alone. In this network, one of many with ReLUs, rounding switches units on and off whose gradient counts: other
# networks of timm (ResNet-50, DenseNet-121, EfficientNet-B0) keep their gradients. It is not the ties of max pooling:
# with average pooling in their place it is the same.
#
# Seen (random weights of three seeds, five smooth pictures of 160 pixels, alone and together, one thread): Inception-v3
# moves by up to 1e-5 of the largest logit, and its gradient by up to 2.6 % of its length, by 0.1 % and more for three
# of the fifteen; the ResNet's by less than 1e-5. In float64 both are the same to 1e-14. The script fails where no
# gradient of the Inception moves by 0.1 %, or one of the ResNet does.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 timm==1.0.31 numpy==2.4.6
"$folder/environment/bin/python" - <<'PYTHON'
import timm
import torch

torch.set_num_threads(1)
small = torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(1))
pictures = torch.nn.functional.interpolate(small, (160, 160), mode="bicubic").clamp(0, 1)


def asked(network, images):
    images = images.clone().requires_grad_()
    logits = network(images)
    (gradient,) = torch.autograd.grad((logits[:, 0] - logits[:, 1]).sum(), images)
    return logits.detach(), gradient


def moved(name, kind):
    """By how much logits and gradients differ at most, and the gradients one by one."""
    logits_apart, gradients_apart = [], []
    for seed in range(3):
        torch.manual_seed(seed)
        network, images = timm.create_model(name, num_classes=2).eval().to(kind), pictures.to(kind)
        together, gradients = asked(network, images)
        for place in range(len(images)):
            alone, gradient = asked(network, images[place : place + 1])
            logits_apart.append(float((alone[0] - together[place]).abs().max() / together.abs().max()))
            gradients_apart.append(float((gradient[0] - gradients[place]).norm() / gradient.norm()))
    print(f"{name}, {kind}: logits by {max(logits_apart):.1e}, gradients by {max(gradients_apart):.1e} at most")
    return gradients_apart


inception, resnet = (moved(name, torch.float32) for name in ("inception_v3", "resnet50"))
moved("inception_v3", torch.float64)
print(f"{sum(apart > 1e-3 for apart in inception)} of {len(inception)} gradients of the Inception by 0.1 % and more")
if max(inception) < 1e-3 or max(resnet) > 1e-3:
    raise SystemExit("changed: the gradients behave alike")
PYTHON
echo "as described"
