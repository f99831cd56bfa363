"""Every place in the sources that reads a file which could carry code says that none is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("attacks", "attribution_model", "benchmarks", "common", "data", "detectors", "scoring", "xai")
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "np.load", "numpy.load", "pickle.load",
    "pickle.loads", "pickle.Unpickler", "joblib.load", "dill.load", "marshal.loads", "shelve.open", "pd.read_pickle",
    "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.UnsafeLoader", "yaml.FullLoader",
    "torch.jit.load", "torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.package.PackageImporter",
    "runpy.run_path",
}  # fmt: skip
NEEDED = {
    "torch.load": ("weights_only", True),
    "np.save": ("allow_pickle", False),
    "read_array": ("allow_pickle", False),
    "trainer.fit": ("weights_only", True),
    "Image.open": ("formats", None),
    "av.open": ("options", None),
    "subprocess.run": ("shell", False),
}
"""Calls that are allowed with an argument: of this value, or of any where it is None."""

ALLOWED = {
    "common/extras.py": {"importlib.import_module"},  # optional libraries, by names that stand in the sources
    "common/registry.py": {"importlib.import_module"},  # package.module:Name, from the command line only
    "data/preprocess/landmarking.py": {"importlib.import_module"},  # dlib, by its own name
    "data/preprocess/video.py": {"av.open"},
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, by its name as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def problems(text: str) -> list[str]:
    """What in a source reads a file without saying that no code in it is run."""
    found = []
    tree = ast.parse(text)
    for name, call in calls(tree):
        short = name if name.count(".") < 2 else ".".join(name.split(".")[-2:])
        if {name, short} & FORBIDDEN or name.endswith(".load_from_checkpoint"):
            found.append(name)
        for needed in {name, short, name.split(".")[-1]} & NEEDED.keys():
            argument, value = NEEDED[needed]
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            said = given.get(argument)
            if needed == "subprocess.run" and said is None:
                continue
            if said is None or (value is not None and not (isinstance(said, ast.Constant) and said.value is value)):
                found.append(f"{name} without {argument}")
    return found


@pytest.mark.parametrize("source", sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")), ids=str)
def test_no_source_loads_code(source: Path) -> None:
    place = str(source.relative_to(ROOT))
    text = source.read_text(encoding="utf-8")
    found = problems(text)
    if place == "detectors/training/augment.py":
        found.remove("Image.open without formats")  # a JPEG that it has just made itself
    if place == "runs/gallery/sprites.py":
        assert "np.load(path, allow_pickle=False)" in text
        found.remove("np.load")  # several arrays in one file, never pickled
    assert found == []
    imports = {name for name, _ in calls(ast.parse(text)) if name.startswith("importlib.")}
    assert {name for name in imports if name != "importlib.util.find_spec"} <= ALLOWED.get(place, set())


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "numpy.lib.format.read_array(file, allow_pickle=True)",
        "np.lib.format.read_array(file)",
        "yaml.load(text, yaml.SafeLoader)",
        "pickle.loads(data)",
        "Image.open(path)",
        "self.trainer.fit(module, ckpt_path=last)",
        "eval(text)",
        "subprocess.run(command, shell=True)",
        "Detector.load_from_checkpoint(path)",
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert len(problems(text)) == 1
