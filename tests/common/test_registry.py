"""Names stand for registered things or for a user's own."""

import collections
import sys
from pathlib import Path

import pytest
import timm.layers
import torch

from common.errors import InputError
from common.registry import make, resolve

KNOWN = {"LIME": 1, "SHAP": 2}


def test_registered_name() -> None:
    assert resolve("SHAP", KNOWN, "method") == 2


def test_users_own_name_is_imported() -> None:
    assert resolve("collections:OrderedDict", {}, "method") is collections.OrderedDict


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LIMEE", r"unknown method 'LIMEE' \(did you mean LIME\?\); known: LIME, SHAP"),
        ("no_such_module:Name", "cannot import 'no_such_module'"),
        ("collections:NoSuchName", "module 'collections' has no 'NoSuchName'"),
        (":Name", "expected package.module:Name"),
        ("collections:", "expected package.module:Name"),
    ],
)
def test_wrong_names_say_what_is_wrong(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(name, KNOWN, "method")


def test_an_error_inside_the_users_module_is_not_hidden(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_plugin.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="a_package_that_is_not_there"):
        resolve("broken_plugin:Name", KNOWN, "method")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("torch.nn.ReLU.forward = lambda self, inputs: inputs", "torch.nn.modules.activation.ReLU.forward"),
        (
            "import timm.layers; timm.layers.BatchNormAct2d.forward = lambda self, inputs: inputs",
            "timm.layers.norm_act.BatchNormAct2d.forward",
        ),
        ("torch.nn.functional.relu = torch.nn.functional.gelu", "torch.nn.functional.relu"),
        ("torch.Tensor.softmax = lambda self, dim: self", "torch.Tensor.softmax"),
        (
            "torch.nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None)",
            "the hooks of every module",
        ),
        ("torch.own_name = 1", ""),
    ],
)
def test_a_module_that_replaces_what_all_compute_with_is_said(
    line: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.nn.ReLU, "forward", torch.nn.ReLU.forward)  # to be put back
    monkeypatch.setattr(timm.layers.BatchNormAct2d, "forward", timm.layers.BatchNormAct2d.forward)
    monkeypatch.setattr(torch.nn.functional, "relu", torch.nn.functional.relu)
    monkeypatch.setattr(torch.Tensor, "softmax", torch.Tensor.softmax)
    monkeypatch.setattr(torch, "own_name", 0, raising=False)
    monkeypatch.setattr(torch.nn.modules.module, "_global_forward_hooks", collections.OrderedDict())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "patching_plugin", raising=False)
    (tmp_path / "patching_plugin.py").write_text(f"import torch\n\n{line}\nName = 1\n")
    resolve("patching_plugin:Name", KNOWN, "method")
    said = f"importing 'patching_plugin' replaces {what} for the whole process: every detector, explanation and attack"
    assert (said in capsys.readouterr().err) == bool(what)


def test_a_part_that_replaces_what_all_compute_with_where_it_is_made_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.nn.ReLU, "forward", torch.nn.ReLU.forward)  # to be put back

    def patching() -> str:
        torch.nn.ReLU.forward = lambda self, inputs: inputs  # type: ignore[method-assign]
        return "made"

    assert make(patching, "mine:Patching", "explainer") == "made"
    said = "warning: explainer 'mine:Patching': making it replaces torch.nn.modules.activation.ReLU.forward for the"
    assert capsys.readouterr().err.startswith(said)
    assert make(str, "mine:Sound", "explainer") == ""
    assert "mine:Sound" not in capsys.readouterr().err
