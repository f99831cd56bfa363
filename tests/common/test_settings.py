"""Settings are overridden by name and read as their own type."""

import json
from dataclasses import asdict, dataclass

import pytest

from common.errors import InputError
from common.settings import from_json, override


@dataclass(frozen=True)
class Example:
    samples: int = 2000
    epsilon: float = 0.1
    adversarial: bool = False
    colour: str = "mean"
    top: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")


def test_strings_are_read_as_the_fields_type() -> None:
    values = {"samples": "500", "epsilon": "16/255", "adversarial": "yes", "colour": "blur", "top": "1, 5"}
    assert override(Example(), values, "LIME") == Example(500, 16 / 255, True, "blur", (1, 5))


def test_values_of_the_right_type_pass_and_the_rest_stays() -> None:
    assert override(Example(), {"samples": 7}, "LIME") == Example(samples=7)
    assert override(Example(), {}, "LIME") == Example()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sample": "1"}, "LIME has no setting 'sample'; it has: samples, epsilon"),
        ({"samples": "many"}, "LIME.samples='many' is not of type int"),
        ({"samples": "1.5"}, "LIME.samples='1.5' is not of type int"),
        ({"samples": "0"}, "samples must be at least 1"),
        ({"epsilon": "1/0"}, "LIME.epsilon='1/0' is not of type float"),
        ({"epsilon": "nan"}, "LIME.epsilon='nan' is not of type float"),
        ({"adversarial": "perhaps"}, "is not of type bool"),
        ({"top": "1,x"}, "LIME.top='x' is not of type int"),
    ],
)
def test_wrong_settings_say_what_is_wrong(values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        override(Example(), values, "LIME")


@dataclass(frozen=True)
class Kept:
    """What a file keeps."""

    name: str
    shares: tuple[float, ...] = ()
    size: tuple[int, int] = (1, 1)
    limit: float | None = None
    fast: bool = False


def test_json_gives_a_dataclass() -> None:
    values = json.loads('{"name": "a", "shares": [1, 0.5], "size": [3, 4], "limit": null, "fast": true}')
    assert from_json(Kept, values, "x") == Kept("a", (1, 0.5), (3, 4), None, True)
    assert from_json(Kept, json.loads(json.dumps(asdict(Kept("b", (0.25,))))), "x") == Kept("b", (0.25,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "expected values by name"),
        ("null", "expected values by name"),
        ("{}", "missing 1 required positional argument: 'name'"),
        ('{"name": "a", "nme": 1}', "unknown 'nme'; known: name, shares, size, limit, fast"),
        ('{"name": 1}', "its name cannot be 1"),
        ('{"name": "a", "fast": 1}', "its fast cannot be 1"),
        ('{"name": "a", "size": [1, true]}', r"its size cannot be \[1, True\]"),
        ('{"name": "a", "size": [1]}', r"its size cannot be \[1\]"),
        ('{"name": "a", "shares": "12"}', "its shares cannot be '12'"),
        ('{"name": "a", "limit": NaN}', "its limit cannot be nan"),
        ('{"name": "a", "limit": 1' + "0" * 400 + "}", "its limit cannot be 1000"),
    ],
)
def test_json_of_another_shape_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^x: {says}" if says[0] != "m" else says):
        from_json(Kept, json.loads(text), "x")
