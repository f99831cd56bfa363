"""What published checkpoints call the weights that timm's networks have under other names.

Every function here maps a timm network's state-dict keys to the file's, as `checkpoints.load_into` takes them.
"""

from collections.abc import Mapping

from torch import nn

_ENDS = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
"""Outside the blocks of an EfficientNet, timm's names to efficientnet_pytorch's."""

_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_EXPANDING = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
    **_SQUEEZE,
}
"""In a block that widens its input first (MBConv)."""

_FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2", **_SQUEEZE}
"""In a block that does not (those of the first stage)."""


def efficientnet_pytorch(network: nn.Module) -> dict[str, str]:
    """timm's keys of an EfficientNet (`tf_efficientnet_b0` to `b8`) to those of the package efficientnet_pytorch.

    The package numbers blocks through the network, timm within a stage; a batch norm bears the number of the
    convolution before it, from 0 in the package and from 1 in timm, but in the first stage from 1 in both.
    """
    numbers: dict[str, int] = {}
    names = {}
    for key in network.state_dict():
        parts = key.split(".")
        module, leaf = ".".join(parts[:-1]), parts[-1]
        if parts[0] == "blocks":
            block, inner = ".".join(parts[:3]), ".".join(parts[3:-1])
            table = _EXPANDING if hasattr(network.get_submodule(block), "conv_pwl") else _FIRST
            theirs = f"_blocks.{numbers.setdefault(block, len(numbers))}.{table[inner]}"
        else:
            theirs = _ENDS[module]
        names[key] = f"{theirs}.{leaf}"
    return names


def renamed_modules(network: nn.Module, modules: Mapping[str, str]) -> dict[str, str]:
    """The keys of a network, each under what the file calls the module that it begins with, else as it is."""
    names = {}
    for key in network.state_dict():
        ours = next((module for module in modules if key.startswith(f"{module}.")), None)
        names[key] = key if ours is None else modules[ours] + key.removeprefix(ours)
    return names
