import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import detectors
from common import extras
from common.errors import InputError
from detectors import Conventions
from detectors.checks.gradient_check import gradient_fault
from detectors.loading.saving import NetworkDetector, save
from detectors.queries import answer
from detectors.registry import short_name
from detectors.training.models import Wanted, model, new_detector
from tests.detectors.transformers_networks import FAMILIES, saved, transformers
from xai.cam_bridge import cam_explainer


def picture(height: int = 70, width: int = 70) -> np.ndarray:
    """Smooth shapes and some grain, uint8."""
    draws = np.random.default_rng(3)
    rows, columns = np.mgrid[:height, :width] / height
    waves = np.stack([np.sin(5 * rows + k) * np.cos((3 + k) * columns) for k in range(3)], axis=-1)
    return np.clip(128 + 90 * waves + draws.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


def of_pipeline(folder: Path, image: np.ndarray) -> dict[str, float]:
    """The logits by label that transformers' own pipeline gives."""
    pipeline = transformers.pipeline("image-classification", model=str(folder), device="cpu")
    return {found["label"]: found["score"] for found in pipeline(Image.fromarray(image), function_to_apply="none")}


@pytest.mark.parametrize("shape", [(70, 70), (60, 90), (32, 32)])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_pipeline(family: str, shape: tuple[int, int], tmp_path: Path) -> None:
    if family == "siglip2" and shape[0] != shape[1]:
        pytest.skip("it keeps the shape of a picture, see below")
    folder = saved(family, tmp_path / family)
    detector = detectors.load(f"hf:{folder}")
    image = picture(*shape)
    theirs, ours = of_pipeline(folder, image), answer(detector, detector.prepare(image)[None])[0]
    assert detector.class_names == ("Fake", "Real")
    assert detector.real == 1
    assert abs(theirs["real"] - theirs["fake"]) > 1e-3
    assert ours.tolist() == pytest.approx([theirs["fake"], theirs["real"]], rel=1e-4)


def test_a_shape_that_would_be_kept_is_stretched_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = detectors.load(f"hf:{saved('siglip2', tmp_path / 'net')}")
    wide = np.repeat(picture(40, 40), 2, axis=1)  # its columns twice
    assert detector.prepare(wide).shape == (3, 32, 32)
    assert "pictures that are not square are stretched to 32 x 32" in capsys.readouterr().err
    detector.prepare(wide)
    assert not capsys.readouterr().err
    assert float((detector.prepare(wide) - detector.prepare(picture(40, 40))).abs().mean()) < 0.05


def test_a_picture_stays_rgb_where_the_network_takes_bgr(tmp_path: Path) -> None:
    detector = detectors.load(f"hf:{saved('mobilevit', tmp_path / 'net')}")
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    assert detector.colour_order == "BGR"
    assert detector.prepare(red).mean(dim=(1, 2)).tolist() == [1, 0, 0]


def test_a_mask_moves_as_the_pixels_do(tmp_path: Path) -> None:
    detector = detectors.load(f"hf:{saved('deit', tmp_path / 'net')}")  # 40 pixels, of which it takes the middle 32
    mask = np.zeros((80, 80), dtype=bool)
    mask[20:40, 40:60] = True
    expected = np.zeros((32, 32), dtype=bool)
    expected[10 - 4 : 20 - 4, 20 - 4 : 30 - 4] = True
    assert (detector.prepare_mask(mask) == expected).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_right_and_maps_can_be_made(family: str, tmp_path: Path) -> None:
    detector = detectors.load(f"hf:{saved(family, tmp_path / 'net')}")
    assert gradient_fault(detector, detector.prepare(picture())) is None
    explainer = cam_explainer("GradCAM")()
    explainer.check(detector)
    layer = detector.get_submodule(explainer._layer(detector))
    kept = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    detector(torch.rand(1, 3, 32, 32))
    handle.remove()
    tokens = {"vit": 1 + 16, "deit": 2 + 16, "dinov2": 1 + 16, "clip": 1 + 16, "siglip": 16, "siglip2": 16, "swin": 64}
    assert kept[0].shape[1] == tokens[family] if family in tokens else kept[0].ndim == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_one_is_stored_in_one_file_that_is_read_by_itself(family: str, tmp_path: Path) -> None:
    name = f"hf:{saved(family, tmp_path / 'net')}"
    detector = new_detector(model(name), Wanted(), None)
    assert isinstance(detector, NetworkDetector)
    assert detector.training
    assert detector.class_names == ("Fake", "Real")  # the folder's order, whose last layer is kept
    image = picture(60, 60)
    save(detector, tmp_path / "model.safetensors")
    again, given = detectors.load(str(tmp_path / "model.safetensors")), detectors.load(name)
    assert torch.equal(again.prepare(image), given.prepare(image))
    torch.testing.assert_close(again(again.prepare(image)[None]), given(given.prepare(image)[None]))


def test_a_last_layer_for_other_classes_is_made_anew_for_training(tmp_path: Path) -> None:
    folder = saved("vit", tmp_path / "net", {0: "cat", 1: "dog", 2: "bird"})
    detector = new_detector(model(f"hf:{folder}"), Wanted(), None)
    assert detector.class_names == ("Real", "Fake")
    theirs = transformers.AutoModelForImageClassification.from_pretrained(folder).state_dict()
    ours = detector.network.state_dict()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == ["classifier.weight", "classifier.bias"]
    same = new_detector(model(f"hf:{saved('vit', tmp_path / 'two', {0: 'cat', 1: 'dog'})}"), Wanted(), None)
    assert float(same.network.classifier.bias.detach().abs().max()) < 0.26  # of a new linear layer of 16 inputs
    with pytest.raises(InputError, match="leave out --init"):
        new_detector(model(f"hf:{folder}"), Wanted(), "demo")
    with pytest.raises(InputError, match="trained by --model hf:FOLDER"):
        new_detector(model("xception"), Wanted(), f"hf:{saved('vit', tmp_path / 'three')}")


def test_one_logit_stands_for_what_the_user_says(tmp_path: Path) -> None:
    folder = saved("vit", tmp_path / "net", {0: "fake"})
    detector = detectors.load(f"hf:{folder}")
    assert detector.class_names == ("Real", "Fake")
    image = picture()
    ours = answer(detector, detector.prepare(image)[None])[0]
    assert ours[0] == 0
    assert float(ours[1]) == pytest.approx(of_pipeline(folder, image)["fake"], rel=1e-4)


def test_labels_that_say_nothing_are_asked_for(tmp_path: Path) -> None:
    folder = saved("vit", tmp_path / "net", {0: "LABEL_0", 1: "LABEL_1"})
    with pytest.raises(InputError, match="has 2 outputs and does not say which is Real; say it: --classes"):
        detectors.load(f"hf:{folder}")
    change(folder / "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"})
    with pytest.raises(InputError, match=r"its classes are LABEL_0, LABEL_1: .*; say which is which by --classes"):
        detectors.load(f"hf:{folder}")
    assert detectors.load(f"hf:{folder}", conventions=Conventions(classes="Real,Fake")).real == 0
    with pytest.raises(InputError, match="leave out --normalise"):
        detectors.load(f"hf:{folder}", conventions=Conventions(classes="Real,Fake", normalise="half"))
    stated = saved("vit", tmp_path / "stated")
    with pytest.raises(InputError, match="says itself: classes Fake, Real"):
        detectors.load(f"hf:{stated}", conventions=Conventions(classes="Real,Fake"))


def test_what_was_read_identifies_it(tmp_path: Path) -> None:
    first, second = saved("vit", tmp_path / "a"), saved("vit", tmp_path / "b")
    name = detectors.load(f"hf:{first}").identity
    assert detectors.load(f"hf:{second}").identity == name
    change(second / "preprocessor_config.json", image_mean=[0.4, 0.5, 0.5])
    assert detectors.load(f"hf:{second}").identity != name
    assert short_name(f"hf:{first}") == "a"
    assert short_name("hf:owner/name") == "hf-owner-name"


WEIGHTS = "model.safetensors"


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def without(folder: Path, file: str) -> None:
    (folder / file).unlink()


def drop_classifier(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if "classifier" not in k}, folder / "model.safetensors", {"format": "pt"}
    )


def rewrite(folder: Path, key: str, how: Callable[[torch.Tensor], torch.Tensor], file: str = WEIGHTS) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / file)
    save_file({**tensors, key: how(tensors[key])}, folder / file, {"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "no such folder, and a model in the hub is OWNER/NAME"),
        (lambda folder: without(folder, "config.json"), "is no Hugging Face model: it has no config.json"),
        (lambda folder: (folder / "config.json").write_text("["), "its config.json is no JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "does not hold settings by name"),
        (lambda folder: (folder / "config.json").write_text("{}"), "has no model_type"),
        (lambda folder: without(folder, "preprocessor_config.json"), "has no preprocessor_config.json"),
        (lambda folder: without(folder, "model.safetensors"), "read from safetensors only"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            r"pytorch_model.bin may hold code",
        ),
        (
            lambda folder: change(folder / "config.json", auto_map={"AutoModel": "own.Net"}),
            "asks for code of its own .auto_map in config.json., which is never run",
        ),
        (
            lambda folder: change(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "own.P"}),
            "asks for code of its own .auto_map in preprocessor_config.json.",
        ),
        (
            lambda folder: change(folder / "config.json", model_type="bert"),
            "'bert', of which transformers has no image",
        ),
        (lambda folder: change(folder / "config.json", problem_type="regression"), "is made for regression"),
        (drop_classifier, "lacks weights of its network: classifier.bias, classifier.weight"),
        (
            lambda folder: change(folder / "config.json", num_labels=5),
            r"its weights are not those that its config.json says: classifier.bias \(2,\) instead of \(5,\)",
        ),
        (
            lambda folder: change(folder / "config.json", quantization_config={"quant_method": "mine"}),
            "says that its weights are quantised",
        ),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "has an adapter .adapter_config.json."),
        (
            lambda folder: rewrite(folder, "classifier.weight", lambda weight: (100 * weight).to(torch.int8)),
            r"its weights are I8, of which nothing says the scale \(classifier.weight\)",
        ),
        (
            lambda folder: rewrite(folder, "classifier.weight", lambda weight: weight.to(torch.float8_e4m3fn)),
            r"its weights are F8_E4M3, of which nothing says the scale \(classifier.weight\)",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {}}'),
            "net has both model.safetensors and model.safetensors.index.json, and only one would be read",
        ),
        (
            lambda folder: rewrite(folder, "classifier.weight", lambda weight: weight * torch.nan),
            r"net: its weights hold NaN or infinity \(classifier.weight\)",
        ),
        (
            lambda folder: (folder / "processor_config.json").write_text(
                json.dumps({"image_processor": {"image_mean": [0.1, 0.1, 0.1]}})
            ),
            r"contradict each other \(image_mean is \[0.5, 0.5, 0.5\] and \[0.1, 0.1, 0.1\]\)",
        ),
        (
            lambda folder: change(folder / "config.json", hidden_size=24),
            "its weights are not those that its config.json says",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"), "cannot be loaded"),
        (
            lambda folder: change(folder / "preprocessor_config.json", size={"height": 48, "width": 48}),
            "does not take what its preprocessor makes, 48 x 48 pixels",
        ),
        (
            lambda folder: change(folder / "preprocessor_config.json", size={"height": 32, "width": 48}),
            "makes 32 x 48 pixels of a square picture",
        ),
        (lambda folder: change(folder / "preprocessor_config.json", image_std=[0, 1, 1]), "cannot be used"),
        (
            lambda folder: change(folder / "preprocessor_config.json", image_processor_type="Nobody"),
            "its preprocessor cannot be read",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(spoil: object, message: str, tmp_path: Path) -> None:
    folder = saved("vit", tmp_path / "net")
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        detectors.load(f"hf:{folder}")
    assert "\n" not in str(caught.value)


def test_every_file_that_its_index_names_identifies_it(tmp_path: Path) -> None:
    from safetensors import safe_open

    folder = saved("vit", tmp_path / "net")
    (folder / WEIGHTS).rename(folder / "mine.safetensors")
    with safe_open(folder / "mine.safetensors", "pt") as file:
        named = dict.fromkeys(file.keys(), "mine.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": named}))
    before = detectors.load(f"hf:{folder}").identity
    rewrite(folder, "classifier.weight", lambda weight: 2 * weight, "mine.safetensors")
    assert detectors.load(f"hf:{folder}").identity != before


def test_a_setting_that_its_preprocessor_never_does_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved("vit", tmp_path / "net")
    change(folder / "preprocessor_config.json", do_flip_channel_order=True)
    detectors.load(f"hf:{folder}")
    assert "its preprocessor says do_flip_channel_order, which ViTImageProcessor never does" in capsys.readouterr().err


def test_a_preprocessor_that_does_more_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved("vit", tmp_path / "net")
    kind = transformers.ViTImageProcessor
    normalise = kind.rescale_and_normalize
    monkeypatch.setattr(
        kind, "rescale_and_normalize", lambda *given: -normalise(*given) if given[4] else normalise(*given)
    )
    with pytest.raises(InputError, match="does more than resize, crop and normalise"):
        detectors.load(f"hf:{folder}")


def test_a_checkpoint_beside_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="brings its own weights"):
        detectors.load(f"hf:{tmp_path}", tmp_path / "model.safetensors")


def test_a_model_of_the_hub_comes_from_its_cache_with_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    model_folder = tmp_path / "hub" / "models--someone--some-detector"
    saved("vit", model_folder / "snapshots" / commit)
    (model_folder / "refs").mkdir()
    (model_folder / "refs" / "main").write_text(commit)
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    detector = detectors.load("hf:someone/some-detector")
    assert detector.reading is not None
    assert detector.reading.source == f"someone/some-detector at revision {commit}"
    assert detectors.load(f"hf:someone/some-detector@{commit}").identity == detector.identity
    with pytest.raises(InputError, match=re.escape("the hub's someone/other cannot be had (")):
        detectors.load("hf:someone/other")
    with pytest.raises(InputError, match="at revision v2 cannot be had"):
        detectors.load("hf:someone/some-detector@v2")


def test_without_the_library_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved("vit", tmp_path / "net")

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(InputError, match=re.escape("needs transformers: pip install -e '.[hf]'")):
        detectors.load(f"hf:{folder}")
