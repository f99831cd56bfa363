"""A randomised detector forgets what the original learned, answers as livelily, and leaves the original alone."""

import copy
from collections.abc import Callable

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from common.errors import InputError
from detectors.base import Detector
from detectors.optimise import optimise
from detectors.queries import counting
from detectors.randomised import PROBES, _probe, layer_count, randomised
from detectors.registry import load
from detectors.timm_network import TimmConfig, TimmDetector
from tests.detectors.test_optimise import Plain, norm
from tests.detectors.test_registry import images, tiny
from tests.scoring.stand_ins import PlantedDetector
from tests.toys import LinearDetector, PatchDetector
from tests.xai.helpers import SmallNetwork, photo

NETWORKS = ["test_efficientnet", "resnet10t", "mobilenetv3_small_050", "legacy_xception", "test_vit"]


def detector_of(network: str, fold: bool) -> Detector:
    size = {"test_vit": 160, "legacy_xception": 96}.get(network, 64)
    detector = tiny(TimmConfig(network=network, input_size=size))
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):  # resnets start with some at zero, whose layers would give nothing
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return optimise(detector) if fold else detector


def weights(detector: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in detector.state_dict().items()}


def output_of(detector: Detector, layer: str, images: Tensor) -> Tensor:
    outputs: list[Tensor] = []
    handle = detector.get_submodule(layer).register_forward_hook(lambda _m, _i, output: outputs.append(output))
    detector(images)
    handle.remove()
    return outputs[0].detach()


@pytest.mark.parametrize("fold", [False, True], ids=["batch norms", "folded"])
@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_changes_and_the_original_does_not(network: str, fold: bool) -> None:
    detector = detector_of(network, fold)
    before = weights(detector)
    other = randomised(detector, seed=1)
    assert type(other) is type(detector)
    assert (other.input_size, other.class_names, other.real) == (
        detector.input_size,
        detector.class_names,
        detector.real,
    )
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
    drawn = dict(other.named_parameters())
    for name, module in detector.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            old, new = module.weight.flatten(), drawn[f"{name}.weight"].flatten()
            assert not torch.equal(old, new)
            if len(old) > 500:
                assert abs(float(torch.corrcoef(torch.stack([old, new]).detach())[0, 1])) < 0.2
    logits = other(images(4, detector.input_size))
    assert logits.isfinite().all()
    assert (logits.std(0) > 0).all()


def test_it_is_decided_by_the_seed_alone() -> None:
    detector = detector_of("resnet10t", fold=True)
    torch.manual_seed(0)
    first = weights(randomised(detector, seed=3))
    state = torch.get_rng_state()
    again = weights(randomised(detector, seed=3))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    other = weights(randomised(detector, seed=4))
    assert not any(torch.equal(value, other[name]) for name, value in first.items() if name.endswith("conv1.weight"))


def test_each_channel_keeps_the_spread_that_it_had() -> None:
    """The reason for the calibration, held to the probe itself by a naive look at each layer's output."""
    detector = SmallNetwork()
    other = randomised(detector, seed=0)
    probe = _probe(detector)
    for layer in ("convolution", "linear"):
        old, new = (output_of(each, layer, probe).movedim(1, -1).flatten(0, -2).double() for each in (detector, other))
        assert torch.allclose(new.mean(0), old.mean(0), atol=1e-4)
        assert torch.allclose(new.std(0), old.std(0), rtol=1e-3)


def test_a_trained_network_still_tells_images_apart() -> None:
    """With its weights merely drawn anew, the demo network says one thing whatever it sees."""
    detector = load("demo")
    faces = torch.stack([photo(224, seed) for seed in range(6)])
    with torch.no_grad():
        said = randomised(detector, seed=0)(faces).softmax(1)
    assert said.std(0).max() > 0.02
    assert said.mean(0).max() < 0.99


def test_batch_norms_take_the_statistics_of_what_reaches_them() -> None:
    detector = Plain(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm(4), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    other = randomised(detector, seed=2)
    seen = []
    batch_norm = other.network.get_submodule("1")
    handle = batch_norm.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0].detach()))
    other(_probe(detector))
    handle.remove()
    assert torch.allclose(batch_norm.running_mean, seen[0].mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(batch_norm.running_var, seen[0].var((0, 2, 3), correction=0), rtol=1e-4)
    assert torch.equal(batch_norm.weight, detector.network.get_submodule("1").weight)


def test_a_cascade_goes_down_from_the_logits_and_ends_in_the_whole() -> None:
    detector = detector_of("resnet10t", fold=True)
    count = layer_count(detector)
    whole = weights(randomised(detector, seed=5))
    before = weights(detector)
    changed_before: set[str] = set()
    for layers in (1, 2, count - 1, count, count + 7):
        now = weights(randomised(detector, seed=5, layers=layers))
        changed = {name for name, value in now.items() if not torch.equal(value, before[name])}
        assert changed_before <= changed
        assert len({name.rpartition(".")[0] for name in changed}) == min(layers, count)
        changed_before = changed
        if layers == 1:
            assert {name.rpartition(".")[0] for name in changed} == {"network.fc"}
        if layers == count - 1:
            first = {name for name in whole if name.rpartition(".")[0] == "network.conv1.0"}
            assert first
            assert not first & changed
    assert all(torch.equal(value, whole[name]) for name, value in now.items())


def test_layers_that_no_logit_needs_are_drawn_with_the_whole_only() -> None:
    """As CADDM's anchors, which `forward` never asks."""

    class Spare(SmallNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.spare = nn.Linear(3, 3)

    detector = Spare()
    assert layer_count(detector) == 3
    assert torch.equal(randomised(detector, 0, layers=2).spare.weight, detector.spare.weight)
    assert not torch.equal(randomised(detector, 0, layers=3).spare.weight, detector.spare.weight)


@pytest.mark.parametrize(
    "detector", [LinearDetector(torch.ones(3, 4, 4)), PlantedDetector()], ids=["linear", "planted"]
)
def test_parameters_of_the_detector_itself_are_weights_too(detector: Detector) -> None:
    before = weights(detector)
    after = weights(randomised(detector, seed=0))
    [name] = [name for name in ("weight", "pattern") if name in before]
    assert not torch.equal(before[name], after[name])
    if name == "pattern":
        assert abs(spearmanr(before[name].flatten(), after[name].flatten()).statistic) < 0.2


def test_modes_hooks_and_costs() -> None:
    detector = detector_of("resnet10t", fold=False).train()
    detector.weights_sha256 = "0" * 64
    with counting(detector) as meter:
        other = randomised(detector, seed=0)
    assert detector.training
    assert not any(module.training for module in other.modules())
    assert meter.images == PROBES
    assert other.weights_sha256 is None
    assert detector.weights_sha256 == "0" * 64
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in detector.modules())
    flags = [parameter.requires_grad for parameter in detector.parameters()]
    assert [parameter.requires_grad for parameter in other.parameters()] == flags


def test_what_cannot_be_randomised_says_so() -> None:
    with pytest.raises(InputError, match="PatchDetector has no weights"):
        randomised(PatchDetector(16, slice(0, 4), slice(0, 4)), seed=0)
    with pytest.raises(InputError, match="at least one layer must be randomised, got 0"):
        randomised(SmallNetwork(), seed=0, layers=0)
    broken = SmallNetwork()
    nn.init.constant_(broken.linear.weight, float("inf"))
    with pytest.raises(InputError, match="not finite"):
        randomised(broken, seed=0)


class ByFunction(SmallNetwork):
    """Asked by a function that a copy shares."""

    def __init__(self) -> None:
        super().__init__()
        self.run = lambda images: SmallNetwork.forward(self, images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.run(images)


class OwnForward(SmallNetwork):
    """Its forward is replaced by a compiled one, as often is done for speed."""

    def __init__(self) -> None:
        super().__init__()
        self.forward = torch.compile(self.forward, backend="eager")  # type: ignore[method-assign]


class Buffered(SmallNetwork):
    """Its weights are buffers; a small layer behind them is all that is drawn."""

    def __init__(self) -> None:
        super().__init__()
        for module in list(self.modules()):
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, parameter.detach())
        self.last = nn.Linear(len(self.class_names), len(self.class_names), bias=False)
        nn.init.eye_(self.last.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(super().forward(images))


@pytest.mark.parametrize("kind", [ByFunction, OwnForward])
def test_a_copy_that_answers_as_the_original_is_refused(kind: type[SmallNetwork]) -> None:
    with pytest.raises(InputError, match=f"detector {kind.__name__} answers the same once all its weights are drawn"):
        randomised(kind().eval(), seed=0)


def test_a_copy_that_follows_the_original_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    randomised(Buffered().eval(), seed=0)
    assert (
        "detector Buffered still follows its former answers once its weights are drawn anew" in capsys.readouterr().err
    )
    for seed in range(20):
        randomised(SmallNetwork().eval(), seed)
    assert "still follows" not in capsys.readouterr().err


MAKERS = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "old weight norm": nn.utils.weight_norm,
    "old spectral norm": nn.utils.spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
    "normed and pruned": lambda layer: prune.identity(nn.utils.weight_norm(layer), "weight_v"),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_weights_that_are_made_anew_are_drawn_as_plain_ones_of_their_values(
    make: Callable[[nn.Module], nn.Module],
) -> None:
    """Against a twin whose weights are the numbers that they come to."""
    detector, twin, probe = SmallNetwork(), SmallNetwork(), images(4, 32)
    for name in ("convolution", "linear"):
        make(detector.get_submodule(name))
    before = detector.eval()(probe)
    with torch.no_grad():
        for name in ("convolution", "linear"):
            twin.get_submodule(name).weight.copy_(detector.get_submodule(name).weight)
            twin.get_submodule(name).bias.copy_(detector.get_submodule(name).bias)
    assert layer_count(detector) == layer_count(twin) == 2
    for layers in (1, 2, None):
        other, plain = randomised(detector, 0, layers), randomised(twin.eval(), 0, layers)
        assert torch.allclose(other(probe), plain(probe), atol=1e-5)
        assert type(other.linear) is nn.Linear
    assert torch.equal(detector(probe), before)


def test_a_layer_whose_scale_would_not_last_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    class Doubled(SmallNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.linear.half_weight = nn.Parameter(self.linear.weight.detach() / 2)
            del self.linear.weight
            self.linear.register_forward_pre_hook(lambda module, _: setattr(module, "weight", 2 * module.half_weight))

    randomised(Doubled().eval(), seed=0)
    assert "detector Doubled makes the weight of its linear anew in each pass" in capsys.readouterr().err


def test_a_copy_of_a_copy_is_random_again() -> None:
    detector = copy.deepcopy(SmallNetwork())
    once, twice = randomised(detector, 0), randomised(randomised(detector, 0), 1)
    assert not torch.equal(once.linear.weight, twice.linear.weight)
    assert isinstance(twice, SmallNetwork)
    assert not isinstance(twice, TimmDetector)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
def test_a_traced_network_whose_layers_cannot_be_scaled_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    class Traced(Detector):
        class_names, real, input_size = ("Real", "Fake"), 0, 16

        def __init__(self) -> None:
            super().__init__()
            network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 2)).eval()
            self.network = torch.jit.trace(network, torch.rand(2, 3, 16, 16), check_trace=False)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.network(images)
            return logits

    randomised(Traced(), 0)
    assert "is of a traced or scripted network and cannot be scaled" in capsys.readouterr().err
