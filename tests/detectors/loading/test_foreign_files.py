"""What is given as a checkpoint and is something else is called by its name, with what to do; a checkpoint never is."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from common.errors import InputError
from detectors.loading.checkpoints import read

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
IMAGES = torch.rand(1, 3, 3, 3, generator=torch.Generator().manual_seed(0))
PROGRAM = (
    r"where you trust its origin, save its weights alone, torch\.save\({}, NEW\), or load it in a detector of your"
)
ZEROS = bytes(600)


def zipped(files: Mapping[str, bytes]) -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in files.items():
                file.writestr(name, data)
        return buffer.getvalue()


def tarred(data: bytes) -> bytes:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as file:
            member = tarfile.TarInfo("model.pth")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
        return buffer.getvalue()


def numpy_of(values: np.ndarray) -> bytes:
    with io.BytesIO() as buffer:
        np.save(buffer, values)
        return buffer.getvalue()


def onnx_of(producer: str, version: int = 8) -> bytes:
    """A network that gives what it gets."""
    shape = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["a"], ["b"])], "g", [shape], [other])
    return onnx.helper.make_model(graph, producer_name=producer, ir_version=version).SerializeToString()


def words(value: object) -> str:
    """The name of a case: bytes may hold the time at which they were packed."""
    return "" if isinstance(value, bytes) else str(value)


def require_refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(path)
    assert str(refused.value).startswith(f"checkpoint {path} is refused: it is ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("is_traced", [True, False], ids=["traced", "scripted"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_a_torchscript_program_says_how_its_weights_are_had(tmp_path: Path, is_traced: bool) -> None:
    program = torch.jit.trace(NETWORK, IMAGES) if is_traced else torch.jit.script(NETWORK)
    program.save(str(tmp_path / "a.pt"))
    require_refused(
        tmp_path / "a.pt", "a TorchScript program: " + PROGRAM.format(r"torch\.jit\.load\(FILE\)\.state_dict\(\)")
    )
    torch.save(torch.jit.load(str(tmp_path / "a.pt")).state_dict(), tmp_path / "new.pt")
    assert read(tmp_path / "new.pt").state_dict.keys() == NETWORK.state_dict().keys()


def test_a_program_of_export_says_how_its_weights_are_had(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(NETWORK.eval(), (IMAGES,)), tmp_path / "a.pt2")
    said = "a program of torch.export: " + PROGRAM.format(r"torch\.export\.load\(FILE\)\.state_dict")
    require_refused(tmp_path / "a.pt2", said)
    torch.save(torch.export.load(tmp_path / "a.pt2").state_dict, tmp_path / "new.pt")
    assert read(tmp_path / "new.pt").state_dict.keys() == NETWORK.state_dict().keys()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped({"serialized_exported_program.json": b"{}"}), "a program of torch.export"),
        (zipped({"m/.data/extern_modules": b"", "m/m.pkl": b""}), "a package of torch.package, .*state_dict"),
        (zipped({"config.json": b"{}", "model.weights.h5": b""}), r"a network of Keras \(.keras\), not of torch: .*"),
        (zipped({"folder/model{0}.pth": b"", "b": b""}), r"such as folder/model\{0\}\.pth: unpack it, and name the "),
        (zipped({"arr_0.npy": b""}), "a zip of other files, such as arr_0.npy"),
        (b"\x89HDF\r\n\x1a\n" + ZEROS, r"an HDF5 file, as Keras saves \(\.h5\), not of torch"),
        (numpy_of(np.zeros(9)), "an array of numpy, not of torch"),
        (b"\x1c\0\0\0TFL3" + ZEROS, "a network of TensorFlow Lite, not of torch"),
        (gzip.compress(ZEROS), r"packed \(gzip\): unpack it, and name the file inside"),
        (bz2.compress(ZEROS), r"packed \(bzip2\)"),
        (lzma.compress(ZEROS), r"packed \(xz\)"),
        (b"7z\xbc\xaf\x27\x1c" + ZEROS, r"packed \(7z\)"),
        (b"Rar!\x1a\x07\x01\0" + ZEROS, r"packed \(rar\)"),
        (tarred(ZEROS), r"packed \(tar\)"),
        (onnx_of("pytorch"), "an ONNX network: give it as --detector onnx:FILE, without --checkpoint"),
        (onnx_of(""), "an ONNX network"),
        (b"<!DOCTYPE html>\n<html>Quota exceeded</html>", r"a page of the web \(HTML or XML\) .*: get it again"),
        (b"\xef\xbb\xbf\n <html>", "a page of the web"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "a page of the web"),
        (b'{"error": "rate limit"}', r"a text \(JSON\) and holds no weights"),
        (b'{"data":{"a": 1}}', r"a text \(JSON\)"),
        (json.dumps({"weight_map": {}}, indent=2).encode(), r"a text \(JSON\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "Git LFS .*: get .* git lfs pull"),
    ],
    ids=words,
)
def test_what_is_no_checkpoint_is_called_by_its_name(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "model.pth").write_bytes(data)
    require_refused(tmp_path / "model.pth", said)


def test_what_has_no_mark_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\xe3\x05\x0a\x80" + ZEROS)
    require_refused(tmp_path / "saved_model.pb", "a graph of TensorFlow by its name")
    (tmp_path / "net.mlmodel").write_bytes(b"\x08\x04\x12\x50\x0a\x20\x0a\x05image" + ZEROS)
    require_refused(tmp_path / "net.mlmodel", "a network of Core ML by its name")
    for name in ("a.pb", "a.pth"):
        (tmp_path / name).write_bytes(b"hello")
        with pytest.raises(InputError, match="is not a checkpoint: neither safetensors nor a torch file"):
            read(tmp_path / name)


def safetensors(path: Path) -> None:
    save_file({"weight": torch.ones(2)}, path)


def safetensors_of_length(length: int) -> Callable[[Path], None]:
    """A file whose first bytes, its header's length, read like another kind's."""

    def write(path: Path) -> None:
        save_file({"weight": torch.ones(2)}, path, {"note": ""})
        short = int.from_bytes(path.read_bytes()[:8], "little")
        data = path.read_bytes()
        header = data[8 : 8 + short].rstrip()
        path.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + data[8 + short :])

    return write


@pytest.mark.parametrize(
    "write",
    [
        safetensors,
        *map(safetensors_of_length, (int.from_bytes(b'{"', "little"), 0x8B1F, 0x0308)),
        lambda path: torch.save({"weight": torch.ones(2)}, path),
        lambda path: torch.save({"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=False),
    ],
)
@pytest.mark.parametrize("name", ["a.onnx", "a.pb", "constants.pkl", "extern_modules"])
def test_a_checkpoint_is_read_whatever_it_is_called(tmp_path: Path, write: Callable[[Path], None], name: str) -> None:
    write(tmp_path / name)
    assert read(tmp_path / name).state_dict["weight"].tolist() == [1, 1]
