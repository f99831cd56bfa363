"""Checkpoints: weights, or one line; no code, no more memory than the file, and no network that fits only half."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from attacks.malafide.filter_files import load as load_filter
from attacks.malafide.training import _read as read_training
from common.errors import InputError
from detectors.loading.checkpoints import read
from detectors.loading.saving import METADATA_KEY, config_in, model_in
from detectors.loading.weight_loading import load_into
from detectors.registry import load
from detectors.timm_network import TimmConfig
from detectors.training.loop import _earlier
from tests.survival.inputs import damaged, survives, tried
from tests.survival.test_text_files import json_values

WEIGHTS = {"stem.weight": torch.arange(24.0).reshape(2, 3, 4), "head.bias": torch.tensor([1.0, -1.0])}
ENDINGS = [".ckpt", ".pt", ".pth", ".safetensors", ".bin", ".tar"]


def torch_file(content: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


ZIP = torch_file({"state_dict": WEIGHTS, "hyper_parameters": {"model_name": "x"}, "epoch": 3})
SEEDS = [
    ZIP,
    torch_file({"model": WEIGHTS}, zipped=False),
    safetensors_bytes(WEIGHTS, {"format": "pt"}),
    pickle.dumps(WEIGHTS, protocol=2),
]


@tried(250)
@given(damaged(st.sampled_from(SEEDS)) | st.binary(max_size=200), st.sampled_from(ENDINGS))
def test_any_bytes_are_weights_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    """Under any ending; and what is read is plain numbers, which fit a network whole or not at all."""
    path = tmp_path_factory.mktemp("checkpoint") / f"x{ending}"
    path.write_bytes(content)
    if not survives("checkpoints", lambda: read(path), str(path)):
        network = nn.Linear(3, 2)
        before = network.weight.clone()
        assert survives("checkpoints of others", lambda: load_into(network, read(path), "a line"), str(path))
        assert torch.equal(network.weight, before)


def rezipped(change: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> bytes:
    """The zip of ZIP with some records replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(ZIP)) as old, zipfile.ZipFile(buffer, "w", packed) as new:
        for name in old.namelist():
            ending = name.partition("/")[2]
            new.writestr(name, change.get(ending, old.read(name)))
    return buffer.getvalue()


def test_a_changed_byte_of_a_weight_is_told(tmp_path: Path) -> None:
    """torch writes a checksum of every part, and compares none."""
    weight = WEIGHTS["stem.weight"].numpy().tobytes()
    assert ZIP.count(weight) == 1
    path = tmp_path / "x.pt"
    path.write_bytes(ZIP.replace(weight, weight[:8] + bytes([weight[8] ^ 1]) + weight[9:]))
    with pytest.raises(InputError, match=r"x\.pt is damaged \(Bad CRC-32 for file .*/data/0"):
        read(path)
    path.write_bytes(ZIP)
    assert read(path).state_dict.keys() == WEIGHTS.keys()


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(WEIGHTS, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read(tmp_path / "x.pt").state_dict.keys() == WEIGHTS.keys()


def pickled() -> bytes:
    with zipfile.ZipFile(io.BytesIO(ZIP)) as file:
        return next(file.read(name) for name in file.namelist() if name.endswith("data.pkl"))


class Claims:
    """Unpickled, it takes 100 GB."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return bytearray, (10**11,)


class Acts:
    """Unpickled without care, it makes a file in the working folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


BOMBS = {
    "unpacks to 100 MB": (rezipped({"data/0": bytes(10**8)}, zipfile.ZIP_DEFLATED), "unpacks to 100,"),
    "claims more than its record": (
        rezipped({"data.pkl": pickled().replace(b"K\x18", b"J" + struct.pack("<i", 10**6))}),
        "damaged",
    ),
    "claims 100 GB": (torch_file({"model": WEIGHTS, "x": Claims()}), "damaged"),
    "weights without data": (torch_file({"w": torch.empty(3, device="meta")}), "w is no plain array of weights"),
    "sparse weights": (torch_file({"w": torch.eye(3).to_sparse()}), "w is no plain array of weights"),
    "complex weights": (torch_file({"w": torch.zeros(3, dtype=torch.complex64)}), "w is no plain array of weights"),
    "a million million weights": (torch_file({"w": torch.zeros(1).expand(10**12)}), ""),
    "safetensors header of 2^60 bytes": ((2**60).to_bytes(8, "little") + b"{" + bytes(50), "damaged"),
    "safetensors of 10^15 numbers": (
        (lambda head: len(head).to_bytes(8, "little") + head)(
            b'{"w":{"dtype":"F32","shape":[1000000000000000],"data_offsets":[0,4000000000000000]}}'
        ),
        "damaged",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_without_its_memory(tmp_path: Path, name: str) -> None:
    content, says = BOMBS[name]
    path = tmp_path / "bomb.ckpt"
    path.write_bytes(content)
    refused = survives("checkpoint bombs", lambda: load_into(nn.Linear(3, 2), read(path), "a line"), "bomb.ckpt")
    assert refused is not None
    assert says in str(refused)


keys = st.sampled_from(["state_dict", "model", "w", "hyper_parameters", METADATA_KEY, "x.y", "module.w", "", "a b"])
tensors = st.builds(
    torch.zeros,
    st.lists(st.integers(0, 3), max_size=3),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.uint8]),
)
contents = st.recursive(
    tensors | st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.dictionaries(keys | st.integers(0, 3), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=6,
)


@tried(100)
@given(contents)
def test_any_content_is_weights_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    """Files that torch itself wrote, of whatever: read, and looked at as a detector and as a filter."""
    path = tmp_path_factory.mktemp("checkpoint") / "x.ckpt"
    path.write_bytes(torch_file(content))
    survives("checkpoint contents", lambda: read(path), str(path))
    assert survives("checkpoint contents", lambda: load(str(path)), str(path)) is not None
    assert survives("checkpoint contents", lambda: load_filter(path), str(path)) is not None


PLAIN = {"model": "timm", "network": "test_resnet.r160_in1k", "class_names": ["Real", "Fake"], "outputs": 2}
values = st.sampled_from([10**9, -1, 0, 1.5, "224", True, ["Real"], ["Real", "Real"], [0.5] * 3, [1e-400] * 3])


names = st.sampled_from(["network", "class_names", "outputs", "input_size", "mean", "std", "antialias", "x"])


@tried(150)
@given(st.dictionaries(names, values, max_size=2), st.booleans())
def test_any_settings_in_a_file_are_used_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, changed: dict[str, object], as_text: bool
) -> None:
    """What our own files say of their network: settings of the right types and sizes, before anything is built."""
    settings = {**PLAIN, **changed}
    path = tmp_path_factory.mktemp("checkpoint") / "x.ckpt"
    path.write_bytes(
        safetensors_bytes(WEIGHTS, {METADATA_KEY: json.dumps(settings)})
        if as_text
        else torch_file({"state_dict": WEIGHTS, "hyper_parameters": {METADATA_KEY: settings}})
    )
    found: list[TimmConfig] = []

    def use() -> None:
        checkpoint = read(path)
        if model_in(checkpoint) == TimmConfig.model:
            found.append(config_in(checkpoint, TimmConfig))

    survives("checkpoint settings", use, str(path))
    for config in found:
        assert isinstance(config.network, str)
        assert 1 <= config.input_size <= 1024
        assert all(type(each) in (int, float) for each in (*config.mean, *config.std))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"model": "timm", "input_size": 1000000}', "[1]", "1", "null", '{"model": 3}', '{"x": 1}'],
)
def test_hurtful_settings_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes(WEIGHTS, {METADATA_KEY: text}))
    assert survives("checkpoint settings", lambda: load(str(path)), str(path)) is not None


described = st.fixed_dictionaries(
    {"size": values | st.just(3), "range": values | st.just("image"), "fidelity": values | st.just("psnr:30")}
)
filters = st.fixed_dictionaries({"filter": described}, optional={"training": json_values})


@tried(100)
@given(filters | json_values, st.just(torch.zeros(3, 3, 3, 3)) | tensors)
def test_any_description_of_a_filter_is_used_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, described: object, weight: Tensor
) -> None:
    path = tmp_path_factory.mktemp("filter") / "filter.safetensors"
    path.write_bytes(safetensors_bytes({"weight": weight}, {"malafide": json.dumps(described)}))
    survives("filters", lambda: load_filter(path), str(path))


@pytest.mark.parametrize("state", ["callbacks", "loops", "optimizer_states", "hyper_parameters"])
def test_no_state_of_a_training_runs_code(tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Lightning file keeps more than weights: the state of callbacks, loops and optimisers. None of it may act."""
    monkeypatch.chdir(tmp_path)
    Path("last.ckpt").write_bytes(torch_file({"state_dict": WEIGHTS, state: {"x": Acts()}}))
    with pytest.raises(InputError, match=r"last\.ckpt is refused: its pickle asks for posix\.system"):
        _earlier(tmp_path, {}, resume=True)
    assert not Path("pwned").exists()


def test_no_state_of_a_filters_training_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("last.ckpt").write_bytes(torch_file({"identity": {}, "coefficients": Acts()}))
    with pytest.raises(InputError, match=r"last\.ckpt cannot be read .* asks for posix\.system"):
        read_training(Path("last.ckpt"))
    for content in ([1], {"identity": 3}, {}):
        Path("last.ckpt").write_bytes(torch_file(content))
        with pytest.raises(InputError, match="it was not made by this command"):
            read_training(Path("last.ckpt"))
    assert not Path("pwned").exists()
