"""The table and its picture from made-up tests."""

import csv
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from attacks.malafide.filter import Filter, FilterSpec
from attacks.malafide.filter_files import load, save
from attacks.malafide.filter_test import FilterTest
from attacks.malafide.heatmap import save_heatmap
from attacks.malafide.stored_tests import save_tests
from attacks.malafide.table import TableRow, find_tests, markdown, tabulate, write_csv, write_tests
from common.errors import InputError
from tests.attacks.malafide.test_filter_files import FACTS
from tests.attacks.malafide.toys import some_weight

BASE = FilterTest(
    trained_on="caddm", tested_on="caddm", manipulation="Deepfakes", filter="9", size=9, range="image", fidelity=None,
    filter_sha256="ab" * 32, tested_sha256="cd" * 32, input_size=224, frames="ef" * 32, fakes=40, reals=40,
    clean_eer=0.05, clean_auc=0.99, eer=0.5, auc=0.5, clean_accepted=0.05, success=0.9, attack_rate=0.5, psnr=12.0,
    psnr_least=10.0, ssim=0.5, ssim_least=0.4,
)  # fmt: skip


def made_up() -> list[FilterTest]:
    """Two detectors, two manipulations, sizes 3 to 27, and one cell of them that was never tested."""
    tests = []
    for a, trained in enumerate(("sbi", "caddm")):
        for b, tested in enumerate(("caddm", "sbi")):
            for c, manipulation in enumerate(("FaceSwap", "Deepfakes")):
                for d, size in enumerate((27, 3, 9)):
                    if (trained, tested, manipulation, size) == ("sbi", "caddm", "FaceSwap", 27):
                        continue
                    eer = 0.1 + 0.1 * a + 0.2 * b + 0.03 * c + 0.001 * d
                    clean = 0.01 * (1 + b + 2 * c)
                    tests.append(
                        replace(
                            BASE, trained_on=trained, tested_on=tested, manipulation=manipulation, size=size,
                            filter=str(size), eer=eer, clean_eer=clean,
                        )
                    )  # fmt: skip
    return tests


def test_rows_are_in_the_papers_order_and_missing_cells_blank(tmp_path: Path) -> None:
    table = tabulate(made_up())
    rows = [(row.trained_on, row.tested_on, row.filter) for row in table.rows]
    assert rows == [
        (None, "caddm", "none"), (None, "sbi", "none"),
        *((trained, tested, size)
          for trained, tested in (("caddm", "caddm"), ("caddm", "sbi"), ("sbi", "sbi"), ("sbi", "caddm"))
          for size in ("3", "9", "27")),
    ]  # fmt: skip
    write_csv(tmp_path / "table.csv", table)
    with (tmp_path / "table.csv").open() as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == ["trained_on", "tested_on", "filter", "Deepfakes", "FaceSwap"]
    assert (read[0]["Deepfakes"], read[0]["FaceSwap"]) == ("3.00", "1.00")
    assert read[-1] == {
        "trained_on": "sbi", "tested_on": "caddm", "filter": "27", "Deepfakes": "13.00", "FaceSwap": "",
    }  # fmt: skip
    assert sum(cell == "" for row in read for cell in (row["Deepfakes"], row["FaceSwap"])) == 1


def test_markdown_has_fidelity_beside_every_rate() -> None:
    lines = markdown(tabulate(made_up())).splitlines()
    assert lines[0] == "| trained on | tested on | filter | Deepfakes | FaceSwap |"
    assert lines[2] == "| no filter | caddm |  | 3.0 | 1.0 |"
    assert lines[4] == "| caddm | caddm (white box) | 3 | 23.1 (12.0, 0.50) | 20.1 (12.0, 0.50) |"
    assert lines[15] == "| sbi | caddm (black box) | 27 | 13.0 (12.0, 0.50) |  |"
    unchanged = markdown(tabulate([replace(BASE, psnr=None, ssim=1.0)])).splitlines()
    assert unchanged[3].endswith("| 50.0 (1.00) |")


def test_tests_are_found_wherever_they_lie(tmp_path: Path) -> None:
    tests = made_up()
    for place, test in enumerate(tests):
        save_tests(tmp_path / str(place) / "tests" / f"{test.tested_on}.json", [test])
        (tmp_path / str(place) / "tests" / f"._{test.tested_on}.json").write_bytes(b"\0")
        (tmp_path / str(place) / ".Trashes" / "tests").mkdir(parents=True)
        (tmp_path / str(place) / ".Trashes" / "tests" / "a.json").write_bytes(b"\0")
    assert sorted(map(repr, find_tests(tmp_path))) == sorted(map(repr, tests))
    write_tests(tmp_path / "tests.csv", tests)
    with (tmp_path / "tests.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(row["eer"]) for row in read] == pytest.approx([test.eer for test in tests])
    assert read[0]["fidelity"] == ""


def test_contradicting_tests_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tests here"):
        find_tests(tmp_path)
    with pytest.raises(InputError, match="two different tests of filter 9"):
        tabulate([BASE, replace(BASE, eer=0.4)])
    assert len(tabulate([BASE, BASE]).values) == 2


def three_filters(root: Path) -> list[FilterTest]:
    """Filters of three sizes, tested on two detectors; the tests lie beside the filters."""
    tests = []
    for size in (3, 5, 7):
        folder = root / "caddm" / "Deepfakes" / str(size)
        save(folder / "filter.safetensors", Filter(FilterSpec(size), some_weight(size)), FACTS)
        sha256 = load(folder / "filter.safetensors").sha256
        for tested in ("caddm", "sbi"):
            test = replace(BASE, tested_on=tested, size=size, filter=str(size), filter_sha256=sha256, eer=size / 100)
            save_tests(folder / "tests" / f"{tested}.json", [test])
            tests.append(test)
    return tests


def test_what_cannot_be_believed_is_left_out_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each of these was once in the table, or missing from it, without a word."""
    tests = three_filters(tmp_path / "whole")
    assert find_tests(tmp_path / "whole") == tests
    assert capfd.readouterr().err == ""
    five = Path("caddm", "Deepfakes", "5")
    sbi = Path("tests", "sbi.json")

    def changed(content: bytes) -> bytes:
        assert b'"eer": 0.05' in content
        return content.replace(b'"eer": 0.05', b'"eer": 0.95')

    def another(folder: Path) -> None:
        save(folder / "filter.safetensors", Filter(FilterSpec(5), some_weight(5, seed=2)), FACTS)

    def edit(path: Path, of: object) -> None:
        path.write_bytes(of(path.read_bytes()))  # type: ignore[operator]

    cases = {
        "digit": (lambda folder: edit(folder / sbi, changed), "sbi.json is damaged: its checksum does not fit", 1),
        "text": (lambda folder: (folder / sbi).write_text("{"), "sbi.json is damaged", 1),
        "unsealed": (lambda folder: (folder / sbi).write_text('{"tests": []}'), "sbi.json has no checksum", 1),
        "gone": (lambda folder: (folder / sbi).unlink(), "there is no test on sbi of 1 filter", 1),
        "empty": (lambda folder: (folder / sbi).write_text("[]"), "there is no test on sbi of 1 filter", 1),
        "all gone": (lambda folder: shutil.rmtree(folder / "tests"), "there is no test on caddm of 1 filter", 2),
        "of another": (another, "sbi.json is a test of another filter than the one that lies there", 2),
        "bit": (
            lambda folder: edit(folder / "filter.safetensors", lambda whole: whole[:-1] + bytes([whole[-1] ^ 1])),
            "filter.safetensors is damaged: its checksum does not fit",
            2,
        ),
    }
    for name, (hurt, words, lost) in cases.items():
        root = tmp_path / name
        shutil.copytree(tmp_path / "whole", root)
        hurt(root / five)
        found = find_tests(root)
        assert len(found) == len(tests) - lost, name
        assert set(found) < set(tests)
        told = capfd.readouterr().err
        assert words in told, name
        assert str(five) in told
        assert "Traceback" not in told


def test_copies_count_once_and_are_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tests, folder = three_filters(tmp_path), tmp_path / "caddm" / "Deepfakes" / "3"
    shutil.copy(folder / "tests" / "sbi.json", folder / "tests" / "sbi (conflicted copy).json")
    assert find_tests(tmp_path) == tests
    assert "sbi (conflicted copy).json is a copy of sbi.json; it is left out of the table" in capfd.readouterr().err
    shutil.copytree(folder, tmp_path / "caddm" / "Deepfakes" / "3 (copy)")
    (folder / "tests" / "sbi (conflicted copy).json").unlink()
    assert sorted(map(repr, find_tests(tmp_path))) == sorted(map(repr, tests))
    assert "holds the same test as" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tested_sha256": "34" * 32}, "tests on caddm are of 2 versions (2 and 1 tests) of its weights, in one row"),
        (
            {"frames": "56" * 32},
            "tests on caddm and Deepfakes are on 2 versions (2 and 1 tests) of frames, in one",
        ),
        ({"reals": 3}, None),
    ],
)
def test_tests_of_several_detectors_or_frames_in_one_row_are_said(
    change: dict[str, Any], words: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As an older copy of some tests leaves them."""
    tests, path = three_filters(tmp_path), tmp_path / "caddm" / "Deepfakes" / "3" / "tests" / "caddm.json"
    find_tests(tmp_path)
    assert capfd.readouterr().err == ""
    save_tests(path, [replace(tests[0], **change)])
    find_tests(tmp_path)
    told = capfd.readouterr().err
    assert (words or "") in told
    assert bool(told) == bool(words)


def test_tests_of_earlier_versions_count_and_are_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tests, folder = three_filters(tmp_path), tmp_path / "caddm" / "Deepfakes" / "3" / "tests"
    (folder / "caddm.json").write_text(json.dumps([asdict(tests[0])]))
    assert find_tests(tmp_path) == tests
    told = capfd.readouterr().err
    assert f"{folder / 'caddm.json'}: of an earlier version, so that nothing says whether the numbers are still" in told
    (folder / "caddm (copy).json").write_text(json.dumps([asdict(tests[0])]))
    assert find_tests(tmp_path) == tests
    assert "caddm (copy).json is a copy of caddm.json" in capfd.readouterr().err
    (folder / "caddm.json").write_text(json.dumps([asdict(replace(tests[0], filter_sha256="12" * 32))]))
    assert find_tests(tmp_path) == tests[1:]
    assert "caddm.json is a test of another filter" in capfd.readouterr().err


def test_the_picture_shows_every_cell_and_is_the_same_every_time(tmp_path: Path) -> None:
    table = tabulate(made_up())
    for name in ("one.png", "two.png"):
        save_heatmap(tmp_path / name, table)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > 600
        assert picture.height > 600
        colours = picture.convert("RGB").quantize(256).getcolors()
    assert colours is not None
    assert len([count for count, _ in colours if count > 2000]) > 10  # a shade for each rate
    assert table.at(TableRow("sbi", "caddm", "27"), "FaceSwap") is None
