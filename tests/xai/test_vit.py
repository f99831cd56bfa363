import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

import detectors
import xai
from common.errors import InputError
from detectors.base import Detector
from detectors.queries import counting
from tests.toys import PatchDetector
from xai.methods import parse_method
from xai.token_place import require_patches_in_rows
from xai.vit import Relevance, Rollout, vit_explainer


class Vit(Detector):
    """A network behind a plain normalisation."""

    class_names, real = ("Real", "Fake"), 0

    def __init__(self, network: nn.Module, size: int = 32, one_logit: bool = False) -> None:
        super().__init__()
        self.network, self.input_size, self.one_logit = network, size, one_logit

    def forward(self, images: Tensor) -> Tensor:
        answered = self.network(2 * images - 1)
        logits: Tensor = getattr(answered, "logits", answered)
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if self.one_logit else logits


def of_timm(seed: int = 0, outputs: int = 2, **settings: Any) -> Any:
    """A small vision transformer of timm, whose weights are large enough for attention to differ."""
    torch.manual_seed(seed)
    network = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=3, num_heads=2, mlp_ratio=2, num_classes=outputs, **settings
    )
    return shaken(network)


def of_transformers(seed: int = 0, outputs: int = 2) -> Any:
    """The same of transformers."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    settings = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ViTConfig(**settings, image_size=32, patch_size=8, num_labels=outputs)
    return shaken(transformers.ViTForImageClassification(config))


def shaken(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return network.eval().double().requires_grad_(False)


Line = tuple[Tensor, Tensor]
"""The weight and bias of a layer."""


@dataclass
class Block:
    norm1: Line
    query: Line
    key: Line
    value: Line
    out: Line
    norm2: Line
    up: Line
    down: Line


@dataclass
class Plain:
    """A vision transformer as its numbers."""

    tokens: Tensor
    """(T, D), what enters the first block."""
    blocks: list[Block]
    norm: Line
    head: Line
    epsilon: float
    heads: int = 2


def line(module: Any) -> Line:
    return module.weight, module.bias


def plain_timm(network: Any, image: Tensor) -> Plain:
    patches = network.patch_embed.proj(image).flatten(2).transpose(1, 2)[0]
    blocks = []
    for block in network.blocks:
        weights, biases = block.attn.qkv.weight.chunk(3), block.attn.qkv.bias.chunk(3)
        query, key, value = zip(weights, biases, strict=True)
        lines = line(block.attn.proj), line(block.norm2), line(block.mlp.fc1), line(block.mlp.fc2)
        blocks.append(Block(line(block.norm1), query, key, value, *lines))
    tokens = torch.cat([network.cls_token[0], patches]) + network.pos_embed[0]
    return Plain(tokens, blocks, line(network.norm), line(network.head), network.norm.eps)


def plain_transformers(network: Any, image: Tensor) -> Plain:
    vit, blocks = network.vit, []
    patches = vit.embeddings.patch_embeddings.projection(image).flatten(2).transpose(1, 2)[0]
    for block in vit.layers:
        attention = block.attention
        lines = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        others = (block.layernorm_after, block.mlp.fc1, block.mlp.fc2)
        blocks.append(Block(line(block.layernorm_before), *map(line, lines), *map(line, others)))
    tokens = torch.cat([vit.embeddings.cls_token[0], patches]) + vit.embeddings.position_embeddings[0]
    return Plain(tokens, blocks, line(vit.layernorm), line(network.classifier), vit.layernorm.eps)


class Twin:
    """The published equations, written out step by step."""

    def __init__(self, plain: Plain) -> None:
        self.plain, self.kept = plain, []
        self.attention: list[Tensor] = []
        x = plain.tokens.clone().requires_grad_()
        for block in plain.blocks:
            kept: dict[str, Any] = {"x": x}
            kept["a"] = self.norm(x, block.norm1)
            q, k, v = (self.split(functional.linear(kept["a"], *of)) for of in (block.query, block.key, block.value))
            kept |= {"q": q, "k": k, "v": v}
            attention = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
            self.attention.append(attention)
            kept["mixed"] = (attention @ v).transpose(0, 1).flatten(1)
            kept["branch"] = functional.linear(kept["mixed"], *block.out)
            kept["y"] = x + kept["branch"]
            kept["b"] = self.norm(kept["y"], block.norm2)
            kept["hidden"] = functional.gelu(functional.linear(kept["b"], *block.up))
            kept["mlp"] = functional.linear(kept["hidden"], *block.down)
            x = kept["y"] + kept["mlp"]
            self.kept.append(kept)
        self.last = self.norm(x, plain.norm)
        self.logits = functional.linear(self.last[0], *plain.head)

    def norm(self, x: Tensor, of: Line) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], *of, self.plain.epsilon)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.plain.heads, -1)).transpose(0, 1)

    def rollout(self) -> Tensor:
        joint = torch.eye(len(self.plain.tokens)).double()
        for attention in self.attention:
            mean = sum(attention[head] for head in range(self.plain.heads)) / self.plain.heads
            joint = (mean / 2 + torch.eye(len(mean)) / 2) @ joint
        return joint[0, 1:].detach()

    def relevance(self, target: int) -> Tensor:
        gradients = torch.autograd.grad(self.logits[target], self.attention, retain_graph=True)
        with torch.no_grad():
            relevances = self.propagate(target)
            joint = torch.eye(len(self.plain.tokens)).double()
            for gradient, relevance in zip(gradients, relevances, strict=True):
                joint = (torch.eye(len(joint)) + (gradient * relevance).clamp(min=0).mean(0)) @ joint
        return joint[0, 1:]

    def propagate(self, target: int) -> list[Tensor]:
        """What the rules give each block's weights, from the one-hot vector of the class down."""
        start = torch.zeros_like(self.logits)
        start[target] = 1.0
        r = torch.zeros_like(self.last)
        r[0] = positive(self.last[:1], self.plain.head, start[None])[0]
        found = []
        for block, kept, attention in zip(self.plain.blocks[::-1], self.kept[::-1], self.attention[::-1], strict=True):
            through, branch = halves(kept["y"], kept["mlp"], r)
            r = through + positive(kept["b"], block.up, positive(kept["hidden"], block.down, branch))
            through, branch = halves(kept["x"], kept["branch"], r)
            mixed = self.split(positive(kept["mixed"], block.out, branch))
            share = over(mixed, attention @ kept["v"])
            to_weights = attention * (share @ kept["v"].transpose(1, 2)) / 2
            to_values = kept["v"] * (attention.transpose(1, 2) @ share) / 2
            found.append(to_weights)
            scores = kept["q"] @ kept["k"].transpose(1, 2) / kept["q"].shape[-1] ** 0.5
            share = over(to_weights, scores) / kept["q"].shape[-1] ** 0.5
            to_queries = kept["q"] * (share @ kept["k"]) / 2
            to_keys = kept["k"] * (share.transpose(1, 2) @ kept["q"]) / 2
            r = through
            for of, part in ((block.query, to_queries), (block.key, to_keys), (block.value, to_values)):
                r = r + positive(kept["a"], of, part.transpose(0, 1).flatten(1))
        return found[::-1]


def over(relevance: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole == 0, 0.0, relevance / (whole + 1e-9 * whole.sign()))


def positive(inputs: Tensor, of: Line, relevance: Tensor) -> Tensor:
    """The z+ rule, pair by pair of input and output."""
    products = inputs[:, None, :] * of[0][None, :, :]
    kept = products.clamp(min=0)
    return (kept * over(relevance, kept.sum(-1))[:, :, None]).sum(1)


def halves(one: Tensor, other: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 10: each branch's part, scaled to its share of all relevance."""
    first, second = (part * over(relevance, one + other) for part in (one, other))
    whole = first.sum().abs() + second.sum().abs()
    return tuple(part * (part.sum().abs() / whole * relevance.sum() / part.sum()) for part in (first, second))  # type: ignore[return-value]


NETWORKS = {"timm": (of_timm, plain_timm), "transformers": (of_transformers, plain_transformers)}


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("library", NETWORKS)
def test_both_are_the_published_equations(library: str, target: int) -> None:
    make, plain = NETWORKS[library]
    network = make()
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    twin, detector = Twin(plain(network, 2 * image[None] - 1)), Vit(network)
    torch.testing.assert_close(twin.logits.float(), detector(image[None])[0].float())
    rollout = Rollout().patches(detector, image, target).flatten()
    torch.testing.assert_close(rollout, twin.rollout().float(), rtol=1e-5, atol=1e-8)
    assert rollout.std() > 1e-3
    relevance, expected = Relevance().patches(detector, image, target).flatten(), twin.relevance(target).float()
    torch.testing.assert_close(relevance, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))
    assert relevance.std() > 0.1 * relevance.mean() > 0


def test_the_maps_of_two_classes_differ_where_the_method_knows_a_class() -> None:
    detector, image = Vit(of_timm()), torch.rand(3, 32, 32, dtype=torch.float64)
    for method, same in ((Rollout(), True), (Relevance(), False)):
        maps = [method.patches(detector, image, target) for target in (0, 1)]
        assert bool(torch.allclose(*maps)) is same


def test_one_logit_speaks_for_both_classes() -> None:
    detector, image = Vit(of_timm(outputs=1), one_logit=True), torch.rand(3, 32, 32, dtype=torch.float64)
    fake, real = (Relevance().patches(detector, image, target) for target in (1, 0))
    assert fake.max() > 0
    assert real.max() > 0
    assert not torch.allclose(fake, real)


@pytest.mark.parametrize(
    "settings",
    [
        {"global_pool": "avg", "class_token": False},
        {"global_pool": "map", "class_token": False},
        {"reg_tokens": 4},
        {"init_values": 0.5, "qk_norm": True},
    ],
)
def test_other_heads_and_tokens_can_be_read(settings: dict[str, Any]) -> None:
    detector = Vit(of_timm(**settings))
    image = torch.rand(3, 32, 32, dtype=torch.float64)
    for method in (Rollout(), Relevance()):
        patches = method.patches(detector, image, 1)
        assert patches.shape == (4, 4)
        assert patches.min() >= 0
        assert patches.std() > 1e-5 * patches.mean()


@pytest.mark.parametrize("family", ["vit", "deit", "siglip", "siglip2", "dinov2", "clip"])
def test_folders_of_transformers_can_be_read(family: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tests.detectors.transformers_networks import saved

    detector = detectors.load(f"hf:{saved(family, tmp_path / 'net')}")
    rows, columns = np.mgrid[:64, :64]
    image = np.stack([rows * 3, columns * 3, rows + columns], axis=-1).astype(np.uint8)
    for name in ("vit:Rollout", "vit:Relevance"):
        saliency = xai.explain(detector, image, name, preset="quick").saliency
        assert saliency.shape == (32, 32)
        assert saliency.std() > 0


def spotted(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Noise (N, 3, 32, 32); of fakes (class 1) one patch of 16 has a pattern, at `places`."""
    images = 0.4 + 0.2 * torch.rand(count, 3, 32, 32, generator=generator)
    labels = torch.randint(2, (count,), generator=generator)
    places = torch.randint(16, (count,), generator=generator)
    for image, label, place in zip(images, labels.tolist(), places.tolist(), strict=True):
        if label:
            row, column = 8 * (place // 4), 8 * (place % 4)
            image[:, row : row + 8, column : column + 8] = 0.9
    return images, labels, places


def test_a_planted_token_is_found() -> None:
    torch.manual_seed(0)
    network = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, num_classes=2
    )
    detector, draws = Vit(network), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(150):
        images, labels, _ = spotted(64, draws)
        loss = functional.cross_entropy(detector(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    detector.eval()
    images, labels, places = spotted(40, draws)
    assert (detector(images).argmax(1) == labels).float().mean() > 0.95
    fakes = labels.nonzero()[:, 0].tolist()
    for method, least in ((Relevance(), 0.9), (Rollout(), 0.6)):
        found = [int(method.patches(detector, images[i], 1).argmax()) == int(places[i]) for i in fakes]
        assert np.mean(found) >= least, (type(method).__name__, np.mean(found))


def test_what_is_no_such_transformer_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match="whose blocks look at all patches; PatchDetector has none"):
        Rollout().check(PatchDetector(32, slice(4, 8), slice(4, 8)))
    torch.manual_seed(0)
    swin = timm.models.SwinTransformer(
        img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 1), num_classes=2
    )
    with pytest.raises(InputError, match="whose blocks look at all patches; Vit has none"):
        Relevance().check(Vit(swin.eval()))
    with pytest.raises(InputError, match="vit has no 'Rolout'; it has: Rollout, Relevance"):
        vit_explainer("Rolout")
    with pytest.raises(InputError, match="hides no pixels"):
        parse_method("vit:Rollout_adv")


def test_a_function_without_a_rule_is_named_where_relevance_gets_there() -> None:
    class Odd(Vit):
        def forward(self, images: Tensor) -> Tensor:
            return torch.cumsum(super().forward(images), dim=1)

    with pytest.raises(InputError, match="has no rule for cumsum"):
        Relevance().check(Odd(of_timm().float()))
    Rollout().check(Odd(of_timm().float()))


class Prompted(nn.Module):
    """Learned tokens among a vision transformer's, before its patches or behind them (Jia et al., ECCV 2022)."""

    def __init__(self, count: int, behind: bool) -> None:
        super().__init__()
        self.network, self.behind = of_timm(), behind
        self.network.float()
        self.prompts = nn.Parameter(torch.randn(1, count, 16))
        self.network.pos_drop.register_forward_hook(lambda _module, _inputs, tokens: self.with_prompts(tokens))

    def with_prompts(self, tokens: Tensor) -> Tensor:
        parts = [tokens[:, :1], self.prompts, tokens[:, 1:]]
        return torch.cat([*parts[::2], parts[1]] if self.behind else parts, dim=1)

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.network(images)
        return answers


class Ordered(nn.Module):
    """A vision transformer whose patches are put into another order before its blocks."""

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.network = of_timm().float()
        self.network.pos_drop.register_forward_hook(
            lambda _module, _inputs, tokens: torch.cat([tokens[:, :1], tokens[:, 1:][:, order]], dim=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.network(images)
        return answers


class Moving(Vit):
    """A vision transformer that is given its picture otherwise than it is."""

    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__(of_timm().float())
        self.move = move

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(functional.interpolate(self.move(images), (32, 32), mode="bilinear"))


class Stem(nn.Module):
    """Patches by strided convolutions, whose middles are aside by half a token (Xiao et al., NeurIPS 2021)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.network = of_timm(seed).float()
        widths = (3, 16, 16, 16)
        self.network.patch_embed.proj = nn.Sequential(
            *(
                part
                for width, out in itertools.pairwise(widths)
                for part in (nn.Conv2d(width, out, 3, 2, 1), nn.BatchNorm2d(out).eval(), nn.ReLU())
            ),
            nn.Conv2d(16, 16, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.network(images)
        return answers


NOT_IN_ROWS = "are not the 4 x 4 patches of its picture in rows"
MISPLACED = {
    "one prompt behind": lambda: Vit(Prompted(1, behind=True)),
    "five prompts behind": lambda: Vit(Prompted(5, behind=True)),
    "windows": lambda: Vit(Ordered(torch.arange(16).view(2, 2, 2, 2).transpose(1, 2).flatten())),
    "shuffled": lambda: Vit(Ordered(torch.randperm(16, generator=torch.Generator().manual_seed(1)))),
    "rolled": lambda: Moving(lambda images: images.roll(8, 3)),
    "mirrored": lambda: Moving(lambda images: images.flip(3)),
    "turned": lambda: Moving(lambda images: images.transpose(2, 3)),
    "cropped": lambda: Moving(lambda images: images[..., 8:-8, 8:-8]),
    "padded": lambda: Moving(lambda images: functional.pad(images, (0, 16, 0, 16))),
    "letterboxed": lambda: Moving(lambda images: functional.pad(images, (16, 16, 16, 16))),
}
IN_ROWS = {
    "plain": lambda: Vit(of_timm().float()),
    "registers": lambda: Vit(of_timm(reg_tokens=4).float()),
    "no class token": lambda: Vit(of_timm(global_pool="avg", class_token=False).float()),
    "transformers": lambda: Vit(of_transformers().float()),
    "prompts before": lambda: Vit(Prompted(5, behind=False)),
    "enlarged": lambda: Moving(lambda images: functional.interpolate(images, (64, 64), mode="bilinear")),
    "stem 0": lambda: Vit(Stem(0)),
    "stem 1": lambda: Vit(Stem(1)),
    "stem 2": lambda: Vit(Stem(2)),
}


@pytest.mark.parametrize("kind", MISPLACED)
def test_tokens_that_are_not_the_patches_in_rows_are_refused(kind: str) -> None:
    detector = MISPLACED[kind]().eval()
    for method in (Rollout(), Relevance()):
        with pytest.raises(InputError, match=NOT_IN_ROWS):
            method.check(detector)


@pytest.mark.parametrize("kind", IN_ROWS)
def test_tokens_that_are_the_patches_are_left(kind: str) -> None:
    Rollout().check(IN_ROWS[kind]().eval())


def test_the_place_of_patches_costs_nine_passes() -> None:
    detector, image = Vit(of_timm(reg_tokens=2).float()), torch.rand(1, 3, 32, 32)
    with counting(detector) as meter:
        require_patches_in_rows(detector, image, 1 - image, "vit:Rollout")
    assert meter.images <= 9


class SideBySide(nn.Module):
    """Attention that is the difference of two of the same tokens (Ye et al., ICLR 2025)."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        difference: Tensor = self.attention(x) - 0.5 * self.attention(x.roll(1, -1))
        return difference


class ByModule(nn.Module):
    """The same attention by torch's own module."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.module = nn.MultiheadAttention(16, 2, batch_first=True)
        self.module.load_state_dict(
            {
                "in_proj_weight": attention.qkv.weight, "in_proj_bias": attention.qkv.bias,
                "out_proj.weight": attention.proj.weight, "out_proj.bias": attention.proj.bias,
            }
        )  # fmt: skip

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        attended: Tensor = self.module(x, x, x, need_weights=False)[0]
        return attended


def with_blocks(change: Callable[[Any], nn.Module | None], *places: int) -> Vit:
    """A vision transformer with another attention in some of its three blocks."""
    network = of_timm().float()
    for place in places:
        block = network.blocks[place]
        block.attn = change(block.attn) or block.attn
    return Vit(network.requires_grad_(False)).eval()


def by_formula(attention: Any) -> None:
    attention.fused_attn = False


@pytest.mark.parametrize("method", [Rollout(), Relevance()])
@pytest.mark.parametrize("change", [by_formula, ByModule])
@pytest.mark.parametrize("places", [(0,), (1,), (2,), (0, 2)])
def test_attention_that_is_not_read_is_refused(
    method: Any, change: Callable[[Any], nn.Module | None], places: tuple[int, ...]
) -> None:
    detector, image = with_blocks(change, *places), torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(detector(image), with_blocks(by_formula)(image), rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match=f"each other {3 - len(places)} times, and {len(places)} times otherwise"):
        method.check(detector)


@pytest.mark.parametrize("method", [Rollout(), Relevance()])
def test_attention_side_by_side_is_refused(method: Any) -> None:
    with pytest.raises(InputError, match="attends 1 times beside another attention"):
        method.check(with_blocks(SideBySide, 1))
    with pytest.raises(InputError, match="attends 3 times beside another attention"):
        method.check(with_blocks(SideBySide, 0, 1, 2))
    torch.manual_seed(0)
    parallel = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=2,
        block_fn=timm.models.vision_transformer.ParallelThingsBlock,
    )  # fmt: skip
    with pytest.raises(InputError, match="attends 2 times beside another attention"):
        method.check(Vit(shaken(parallel).float()))
