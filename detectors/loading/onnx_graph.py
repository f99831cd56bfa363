"""What the graph of an ONNX file says: its weights' hash, what it does to pictures first, and to its answers last."""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from common.console import warn
from common.errors import InputError
from common.files import sha256

COLOURS = 3

_PASSED = frozenset(
    {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear"}
)
_PROBABILITIES = frozenset({"Softmax", "Sigmoid"})
_SCALING = frozenset({"Add", "Sub", "Mul", "Div"})
_MOVED = frozenset({"Identity", "Cast", "Transpose"})
_RANKED = frozenset({"TopK"})
"""What gives outputs by their rank, so that no class has a place."""
_BOUNDED = frozenset({"Tanh", "HardSigmoid", "Softsign"})
_SHIFTED = _SCALING | {"Neg"}


def digest(path: str, model: Any, alone: Any) -> str:
    """The SHA-256 of a file or, where weights lie in other files beside it, of the network with these.

    Args:
        path: the file.
        model: what it holds, with the weights of other files.
        alone: what it holds itself.
    """
    if model.ByteSize() == alone.ByteSize():
        return sha256(path)
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def scaling(graph: Any, to_array: Callable[[Any], np.ndarray]) -> tuple[float, float] | None:
    """What a network multiplies pictures by in its first steps, and the most that it subtracts; None for nothing.

    Both are by a constant for each colour, the second in units of the pictures. Only a chain of steps is followed that
    each are all that is done with what the one before gives.
    """
    constants = {tensor.name: to_array(tensor) for tensor in graph.initializer if math.prod(tensor.dims) <= COLOURS}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = to_array(node.attribute[0].t)
    inputs = [entry.name for entry in graph.input if entry.name not in {tensor.name for tensor in graph.initializer}]
    current, factor, offset, found = inputs[0] if inputs else "", 1.0, 0.0, False
    while len(users := [node for node in graph.node if current in node.input]) == 1:
        (node,) = users
        others = [constants.get(name) for name in node.input if name != current]
        if node.op_type in _SCALING and len(others) == 1 and others[0] is not None and others[0].size <= COLOURS:
            value = float(np.abs(others[0]).mean())
            if node.op_type in ("Add", "Sub"):
                offset = max(offset, value / factor)
            elif value:
                factor *= value if node.op_type == "Mul" else 1 / value
            found = found or value != 0
        elif node.op_type not in _MOVED:
            break
        current = node.output[0]
    return (factor, offset) if found else None


def without_probabilities(model: Any, path: str) -> bool:
    """Takes a last softmax or sigmoid off a network; whether its outputs exclude each other, as far as it says.

    A warning names what bounds the outputs otherwise: scores are no logits. Raises InputError where it has several
    outputs, none of them called logits, and where these are ranked.
    """
    graph, makers = model.graph, {}
    for node in model.graph.node:
        makers.update(dict.fromkeys(node.output, node))
    outputs = list(graph.output)
    chosen = outputs if len(outputs) == 1 else [output for output in outputs if output.name == "logits"]
    if len(chosen) != 1:
        names = ", ".join(output.name for output in outputs)
        raise InputError(f"onnx:{path} has {len(outputs)} outputs ({names}); expected one, or one called logits")
    output, node = chosen[0], makers.get(chosen[0].name)
    while node is not None and node.op_type in _PASSED:
        node = makers.get(node.input[0])
    if node is not None and node.op_type in _RANKED:
        raise InputError(
            f"onnx:{path} ends in {node.op_type}, which gives its outputs by their rank and not by class: export it "
            "without"
        )
    if (bound := _bounded_by(node, makers)) is not None:
        warn(
            f"onnx:{path} ends in a {bound} and what shifts or scales it: such scores are no logits, and are taken for "
            "them; export it without"
        )
    del graph.output[:]
    if node is None or node.op_type not in _PROBABILITIES or _mixes_pictures(node):
        graph.output.append(output)
        return True
    graph.output.add().name = node.input[0]  # of whatever type it is: a cast may follow what is left out
    return bool(node.op_type == "Softmax")


def _mixes_pictures(node: Any) -> bool:
    """Whether a softmax is over the pictures of a batch (N, C) and not their classes: it says so, and is no verdict."""
    return any(attribute.name == "axis" and attribute.i in (0, -2) for attribute in node.attribute)


def _bounded_by(node: Any, makers: Mapping[str, Any]) -> str | None:
    """What bounds a network's outputs, where constants shift or scale that, or it is no probability; else None."""
    shifted = False
    while node is not None and node.op_type in _SHIFTED | _PASSED:
        shifted = shifted or node.op_type in _SHIFTED
        made = [makers[name] for name in node.input if name in makers and makers[name].op_type != "Constant"]
        node = made[0] if len(made) == 1 else None
    kinds = _BOUNDED | _PROBABILITIES if shifted else _BOUNDED
    return str(node.op_type) if node is not None and node.op_type in kinds else None
