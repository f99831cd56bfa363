"""What the graph of an ONNX file says: its weights' hash, what it does to pictures first, and to its answers last."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from common.errors import InputError
from common.files import sha256

COLOURS = 3

_PASSED = frozenset(
    {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear"}
)
_PROBABILITIES = frozenset({"Softmax", "Sigmoid"})
_SCALING = frozenset({"Add", "Sub", "Mul", "Div"})
_MOVED = frozenset({"Identity", "Cast", "Transpose"})


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


def scaling(graph: Any, to_array: Callable[[Any], np.ndarray]) -> float | None:
    """What a network multiplies pictures by in its first steps, by a constant for each colour; None for nothing.

    Only a chain of steps is followed that each are all that is done with what the one before gives.
    """
    constants = {tensor.name: to_array(tensor) for tensor in graph.initializer if math.prod(tensor.dims) <= COLOURS}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = to_array(node.attribute[0].t)
    inputs = [entry.name for entry in graph.input if entry.name not in {tensor.name for tensor in graph.initializer}]
    current, factor, found = inputs[0] if inputs else "", 1.0, False
    while len(users := [node for node in graph.node if current in node.input]) == 1:
        (node,) = users
        others = [constants.get(name) for name in node.input if name != current]
        if node.op_type in _SCALING and len(others) == 1 and others[0] is not None and others[0].size <= COLOURS:
            value = float(np.abs(others[0]).mean())
            factor *= value if node.op_type == "Mul" else 1 / value if node.op_type == "Div" and value else 1.0
            found = found or value != 0
        elif node.op_type not in _MOVED:
            break
        current = node.output[0]
    return factor if found else None


def without_probabilities(model: Any, path: str) -> bool:
    """Takes a last softmax or sigmoid off a network; whether its outputs exclude each other, as far as it says.

    Raises InputError where it has several outputs, none of them called logits.
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
    del graph.output[:]
    if node is None or node.op_type not in _PROBABILITIES or _mixes_pictures(node):
        graph.output.append(output)
        return True
    graph.output.add().name = node.input[0]  # of whatever type it is: a cast may follow what is left out
    return bool(node.op_type == "Softmax")


def _mixes_pictures(node: Any) -> bool:
    """Whether a softmax is over the pictures of a batch (N, C) and not their classes: it says so, and is no verdict."""
    return any(attribute.name == "axis" and attribute.i in (0, -2) for attribute in node.attribute)
