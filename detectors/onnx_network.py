"""The detector `onnx:FILE`: a network behind ONNX, without gradients, run by onnxruntime on the CPU."""

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.console import warn
from common.errors import InputError
from common.extras import extra
from common.files import parse_json
from detectors.base import REAL, Detector, Reading
from detectors.loading.class_names import order_unknown
from detectors.loading.conventions import NORMALISATIONS, Colour, Conventions
from detectors.loading.onnx_graph import digest, scaling, without_probabilities
from detectors.loading.reading import NORMALISATION_OPTIONS, agreed, shown, stated_classes
from detectors.loading.saving import MAX_INPUT
from detectors.loading.statements import stated_normalisation, stated_size, statements_in, unused_statements

EXTRA = "onnx"

_REAL_NUMBERS = frozenset({"tensor(float)", "tensor(double)", "tensor(float16)"})

MOST_OF_BYTES = 0.05
"""A step that multiplies pictures by less makes them of bytes: by 1/255, 1/127.5 or 1/58 of a deviation in bytes."""

MOST_OF_PICTURES = 2.0
"""A step that subtracts more from pictures makes them of bytes, too: the mean of 0 to 255."""


@dataclass(frozen=True)
class Input:
    """What a network of ONNX takes.

    Attributes:
        name: of its one input.
        channels_last: whether pictures are (N, S, S, 3) and not (N, 3, S, S).
        size: S, or None where any will do.
        batch: N, or None where any will do.
    """

    name: str
    channels_last: bool
    size: int | None
    batch: int | None


class Network:
    """A file's network, made ready to run; a copy shares it, and another process makes its own."""

    def __init__(self, path: str) -> None:
        """Reads the file. Raises InputError for one that is no network of pictures with one output of classes."""
        self.path = path
        onnx = extra("onnx", EXTRA, f"onnx:{path}")
        runtime = extra("onnxruntime", EXTRA, f"onnx:{path}")
        if not Path(path).is_file():
            raise InputError(f"onnx:{path}: there is no such file")
        try:
            model = onnx.load(path)
            self.sha256 = digest(path, model, onnx.load(path, load_external_data=False))
            self.scales = scaling(model.graph, onnx.numpy_helper.to_array)
            self.outputs_exclude = without_probabilities(model, path)
            options = runtime.SessionOptions()
            options.log_severity_level = 4  # what fails is raised as well
            options.intra_op_num_threads = torch.get_num_threads()
            self._session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except InputError:
            raise
        except Exception as error:  # both libraries raise kinds of their own
            said = (str(error).strip().splitlines() or [""])[0]
            raise InputError(f"onnx:{path} cannot be read as ONNX ({type(error).__name__}: {said})") from error
        self.input = _input(self._session.get_inputs(), path)
        _require_numbers(self._session.get_outputs()[0], path)
        self.metadata = _described(self._session.get_modelmeta().custom_metadata_map)

    def __deepcopy__(self, _memo: Any) -> "Network":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Network, (self.path,)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The numbers (N, C) float32 for normalised images (N, 3, S, S) float32.

        Raises InputError where the network does not take them.
        """
        if self.input.channels_last:
            values = values.transpose(0, 2, 3, 1)
        size = self.input.batch or len(values)
        rows = []
        for start in range(0, len(values), size):
            some = values[start : start + size]
            filled = np.concatenate([some, np.zeros((size - len(some), *some.shape[1:]), some.dtype)])
            try:
                (answer,) = self._session.run(None, {self.input.name: np.ascontiguousarray(filled)})
            except Exception as error:
                said = (str(error).strip().splitlines() or [""])[0]
                raise InputError(f"onnx:{self.path} does not take {some.shape[1:]} ({said})") from error
            rows.append(np.asarray(answer, dtype=np.float32).reshape(size, -1)[: len(some)])
        return np.concatenate(rows)


class OnnxDetector(Detector):
    """A network of ONNX behind a normalisation; a single logit z is presented as the two classes [0, z].

    It gives no gradient. Where its last step is a softmax or a sigmoid, that is left out, so that its numbers are
    logits, which do not saturate.
    """

    def __init__(self, network: Network, size: int, class_names: tuple[str, ...], mean: Colour, std: Colour) -> None:
        super().__init__()
        self.input_size, self.class_names, self.mean, self.std = size, class_names, mean, std
        self.real = class_names.index(REAL)
        self._run = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, S, S) in [0, 1]."""
        mean, std = (np.asarray(value, np.float32).reshape(3, 1, 1) for value in (self.mean, self.std))
        values = images.detach().float().cpu().numpy()
        logits = torch.from_numpy(self._run((values - mean) / std)).to(images.device)
        single = logits.shape[1] == 1 and len(self.class_names) == 2
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if single else logits


def build_onnx(path: str, conventions: Conventions) -> OnnxDetector:
    """The detector of an ONNX file: its classes by its metadata or `conventions`, its normalisation by these alone.

    Raises InputError for a file that is no network of square pictures, and where nothing says which output is Real,
    how pictures are normalised, or how large they are.
    """
    network, where = Network(path), f"onnx:{path}"
    statements = statements_in(network.metadata)
    stated = network.input.size or stated_size(statements)
    size = agreed(where, "input size", stated, conventions.input_size, "--size")
    if size is None:
        raise InputError(f"{where} takes pictures of any size; say which: --size 224")
    if not 1 <= size <= MAX_INPUT:
        raise InputError(f"{where} takes pictures of {size} pixels; at most {MAX_INPUT} are possible")
    outputs = network(np.zeros((1, 3, size, size), np.float32)).shape[1]
    if outputs > 1 and not network.outputs_exclude:
        raise InputError(f"{where} ends in a sigmoid for each of {outputs} outputs: they are no classes of one verdict")
    names = stated_classes(outputs, network.metadata, where, conventions)
    if names is None:
        raise order_unknown(outputs, where)
    normalisation = agreed(
        where, "normalisation", stated_normalisation(statements), conventions.normalisation, NORMALISATION_OPTIONS
    )
    if normalisation is None:
        raise InputError(
            f"{where} does not say how pictures are normalised; say it: --normalise imagenet, half, or none where the "
            "network does it itself, or --mean and --std"
        )
    mean, std = normalisation
    detector = OnnxDetector(network, size, names, mean, std)
    said = (f"classes {', '.join(names)}", f"normalisation {shown((mean, std))}", f"input {size} x {size} pixels")
    detector.reading = Reading(mean, std, said, source="its file and the command line")
    detector.weights_sha256 = network.sha256
    for remark in (unused_statements(statements, detector, where), _scaled_again(network, normalisation, where)):
        if remark is not None:
            warn(remark)
    return detector


def _scaled_again(network: Network, normalisation: tuple[Colour, Colour], where: str) -> str | None:
    """That a network normalises pictures itself, where that does not go with `normalisation`; else None."""
    if network.scales is None:
        return None
    (factor, offset), (mean, std) = network.scales, normalisation
    if (factor < MOST_OF_BYTES or offset > MOST_OF_PICTURES) and max(std) > MOST_OF_BYTES:
        divided = factor < MOST_OF_BYTES
        what = f"divides pictures by {1 / factor:.4g}" if divided else f"subtracts {offset:.4g} from pictures"
        how = "--mean 0,0,0 --std 0.003921569,0.003921569,0.003921569 where it takes pictures of 0 to 255"
        return f"{where} {what} in its first steps: say {how}, or they are black to it"
    if factor >= MOST_OF_BYTES and offset <= MOST_OF_PICTURES and normalisation != NORMALISATIONS["none"]:
        return (
            f"{where} normalises pictures itself in its first steps, which mean {shown(mean)} and std {shown(std)} "
            "would do a second time: say --normalise none where it takes pictures in [0, 1]"
        )
    return None


def _require_numbers(output: Any, path: str) -> None:
    """Raises InputError where a network gives no real numbers: what it answers then are decisions or texts."""
    if output.type not in _REAL_NUMBERS:
        kind = output.type.removeprefix("tensor(").rstrip(")")
        raise InputError(
            f"onnx:{path} gives {kind} in {output.name}; expected logits or probabilities in floating point: export it "
            "without what it decides by (ArgMax, a threshold)"
        )


def _input(inputs: Any, path: str) -> Input:
    """The input of a network. Raises InputError where it is no batch of RGB pictures in float32."""
    who = f"onnx:{path}"
    if len(inputs) != 1:
        raise InputError(f"{who} takes {len(inputs)} inputs ({', '.join(one.name for one in inputs)}); expected one")
    (taken,) = inputs
    shape = [size if isinstance(size, int) and size > 0 else None for size in taken.shape]
    described = f"{taken.type.removeprefix('tensor(').rstrip(')')} ({', '.join(map(str, taken.shape))})"
    last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
    if taken.type != "tensor(float)" or len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise InputError(f"{who} takes {described}; expected RGB pictures in float32, (N, 3, S, S) or (N, S, S, 3)")
    height, width = shape[1:3] if last else shape[2:]
    if None not in (height, width) and height != width:
        raise InputError(f"{who} takes pictures of {height} x {width} pixels; expected square ones")
    return Input(taken.name, last, height or width, shape[0])


def _described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file says of itself by name: of texts that are JSON, what they hold."""
    said: dict[str, Any] = {}
    for name, text in itertools.islice(metadata.items(), 100):
        said[name] = text
        with contextlib.suppress(ValueError):
            said[name] = parse_json(text)
    return said
