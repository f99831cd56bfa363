import copy
import json
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import detectors
from common.errors import InputError
from detectors import Conventions
from detectors.queries import answer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT

SAID = Conventions(classes="Fake,Real", normalise="half")
SHAPE: tuple[Any, ...] = ("N", 3, 16, 16)


def weight(outputs: int, inputs: int = 3 * 16 * 16) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.05, (inputs, outputs)).astype(np.float32)


def linear(
    path: Path,
    outputs: int = 2,
    shape: Sequence[Any] = SHAPE,
    last: str | None = None,
    metadata: dict[str, str] | None = None,
    element: int = FLOAT,
    more_inputs: int = 0,
    more_outputs: int = 0,
    bias: float = 0.0,
) -> Path:
    """A file with x -> flatten(x) W + b, and `last` after it; of another size than 16 x of its channels' means."""
    pooled = len(shape) == 4 and shape[2:] not in [(16, 16), ("H", "W"), (16, 3)]
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=FLOAT),
        helper.make_node("GlobalAveragePool" if pooled else "Identity", ["float"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "W", "b"], ["z"]),
    ]
    name = "z"
    if last is not None:
        nodes += [helper.make_node(last, ["z"], ["p"]), helper.make_node("Identity", ["p"], ["answer"])]
        name = "answer"
    constants = [
        onnx.numpy_helper.from_array(weight(outputs, shape[1] if pooled else 768), "W"),
        onnx.numpy_helper.from_array(np.full(outputs, bias, np.float32), "b"),
    ]
    inputs = [helper.make_tensor_value_info("x", element, shape)]
    inputs += [helper.make_tensor_value_info(f"more{i}", FLOAT, [1]) for i in range(more_inputs)]
    given = [helper.make_tensor_value_info(name, FLOAT, [shape[0] if len(shape) == 4 else "N", outputs])]
    given += [helper.make_tensor_value_info("flat", FLOAT, ["N", 768]) for _ in range(more_outputs)]
    model = helper.make_model(
        helper.make_graph(nodes, "linear", inputs, given, constants), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def by_hand(images: torch.Tensor, outputs: int = 2) -> torch.Tensor:
    return ((images - 0.5) / 0.5).flatten(1) @ torch.from_numpy(weight(outputs))


@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("last", [None, "Softmax", "LogSoftmax"])
def test_logits_are_those_before_the_softmax(last: str | None, batch: object, tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", last=last, shape=(batch, 3, 16, 16))
    detector = detectors.load(f"onnx:{path}", conventions=SAID)
    assert (detector.class_names, detector.real, detector.input_size) == (("Fake", "Real"), 1, 16)
    ours, expected = answer(detector, pictures(6)), by_hand(pictures(6))
    if last == "LogSoftmax":
        expected = expected.log_softmax(dim=1)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_channels_may_come_last(tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", shape=("N", 16, 16, 3))
    detector = detectors.load(f"onnx:{path}", conventions=SAID)
    expected = (2 * pictures(3) - 1).permute(0, 2, 3, 1).flatten(1) @ torch.from_numpy(weight(2))
    torch.testing.assert_close(answer(detector, pictures(3)), expected, rtol=1e-4, atol=1e-5)


def test_one_probability_is_the_logit_before_its_sigmoid(tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", outputs=1, last="Sigmoid", bias=40.0)  # the probability rounds to 1
    detector = detectors.load(f"onnx:{path}", conventions=Conventions(classes="Fake", normalise="half"))
    ours = answer(detector, pictures(3))
    assert detector.class_names == ("Real", "Fake")
    torch.testing.assert_close(ours[:, 1:], by_hand(pictures(3), 1) + 40)
    assert not ours[:, 0].any()


def test_classes_in_its_metadata_are_taken(tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", metadata={"id2label": json.dumps({"0": "fake", "1": "real"})})
    detector = detectors.load(f"onnx:{path}", conventions=Conventions(normalise="half"))
    assert detector.class_names == ("Fake", "Real")
    with pytest.raises(InputError, match="says itself: classes Fake, Real"):
        detectors.load(f"onnx:{path}", conventions=Conventions(classes="Real,Fake", normalise="half"))


def test_any_size_is_asked_for(tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", shape=("N", 3, "H", "W"))
    with pytest.raises(InputError, match="any size; say which: --size"):
        detectors.load(f"onnx:{path}", conventions=SAID)
    said = Conventions(classes="Fake,Real", normalise="half", input_size=16)
    assert detectors.load(f"onnx:{path}", conventions=said).input_size == 16
    with pytest.raises(InputError, match="does not take"):
        detectors.load(f"onnx:{path}", conventions=Conventions(classes="Fake,Real", normalise="half", input_size=20))


def test_copies_and_other_processes_can_have_it(tmp_path: Path) -> None:
    detector = detectors.load(f"onnx:{linear(tmp_path / 'net.onnx')}", conventions=SAID)
    for other in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):
        assert torch.equal(answer(other, pictures(2)), answer(detector, pictures(2)))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"shape": ("N", 1, 24, 24)}, r"takes float (N, 1, 24, 24); expected RGB pictures in float32"),
        ({"shape": ("N", 3, 16, 24)}, "takes pictures of 16 x 24 pixels; expected square ones"),
        ({"shape": ("N", 768)}, "takes float (N, 768); expected RGB pictures"),
        ({"element": onnx.TensorProto.DOUBLE}, "takes double (N, 3, 16, 16); expected RGB pictures in float32"),
        ({"more_inputs": 2}, "takes 3 inputs (x, more0, more1); expected one"),
        ({"more_outputs": 1}, "has 2 outputs (z, flat); expected one, or one called logits"),
        ({"last": "Sigmoid"}, "ends in a sigmoid for each of 2 outputs"),
        ({"shape": ("N", 3, 2048, 2048)}, "takes pictures of 2048 pixels; at most 1024"),
    ],
)
def test_another_input_or_output_is_refused_in_one_line(how: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", **how)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        detectors.load(f"onnx:{path}", conventions=SAID)
    assert "\n" not in str(caught.value)


def test_what_it_does_not_say_is_asked_for(tmp_path: Path) -> None:
    name = f"onnx:{linear(tmp_path / 'net.onnx')}"
    with pytest.raises(InputError, match="does not say which is Real; say it: --classes"):
        detectors.load(name, conventions=Conventions(normalise="half"))
    with pytest.raises(InputError, match="does not say how pictures are normalised; say it: --normalise"):
        detectors.load(name, conventions=Conventions(classes="Fake,Real"))
    with pytest.raises(InputError, match="input size 16, and not 32"):
        detectors.load(name, conventions=Conventions(classes="Fake,Real", normalise="half", input_size=32))


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x00 nothing of the kind")
    with pytest.raises(InputError, match="cannot be read as ONNX"):
        detectors.load(f"onnx:{tmp_path / 'net.onnx'}", conventions=SAID)
    with pytest.raises(InputError, match="there is no such file"):
        detectors.load(f"onnx:{tmp_path / 'other.onnx'}", conventions=SAID)


def save(path: Path, nodes: Sequence[Any], output: str, constants: dict[str, Any], element: int = FLOAT) -> Path:
    """A file of nodes from x (N, 3, 16, 16) to an output of that name and type."""
    x, answered = helper.make_tensor_value_info("x", FLOAT, SHAPE), helper.make_tensor_value_info(output, element, None)
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", [x], [answered], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


FLAT = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("Gemm", ["flat", "W"], ["z"])]


def test_what_its_metadata_says_counts_or_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = {"mean": "[0.4, 0.4, 0.4]", "std": "[0.2, 0.2, 0.2]"}
    name = f"onnx:{linear(tmp_path / 'net.onnx', metadata=colours)}"
    assert detectors.load(name, conventions=Conventions(classes="Fake,Real")).mean == (0.4, 0.4, 0.4)
    with pytest.raises(InputError, match=r"says itself: normalisation mean 0.4, 0.4, 0.4"):
        detectors.load(name, conventions=SAID)
    assert not capsys.readouterr().err
    beside = {"color_space": "BGR", "threshold": "0.3", "imgsz": "[224, 224]"}
    detectors.load(f"onnx:{linear(tmp_path / 'other.onnx', metadata=beside)}", conventions=SAID)
    said = capsys.readouterr().err
    assert all(words in said for words in ("color_space = 'BGR'", "threshold = 0.3", "imgsz = [224, 224]"))


@pytest.mark.parametrize("names", ["{0: 'real', 1: 'fake'}", '["real", "fake"]', "real, fake"])
def test_names_in_its_metadata_are_read_as_exporters_write_them(names: str, tmp_path: Path) -> None:
    name = f"onnx:{linear(tmp_path / 'net.onnx', metadata={'names': names})}"
    assert detectors.load(name, conventions=Conventions(normalise="half")).class_names == ("Real", "Fake")
    with pytest.raises(InputError, match="says itself: classes Real, Fake"):
        detectors.load(name, conventions=SAID)


def test_a_mean_of_bytes_that_is_subtracted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [helper.make_node("Sub", ["x", "m"], ["n"]), helper.make_node("Flatten", ["n"], ["flat"]), FLAT[1]]
    constants = {"W": weight(2), "m": np.full((3, 1, 1), 127.5, np.float32)}
    path = save(tmp_path / "net.onnx", nodes, "z", constants)
    detectors.load(f"onnx:{path}", conventions=Conventions(classes="Fake,Real", normalise="none"))
    assert "subtracts 127.5 from pictures in its first steps: say --mean 0,0,0" in capsys.readouterr().err


@pytest.mark.parametrize("axis", [0, -2])
def test_a_softmax_over_the_batch_is_refused(axis: int, tmp_path: Path) -> None:
    """Left out, it would be another network: each picture's answer depends on the others beside it."""
    nodes = [*FLAT, helper.make_node("Softmax", ["z"], ["p"], axis=axis)]
    path = save(tmp_path / "net.onnx", nodes, "p", {"W": weight(2)})
    with pytest.raises(InputError, match="answers a picture differently"):
        detectors.load(f"onnx:{path}", conventions=SAID)


def test_ranked_outputs_are_refused(tmp_path: Path) -> None:
    """The first of them is always the largest, whatever its class."""
    nodes = [*FLAT, helper.make_node("TopK", ["z", "two"], ["values", "places"], axis=1)]
    path = save(tmp_path / "net.onnx", nodes, "values", {"W": weight(2), "two": np.array([2], np.int64)})
    with pytest.raises(InputError, match="ends in TopK, which gives its outputs by their rank and not by class"):
        detectors.load(f"onnx:{path}", conventions=SAID)


@pytest.mark.parametrize(
    ("last", "bound"),
    [
        ([("Tanh", ["z"], ["p"])], "Tanh"),
        ([("Softmax", ["z"], ["s"]), ("Sub", ["s", "half"], ["p"])], "Softmax"),
        ([("Sigmoid", ["z"], ["s"]), ("Mul", ["s", "half"], ["m"]), ("Neg", ["m"], ["p"])], "Sigmoid"),
        ([("Mul", ["z", "half"], ["p"])], ""),
    ],
)
def test_scores_that_are_bounded_are_no_logits(
    last: list[tuple[str, list[str], list[str]]], bound: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [*FLAT, *(helper.make_node(*each) for each in last)]
    path = save(tmp_path / "net.onnx", nodes, "p", {"W": weight(2), "half": np.array([0.5], np.float32)})
    detectors.load(f"onnx:{path}", conventions=SAID)
    told = capsys.readouterr().err
    assert (f"ends in a {bound} and what shifts or scales it" in told) if bound else ("ends in a" not in told)


def test_decisions_are_no_logits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [*FLAT, helper.make_node("ArgMax", ["z"], ["y"], axis=1, keepdims=1)]
    path = save(tmp_path / "net.onnx", nodes, "y", {"W": weight(5)}, onnx.TensorProto.INT64)
    with pytest.raises(InputError, match="gives int64 in y; expected logits"):
        detectors.load(f"onnx:{path}", conventions=SAID)
    nodes.append(helper.make_node("Cast", ["y"], ["f"], to=FLOAT))
    detectors.load(f"onnx:{save(path, nodes, 'f', {'W': weight(5)})}", conventions=SAID)
    assert "answers whole numbers from 0 to" in capsys.readouterr().err


@pytest.mark.parametrize("cast", ["float16", "quantised"])
def test_the_softmax_is_left_out_of_halves_and_quantised_ones_too(cast: str, tmp_path: Path) -> None:
    first, last = FLAT, []
    if cast == "float16":
        first = [*FLAT, helper.make_node("Cast", ["z"], ["l"], to=onnx.TensorProto.FLOAT16)]
        last = [helper.make_node("Cast", ["p"], ["y"], to=FLOAT)]
    else:
        first = [*FLAT, helper.make_node("Identity", ["z"], ["l"])]
        last = [
            helper.make_node("QuantizeLinear", ["p", "s", "0"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "0"], ["y"]),
        ]
    constants = {"W": weight(2), "s": np.float32(1 / 255), "0": np.uint8(0)}
    nodes = [*first, helper.make_node("Softmax", ["l"], ["p"], axis=1), *last]
    detector = detectors.load(f"onnx:{save(tmp_path / 'net.onnx', nodes, 'y', constants)}", conventions=SAID)
    torch.testing.assert_close(answer(detector, pictures(3)), by_hand(pictures(3)), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("step", "constant", "normalise", "said"),
    [
        ("Div", 255.0, "none", "divides pictures by 255 in its first steps"),
        ("Mul", 1 / 255, "imagenet", "divides pictures by 255 in its first steps"),
        ("Div", 0.25, "imagenet", "normalises pictures itself in its first steps"),
        ("Div", 0.25, "none", ""),
        ("Mul", 1.0, "none", ""),
    ],
)
def test_a_network_that_normalises_itself_is_said(
    step: str, constant: float, normalise: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [
        helper.make_node("Sub", ["x", "m"], ["s"]),
        helper.make_node(step, ["s", "d"], ["n"]),
        helper.make_node("Flatten", ["n"], ["flat"]),
        FLAT[1],
    ]
    constants = {"W": weight(2), "m": np.full((3, 1, 1), 0.5, np.float32), "d": np.float32(constant)}
    path = save(tmp_path / "net.onnx", nodes, "z", constants)
    detectors.load(f"onnx:{path}", conventions=Conventions(classes="Fake,Real", normalise=normalise))
    err = capsys.readouterr().err
    assert said in err
    assert bool(said) == bool(err)


def test_weights_in_a_file_beside_it_identify_it(tmp_path: Path) -> None:
    onnx.save(
        onnx.load(linear(tmp_path / "plain.onnx")), tmp_path / "net.onnx",
        save_as_external_data=True, location="net.bin", size_threshold=0,
    )  # fmt: skip
    first = detectors.load(f"onnx:{tmp_path / 'net.onnx'}", conventions=SAID).identity
    assert detectors.load(f"onnx:{tmp_path / 'net.onnx'}", conventions=SAID).identity == first
    values = np.frombuffer((tmp_path / "net.bin").read_bytes(), np.float32)
    (tmp_path / "net.bin").write_bytes((values * 2).tobytes())
    assert detectors.load(f"onnx:{tmp_path / 'net.onnx'}", conventions=SAID).identity != first
