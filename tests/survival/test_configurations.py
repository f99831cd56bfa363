"""Options and settings: of YAML files, --set, and what runs keep of themselves in JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attacks import registry as attacks
from attacks.malafide.command import malafide_app
from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter_results import bind_identity as bind_filter
from attacks.malafide.filter_results import plain_name
from common.config_file import ConfigOption
from common.console import application, status
from common.errors import InputError
from common.registry import resolve
from robustness.stage_records import Parts
from runs.configuration import bind
from runs.run_folder import RunFolder, Shard
from tests.runs.test_configuration import CONFIGURATION
from tests.survival.inputs import damaged, survives, tried
from tests.survival.test_text_files import NASTY, cells, jsons
from xai.explanation_settings import PRESETS, build_settings, parse_override

SEEN: dict[str, Any] = {}
app = application("A command with options of every type.")


@app.command()
def command(
    size: Annotated[list[int] | None, typer.Option("--size")] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 3,
    rate: Annotated[float | None, typer.Option("--rate")] = None,
    out: Annotated[Path, typer.Option("--out")] = Path("results"),
    detector: Annotated[str, typer.Option("--detector")] = "demo",
    fast: Annotated[bool, typer.Option("--fast/--slow")] = False,
    config: ConfigOption = None,
) -> None:
    SEEN.update(size=size, epochs=epochs, rate=rate, out=out, detector=detector, fast=fast)


GOOD = b"size: [3, 9]\nepochs: 2\nrate: 1e-3\nout: a/b\ndetector: timm:resnet18\nfast: yes\n"
SNARES = [
    b"size: &a [3, *a]",
    b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nsize: [*c,*c]",
    b"<<: {epochs: 2}",
    b"epochs: !!python/object/apply:os.system ['touch pwned']",
    b"!!python/object/new:os.system ['touch pwned']",
    b"epochs: !!int x",
    b"epochs: !!timestamp x",
    b"epochs: 2001-99-99",
    b"rate: 0b_",
    b"? [a, b]\n: c",
    b"? {a: b}\n: c",
    b"epochs: 1\nepochs: 2",
    b"epochs: 1:99:99",
    b'out: "\\UFFFFFFFF"',
    b"%YAML 9999999999999.1\n---\nepochs: 1",
    b"[" * 2_000,
    b"{a: " * 2_000,
    b"- " * 2_000,
    b"epochs: " + b"9" * 5000,
    b"size: [" + b"3," * 4_000 + b"3]",
    b"x" * 200_000,
    b"--- a\n--- b",
    b"\xff\xfe",
]
options_text = st.dictionaries(
    st.sampled_from(["size", "epochs", "rate", "out", "detector", "fast", "what", "", "1"]),
    st.sampled_from(NASTY)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.lists(st.integers(), max_size=3),
    max_size=4,
).map(lambda values: yaml.safe_dump(values, allow_unicode=True).encode(errors="replace"))


@tried(200)
@given(options_text | damaged(st.just(GOOD)) | damaged(options_text) | st.sampled_from(SNARES))
def test_any_configuration_is_read_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Exit status 0, or 1 or 2 with one line; the same for a value of the wrong type as on the command line."""
    path = tmp_path_factory.mktemp("yaml") / "options.yaml"
    path.write_bytes(content)

    def use() -> None:
        if status(app, ["--config", str(path)]):
            raise InputError("refused")

    survives("YAML configurations", use)


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    """As on the command line: no octal numbers, no times of day, no "no" that becomes False in a text."""
    path = tmp_path / "options.yaml"
    path.write_bytes(GOOD)
    assert status(app, ["--config", str(path)]) == 0
    assert {
        "size": [3, 9], "epochs": 2, "rate": 1e-3, "out": Path("a/b"), "detector": "timm:resnet18", "fast": True,
    } == SEEN  # fmt: skip
    path.write_text("epochs: 010\nout: 8:30\ndetector: no\nsize: 5\nrate:\nfast: false\n")
    assert status(app, ["--config", str(path)]) == 0
    assert {"size": [5], "epochs": 10, "rate": None, "out": Path("8:30"), "detector": "no", "fast": False} == SEEN


@pytest.mark.parametrize("snare", SNARES[:5])
def test_no_yaml_runs_code(
    tmp_path: Path, snare: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_bytes(snare)
    assert status(app, ["--config", "options.yaml"]) in (1, 2)
    assert not (tmp_path / "pwned").exists()
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["os:system", "runpy:run_path", "evil:Detector"])
def test_a_yaml_cannot_name_code_either(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`package.module:Name` with a checkpoint would run a file that came with the configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text("open('pwned', 'w')")
    (tmp_path / "options.yaml").write_text(f"detector: {name}\ncheckpoint: evil.py\nframes: evil.py\n")
    assert status(malafide_app, ["train", "--config", "options.yaml"]) == 1
    assert f"detector names code to run ({name}); give --detector on the command line" in capfd.readouterr().err
    assert not (tmp_path / "pwned").exists()


texts = cells | st.text(max_size=20) | st.sampled_from(["16/255", "1/0", "1e400", "nan", "-1", "9" * 5000, "1_0", "٣"])
fields = st.sampled_from(
    [f"{component}.{field}" for component, values in PRESETS["quick"].components().items() for field in vars(values)]
)


@tried(200)
@given(
    st.builds("{}={}".format, fields, st.integers(1, 50) | st.sampled_from([0.5, "1/3", "yes"]) | texts)
    | st.text(max_size=30)
    | st.builds("{}.{}={}".format, texts, texts, texts)
)
def test_any_override_is_read_or_one_line(text: str) -> None:
    def use() -> None:
        component, field, value = parse_override(text)
        build_settings("quick", {component: {field: value}})

    survives("--set overrides", use)


@tried(120)
@given(st.sampled_from(sorted(attacks.ATTACKS)), st.sampled_from(["epsilon", "steps", "step", "pairs", "x"]), texts)
def test_any_override_of_an_attack_is_read_or_one_line(name: str, field: str, value: str) -> None:
    survives("--set overrides", lambda: attacks.build_attack(name, overrides={field: value}))


@tried(150)
@given(texts)
def test_any_name_is_known_or_one_line(text: str) -> None:
    """Names of the registry, of filters' bounds, shards, and folders."""
    known: Mapping[str, int] = {"demo": 1}
    for read in (
        lambda: resolve(text, known, "detector"),
        lambda: resolve(f"{text}:{text}", known, "detector"),
        lambda: Fidelity.parse(text),
        lambda: Shard.parse(text),
        lambda: attacks.build_attack(text),
    ):
        survives("names", read)
    name: list[str] = []
    if not survives("names", lambda: name.append(plain_name(text, "--name"))):
        assert Path("a", name[0]).resolve() == Path("a").resolve() / name[0]


@tried(150)
@given(damaged(st.just(CONFIGURATION.to_json().encode())) | jsons)
def test_any_config_json_is_the_same_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = folder / "config.json"
    path.write_bytes(content)
    survives("config.json", lambda: bind(path, CONFIGURATION), str(folder))
    survives("config.json", lambda: bind_filter(path, {"seed": 0}, {}), str(folder))


@tried(100)
@given(damaged(st.just(b'[{"stage": "LIME", "forwards": 3, "calls": 1, "seconds": 0.5}]')) | jsons)
def test_damaged_costs_and_parts_count_as_not_there(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """They are made again; nothing is raised."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    folder.costs_file("a.png").parent.mkdir()
    folder.costs_file("a.png").write_bytes(content)
    assert not survives("costs and parts", lambda: folder.costs("a.png"))
    parts = Parts(folder.path, folder.seals)
    parts.save("clean", "a.png", type("Part", (), {"seconds": 1.0, "records": ()})())
    next(folder.path.glob("clean*")).write_bytes(content)
    assert not survives("costs and parts", lambda: parts.finished("clean", "a.png", ["a.png"]))
