"""What a file leaves unsaid is said by the user, once; the file is not contradicted; what is assumed is named."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

import detectors
from common.errors import InputError
from detectors import Conventions
from detectors.loading.conventions import NORMALISATIONS
from detectors.timm_network import TimmDetector

NAME = "timm:test_efficientnet"


def network(outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_efficientnet", num_classes=outputs).eval()


def saved(folder: Path, outputs: int, **beside: Any) -> Path:
    weights = network(outputs).state_dict()
    torch.save({"state_dict": weights, **beside} if beside else weights, folder / "x.pth")
    return folder / "x.pth"


def load(path: Path, **said: Any) -> TimmDetector:
    detector = detectors.load(NAME, path, optimise=False, conventions=Conventions(**said))
    assert isinstance(detector, TimmDetector)
    return detector


def images(size: int) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)


@pytest.mark.parametrize(("classes", "real"), [("Real,Fake", 0), ("Fake,Real", 1), ("fake, original", 1)])
def test_the_order_of_two_outputs(tmp_path: Path, classes: str, real: int) -> None:
    detector = load(saved(tmp_path, 2), classes=classes)
    assert detector.real == real
    assert (detector.label_of("Real"), detector.label_of("Deepfakes")) == (real, 1 - real)
    batch = images(detector.input_size)
    mean, std = NORMALISATIONS["imagenet"]
    expected = network(2)((batch - column(mean)) / column(std))
    assert torch.allclose(detector(batch), expected, atol=1e-5)


@pytest.mark.parametrize("outputs", [2, 3, 5])
def test_an_unknown_order_is_asked_for(tmp_path: Path, outputs: int) -> None:
    with pytest.raises(InputError, match=rf"x\.pth has {outputs} outputs and does not say which is Real; say it"):
        load(saved(tmp_path, outputs))


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({}, ("Real", "Fake")),
        ({"classes": "Real,Fake"}, ("Real", "Fake")),
        ({"classes": "Fake,Real"}, ("Fake", "Real")),
        ({"classes": "real"}, ("Fake", "Real")),
        ({"positive": "fake"}, ("Real", "Fake")),
        ({"positive": "real"}, ("Fake", "Real")),
    ],
)
def test_what_one_logit_stands_for(tmp_path: Path, said: dict[str, str], names: tuple[str, ...]) -> None:
    detector = load(saved(tmp_path, 1), **said)
    assert detector.class_names == names
    batch = images(detector.input_size)
    z = network(1)((batch - column(detector.config.mean)) / column(detector.config.std))[:, 0]
    p_real = detector(batch).softmax(1)[:, detector.real]
    assert torch.allclose(p_real, torch.sigmoid(z if names[1] == "Real" else -z), atol=1e-5)


def test_the_earlier_spelling_says_the_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(saved(tmp_path, 1), positive="real")
    assert "--positive real is now written --classes Fake,Real" in capsys.readouterr().err
    with pytest.raises(InputError, match="--classes are Real: expected 2 names"):
        load(saved(tmp_path, 2), positive="real")
    with pytest.raises(InputError, match="fake or real, got 'yes'"):
        load(saved(tmp_path, 1), positive="yes")
    with pytest.raises(InputError, match="give --classes alone"):
        load(saved(tmp_path, 1), positive="real", classes="Real")


def test_what_is_assumed_is_said_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    detector = load(saved(tmp_path, 1))
    message = capsys.readouterr().err
    assert "x.pth does not say how it is read; assumed, as for timm's test_efficientnet" in message
    assert "classes Real, Fake (a high logit means Fake); normalisation mean 0.485, 0.456, 0.406" in message
    assert "--classes" in message
    assert "--size" in message
    assert detector.reading is not None
    assert [text.split()[0] for text in detector.reading.assumed] == ["classes", "normalisation", "input"]
    said = load(saved(tmp_path, 1), classes="Fake", normalise="half", input_size=64)
    assert capsys.readouterr().err == ""
    assert said.reading is not None
    assert (len(said.reading.said), said.reading.assumed) == (3, ())
    assert said.identity != said.weights_sha256
    assert detector.identity == detector.weights_sha256


@pytest.mark.parametrize(
    ("said", "mean", "std"),
    [
        ({"normalise": "half"}, (0.5,) * 3, (0.5,) * 3),
        ({"normalise": "none"}, (0.0,) * 3, (1.0,) * 3),
        ({"mean": "0.1,0.2,0.3", "std": "0.5,0.6,0.7"}, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)),
    ],
)
def test_normalisation_and_size(
    tmp_path: Path, said: dict[str, str], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    detector = load(saved(tmp_path, 2), classes="Real,Fake", input_size=48, **said)
    assert (detector.input_size, detector.mean) == (48, mean)
    expected = network(2)((images(48) - column(mean)) / column(std))
    assert torch.allclose(detector(images(48)), expected, atol=1e-5)


def test_a_vision_transformer_is_made_for_the_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = timm.create_model("test_vit", num_classes=1, img_size=96).eval()
    torch.save(weights.state_dict(), tmp_path / "x.pth")
    said = Conventions(input_size=96, normalise="none")
    detector = detectors.load("timm:test_vit", tmp_path / "x.pth", optimise=False, conventions=said)
    assert torch.allclose(detector(images(96))[:, 1:], weights(images(96)), atol=1e-5)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"normalise": "caffe"}, "unknown --normalise 'caffe'; known: imagenet, half, none"),
        ({"mean": "0.5,0.5,0.5"}, "--mean needs --std"),
        ({"std": "0.5,0.5,0.5"}, "--std needs --mean"),
        ({"mean": "0.5", "std": "1,1,1"}, "expected three numbers"),
        ({"mean": "104,117,123", "std": "1,1,1"}, "divide by 255"),
        ({"mean": "0,0,0", "std": "1,0,1"}, "the std above 0"),
        ({"mean": "0,0,nan", "std": "1,1,1"}, "expected numbers from 0"),
        ({"normalise": "half", "mean": "0,0,0", "std": "1,1,1"}, "say the same"),
        ({"classes": "Real,"}, "names with commas"),
        ({"classes": "cat,dog"}, "one of them Real"),
        ({"input_size": 100_000}, "unusable input size"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, said: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(saved(tmp_path, 2), **{"classes": "Real,Fake", **said})


def test_timms_own_training_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The averaged copy is taken, and the options are read without running code, as timm reads them itself."""
    weights = network(2).state_dict()
    averaged = {key: value * 0.5 if value.is_floating_point() else value for key, value in weights.items()}
    args = Namespace(model="test_efficientnet", mean=[0.4, 0.5, 0.6], std=[0.2, 0.2, 0.2], img_size=64, num_classes=2)
    content = {"epoch": 3, "arch": "test_efficientnet", "state_dict": weights, "optimizer": {}, "version": 2,
               "args": args, "state_dict_ema": {f"module.{key}": value for key, value in averaged.items()},
               "metric": 0.5}  # fmt: skip
    torch.save(content, tmp_path / "model_best.pth.tar")
    said = Conventions(classes="fake,real")
    detector = detectors.load(str(tmp_path / "model_best.pth.tar"), optimise=False, conventions=said)
    assert isinstance(detector, TimmDetector)
    theirs = network(2)
    theirs.load_state_dict(timm.models.load_state_dict(str(tmp_path / "model_best.pth.tar")))
    expected = theirs((images(64) - column((0.4, 0.5, 0.6))) / column((0.2, 0.2, 0.2)))
    assert torch.allclose(detector(images(64)), expected, atol=1e-5)
    message = capsys.readouterr().err
    assert "its state_dict_ema, the moving average of the weights, is taken, as timm does" in message
    assert "assumed" not in message
    with pytest.raises(InputError, match="says itself: input size 64, and not 32; leave out --size"):
        detectors.load(
            str(tmp_path / "model_best.pth.tar"), conventions=Conventions(classes="Fake,Real", input_size=32)
        )


@pytest.mark.parametrize(
    ("beside", "size", "mean", "std"),
    [
        ({"image_size": 64, "normalize": "imagenet"}, 64, *NORMALISATIONS["imagenet"]),
        ({"img_size": [64, 64], "normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}, 64, *NORMALISATIONS["half"]),
        (
            {"input_size": (3, 64, 64), "pixel_mean": [0.1, 0.2, 0.3], "pixel_std": [0.5] * 3},
            64, (0.1, 0.2, 0.3), (0.5,) * 3,
        ),
        (
            {"resolution": "64x64", "mean": torch.tensor([0.5] * 3), "std": torch.tensor([0.25] * 3)},
            64, (0.5,) * 3, (0.25,) * 3,
        ),
        ({"config": {"data": {"crop_size": 64, "normalize": "half"}}}, 64, *NORMALISATIONS["half"]),
        ({"args": Namespace(image_size=64, mean=[127.5] * 3, std=[127.5] * 3)}, 64, *NORMALISATIONS["half"]),
    ],
)  # fmt: skip
def test_size_and_normalisation_are_taken_under_the_names_that_scripts_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], beside: dict[str, Any], size: int, mean: Any, std: Any
) -> None:
    detector = load(saved(tmp_path, 2, classes=["Real", "Fake"], bgr=False, threshold=0.5, fake_label=1, **beside))
    assert (detector.input_size, detector.mean) == (size, pytest.approx(mean))
    assert detector.std == pytest.approx(std)
    assert "also says" not in (told := capsys.readouterr().err)
    assert "assumed" not in told


@pytest.mark.parametrize(
    "beside",
    [
        {"bgr": True},
        {"color_space": "BGR"},
        {"to_rgb": False},
        {"channel_order": "bgr"},
        {"input_range": [-1, 1]},
        {"max_pixel_value": 1023},
        {"normalize": "clip"},
        {"normalize": False},
        {"mean": [0.4, 0.4, 0.4]},
        {"image_mean": 118.0},
        {"image_size": 224, "crop_size": 192},
        {"image_size": [224, 192]},
        {"resize": 256},
        {"pos_label": 0},
        {"pos_label": "real"},
        {"fake_label": 0},
        {"real_idx": 1},
        {"threshold": 0.7},
        {"temperature": 2.5},
        {"temperature": torch.tensor([2.5])},
        {"args": Namespace(gp="max")},
        {"args": Namespace(bn_eps=0.01)},
        {"args": Namespace(model_kwargs={"act_layer": "relu"})},
        {"args": Namespace(bgr=True)},
        {"hyper_parameters": {"preprocess": {"channel_order": "bgr"}}},
    ],
)
def test_what_a_file_says_and_is_not_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], beside: dict[str, Any]
) -> None:
    load(saved(tmp_path, 2, classes=["Real", "Fake"], **beside), **({} if "mean" in beside else {"normalise": "half"}))
    told = capsys.readouterr().err
    (line,) = [line for line in told.splitlines() if "also says" in line]
    assert "which is not what the detector does, and left unused" in line
    assert any(f"{name} = " in line for name in ("bgr", "channel_order", "gp", "bn_eps", "act_layer", *beside))


def test_what_says_nothing_of_reading_is_left_in_peace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = {
        "epoch": 3, "batch_size": 32, "model_size": "base", "patch_size": 16, "norm": "batch", "activation": "relu",
        "metrics": {"mean": 0.9, "std": 0.1, "threshold": 0.3}, "channels": 3, "lr": 1e-3, "dataset_size": 5000,
        "optimizer": {"param_groups": [{"lr": 0.1}]}, "best_acc": 0.9, "loss_scale": 1.0, "train_size": 9,
    }  # fmt: skip
    load(saved(tmp_path, 2, **noise), classes="Real,Fake", normalise="half", input_size=48)
    assert capsys.readouterr().err == ""


def test_what_safetensors_say_is_read_as_it_is_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.safetensors"
    said = {"classes": "no list", "image_size": "64", "mean": "[0.5, 0.5, 0.5]", "std": "0.5, 0.5, 0.5", "bgr": "1"}
    said |= {"to_rgb": "True", "threshold": "0.5"}
    safetensors.torch.save_file(network(2).state_dict(), file, said)
    detector = load(file, classes="Real,Fake")
    assert (detector.input_size, detector.mean, detector.std) == (64, (0.5,) * 3, (0.5,) * 3)
    assert "also says bgr = 1, which is not what the detector does" in capsys.readouterr().err


def wrapped(folder: Path, network_name: str, **buffers: Tensor) -> Path:
    """The state dict of a module that holds the network beside tensors of its own."""
    weights = {f"{network_name}.{key}": value for key, value in network(2).state_dict().items()}
    torch.save({"state_dict": weights | buffers, "classes": ["Real", "Fake"]}, folder / "x.pth")
    return folder / "x.pth"


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("shape", [(3,), (1, 3, 1, 1)])
def test_a_normalisation_among_the_tensors_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: tuple[int, ...], scale: float
) -> None:
    mean, std = ((torch.tensor(values) * scale).view(shape) for values in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))
    path = wrapped(tmp_path, "1", **{"0.mean": mean, "0.std": std})
    detector = load(path, input_size=32)
    batch = images(32)
    expected = network(2)((batch - column((0.4, 0.5, 0.6))) / column((0.2, 0.3, 0.4)))
    assert torch.allclose(detector(batch), expected, atol=1e-4)
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match="says itself: normalisation"):
        load(path, input_size=32, normalise="half")


def test_tensors_that_the_detector_contradicts_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decides = {"temperature": torch.tensor(2.5), "normalize.mean": torch.full((3,), 0.2)}
    load(wrapped(tmp_path, "model", **decides), input_size=32, normalise="half")
    told = capsys.readouterr().err
    assert (
        "also says temperature = [2.5], normalize.mean = [0.2, 0.2, 0.2], which is not what the detector does" in told
    )
    assert "no part of the network that judges" not in told


@pytest.mark.parametrize(
    "beside",
    [
        {"class_to_idx": {"0_fake": 0, "1_real": 1}},
        {"classes": ["Fake", "Original"]},
        {"args": Namespace(labels=["FAKE", "REAL"])},
        {"hyper_parameters": {"id2label": {0: "spoof", 1: "live"}}},
        {"id2label": {0: "spoof", 1: "live"}},
        {"names": {0: "fake", 1: "real"}},
        {"hparams": {"class_names": ["fake", "real"]}},
        {"meta": {"CLASSES": ("fake", "real")}},
        {"datamodule_hyper_parameters": {"class_to_idx": {"fake": 0, "real": 1}}},
        {"config": {"data": {"classes": ["fake", "real"]}}},
        {"hyper_parameters": {"data": Namespace(class_names=["fake", "real"])}},
        {"meta": {"dataset_meta": {"classes": ("fake", "real")}}},
        {"wandb_config": {"classes": {"desc": None, "value": ["fake", "real"]}}},
        {"label_map": {"fake": 0, "real": 1}},
        {"idx2label": {0: "fake", 1: "real"}},
        {"target_names": ["fake", "real"]},
    ],
)
def test_classes_that_a_file_names(tmp_path: Path, beside: dict[str, Any]) -> None:
    path = saved(tmp_path, 2, **beside)
    assert load(path).class_names == ("Fake", "Real")
    assert load(path, classes="Fake,Real").class_names == ("Fake", "Real")
    with pytest.raises(InputError, match="says itself: classes Fake, Real, and not Real, Fake"):
        load(path, classes="Real,Fake")


def test_classes_that_a_file_names_twice(tmp_path: Path) -> None:
    same = saved(tmp_path, 2, config={"classes": ["fake", "real"], "data": {"classes": ["Fake", "Real"]}})
    assert load(same).class_names == ("Fake", "Real")
    orders = {"classes": ["fake", "real"]}, {"classes": ["real", "fake"]}
    for beside in (
        {"config": {**orders[0], "data": orders[1]}},
        {**orders[0], "hyper_parameters": orders[1]},
        {"args": Namespace(**orders[0]), "hyper_parameters": orders[1]},
    ):
        two = saved(tmp_path, 2, **beside)
        with pytest.raises(InputError, match="it says classes twice, in other orders: save a file that says one"):
            load(two)


@pytest.mark.parametrize("names", ['["fake", "real"]', "{0: 'fake', 1: 'real'}", "fake,real"])
def test_classes_in_the_texts_of_safetensors(tmp_path: Path, names: str) -> None:
    file = tmp_path / "x.safetensors"
    safetensors.torch.save_file(network(2).state_dict(), file, {"classes": names})
    assert load(file).class_names == ("Fake", "Real")
    with pytest.raises(InputError, match="says itself: classes Fake, Real, and not Real, Fake"):
        load(file, classes="Real,Fake")


@pytest.mark.parametrize(
    "beside", [{"arch": "efficientnet_b0"}, {"args": Namespace(model="x", arch="resnet18.a1_in1k")}]
)
def test_a_file_of_another_network_by_its_own_word(tmp_path: Path, beside: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"says itself that it is of .*, not test_efficientnet"):
        load(saved(tmp_path, 2, **beside), classes="Fake,Real")
    for same in ("test_efficientnet", "test_efficientnet.r160_in1k", "a name of no network"):
        assert load(saved(tmp_path, 2, arch=same), classes="Fake,Real").real == 1


def test_classes_of_a_file_that_settle_nothing_are_the_users_to_say(tmp_path: Path) -> None:
    path = saved(tmp_path, 2, classes=["a", "b"])
    with pytest.raises(InputError, match="say which is which by --classes"):
        load(path)
    assert load(path, classes="Fake,Real").real == 1


def test_another_rounding_of_the_stated_normalisation_is_no_contradiction(tmp_path: Path) -> None:
    path = saved(tmp_path, 2, classes=["Real", "Fake"], mean=[0.4851, 0.4558, 0.4062], std=[0.2289, 0.2243, 0.2254])
    assert load(path, normalise="imagenet")(images(64)).shape == (2, 2)
    assert torch.equal(load(path, normalise="imagenet")(images(64)), load(path)(images(64)))  # the file's own
    with pytest.raises(InputError, match=r"says itself: normalisation .*, and not mean 0.5, 0.5, 0.5"):
        load(path, normalise="half")


def test_detectors_that_leave_nothing_open() -> None:
    demo = "Real,NeuralTextures,Face2Face,Deepfakes,FaceSwap"
    assert detectors.load("demo", conventions=Conventions(classes=demo)).real == 0
    with pytest.raises(InputError, match="says itself: classes"):
        detectors.load("demo", conventions=Conventions(classes="Deepfakes,Real,NeuralTextures,Face2Face,FaceSwap"))
    with pytest.raises(InputError, match="says itself: input size 224, and not 64"):
        detectors.load("demo", conventions=Conventions(input_size=64))
    with pytest.raises(InputError, match="says itself how it is read; leave out --classes"):
        detectors.load("tests.contracts.own:Brightness", conventions=Conventions(classes="Real,Fake"))
