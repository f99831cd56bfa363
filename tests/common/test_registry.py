"""Names stand for registered things or for a user's own."""

import collections

import pytest

from common.errors import InputError
from common.registry import resolve

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
